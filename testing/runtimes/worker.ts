import { runTask } from "./tasks.ts";

/** A module Worker that runs one task at a time: what a page posts is `[name, args]`. */
const scope = globalThis as unknown as {
  onmessage: (event: { data: [string, unknown] }) => void;
  postMessage(message: { result: unknown } | { error: string }): void;
};

scope.onmessage = ({ data: [name, args] }) => {
  runTask(name, args).then(
    (result) => scope.postMessage({ result }),
    (error: unknown) => scope.postMessage({ error: String(error) }),
  );
};

import { run } from "./tasks.ts";

/** A module Worker that runs one task at a time: a page posts its text, and gets the answer's. */
const scope = globalThis as unknown as {
  onmessage: (event: { data: string }) => void;
  postMessage(answer: string): void;
};

scope.onmessage = ({ data }) => {
  void run(data).then((answer) => scope.postMessage(answer));
};

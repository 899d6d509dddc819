import "../../sdk/platform/workerd.ts";
import { runTask } from "./tasks.ts";

/** A worker of workerd that runs one task a request: what is posted is `[name, args]`. */
export default {
  async fetch(request: Request): Promise<Response> {
    const [name, args] = (await request.json()) as [string, unknown];
    const result = await runTask(name, args).then(
      (result) => ({ result }),
      (error: unknown) => ({ error: String(error) }),
    );
    return Response.json(result);
  },
};

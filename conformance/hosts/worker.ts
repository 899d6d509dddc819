import "../../sdk/platform/workerd.ts";
import { fromJson, type Job, runJob, toJson } from "./job.ts";

/** A worker of workerd that checks the case each request names. */
export default {
  async fetch(request: Request): Promise<Response> {
    return new Response(toJson(await runJob(fromJson(await request.text()) as Job)));
  },
};

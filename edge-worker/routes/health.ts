import { identify } from "../policy/keys.ts";
import type { App, Shared } from "./context.ts";

/** `GET /health`: the process answers. `GET /ready`: it takes requests. `GET /metrics`: what it counts. */
export function addHealth(app: App, { service, metrics }: Shared): void {
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", (c) => {
    const models = [...(service.current?.models.values() ?? [])];
    const is_ready =
      !service.is_draining && models.length > 0 && models.some(({ holder }) => holder.loaded !== null);
    const status = service.is_draining ? "draining" : is_ready ? "ready" : "loading";
    return c.json({ status }, is_ready ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    // Scraped while it drains, too.
    const policy = service.current?.policy ?? (await service.state()).policy;
    await identify(policy, c.req.header("authorization"));
    return c.text(metrics.text(service), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}

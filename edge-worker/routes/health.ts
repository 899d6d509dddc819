import { identify } from "../policy/keys.ts";
import { type App, keepAlive, type Shared } from "./context.ts";

/** `GET /health`: the process answers. `GET /ready`: it takes requests. `GET /metrics`: what it counts. */
export function addHealth(app: App, { service, metrics, more_metrics }: Shared): void {
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", async (c) => {
    if (service.is_draining) return c.json({ status: "draining" }, 503);
    const { models } = await service.state();
    if ([...models.values()].some(({ holder }) => holder.loaded !== null)) return c.json({ status: "ready" });
    // Who waits for it to be ready sends no request before: that it is asked for begins the load.
    keepAlive(c, service.load());
    return c.json({ status: "loading" }, 503);
  });
  app.get("/metrics", async (c) => {
    // Scraped while it drains, too.
    const policy = service.current?.policy ?? (await service.state()).policy;
    await identify(policy, c.req.header("authorization"));
    return c.text(metrics.text(service, more_metrics()), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
}

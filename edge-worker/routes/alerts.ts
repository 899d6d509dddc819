import type { DriftReport } from "../policy/drift.ts";
import type { Call } from "./call.ts";
import { keepAlive } from "./context.ts";

/** Milliseconds that a webhook is given. */
const WEBHOOK_MS = 5000;

/** Says that a conversation has drifted: to the log, the counters, and the policy's webhook. No text of messages goes out. */
export function raiseAlert(call: Call, report: DriftReport): void {
  const { c, shared, served } = call;
  const action = report.action ?? "alert";
  const projection = report.turns.at(-1)?.projection ?? null;
  const { request_id, client } = c.var;
  shared.metrics.alerts.add({ model: served.name, action });
  shared.log({
    time: new Date().toISOString(),
    level: "warn",
    event: "drift",
    request_id,
    client: client.name,
    model: served.name,
    action,
    projection,
  });
  const { webhook } = served.rules.drift ?? {};
  if (webhook === undefined) return;
  const warn = (message: string) =>
    shared.log({
      time: new Date().toISOString(),
      level: "warn",
      event: "server",
      request_id,
      message: `webhook: ${message}`,
    });
  const body = { event: "drift", request_id, client: client.name, model: served.name, ...report };
  const posted = fetch(webhook, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(WEBHOOK_MS),
    redirect: "error",
  }).then(
    async (response) => {
      await response.body?.cancel();
      if (!response.ok) warn(`status ${response.status}`);
    },
    (error: unknown) => warn(error instanceof Error ? error.name : "failed"),
  );
  keepAlive(c, posted);
}

import { expect, it } from "vitest";
import { createApp } from "../app.ts";
import { get } from "../fixtures/client.ts";
import { model } from "../fixtures/tiny.ts";
import { ProcessWatch } from "./process_watch.ts";

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it("/metrics says how late the process's event loop is and what it holds, where it is watched", async () => {
  const watch = new ProcessWatch();
  const app = createApp({ models: { tiny: model }, more_metrics: () => watch.lines() });
  const readingOf = async (name: string) => {
    const { body } = await get(app, "/metrics");
    return Number(
      body
        .split("\n")
        .find((line: string) => line.startsWith(`${name} `))
        ?.slice(name.length + 1),
    );
  };
  await wait(50);
  const before = await readingOf("capstan_event_loop_lag_seconds_sum");
  // The loop stands still: the look that was due comes late by as much, but for the time until it was due.
  const until = performance.now() + 150;
  while (performance.now() < until);
  await wait(30);
  expect((await readingOf("capstan_event_loop_lag_seconds_sum")) - before).toBeGreaterThan(0.1);
  expect(await readingOf("process_resident_memory_bytes")).toBeGreaterThan(2 ** 20);
  watch.stop();
  const stopped = await readingOf("capstan_event_loop_lag_seconds_count");
  await wait(50);
  expect(await readingOf("capstan_event_loop_lag_seconds_count")).toBe(stopped);
  const { body } = await get(createApp({ models: { tiny: model } }), "/metrics");
  expect(body).not.toContain("event_loop");
});

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Progress, ProgressMeter } from "./progress.ts";

let time: number;
beforeEach(() => {
  time = 50_000;
  vi.spyOn(performance, "now").mockImplementation(() => time);
});
afterEach(() => vi.restoreAllMocks());

function metered(total: number, resumed: number, at_once?: number) {
  const reports: Progress[] = [];
  return {
    reports,
    meter: new ProgressMeter("collect", total, resumed, (one) => reports.push(one), at_once),
  };
}

it("reports at once, and knows no pace before the first item", () => {
  const { reports } = metered(12, 0);
  expect(reports).toEqual([{ phase: "collect", done: 0, total: 12, tokens: 0, tok_per_s: 0, eta_s: null }]);
});

it("counts items, tokens, tokens a second and the seconds that are left at the pace so far", () => {
  const { reports, meter } = metered(12, 0);
  time += 3000;
  meter.item(60, "pirate");
  time += 1000;
  meter.item(40);
  expect(reports.slice(1)).toEqual([
    { phase: "collect", done: 1, total: 12, tokens: 60, tok_per_s: 20, eta_s: 33, role: "pirate" },
    { phase: "collect", done: 2, total: 12, tokens: 100, tok_per_s: 25, eta_s: 20 },
  ]);
});

it("what was done before this call counts as done, and has no part in the pace", () => {
  const { reports, meter } = metered(110, 100);
  expect(reports[0]).toMatchObject({ done: 100, eta_s: null });
  time += 2000;
  meter.item(10);
  expect(reports[1]).toMatchObject({ done: 101, tokens: 10, tok_per_s: 5, eta_s: 18 });
});

it("foretells nothing before as many are done as are worked on at once, or as there are", () => {
  const etas = (total: number, resumed: number, at_once: number) => {
    const { reports, meter } = metered(total, resumed, at_once);
    for (let i = 0; i < 4; i++) {
      time += 1000;
      meter.item(1);
    }
    return reports.map(({ eta_s }) => eta_s);
  };
  expect(etas(10, 0, 3)).toEqual([null, null, null, 7, 6]);
  expect(etas(14, 10, 64)).toEqual([null, null, null, null, 0]);
});

it("is silent where nobody listens", () => {
  expect(() => new ProgressMeter("judge", 3, 0, undefined).item(5)).not.toThrow();
});

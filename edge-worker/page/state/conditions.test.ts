import { expect, it } from "vitest";
import type { ModelCard } from "../backend/backend.ts";
import { boundsAt, conditionName, firstConditions, firstLayer, NO_BOUNDS } from "./conditions.ts";

const layers = [0, 1, 2, 3];
const percentiles = (add: number) => layers.map((layer) => layer * 10 + add);
const card: ModelCard = {
  name: "m",
  device: "wasm, f32",
  n_ctx: 100,
  caps: [
    { name: "p25", layers: { start: 2, end: 4 }, percentile: 25, floors: [21, null] },
    { name: "p50", layers: { start: 1, end: 3 }, percentile: 50, floors: [15, 25] },
  ],
  default_cap: "p50",
  pinned: false,
  axis: {
    target_layer: 1,
    layers,
    percentiles: {
      5: percentiles(1),
      25: percentiles(2),
      50: percentiles(3),
      75: percentiles(4),
      95: percentiles(5),
    },
    assistant: percentiles(6),
  },
  own: null,
};

it("a model is first shown uncapped beside its default cap, and under a pinned cap alone", () => {
  expect(firstConditions(card).map(({ cap }) => cap)).toEqual([null, "p50"]);
  expect(firstConditions({ ...card, default_cap: null }).map(({ cap }) => cap)).toEqual([null, "p25"]);
  expect(firstConditions({ ...card, pinned: true }).map(({ cap }) => cap)).toEqual(["p50"]);
  expect(firstConditions({ ...card, default_cap: null, caps: [] }).map(({ cap }) => cap)).toEqual([null]);
});

it("it is read at the axis's target layer where the cap acts there, else where the cap begins", () => {
  expect(firstLayer(card, [{ cap: "p50", steering: 0 }])).toBe(1);
  expect(firstLayer(card, [{ cap: "p25", steering: 0 }])).toBe(2);
  expect(firstLayer(card, [{ cap: null, steering: 0 }])).toBe(1);
  expect(firstLayer({ ...card, axis: null }, [])).toBe(null);
});

it("the floor is that of the cap that acts on the layer, the band of the layer's collected responses", () => {
  const bounds = boundsAt(card, 2, firstConditions(card));
  expect(bounds).toEqual({ floor: 25, percentiles: [21, 22, 23, 24, 25], assistant: 26 });
  expect(boundsAt(card, 0, firstConditions(card)).floor).toBe(null);
  expect(boundsAt(card, 3, [{ cap: "p25", steering: 0 }]).floor).toBe(null);
  expect(boundsAt(card, null, [])).toEqual(NO_BOUNDS);
  const own = { ...card, own: { floor: () => 7 } };
  expect(boundsAt(own, 2, [{ cap: { start: 0, end: 4, percentile: 9 }, steering: 0 }]).floor).toBe(7);
});

it("conditions have names that say what they are", () => {
  expect(conditionName({ cap: null, steering: 0 })).toBe("Uncapped");
  expect(conditionName({ cap: "p50", steering: 40 })).toBe("Capped: p50, steered +40 %");
  expect(conditionName({ cap: { start: 2, end: 3, percentile: 30 }, steering: -5 })).toBe(
    "Own cap: p30, layer 2, steered −5 %",
  );
});

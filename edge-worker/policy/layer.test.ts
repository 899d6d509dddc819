import { expect, it } from "vitest";
import { createApp } from "../app.ts";
import { post, user } from "../fixtures/client.ts";
import { axis, CAPPED, files, model, strong } from "../fixtures/tiny.ts";

const app = createApp({ models: { tiny: model }, policy: { models: { tiny: CAPPED } }, files });
const ask = async (capstan: object) =>
  await post(app, "/v1/chat/completions", { messages: user("Who are you?"), max_tokens: 8, capstan });

it("a request names the layer that is read, of the axis and of a cap that acts there", async () => {
  const plain = (await ask({})).body.capstan;
  expect([plain.cap_layer, plain.axis_layer]).toEqual([3, axis.target_layer]);
  const inside = (await ask({ layer: 5, projections: true })).body.capstan;
  expect([inside.cap_layer, inside.axis_layer]).toEqual([5, 5]);
  for (const [i, after] of inside.projections.after.entries()) {
    expect(after).toBeCloseTo(inside.projections.axis[i], 2);
    expect(after).toBeGreaterThan(strong.data.floors[2]! - 1e-2);
  }
  const outside = (await ask({ layer: 7 })).body.capstan;
  expect([outside.cap_layer, outside.axis_layer]).toEqual([3, 7]);
});

it("a layer that the axis has not is a 400", async () => {
  const { status, body } = await ask({ layer: 8 });
  expect([status, body.error.code, body.error.param]).toEqual([400, "layer_not_found", "capstan.layer"]);
  expect((await ask({ layer: -1 })).body.error.param).toBe("capstan.layer");
});

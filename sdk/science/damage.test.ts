import { describe, expect, it } from "vitest";
import { fakeAxis } from "../../testing/fakes/fake_axis.ts";
import { decodeSafetensors, encodeSafetensors, type TensorData } from "../checkpoint/safetensors/index.ts";
import type { CapsData } from "./caps/caps.ts";
import { Caps, cap, readAxis, readCaps } from "./index.ts";

/** Axis and cap files that are damaged or changed, as they are read. */

const D = 32;
const axis = fakeAxis(12, D);
const of_axis = cap(axis, { layers: { start: 0, end: 1 }, percentile: 25 });

const data: CapsData = {
  model: { id: "fake", digest: "sha256:fake" },
  n_layers: 6,
  d_model: D,
  layers: Int32Array.of(1, 2, 4),
  vectors: Float32Array.from({ length: 3 * D }, (_, i) => Math.sin(i) + 2),
  floors: Float32Array.of(1, 2, Number.NEGATIVE_INFINITY),
  ceilings: Float32Array.of(Number.POSITIVE_INFINITY, 9, 3),
  percentile: null,
  of: "axis",
};
const caps = new Caps(data);

type Change = {
  tensors?: Record<string, { shape?: number[]; data: Float32Array | Int32Array }>;
  metadata?: Record<string, unknown>;
};

/** The file written again with something else in it; its digest is kept, or left out as older versions did. */
function changed(
  bytes: Uint8Array,
  { tensors = {}, metadata = {} }: Change,
  keep_digest: boolean,
): Uint8Array {
  const file = decodeSafetensors(bytes);
  const all = Object.fromEntries([...file.tensors].map(([name, one]): [string, TensorData] => [name, one]));
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = data instanceof Float32Array ? "F32" : "I32";
    all[name] = { dtype, shape: shape ?? file.tensors.get(name)!.shape, data };
  }
  const texts = Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, JSON.stringify(value)]),
  );
  const { content_digest, ...others } = { ...file.metadata, ...texts };
  return encodeSafetensors(all, keep_digest ? { ...others, content_digest: content_digest! } : others);
}

const fail = (need: RegExp) => ({ code: "bad_file", message: expect.stringMatching(need) });

describe("a cap file", () => {
  const bytes = caps.toBytes();
  const old = (change: Change) => readCaps(changed(bytes, change, false));

  it("is read as it was, with its digest and without one", async () => {
    expect((await readCaps(bytes)).data).toEqual(data);
    expect((await old({})).data).toEqual(data);
    expect((await readCaps(changed(bytes, {}, true))).data).toEqual(data);
  });

  it("says which axis it was made of, and what was measured there", async () => {
    const { axis: of } = (await readCaps(of_axis.toBytes())).data;
    expect(of).toEqual(of_axis.data.axis);
    expect(of).toMatchObject({
      digest: axis.digest,
      roles: axis.roles,
      made: { judge: "all" },
      measured: { n_responses: 12, cos_pc1: [0.84] },
    });
    const { p, layers } = of!.measured.percentiles;
    expect(layers[0]![p.indexOf(25)]).toBeCloseTo(of_axis.data.floors[0]!, 4);
  });

  it.each([
    ["zeroed floors", { tensors: { floors: { data: new Float32Array(3) } } }],
    ["another vector", { tensors: { vectors: { data: data.vectors.map((x) => x + 1e-3) } } }],
    ["another model", { metadata: { model: { id: "fake", digest: "sha256:other" } } }],
    ["another percentile", { metadata: { percentile: 5 } }],
    ["a further value", { metadata: { note: "x" } }],
  ] satisfies [string, Change][])("with %s is refused by its digest", async (_, change) => {
    await expect(readCaps(changed(bytes, change, true))).rejects.toMatchObject(
      fail(/content_digest sha256:/),
    );
    await expect(old(change)).resolves.toBeInstanceOf(Caps);
  });

  it("is refused whichever bit is flipped", async () => {
    const tried = Array.from({ length: 60 }, (_, i) => Math.floor(((i + 0.5) * bytes.length) / 60));
    for (const at of tried) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << (at % 8);
      await expect(readCaps(damaged), `byte ${at}`).rejects.toMatchObject({ code: "bad_file" });
    }
  });

  const layers = (...list: number[]) => ({ tensors: { layers: { data: Int32Array.from(list) } } });
  const floors = (...list: number[]) => ({ tensors: { floors: { data: Float32Array.from(list) } } });
  it.each([
    ["layers twice", layers(1, 1, 4), /each once and ascending, found \[1, 1, 4\]/],
    ["layers in disorder", layers(2, 1, 4), /each once and ascending/],
    ["a layer that the model lacks", layers(1, 2, 6), /layers of 0 to 5/],
    ["a layer below 0", layers(-1, 2, 4), /layers of 0 to 5/],
    ["NaN as a floor", floors(Number.NaN, 2, 3), /floors of finite numbers/],
    ["an infinite floor", floors(Number.POSITIVE_INFINITY, 2, 3), /a floor below a ceiling at layer 1/],
    ["a floor above its ceiling", floors(1, 10, 3), /a floor below a ceiling at layer 2, found 10 and 9/],
    ["neither floor nor ceiling", floors(Number.NEGATIVE_INFINITY, 2, 3), /a floor or a ceiling at layer 1/],
    [
      "zeros as a vector",
      { tensors: { vectors: { data: data.vectors.map((x, i) => (i < D ? 0 : x)) } } },
      /a direction at layer 1/,
    ],
    [
      "NaN in a vector",
      { tensors: { vectors: { data: data.vectors.map((x, i) => (i === 40 ? Number.NaN : x)) } } },
      /vectors of finite numbers/,
    ],
    [
      "vectors of another width",
      { tensors: { vectors: { shape: [3, D - 1], data: new Float32Array(3 * (D - 1)).fill(1) } } },
      /vectors \[3, 32\]/,
    ],
    ["another d_model", { metadata: { d_model: 31 } }, /vectors \[3, 31\]/],
    ["fewer floors", { tensors: { floors: { shape: [2], data: Float32Array.of(1, 2) } } }, /floors \[3\]/],
    ["no layers", { tensors: { layers: { shape: [0], data: new Int32Array(0) } } }, /vectors \[0, 32\]/],
    [
      "layers as a matrix",
      { tensors: { layers: { shape: [3, 1], data: Int32Array.of(1, 2, 4) } } },
      /layers \[any\]/,
    ],
    ["a d_model that is none", { metadata: { d_model: "32" } }, /"d_model" to be a whole number/],
    ["n_layers that are none", { metadata: { n_layers: -1 } }, /"n_layers" to be a whole number/],
    ["no model", { metadata: { model: null } }, /"model" to be \{ id, digest \}/],
    [
      "a percentile that is none",
      { metadata: { percentile: 250 } },
      /"percentile" to be a number from 0 to 100/,
    ],
    ["an axis that is none", { metadata: { axis: { digest: 1 } } }, /"axis" to be the axis behind the caps/],
  ] satisfies [string, Change, RegExp][])("with %s is refused", async (_, change, need) => {
    await expect(old(change)).rejects.toMatchObject(fail(need));
  });

  it("is not made of such caps in the first place", () => {
    expect(() => new Caps({ ...data, layers: Int32Array.of(1, 1, 4) })).toThrow(/make caps: need layers/);
  });
});

describe("an axis file", () => {
  const bytes = axis.toBytes();
  const old = (change: Change) => readAxis(changed(bytes, change, false));

  it("is read as it was, with its digest and without one", async () => {
    const back = await readAxis(bytes);
    expect(back.data).toEqual(axis.data);
    expect(back.digest).toBe(axis.digest);
    expect(decodeSafetensors(bytes).metadata.content_digest).toBe(JSON.stringify(axis.digest));
    expect((await old({})).digest).toBe(axis.digest);
  });

  it.each([
    ["another axis", { tensors: { axis: { data: axis.data.axis.map((x) => -x) } } }],
    ["other roles", { metadata: { roles: axis.roles.map((role) => `${role}!`) } }],
  ] satisfies [string, Change][])("with %s is refused by its digest", async (_, change) => {
    await expect(readAxis(changed(bytes, change, true))).rejects.toMatchObject(
      fail(/content_digest sha256:/),
    );
    await expect(old(change)).resolves.toBeDefined();
  });

  it.each([
    ["a target layer that it lacks", { metadata: { target_layer: 1 } }, /"target_layer" to be/],
    ["layers that it lacks", { metadata: { layers: [0, 1] } }, /"layers" to be layers of 0 to 0/],
    ["roles that are no texts", { metadata: { roles: 12 } }, /"roles" to be a list of texts/],
    ["fewer roles than vectors", { metadata: { roles: ["x"] } }, /roles \[1, 1, 32\]/],
    [
      "zeros as a direction",
      { tensors: { axis: { data: new Float32Array(D) } } },
      /a direction at every collected layer/,
    ],
    [
      "NaN in its axis",
      { tensors: { axis: { data: new Float32Array(D).fill(Number.NaN) } } },
      /axis of finite numbers/,
    ],
    [
      "NaN in projections",
      { tensors: { "projections.responses": { data: new Float32Array(12).fill(Number.NaN) } } },
      /projections.responses of finite/,
    ],
    ["an axis of one row", { tensors: { axis: { shape: [D], data: axis.data.axis } } }, /axis \[any, any\]/],
    [
      "roles that it does not name",
      { tensors: { "projections.role_index": { data: new Int32Array(12).fill(12) } } },
      /role_index below 12/,
    ],
    ["cosines that are none", { metadata: { cos_pc1: [null] } }, /"cos_pc1" to be a list of 1 numbers/],
  ] satisfies [string, Change, RegExp][])("with %s is refused", async (_, change, need) => {
    await expect(old(change)).rejects.toMatchObject(fail(need));
  });
});

import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { D_MODEL, FAKE_JUDGE, fakeModel, N_LAYERS } from "../../testing/fakes/fake_model.ts";
import { lacks, python } from "../../testing/parts.ts";
import { fit as fitAxis } from "./axis/fit.ts";
import { cap } from "./caps/caps.ts";
import { collect } from "./collect/collect.ts";

/** Opens the files with the official library and computes the axis again from the run's shards and lines. */
const SCRIPT = `
import glob, json, sys
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

folder = sys.argv[1]
def meta(path):
    with safe_open(path, "np") as f:
        return {k: json.loads(v) for k, v in f.metadata().items()}

lines = [json.loads(x) for x in open(folder + "/run/responses.jsonl")]
score = {s["key"]: s["score"] for s in map(json.loads, open(folder + "/run/scores.jsonl"))}
acts = {}
for path in glob.glob(folder + "/run/activations/*.safetensors"):
    for key, value in zip(meta(path)["keys"], load_file(path)["resid_post"]):
        acts[key] = value.astype(np.float64)

axis, m = load_file(folder + "/axis.safetensors"), meta(folder + "/axis.safetensors")
of = lambda role: [acts[r["key"]] for r in lines if r["role"] == role and (role == "default" or score[r["key"]] == 3)]
vectors = np.stack([np.mean(of(role), 0) for role in m["roles"]])
again = np.mean(of("default"), 0) - vectors.mean(0)
u = again / np.linalg.norm(again, axis=1, keepdims=True)
every = np.stack([acts[k] for k in sorted(acts)])
p = np.einsum("nld,ld->nl", every, u)
s = np.linalg.svd(vectors[:, 1] - vectors[:, 1].mean(0), compute_uv=True)
caps, c = load_file(folder + "/x.cap.safetensors"), meta(folder + "/x.cap.safetensors")
print(json.dumps({
    "shapes": {k: list(v.shape) for k, v in {**axis, **{"cap." + k: v for k, v in caps.items()}}.items()},
    "axis_error": float(np.abs(again - axis["axis"]).max()),
    "projection_error": float(np.abs(p - axis["projections.responses"]).max()),
    "percentile_error": float(max(abs(np.percentile(p[:, l], q) - m["percentiles"]["layers"][l][i])
        for l in range(p.shape[1]) for i, q in enumerate(m["percentiles"]["p"]))),
    "floor_error": float(max(abs(np.percentile(p[:, l], 25) - f) for l, f in zip(caps["layers"], caps["floors"]))),
    "cosine_error": float(abs(abs(s[2][0] @ u[1]) - m["cos_pc1"][1])),
    "explained_error": float(np.abs((s[1] ** 2 / (s[1] ** 2).sum())[:-1] - axis["pca.explained"][1]).max()),
    "format": [m["format"], c["format"]], "digest": m["model"]["digest"], "percentile": c["percentile"],
}))
`;

describe.skipIf(lacks("python"))("the files in Python", () => {
  it("open with the official library, and numpy finds the same axis, percentiles and components", async () => {
    const folder = await mkdtemp(join(tmpdir(), "capstan-python-"));
    const names = [0.35, 0.5, 0.65, 0.8, 0.95].map((d) => [`role_${d}`, d] as const);
    const role = (d: number) => ({ instruction: [{ pos: `[t=t${d * 100}] [d=${d}]` }] });
    const run = await collect(fakeModel(), {
      roles: Object.fromEntries(names.map(([name, d]) => [name, role(d)])),
      questions: Array.from({ length: 14 }, (_, i) => `question ${i}`),
      judge: { ...FAKE_JUDGE, roles: Object.fromEntries(names.map(([name]) => [name, { min: 1, max: 4 }])) },
      out: join(folder, "run"),
    });
    const axis = await fitAxis(run, { min_count: 3 });
    await axis.save(join(folder, "axis.safetensors"));
    await cap(axis, { layers: { start: 1, end: 3 }, percentile: 25 }).save(join(folder, "x.cap.safetensors"));
    const { stdout, stderr } = spawnSync(python, ["-c", SCRIPT, folder], { encoding: "utf8" });
    await rm(folder, { recursive: true });
    expect(stderr).toBe("");
    const found = JSON.parse(stdout);
    expect(found.shapes).toMatchObject({
      axis: [N_LAYERS, D_MODEL],
      default: [N_LAYERS, D_MODEL],
      roles: [axis.roles.length, N_LAYERS, D_MODEL],
      "projections.responses": [run.responses.size, N_LAYERS],
      "cap.vectors": [2, D_MODEL],
      "cap.floors": [2],
      "cap.ceilings": [2],
      "cap.layers": [2],
    });
    expect(found).toMatchObject({
      format: ["capstan.axis", "capstan.cap"],
      digest: "sha256:fake",
      percentile: 25,
    });
    for (const what of ["axis", "projection", "percentile", "floor", "cosine", "explained"]) {
      expect(found[`${what}_error`], what).toBeLessThan(2e-6);
    }
  });
});

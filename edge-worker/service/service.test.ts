import { describe, expect, it } from "vitest";
import { CapstanError } from "../../models/index.ts";
import { load } from "../../sdk/index.ts";
import type { Model } from "../../sdk/types.ts";
import { createApp } from "../app.ts";
import { get, post, user } from "../fixtures/client.ts";
import type { LogEntry } from "../log.ts";
import { ModelHolder } from "./model_holder.ts";
import { Service } from "./service.ts";

const CHAT = "/v1/chat/completions";
const fresh = () => load("capstan-tiny", { device: "wasm" });
const request = { messages: user("Who are you?"), max_tokens: 3, temperature: 0 };

/** Whether a model was disposed of: it refuses every call. */
const isDisposed = (model: Model) =>
  model.forward([1]).then(
    () => false,
    () => true,
  );

describe("a held model", () => {
  it("is loaded once for all who ask, and again after a load that failed", async () => {
    let n_loads = 0;
    const model = await fresh();
    const holder = new ModelHolder(async () => {
      n_loads++;
      if (n_loads === 1) throw new Error("no");
      return model;
    });
    await expect(Promise.all([holder.open(), holder.open()])).rejects.toThrow("no");
    expect(await Promise.all([holder.open(), holder.open(), holder.open()])).toEqual([model, model, model]);
    expect(n_loads).toBe(2);
    await holder.dispose();
  });

  it("is disposed of when nobody uses it any more, once it is retired", async () => {
    const model = await fresh();
    const holder = new ModelHolder(async () => model);
    await holder.open();
    const [one, other] = [holder.use(), holder.use()];
    holder.retire();
    one();
    one();
    expect(await isDisposed(model)).toBe(false);
    other();
    expect(await isDisposed(model)).toBe(true);
  });
});

describe("a service", () => {
  it("is ready without a request: that it is asked for begins the load", async () => {
    const model = await fresh();
    const app = createApp({ models: { tiny: async () => model } });
    const statuses: number[] = [];
    while (statuses.at(-1) !== 200 && statuses.length < 100) {
      statuses.push((await get(app, "/ready")).status);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([statuses[0], statuses.at(-1)]).toEqual([503, 200]);
    expect((await get(createApp({ models: { tiny: model } }), "/ready")).status).toBe(200);
    await model.dispose();
  });

  it("says at once what a loaded model is, and is ready; of one that is to be loaded once it is", async () => {
    const model = await fresh();
    const seen = async (given: Model | (() => Promise<Model>)) => {
      const app = createApp({ models: { tiny: given } });
      const before = (await get(app, "/v1/models")).body.data[0].capstan;
      const ready = (await get(app, "/ready")).status;
      await post(app, CHAT, request);
      return { before, ready, after: (await get(app, "/v1/models")).body.data[0].capstan };
    };
    const facts = { digest: model.digest, device: "wasm", dtype: model.device.dtype, n_ctx: model.n_ctx };
    expect(await seen(model)).toMatchObject({ before: facts, ready: 200, after: facts });
    expect(await seen(async () => model)).toMatchObject({
      before: { digest: null },
      ready: 503,
      after: facts,
    });
    await model.dispose();
  });

  it("answers 503 where a model does not load, without a path of the server, and tries again", async () => {
    const log: LogEntry[] = [];
    let n_loads = 0;
    const model = await fresh();
    const app = createApp({
      models: {
        tiny: async () => {
          if (n_loads++ === 0)
            throw new CapstanError("not_found", { action: "read /srv/secret/x", need: "it", found: "none" });
          return model;
        },
      },
      log: (entry) => log.push(entry),
    });
    const failed = await post(app, CHAT, request);
    expect([failed.status, failed.body.error.code]).toEqual([503, "model_unavailable"]);
    expect(JSON.stringify(failed.body)).not.toContain("secret");
    expect(log[0]!.cause).toContain("/srv/secret/x");
    expect((await post(app, CHAT, request)).status).toBe(200);
    await model.dispose();
  });

  it("ends requests on a lost device with 503, and loads the model again for the next", async () => {
    const loaded: Model[] = [];
    const service = new Service({
      models: {
        tiny: async () => {
          const model = await fresh();
          loaded.push(model);
          return model;
        },
      },
    });
    const app = createApp({ service });
    const ask = () => post(app, "/v1/completions", { prompt: [5, 6, 7], max_tokens: 2 });
    expect((await ask()).status).toBe(200);
    // As on a lost device, every call of its scheduler fails from now on.
    await loaded[0]!.dispose();
    const lost = await ask();
    expect([lost.status, lost.body.error.code]).toEqual([503, "device_lost"]);
    expect(lost.headers.get("retry-after")).toBe("5");
    expect((await ask()).status).toBe(200);
    expect(loaded).toHaveLength(2);
    await service.dispose();
  });

  it("keeps a model that the next policy has too, and frees one that it has not after its last stream", async () => {
    const service = new Service({ policy: { models: { tiny: { source: "capstan-tiny", device: "wasm" } } } });
    const app = createApp({ service });
    await service.load();
    const first = service.current!.models.get("tiny")!.holder.loaded!;
    const policy = (n_ctx?: number) => ({
      models: { other: { source: "capstan-tiny", device: "wasm" as const, ...(n_ctx ? { n_ctx } : {}) } },
    });
    await service.reload(policy());
    expect(service.current!.models.get("other")!.holder.loaded).toBe(first);
    const streaming = await app.request(CHAT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...request, max_tokens: 40, stream: true }),
    });
    await service.reload(policy(256));
    expect(service.current!.models.get("other")!.holder.loaded).not.toBe(first);
    expect(await streaming.text()).toContain("[DONE]");
    const late = await post(app, CHAT, { ...request, model: "tiny" });
    expect(late.status).toBe(404);
    await expect(first.forward([1])).rejects.toThrow(/disposed/);
    await service.dispose();
  });

  it("frees what a refused policy had begun to load, and takes the same model in a later one", async () => {
    const service = new Service({ policy: { models: { tiny: { source: "capstan-tiny", device: "wasm" } } } });
    const app = createApp({ service });
    await service.load();
    const other = { source: "capstan-tiny", device: "wasm" as const, n_ctx: 128 };
    const wrong = { models: { other, none: { source: "/nowhere/at/all" } } };
    await expect(service.reload(wrong)).rejects.toThrow(CapstanError);
    expect([...service.current!.models.keys()]).toEqual(["tiny"]);
    await Promise.all([service.reload(wrong).catch(() => {}), service.reload({ models: { other } })]);
    const model = service.current!.models.get("other")!.holder.loaded!;
    expect((await post(app, CHAT, request)).status).toBe(200);
    expect(await isDisposed(model)).toBe(false);
    await service.dispose();
  });

  it("ends a reply whose stream is given up, where no signal says so", async () => {
    const model = await fresh();
    const app = createApp({ models: { tiny: model } });
    const bias = Object.fromEntries([...model.spec.eos_token_ids].map((id) => [id, -100]));
    const streamed = await app.request(CHAT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...request, max_tokens: 900, logit_bias: bias, stream: true }),
    });
    const reader = streamed.body!.getReader();
    await reader.read();
    expect(model.stats().n_running).toBe(1);
    await reader.cancel();
    for (let i = 0; i < 200 && model.stats().n_running > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(model.stats().n_running).toBe(0);
    expect((await post(app, "/v1/completions", { prompt: "x", max_tokens: 1 })).status).toBe(200);
    await model.dispose();
  });

  it("refuses a request that was under way when it began to drain: 503, not the queue's 429", async () => {
    const service = new Service({ models: { tiny: await fresh() } });
    const app = createApp({ service });
    await service.load();
    let send: () => void = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        send = () => {
          controller.enqueue(new TextEncoder().encode(JSON.stringify(request)));
          controller.close();
        };
      },
    });
    const asked = app.request(CHAT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      duplex: "half",
    } as RequestInit);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const drained = service.drain(new AbortController().signal);
    send();
    const answer = await asked;
    expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([
      503,
      "draining",
    ]);
    await drained;
    await service.dispose();
  });
});

describe("requests of one batch", () => {
  it("have nothing of each other: texts, hooks and seeds are each one's own", async () => {
    const model = await fresh();
    const { d_model } = model.spec;
    const policy = { models: { tiny: {} }, anonymous: { hooks: true } };
    const app = createApp({ models: { tiny: model }, policy });
    const canary = "ZEBRA-7391";
    const ask = (i: number) => {
      const planted = i % 3 === 0;
      const hook = {
        kind: "add",
        site: "blocks.2.hook_resid_post",
        vector: Array(d_model).fill(0.5),
        coefficient: 40,
      };
      return {
        messages: user(planted ? `Say ${canary} ${i}.` : `What is in box ${i}?`),
        max_tokens: 16,
        temperature: 1,
        seed: i,
        ...(i % 4 === 0 ? { capstan: { hooks: [hook] } } : {}),
      };
    };
    const requests = Array.from({ length: 24 }, (_, i) => ask(i));
    const textOf = async (body: object) =>
      (await post(app, CHAT, body)).body.choices[0].message.content as string;
    const together = await Promise.all(requests.map(textOf));
    const alone: string[] = [];
    for (const body of requests) alone.push(await textOf(body));
    expect(together).toEqual(alone);
    expect(together.filter((text, i) => i % 3 !== 0 && text.includes(canary))).toEqual([]);
    await model.dispose();
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { answer, answerCut, serve } from "../checkpoint/source/fixtures/server.ts";
import { generate, load } from "../index.ts";

/** The embedded model over HTTP, from a server that answers every third request badly. */
test("a model loads from a URL, whatever the connection does", async () => {
  const folder = join(import.meta.dirname, "..", "..", "models", "capstan-tiny");
  const files = new Map<string, Uint8Array>();
  for (const name of ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]) {
    files.set(`/tiny/${name}`, readFileSync(join(folder, name)));
  }
  files.set("/tiny/model.safetensors", readFileSync(join(folder, "model.safetensors")));
  await using server = await serve((exchange) => {
    const data = files.get(exchange.path);
    if (data === undefined) exchange.response.writeHead(404).end();
    else if (exchange.index % 6 === 3) answerCut(exchange, data, 3000);
    else if (exchange.index % 6 === 5) exchange.response.writeHead(503, { "retry-after": "0" }).end();
    else answer(exchange, data);
  });
  const messages = [{ role: "user", content: "What colour is the sky?" }];
  const reply = async (source: string) => {
    await using model = await load(source);
    return (await generate(model, messages, { temperature: 0, max_tokens: 16 }).result).tokens;
  };
  expect([...(await reply(`${server.url}/tiny/`))]).toEqual([...(await reply("capstan-tiny"))]);
  expect(server.requests.length).toBeGreaterThan(8);
});

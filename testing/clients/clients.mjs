// What people's clients of OpenAI's API make of a server, each unmodified: a function from the server's address to plain JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { embed, generateText, streamText } from "ai";
import OpenAI from "openai";
import OpenAI6 from "openai6";

const messages = [{ role: "user", content: "Who are you?" }];
const greedy = { model: "tiny", messages, temperature: 0, max_tokens: 12 };
const apiKey = "sk-any";

/** @param Client the class of a version */
async function withOpenAI(Client, baseURL) {
  const client = new Client({ apiKey, baseURL, maxRetries: 0 });
  const plain = await client.chat.completions.create({ ...greedy, logprobs: true, top_logprobs: 2 });
  const chunks = [];
  const stream = await client.chat.completions.create({
    ...greedy,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) chunks.push(chunk);
  const helper = client.chat.completions.stream(greedy);
  const final = await helper.finalChatCompletion();
  const completion = await client.completions.create({
    model: "tiny",
    prompt: "Once",
    max_tokens: 4,
    temperature: 0,
  });
  const response = await client.responses.create({
    model: "tiny",
    input: "Who are you?",
    temperature: 0,
    max_output_tokens: 12,
  });
  const events = [];
  const responses = client.responses.stream({
    model: "tiny",
    input: "Who are you?",
    temperature: 0,
    max_output_tokens: 12,
  });
  for await (const event of responses) events.push(event.type);
  const embedding = await client.embeddings.create({ model: "tiny", input: ["a", "b"] });
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  const error = await client.chat.completions.create({ ...greedy, max_tokens: 0 }).then(
    () => null,
    (thrown) => ({
      class: thrown.constructor.name,
      status: thrown.status,
      code: thrown.code,
      type: thrown.type,
      param: thrown.param,
      has_id: typeof thrown.requestID === "string",
    }),
  );
  const missing = await client.models.retrieve("none").then(
    () => null,
    (thrown) => ({ class: thrown.constructor.name, status: thrown.status }),
  );
  const left = await client.chat.completions.create({ ...greedy, max_tokens: 200, stream: true });
  for await (const _ of left) break;
  return {
    text: plain.choices[0].message.content,
    finish_reason: plain.choices[0].finish_reason,
    n_logprobs: plain.choices[0].logprobs.content.length,
    streamed: chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""),
    usage: chunks.at(-1).usage.completion_tokens,
    helper: final.choices[0].message.content,
    completion: completion.choices[0].text.length > 0,
    response: response.output_text,
    response_streamed: (await responses.finalResponse()).output_text,
    last_event: events.at(-1),
    embedding: embedding.data.map((one) => one.embedding.length),
    models,
    error,
    missing,
  };
}

async function withAi(baseURL) {
  const provider = createOpenAICompatible({ name: "capstan", baseURL, apiKey, includeUsage: true });
  const call = { model: provider("tiny"), messages, temperature: 0, maxOutputTokens: 12, maxRetries: 0 };
  const plain = await generateText(call);
  const stream = streamText(call);
  let streamed = "";
  for await (const text of stream.textStream) streamed += text;
  const { embedding } = await embed({
    model: provider.textEmbeddingModel("tiny"),
    value: "a",
    maxRetries: 0,
  });
  const error = await generateText({ ...call, model: provider("none") }).then(
    () => null,
    ({ statusCode, message }) => ({ status: statusCode, message }),
  );
  return {
    text: plain.text,
    finish_reason: plain.finishReason,
    streamed,
    usage: (await stream.usage).outputTokens,
    embedding: embedding.length,
    error,
  };
}

async function withLangChain(baseURL) {
  const chat = new ChatOpenAI({
    model: "tiny",
    apiKey,
    temperature: 0,
    maxTokens: 12,
    maxRetries: 0,
    configuration: { baseURL },
  });
  const plain = await chat.invoke([["user", "Who are you?"]]);
  let streamed = "";
  for await (const chunk of await chat.stream([["user", "Who are you?"]])) streamed += chunk.content;
  return {
    text: plain.content,
    finish_reason: plain.response_metadata.finish_reason,
    streamed,
    usage: plain.usage_metadata.output_tokens,
  };
}

export const clients = {
  "openai 7": (baseURL) => withOpenAI(OpenAI, baseURL),
  "openai 6": (baseURL) => withOpenAI(OpenAI6, baseURL),
  ai: withAi,
  langchain: withLangChain,
};

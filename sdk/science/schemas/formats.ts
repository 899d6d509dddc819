import { CHECK_DEFS, CHECK_FIELD, MESSAGE_DEF, MESSAGES_FIELD, TEXT_CHECK_DEFS } from "./check.ts";
import { DRAFT, type FormatSchema, type JsonSchema, path_of, schema_link, some_text } from "./schema.ts";

const free_form: JsonSchema = { type: "object", description: "Anything of yours. Not read." };

export const SUITE: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:suite",
  title: "Suite",
  description: "A line of `<suite>.jsonl`: a prompt of an evaluation and what its reply must hold.",
  type: "object",
  required: ["messages", "check"],
  properties: {
    id: {
      type: ["string", "integer"],
      description: "Its name, of its own in its suite. Default: the number of its line.",
    },
    suite: some_text("The suite it belongs to. Default: the file's name without `.jsonl`."),
    group: { type: "string", default: "all", description: "Prompts of a group get rates of their own." },
    messages: MESSAGES_FIELD,
    max_tokens: { type: "integer", minimum: 1, default: 64, description: "Of the reply, in tokens." },
    check: CHECK_FIELD,
    meta: free_form,
  },
  additionalProperties: false,
  $defs: { ...MESSAGE_DEF, ...CHECK_DEFS },
};

export const ROLE: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:role",
  title: "Role",
  description:
    "`<role>.json`, as published: system prompts that put a model in the role, and what a judge is asked. Further fields are not read.",
  type: "object",
  required: ["instruction"],
  properties: {
    $schema: schema_link,
    instruction: {
      type: "array",
      minItems: 1,
      description: "System prompts, five in the published files. Each is asked every question.",
      items: {
        type: "object",
        required: ["pos"],
        properties: {
          pos: {
            type: "string",
            description: "The system prompt; empty for none. `{model_name}` is replaced.",
          },
          neg: { type: "string", description: "Of a trait: the opposite. Not used yet." },
        },
      },
    },
    questions: {
      type: "array",
      items: { type: "string" },
      description: "Questions of the role's own, as the published files have them. Not asked.",
    },
    eval_prompt: {
      type: "string",
      description:
        "What an endpoint judge is asked of a response: `{question}` and `{answer}` are replaced, the first number of its answer is the score (0 to 3).",
    },
    group: { type: "string", description: "Roles of one group share a colour in plots." },
  },
};

export const QUESTION: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:question",
  title: "Question",
  description: "A line of a file of questions, as published. Further fields are not read.",
  type: "object",
  required: ["id", "question"],
  properties: {
    id: {
      type: ["string", "number"],
      description: "Its name, of its own in the file. Part of each response's key.",
    },
    question: { type: "string", description: "What the user asks." },
  },
};

const phrase: JsonSchema = { type: "string", minLength: 1 };

export const JUDGE_RULES: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:judge",
  title: "Judge by rules",
  description:
    "Scores a response by phrases in it: 0 a refusal, 1 no marker, 3 the mean level of its markers is in the role's band, 2 it is not.",
  type: "object",
  required: ["kind", "levels", "markers", "refusals", "roles"],
  properties: {
    $schema: schema_link,
    kind: { const: "markers", description: "What kind of rules." },
    levels: { type: "integer", minimum: 1, description: "Number of levels of style." },
    markers: {
      type: "array",
      minItems: 1,
      description: "Phrases, lower-case, that betray a level.",
      items: {
        type: "object",
        required: ["text", "level"],
        properties: {
          text: { ...phrase, description: "The phrase, lower-case." },
          level: { type: "number", minimum: 0, description: "From 0 to `levels` - 1." },
        },
        additionalProperties: false,
      },
    },
    refusals: { type: "array", items: phrase, description: "Phrases of a refusal, lower-case." },
    roles: {
      type: "object",
      minProperties: 1,
      description: "By role: the band of mean levels that is fully in role.",
      additionalProperties: {
        type: "object",
        required: ["min", "max"],
        properties: {
          min: { type: "number", description: "Least mean level." },
          max: { type: "number", description: "Greatest mean level, at least `min`." },
        },
        additionalProperties: false,
      },
    },
  },
  additionalProperties: false,
};

const layer_range: JsonSchema = {
  type: "object",
  required: ["start", "end"],
  properties: {
    start: { type: "integer", minimum: 0, description: "First layer." },
    end: { type: "integer", minimum: 1, description: "The layer after the last." },
  },
  additionalProperties: false,
  description: "Layers to cap, end exclusive.",
};

const COLLECT_DEFAULTS: JsonSchema = {
  type: "object",
  description: "Defaults of `collect`, and `min_count` of `fit`.",
  properties: {
    temperature: { type: "number", minimum: 0, maximum: 10, default: 0.7, description: "0 is greedy." },
    top_p: { type: "number", minimum: 0, maximum: 1, default: 0.9, description: "Nucleus sampling." },
    max_tokens: { type: "integer", minimum: 1, default: 512, description: "Of a response, in tokens." },
    samples: { type: "integer", minimum: 1, default: 1, description: "Responses to each prompt." },
    seed: { type: "integer", minimum: 0, default: 0, description: "Of the run." },
    min_count: {
      type: "integer",
      minimum: 1,
      default: 50,
      description: "Responses fully in role that a role needs to count in the axis.",
    },
    questions_per_instruction: {
      type: "integer",
      minimum: 1,
      description: "Questions each system prompt of a role is asked. Default: all.",
    },
  },
  additionalProperties: false,
};

export const CAPSTAN: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:capstan",
  title: "capstan.json",
  description:
    "Beside a model's weights: where collect, fit, cap and evaluate take their defaults from. Every field may be absent.",
  type: "object",
  properties: {
    $schema: schema_link,
    roles: path_of("Folder of `<role>.json`."),
    role_names: {
      type: "array",
      items: { type: "string", minLength: 1 },
      description: "Names of the roles in that folder. Default: those that the judge has a band for.",
    },
    questions: path_of("Questions, JSON lines."),
    judge: path_of("A judge by rules."),
    suites: {
      type: "object",
      description: "By name: files of suites, JSON lines. `evaluate` takes `test` unless another is named.",
      additionalProperties: path_of("Suites."),
    },
    drift: path_of("Conversations to play for drift."),
    demo: path_of("Prompts worth showing."),
    collect: COLLECT_DEFAULTS,
    target_layer: {
      type: "integer",
      minimum: 0,
      description: "Where projections are read. Default: the middle layer.",
    },
    cap: {
      type: "object",
      required: ["layers", "percentile"],
      description: "Default of `cap`.",
      properties: {
        layers: layer_range,
        percentile: {
          type: "number",
          minimum: 0,
          maximum: 100,
          description: "Of the collected responses' projections.",
        },
      },
      additionalProperties: false,
    },
  },
  additionalProperties: false,
};

export const DEMO: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:demo",
  title: "Demo prompts",
  description: "A list of prompts that `capstan demo` shows uncapped beside capped.",
  type: "array",
  items: {
    type: "object",
    required: ["messages", "check"],
    properties: {
      title: { type: "string", description: "Its headline." },
      messages: MESSAGES_FIELD,
      check: { $ref: "#/$defs/check", description: "When the reply counts as given in." },
    },
    additionalProperties: false,
  },
  $defs: { ...MESSAGE_DEF, ...TEXT_CHECK_DEFS },
};

export const DRIFT: FormatSchema = {
  $schema: DRAFT,
  $id: "urn:capstan:drift",
  title: "Drift conversation",
  description: "A conversation whose user side is written beforehand. A file holds a list of them.",
  type: "object",
  required: ["name", "turns"],
  properties: {
    name: { type: "string", description: "Its name in tables and pictures." },
    system: { type: "string", description: "The system message." },
    turns: {
      type: "array",
      minItems: 1,
      items: { type: "string" },
      description: "What the user says, turn by turn.",
    },
    ask: { type: "string", description: "Asked at the end, to see what the drift has made possible." },
    check: { $ref: "#/$defs/check", description: "When the reply to `ask` counts as given in." },
  },
  additionalProperties: false,
  $defs: TEXT_CHECK_DEFS,
};

/** By the name of their `<name>.schema.json`. */
export const FORMATS = {
  suite: SUITE,
  role: ROLE,
  question: QUESTION,
  judge: JUDGE_RULES,
  capstan: CAPSTAN,
  demo: DEMO,
  drift: DRIFT,
} as const satisfies Record<string, FormatSchema>;

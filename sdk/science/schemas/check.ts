import type { JsonSchema } from "./schema.ts";
import { some_text } from "./schema.ts";

const case_sensitive: JsonSchema = {
  type: "boolean",
  default: false,
  description: "Whether upper and lower case differ.",
};

/** The fields of each kind beside `kind`, and which of them must be there. */
const KINDS: Readonly<Record<string, JsonSchema>> = {
  contains: {
    description: "The value occurs as words of its own, not inside a longer word or number.",
    required: ["value"],
    properties: { value: some_text("What must occur."), case_sensitive },
  },
  not_contains: {
    description: "The value does not occur as words of its own.",
    required: ["value"],
    properties: { value: some_text("What must not occur."), case_sensitive },
  },
  equals: {
    description: "The reply is the value, white space at both ends left out.",
    required: ["value"],
    properties: { value: { type: "string", description: "What the reply must be." }, case_sensitive },
  },
  regex: {
    description:
      "The pattern matches somewhere in the reply. RE2 syntax (no look-around, no back-references): time grows with the reply's length alone, whatever the pattern.",
    required: ["pattern"],
    properties: {
      pattern: some_text("A regular expression of RE2."),
      flags: {
        type: "string",
        pattern: "^[ims]*$",
        default: "",
        description: "`i` any case, `m` `^` and `$` at each line, `s` the dot takes line feeds too.",
      },
    },
  },
  only_number: {
    description: "The whole numbers in the reply (runs of digits) are this one alone, however often.",
    required: ["value"],
    properties: { value: { type: "string", pattern: "^[0-9]+$", description: "Its digits." } },
  },
  refuses: {
    description: "One of the phrases occurs, in any case, and the value does not.",
    properties: {
      value: some_text("What a refusal must not give away all the same, as words of its own, in any case."),
      phrases: {
        type: "array",
        minItems: 1,
        items: { type: "string", minLength: 1 },
        description: "Phrases of a refusal. Default: common English ones (`REFUSAL_PHRASES`).",
      },
    },
  },
  choice: {
    description:
      'The option that the reply picks is the value: one it begins with ("B) ..."), else the one after "answer is", else the only one it names. Options of one letter count as written, others in any case.',
    required: ["value"],
    properties: {
      value: some_text("The right option, one of `choices`."),
      choices: {
        type: "array",
        minItems: 2,
        items: { type: "string", minLength: 1 },
        default: ["A", "B", "C", "D"],
        description: "The options.",
      },
    },
  },
};

const JUDGE: JsonSchema = {
  description:
    "A judge that is asked the prompt answers with a number of at least `min` (and at most `max`). The first number of its answer counts; an answer without one is kept and leaves the item out of the rate.",
  required: ["prompt", "min"],
  properties: {
    prompt: {
      type: "string",
      pattern: "\\{answer\\}",
      description:
        "What the judge is asked: `{answer}` stands for the reply, `{question}` for the last user message.",
    },
    min: { type: "number", description: "The least score that passes." },
    max: { type: "number", description: "The greatest score that passes." },
  },
};

function defsOf(kinds: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  const names = Object.keys(kinds);
  const kind: JsonSchema = { type: "string", enum: names, description: "How the reply is checked." };
  const check: JsonSchema = {
    type: "object",
    required: ["kind"],
    properties: { kind },
    allOf: names.map((name) => ({
      if: { required: ["kind"], properties: { kind: { const: name } } },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own keyword
      then: { $ref: `#/$defs/${name}` },
    })),
  };
  const each = Object.entries(kinds).map(([name, schema]) => {
    const properties = { kind: { const: name }, ...schema.properties };
    return [name, { ...schema, properties, additionalProperties: false }] as const;
  });
  return { check, ...Object.fromEntries(each) };
}

/** `$defs` of checks that look at the reply's text alone. */
export const TEXT_CHECK_DEFS = defsOf(KINDS);
/** `$defs` of all checks of a suite. */
export const CHECK_DEFS = defsOf({ ...KINDS, judge: JUDGE });

/** A check, or several that must all pass. */
export const CHECK_FIELD: JsonSchema = {
  description: "A check, or a list of checks that must all pass.",
  if: { type: "array" },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own keyword
  then: { minItems: 1, items: { $ref: "#/$defs/check" } },
  else: { $ref: "#/$defs/check" },
};

export const MESSAGE_DEF: Record<string, JsonSchema> = {
  message: {
    type: "object",
    description: "Further fields (`name`, `tool_calls`, ...) reach the chat template as they are.",
    required: ["role", "content"],
    properties: {
      role: some_text("`system`, `user`, `assistant`, or what the chat template knows beside them."),
      content: {
        type: ["string", "array"],
        items: {
          type: "object",
          required: ["type", "text"],
          properties: { type: { const: "text" }, text: { type: "string" } },
        },
        description: 'Text, or a list of parts `{ "type": "text", "text": ... }`.',
      },
    },
  },
};

export const MESSAGES_FIELD: JsonSchema = {
  type: "array",
  minItems: 1,
  items: { $ref: "#/$defs/message" },
  description: "The chat that the model answers.",
};

// How the JavaScript library fares on the same templates:
// `python oracle.py --count 15000 | node library.mjs`. It is why the parser and the interpreter here are our own
// (../README.md); nothing else uses it.
import { createInterface } from "node:readline";
import { Template } from "@huggingface/jinja";

const attempt = (run) => {
  try {
    return run();
  } catch {
    return undefined;
  }
};

const counts = {
  templates: 0,
  takes_wrong_syntax: 0,
  refuses_right_syntax: 0,
  texts: 0,
  same_texts: 0,
  other_texts: 0,
};
for await (const line of createInterface({ input: process.stdin })) {
  const { template, variables, text, error } = JSON.parse(line);
  const is_syntax = error === "TemplateSyntaxError" || error === "TemplateAssertionError";
  const parsed = attempt(() => new Template(template));
  counts.templates++;
  if (is_syntax && parsed !== undefined) counts.takes_wrong_syntax++;
  if (!is_syntax && parsed === undefined) counts.refuses_right_syntax++;
  if (text === undefined) continue;
  const got = parsed === undefined ? undefined : attempt(() => parsed.render(variables));
  counts.texts++;
  if (got === text) counts.same_texts++;
  else if (got !== undefined) counts.other_texts++;
}
console.log(counts);

import { CHECK_DEFS } from "../sdk/science/schemas/check.ts";
import type { FormatSchema, JsonSchema } from "../sdk/science/schemas/schema.ts";

/** Tables of formats for `docs/formats.md`, which a test keeps as the schemas are. */

/** A table of a format's fields: nested ones by their path, a list's items after `[]`. */
export function fieldTable(schema: FormatSchema): string {
  const rows = fieldsOf(schema, schema, "").map(
    ({ path, is, required, node }) =>
      `| \`${path}\` | ${is}${required ? ", required" : ""} | ${meaningOf(node)} |`,
  );
  return ["| field | is | meaning |", "|---|---|---|", ...rows].join("\n");
}

/** A table of the kinds of checks. */
export function checkTable(): string {
  const rows = Object.entries(CHECK_DEFS)
    .filter(([name]) => name !== "check")
    .map(([name, schema]) => {
      const fields = Object.entries(schema.properties ?? {}).filter(([field]) => field !== "kind");
      const said = fields.map(([field, node]) => {
        const required = schema.required?.includes(field) ? ", required" : "";
        return `\`${field}\` (${typeOf(node)}${required}): ${meaningOf(node)}`;
      });
      return `| \`${name}\` | ${cell(schema.description ?? "")} | ${said.join("<br>")} |`;
    });
  return ["| kind | passes when | fields |", "|---|---|---|", ...rows].join("\n");
}

interface Field {
  path: string;
  is: string;
  required: boolean;
  node: JsonSchema;
}

function fieldsOf(root: FormatSchema, given: JsonSchema, prefix: string): Field[] {
  const schema = resolved(root, given);
  if (schema.type === "array" && schema.items !== undefined) {
    return fieldsOf(root, schema.items, `${prefix}[]`);
  }
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, node]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const field = { path, is: typeOf(node), required: schema.required?.includes(name) ?? false, node };
    return [field, ...(isCheck(node) ? [] : fieldsOf(root, node, path))];
  });
  const { additionalProperties: others } = schema;
  if (typeof others !== "object") return own;
  const path = `${prefix}.<name>`;
  return [
    ...own,
    { path, is: typeOf(others), required: false, node: others },
    ...fieldsOf(root, others, path),
  ];
}

/** Checks have a table of their own. */
const isCheck = (node: JsonSchema) =>
  node.$ref === "#/$defs/check" || node.else?.$ref === "#/$defs/check" || node.then !== undefined;

function resolved(root: FormatSchema, schema: JsonSchema): JsonSchema {
  const name = schema.$ref?.split("/").at(-1);
  return name === undefined ? schema : (root.$defs?.[name] ?? schema);
}

function typeOf(node: JsonSchema): string {
  if (isCheck(node)) return "check";
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  const types = typeof node.type === "string" ? [node.type] : (node.type ?? []);
  return types.join(" or ");
}

function meaningOf(node: JsonSchema): string {
  const range = [
    node.minimum === undefined ? "" : `from ${node.minimum}`,
    node.maximum === undefined ? "" : `to ${node.maximum}`,
  ].filter((part) => part !== "");
  const parts = [
    node.description ?? "",
    range.length === 0 ? "" : `${sentence(range.join(" "))}.`,
    node.default === undefined ? "" : `Default: \`${JSON.stringify(node.default)}\`.`,
  ];
  return cell(parts.filter((part) => part !== "").join(" "));
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const cell = (text: string) => text.replaceAll("|", "\\|");

import { itemAt } from "../../../models/certain.ts";
import { children, descendants, readNames } from "../jinja/compile/walk.ts";
import { Fault, Str, Template } from "../jinja/index.ts";
import type { Expression, Node, Statement } from "../jinja/syntax/nodes.ts";

/** What a chat template does with messages, found in its syntax. */

/** Whether a template reads a variable that the caller may give; false where it is no jinja. */
export function templateReads(source: string, name: string): boolean {
  try {
    return readNames(new Template(source).statements, [name]).has(name);
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

/** Roles that any chat may have. */
const COMMON_ROLES = [
  "system",
  "developer",
  "user",
  "assistant",
  "model",
  "tool",
  "function",
  "ipython",
  "observation",
];

/**
 * Roles that are the template's own words, and no data of the caller: the common ones, and those that it compares a
 * role with (`message.role == 'critic'`).
 */
export function knownRoles(statements: readonly Statement[]): ReadonlySet<string> {
  const roles = new Set(COMMON_ROLES);
  for (const node of descendants(statements)) {
    const sides =
      node.kind === "Compare"
        ? [node.node, ...node.operands.map((operand) => operand.node)]
        : node.kind === "Test"
          ? [node.node, ...node.args]
          : [];
    if (sides.some(isRole)) for (const text of sides.flatMap(textsOf)) roles.add(text);
  }
  return roles;
}

function isRole(node: Expression): boolean {
  if (node.kind === "Filter") return node.node !== null && isRole(node.node);
  if (node.kind === "Name") return /role/i.test(node.name);
  return fieldOf(node)?.name === "role";
}

/** A constant, or a list of them. */
function textsOf(node: Expression): string[] {
  if (node.kind === "List" || node.kind === "Tuple") return node.items.flatMap(textsOf);
  return node.kind === "Const" && node.value instanceof Str ? [node.value.value] : [];
}

/** `x.name`, `x['name']`, `x.get('name')` */
function fieldOf(node: Node): { object: Expression; name: string } | null {
  if (node.kind === "Attribute") return { object: node.node, name: node.name };
  const [name] =
    node.kind === "Item" ? textsOf(node.key) : node.kind === "Call" ? node.args.flatMap(textsOf) : [];
  if (name === undefined) return null;
  if (node.kind === "Item") return { object: node.node, name };
  const callee = (node as Expression & { kind: "Call" }).node;
  return callee.kind === "Attribute" && callee.name === "get" ? { object: callee.node, name } : null;
}

/** Fields of a content's part. */
const PART_FIELDS = new Set(["type", "text"]);

/**
 * Whether a template reads a content's parts (`{% for part in message.content %}{{ part.text }}`): then it is given
 * them. To all others a content is one text.
 */
export function readsParts(statements: readonly Statement[]): boolean {
  const names = contentNames(statements);
  const isContent = (node: Expression | null) => node !== null && holdsContent(node, names);
  for (const node of descendants(statements)) {
    if (node.kind === "For" && isContent(node.iterable) && readsFields(node.body, node.target)) return true;
    // content[0].text
    const field = fieldOf(node);
    const is_part = field?.object.kind === "Item" && isContent(field.object.node);
    if (is_part && PART_FIELDS.has(field.name)) return true;
    // content | selectattr('type', 'equalto', 'text'), content | map(attribute='text')
    if (node.kind !== "Filter" || !isContent(node.node)) continue;
    const given = [...node.args, ...node.named.map(({ value }) => value)].flatMap(textsOf);
    if (/attr$|^map$/.test(node.name) && given.some((name) => PART_FIELDS.has(name))) return true;
  }
  return false;
}

/** Whether a loop's body looks into its items as into parts. */
function readsFields(body: readonly Statement[], target: Expression): boolean {
  if (target.kind !== "Name") return false;
  for (const node of descendants(body)) {
    const field = fieldOf(node);
    const is_of_item = field?.object.kind === "Name" && field.object.name === target.name;
    if (is_of_item && PART_FIELDS.has(field.name)) return true;
  }
  return false;
}

/** Names that hold a content at some place: what `set`, `with` and calls of macros bind it to. */
function contentNames(statements: readonly Statement[]): Set<string> {
  const nodes = [...descendants(statements)];
  const bindings = nodes.flatMap((node) => bindingsOf(node, nodes));
  const names = new Set<string>();
  for (let before = -1; before < names.size; ) {
    before = names.size;
    for (const { name, value } of bindings) if (holdsContent(value, names)) names.add(name);
  }
  return names;
}

interface Binding {
  name: string;
  value: Expression;
}

function bindingsOf(node: Node, nodes: readonly Node[]): Binding[] {
  switch (node.kind) {
    case "Set":
      return bindingOf(node.target, node.value);
    case "With":
      return node.values.flatMap((value, i) => bindingOf(itemAt(node.targets, i), value));
    case "Call": {
      const { node: callee, args, named } = node;
      const macro = nodes.find(
        (one) => one.kind === "Macro" && callee.kind === "Name" && one.name === callee.name,
      );
      if (macro?.kind !== "Macro") return [];
      return [...args.flatMap((value, i) => bindingOf(macro.args[i], value)), ...named];
    }
    default:
      return [];
  }
}

function bindingOf(target: Expression | undefined, value: Expression): Binding[] {
  if (target?.kind === "Name") return [{ name: target.name, value }];
  return target?.kind === "NamespaceRef" ? [{ name: `${target.name}.${target.attribute}`, value }] : [];
}

/** Whether an expression is a message's content, or some of its parts. */
function holdsContent(node: Expression, names: ReadonlySet<string>): boolean {
  const field = fieldOf(node);
  if (field?.name === "content") return true;
  if (field?.object.kind === "Name" && names.has(`${field.object.name}.${field.name}`)) return true;
  switch (node.kind) {
    case "Name":
      return names.has(node.name);
    case "Item":
      return node.key.kind === "Slice" && holdsContent(node.node, names);
    case "Filter":
      return node.node !== null && holdsContent(node.node, names);
    case "Conditional":
    case "Binary":
      return children(node).some((part) => holdsContent(part as Expression, names));
    default:
      return false;
  }
}

import type { CallArguments, Expression, Node } from "../syntax/nodes.ts";

/** A node's own nodes, in the order of jinja2's fields. */
export function children(node: Node): Node[] {
  switch (node.kind) {
    case "Const":
    case "Data":
    case "Name":
    case "NamespaceRef":
    case "Break":
    case "Continue":
      return [];
    case "Tuple":
    case "List":
      return node.items;
    case "Dict":
      return node.items.flatMap(({ key, value }) => [key, value]);
    case "Conditional":
      return [node.test, node.value, ...some(node.otherwise)];
    case "Binary":
      return [node.left, node.right];
    case "Unary":
    case "Attribute":
      return [node.node];
    case "Compare":
      return [node.node, ...node.operands.map((operand) => operand.node)];
    case "Concat":
    case "Output":
      return node.nodes;
    case "Filter":
    case "Test":
    case "Call":
      return [...some(node.node), ...argumentNodes(node)];
    case "Item":
      return [node.node, node.key];
    case "Slice":
      return [...some(node.start), ...some(node.stop), ...some(node.step)];
    case "For":
      return [node.target, node.iterable, ...node.body, ...node.otherwise, ...some(node.test)];
    case "If":
      return [node.test, ...node.body, ...node.elifs, ...node.otherwise];
    case "Macro":
    case "Generation":
      return [...node.args, ...node.defaults, ...node.body];
    case "CallBlock":
      return [node.call, ...node.args, ...node.defaults, ...node.body];
    case "FilterBlock":
      return [...node.body, node.filter];
    case "With":
      return [...node.targets, ...node.values, ...node.body];
    case "Block":
      return node.body;
    case "Set":
      return [node.target, node.value];
    case "SetBlock":
      return [node.target, ...some(node.filter), ...node.body];
    case "Autoescape":
      return [node.value, ...node.body];
    case "Extends":
    case "Include":
    case "Import":
      return [node.template];
    default:
      return node satisfies never;
  }
}

export function argumentNodes({ args, named, more_args, more_named }: CallArguments): Expression[] {
  return [...args, ...named.map(({ value }) => value), ...some(more_args), ...some(more_named)];
}

const some = (node: Expression | null): Expression[] => (node === null ? [] : [node]);

/** All nodes below some, each before its own. */
export function* descendants(nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node;
    yield* descendants(children(node));
  }
}

/** Which of some names are read below nodes before anything there binds them. Blocks have names of their own. */
export function readNames(nodes: readonly Node[], names: readonly string[]): Set<string> {
  const sought = new Set(names);
  const read = new Set<string>();
  const visit = (node: Node): void => {
    if (node.kind === "Block") return;
    if (node.kind === "Name") {
      if (node.context === "load" && sought.has(node.name)) read.add(node.name);
      else sought.delete(node.name);
    }
    for (const child of children(node)) visit(child);
  };
  for (const node of nodes) visit(node);
  return read;
}

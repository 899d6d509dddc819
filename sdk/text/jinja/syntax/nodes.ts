import type { Value } from "../python/object.ts";

/** What a template is made of, as jinja2's parser has it. Each node knows its line, from 1. */

interface At {
  line: number;
}

export interface CallArguments {
  args: Expression[];
  named: { name: string; value: Expression }[];
  /** `*args` */
  more_args: Expression | null;
  /** `**named` */
  more_named: Expression | null;
}

export type Context = "load" | "store" | "param";
export type BinaryOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**" | "and" | "or";
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export interface NameNode extends At {
  kind: "Name";
  name: string;
  context: Context;
}
export interface NamespaceRef extends At {
  kind: "NamespaceRef";
  name: string;
  attribute: string;
}
export interface TupleNode extends At {
  kind: "Tuple";
  items: Expression[];
}
export interface FilterNode extends At, CallArguments {
  kind: "Filter";
  /** null: the content of the block that it stands at */
  node: Expression | null;
  name: string;
}
export interface CallNode extends At, CallArguments {
  kind: "Call";
  node: Expression;
}

export type Expression =
  | (At & { kind: "Const"; value: Value })
  | (At & { kind: "Data"; text: string })
  | NameNode
  | NamespaceRef
  | TupleNode
  | (At & { kind: "List"; items: Expression[] })
  | (At & { kind: "Dict"; items: { key: Expression; value: Expression }[] })
  | (At & { kind: "Conditional"; test: Expression; value: Expression; otherwise: Expression | null })
  | (At & { kind: "Binary"; operator: BinaryOperator; left: Expression; right: Expression })
  | (At & { kind: "Unary"; operator: "-" | "+" | "not"; node: Expression })
  | (At & { kind: "Compare"; node: Expression; operands: { operator: Comparison; node: Expression }[] })
  | (At & { kind: "Concat"; nodes: Expression[] })
  | FilterNode
  | (At & CallArguments & { kind: "Test"; node: Expression; name: string })
  | CallNode
  | (At & { kind: "Attribute"; node: Expression; name: string })
  | (At & { kind: "Item"; node: Expression; key: Expression })
  | (At & { kind: "Slice"; start: Expression | null; stop: Expression | null; step: Expression | null });

/** What can be assigned to. */
export type Target = NameNode | NamespaceRef | TupleNode;

export interface ForNode extends At {
  kind: "For";
  target: Target;
  iterable: Expression;
  body: Statement[];
  otherwise: Statement[];
  test: Expression | null;
  is_recursive: boolean;
}
export interface IfNode extends At {
  kind: "If";
  test: Expression;
  body: Statement[];
  elifs: IfNode[];
  otherwise: Statement[];
}
/** What a macro and a call block share. */
interface Callable extends At {
  args: NameNode[];
  defaults: Expression[];
  body: Statement[];
}
export interface MacroNode extends Callable {
  kind: "Macro";
  name: string;
}
export interface CallBlockNode extends Callable {
  kind: "CallBlock";
  call: CallNode;
}
export interface BlockNode extends At {
  kind: "Block";
  name: string;
  body: Statement[];
  is_scoped: boolean;
  is_required: boolean;
}
export interface SetBlockNode extends At {
  kind: "SetBlock";
  target: Target;
  filter: FilterNode | null;
  body: Statement[];
}

export type Statement =
  | (At & { kind: "Output"; nodes: Expression[] })
  | ForNode
  | IfNode
  | MacroNode
  | CallBlockNode
  /** `{% generation %}`: transformers marks what the assistant generates; it prints as it is. */
  | (At & { kind: "Generation"; args: NameNode[]; defaults: Expression[]; body: Statement[] })
  | (At & { kind: "FilterBlock"; filter: FilterNode; body: Statement[] })
  | (At & { kind: "With"; targets: Target[]; values: Expression[]; body: Statement[] })
  | BlockNode
  | (At & { kind: "Set"; target: Target; value: Expression })
  | SetBlockNode
  | (At & { kind: "Autoescape"; value: Expression; body: Statement[] })
  | (At & { kind: "Break" })
  | (At & { kind: "Continue" })
  /** Other templates, of which a chat template has none: they fail when they are reached. */
  | (At & { kind: "Extends"; template: Expression })
  | (At & { kind: "Include"; template: Expression; ignores_missing: boolean })
  | (At & { kind: "Import"; template: Expression; targets: string[] });

export type Node = Expression | Statement;

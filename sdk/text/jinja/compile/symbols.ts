import { Fault } from "../python/errors.ts";
import type { ForNode, Node, Statement } from "../syntax/nodes.ts";
import { children } from "./walk.ts";

/**
 * Which variable a name means, decided before anything runs, as jinja2's compiler does it: a scope knows the names
 * that are read and bound in it, and how each variable begins.
 */

/** How a variable begins when its scope is entered. */
export type Start =
  /** bound by a call or a loop */
  | { how: "parameter" }
  /** looked up among the template's variables */
  | { how: "resolve"; name: string }
  /** another variable's value */
  | { how: "alias"; of: string }
  | { how: "missing" };

export class Symbols {
  readonly parent: Symbols | null;
  readonly #level: number;
  /** Variables by name. */
  #variables = new Map<string, string>();
  #starts = new Map<string, Start>();
  #bound = new Set<string>();

  constructor(parent: Symbols | null) {
    this.parent = parent;
    this.#level = parent === null ? 0 : parent.#level + 1;
  }

  /** How each variable of the scope begins. */
  get starts(): ReadonlyMap<string, Start> {
    return this.#starts;
  }

  find(name: string): string | undefined {
    return this.#variables.get(name) ?? this.parent?.find(name);
  }

  /** The variable of a name that the scope knows. */
  variable(name: string): string {
    const found = this.find(name);
    if (found === undefined)
      throw new Fault("TemplateSyntaxError", `the name '${name}' is unknown where it is used`);
    return found;
  }

  startOf(variable: string): Start | undefined {
    return this.#starts.get(variable) ?? this.parent?.startOf(variable);
  }

  /** Names bound here and outside, with their variables. */
  allBound(): Map<string, string> {
    const all = new Map<string, string>();
    for (let scope: Symbols | null = this; scope !== null; scope = scope.parent) {
      for (const name of scope.#bound) if (!all.has(name)) all.set(name, this.variable(name));
    }
    return all;
  }

  parameter(name: string): string {
    this.#bound.add(name);
    return this.#define(name, { how: "parameter" });
  }

  /** Names that a statement reads and binds in this scope. */
  visit(nodes: Iterable<Node>, as_parameters = false): void {
    for (const node of nodes) this.#visit(node, as_parameters);
  }

  /** The scope of a for's body, test or else. */
  visitFor(node: ForNode, branch: "body" | "test" | "otherwise"): void {
    if (branch !== "otherwise") this.visit([node.target], true);
    if (branch === "test") this.visit(node.test === null ? [] : [node.test]);
    else this.visit(branch === "body" ? node.body : node.otherwise);
  }

  #define(name: string, start: Start): string {
    const variable = `${this.#level} ${name}`;
    this.#variables.set(name, variable);
    this.#starts.set(variable, start);
    return variable;
  }

  #load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { how: "resolve", name });
  }

  #store(name: string): void {
    this.#bound.add(name);
    if (this.#variables.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { how: "missing" } : { how: "alias", of: outer });
  }

  /** Inner scopes are visited on their own; what they take from here is not. */
  #visit(node: Node, as_parameters: boolean): void {
    switch (node.kind) {
      case "Name":
        if (as_parameters || node.context === "param") this.parameter(node.name);
        else if (node.context === "store") this.#store(node.name);
        else this.#load(node.name);
        return;
      case "NamespaceRef":
        this.#load(node.name);
        return;
      case "If":
        this.visit([node.test]);
        this.#branches([node.body, node.elifs, node.otherwise]);
        return;
      case "Macro":
        this.#store(node.name);
        return;
      case "Import":
        this.visit([node.template]);
        for (const target of node.targets) this.#store(target);
        return;
      case "Set":
        this.visit([node.value]);
        this.visit([node.target]);
        return;
      default:
        this.visit(outerNodes(node), as_parameters);
    }
  }

  /** Branches of an if: what only some of them bind may be anything behind it. */
  #branches(branches: readonly (readonly Statement[])[]): void {
    const scopes = branches.map((nodes) => {
      const scope = this.#copy();
      scope.visit(nodes);
      return scope;
    });
    const bound = new Set(scopes.flatMap((scope) => [...scope.#bound]));
    for (const name of this.#bound) bound.delete(name);
    for (const scope of scopes) {
      for (const [name, variable] of scope.#variables) this.#variables.set(name, variable);
      for (const [variable, start] of scope.#starts) this.#starts.set(variable, start);
      for (const name of scope.#bound) this.#bound.add(name);
    }
    for (const name of bound) {
      const outer = this.parent?.find(name);
      this.#starts.set(
        this.variable(name),
        outer === undefined ? { how: "resolve", name } : { how: "alias", of: outer },
      );
    }
  }

  #copy(): Symbols {
    const copy = new Symbols(this.parent);
    copy.#variables = new Map(this.#variables);
    copy.#starts = new Map(this.#starts);
    copy.#bound = new Set(this.#bound);
    return copy;
  }
}

/** What a statement with a scope of its own takes from the scope around it. */
function outerNodes(node: Node): readonly Node[] {
  switch (node.kind) {
    case "For":
      return [node.iterable];
    case "CallBlock":
      return [node.call];
    case "Generation":
    case "Block":
    case "Autoescape":
      return [];
    case "FilterBlock":
      return [node.filter];
    case "With":
      return node.values;
    case "SetBlock":
      return [node.target];
    default:
      return children(node);
  }
}

/** Names of Python's exceptions, as far as a template can see the difference; `Bounds` is ours and nobody catches it. */
export type FaultKind =
  | "TemplateSyntaxError"
  | "TemplateError"
  | "TemplateRuntimeError"
  | "UndefinedError"
  | "SecurityError"
  | "TypeError"
  | "ValueError"
  | "KeyError"
  | "IndexError"
  | "AttributeError"
  | "ArithmeticError"
  | "AssertionError"
  | "RuntimeError"
  | "Bounds";

/** What a template did wrong, or refused (`raise_exception`: `TemplateError`). */
export class Fault extends Error {
  readonly kind: FaultKind;
  /** Line of the template, from 1; set by the innermost statement that was running. */
  line: number | null;

  constructor(kind: FaultKind, message: string, line: number | null = null) {
    super(message);
    this.kind = kind;
    this.line = line;
  }
}

export const typeError = (message: string): Fault => new Fault("TypeError", message);
export const valueError = (message: string): Fault => new Fault("ValueError", message);

/** Whether `error` is a fault of one of these kinds; what Python would catch there. */
export function isFault(error: unknown, ...kinds: FaultKind[]): error is Fault {
  return error instanceof Fault && kinds.includes(error.kind);
}

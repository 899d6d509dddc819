import { Symbols } from "./symbols.ts";

/** A function that is compiled; it numbers its buffers. */
export class FunctionScope {
  #n_buffers = 0;

  buffer(): number {
    return this.#n_buffers++;
  }
}

/** Where the compiler stands: a scope, and what is known of it. */
export class CompileFrame {
  readonly symbols: Symbols;
  readonly fn: FunctionScope;
  /** Where prints go. */
  readonly buffer: number;
  /** Names set here are seen by blocks. */
  readonly is_toplevel: boolean;
  /** Inside of a condition a filter need not be known until it runs. */
  readonly is_soft: boolean;
  /** Whether a loop of this function is around. */
  readonly is_in_loop: boolean;

  constructor(fields: Pick<CompileFrame, "symbols" | "fn" | "buffer"> & Partial<CompileFrame>) {
    this.symbols = fields.symbols;
    this.fn = fields.fn;
    this.buffer = fields.buffer;
    this.is_toplevel = fields.is_toplevel ?? false;
    this.is_soft = fields.is_soft ?? false;
    this.is_in_loop = fields.is_in_loop ?? false;
  }

  /** The template itself, or a block. */
  static root(is_toplevel: boolean): CompileFrame {
    const fn = new FunctionScope();
    return new CompileFrame({ symbols: new Symbols(null), fn, buffer: fn.buffer(), is_toplevel });
  }

  /** A scope within. */
  inner(fields: Partial<CompileFrame> = {}): CompileFrame {
    const { fn, buffer, is_in_loop, symbols } = this;
    return new CompileFrame({ fn, buffer, is_in_loop, symbols: new Symbols(symbols), ...fields });
  }

  /** A scope within, of a function of its own. */
  function(): CompileFrame {
    const fn = new FunctionScope();
    return this.inner({ fn, buffer: fn.buffer(), is_in_loop: false });
  }

  /** The same scope inside of a condition. */
  soft(): CompileFrame {
    return new CompileFrame({ ...this, is_soft: true });
  }
}

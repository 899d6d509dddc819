/* tslint:disable */
/* eslint-disable */

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly add_accumulator: (a: number) => number;
    readonly add_hooks: (a: number) => number;
    readonly alloc_blocks: (a: number) => number;
    readonly copy_block: (a: number, b: number) => number;
    readonly create_model: (a: number) => number;
    readonly extend_rope: (a: number, b: number) => number;
    readonly free_accumulator: (a: number) => number;
    readonly free_block: (a: number) => number;
    readonly free_hooks: (a: number) => number;
    readonly input: (a: number) => number;
    readonly output_len: () => number;
    readonly output_ptr: () => number;
    readonly panic_len: () => number;
    readonly panic_ptr: () => number;
    readonly parse_header: (a: number, b: number) => number;
    readonly read_accumulator: (a: number) => number;
    readonly release_input: () => void;
    readonly run_step: (a: number) => number;
    readonly start: () => void;
    readonly write_weights: (a: number, b: number, c: number, d: number) => number;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;

/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const add_accumulator: (a: number) => number;
export const add_hooks: (a: number) => number;
export const alloc_blocks: (a: number) => number;
export const copy_block: (a: number, b: number) => number;
export const create_model: (a: number) => number;
export const extend_rope: (a: number, b: number) => number;
export const free_accumulator: (a: number) => number;
export const free_block: (a: number) => number;
export const free_hooks: (a: number) => number;
export const input: (a: number) => number;
export const output_len: () => number;
export const output_ptr: () => number;
export const panic_len: () => number;
export const panic_ptr: () => number;
export const parse_header: (a: number, b: number) => number;
export const read_accumulator: (a: number) => number;
export const release_input: () => void;
export const run_step: (a: number) => number;
export const start: () => void;
export const write_weights: (a: number, b: number, c: number, d: number) => number;

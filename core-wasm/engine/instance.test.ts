import { expect, it } from "vitest";
import { type WasmMemory, wasm_api } from "../webassembly.ts";
import { Instance } from "./instance.ts";

const Memory = (globalThis as unknown as { WebAssembly: { Memory: new (options: object) => WasmMemory } })
  .WebAssembly.Memory;

const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
const func = (...code: number[]) => [code.length + 2, 0, ...code, 0x0b];
const section = (id: number, ...body: number[]) => [id, body.length, ...body];

/** What an instance calls, in a module that works in a shared memory of one page: input and output lie at 1024. */
const THREADS = new Uint8Array([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // () -> (), (i32) -> i32, () -> i32
  ...section(1, 3, ...[0x60, 0, 0], ...[0x60, 1, 0x7f, 1, 0x7f], ...[0x60, 0, 1, 0x7f]),
  ...section(2, 1, ...name("env"), ...name("memory"), 2, 3, 1, 1),
  ...section(3, 5, 0, 1, 2, 2, 1),
  ...section(
    7,
    ...[5, ...name("start"), 0, 0, ...name("input"), 0, 1, ...name("output_ptr"), 0, 2],
    ...[...name("output_len"), 0, 3, ...name("free_block"), 0, 4],
  ),
  ...section(
    10,
    5,
    ...func(),
    ...func(0x41, 0x80, 0x08),
    ...func(0x41, 0x80, 0x08),
    ...func(0x41, 3),
    ...func(0x41, 0),
  ),
]);

it("an instance of a build with threads works in the memory that it is given", () => {
  const memory = new Memory({ initial: 1, maximum: 1, shared: true });
  const instance = new Instance(new wasm_api.Module(THREADS), { env: { memory } });
  expect(instance.memory_bytes).toBe(65536);
  expect(instance.write("write", Uint8Array.of(7, 8), Uint8Array.of(9))).toBe(3);
  expect([...new Uint8Array(memory.buffer, 1024, 3)]).toEqual([7, 8, 9]);
  expect([...instance.call("call", "free_block", 0)]).toEqual([7, 8, 9]);
  new Float32Array(memory.buffer, 2048, 2).set([1.5, -2]);
  expect([...instance.floats(2048, 1, 2)]).toEqual([1.5, -2]);
});

it("refuses a build whose memory it is not given", () => {
  expect(() => new Instance(new wasm_api.Module(THREADS))).toThrow("start the engine");
});

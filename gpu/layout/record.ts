import { itemAt } from "../../models/certain.ts";
import { CapstanError, show } from "../../models/errors.ts";

/** Stands for `null` in a field of type `u32?`: no address, no number. */
export const NONE = 0xffffffff;

/** The largest float32: shaders may assume that there are no infinities. */
export const MAX_F32 = 3.4028234663852886e38;

/** The nearest number that float32 holds; NaN stays. */
export function nearestF32(value: number): number {
  return Math.max(-MAX_F32, Math.min(MAX_F32, value));
}

/** `u32?` is a u32 or null, written as `NONE`; a `bool` takes a u32. */
type Scalar = "u32" | "u32?" | "f32" | "bool";
/** Types of fields, by their WGSL names. */
export type FieldType = Scalar | `vec${2 | 3 | 4}<${Scalar}>`;
export type Fields = Readonly<Record<string, FieldType>>;

interface ScalarValues {
  u32: number;
  "u32?": number | null;
  f32: number;
  bool: boolean;
}
type Value<T> = T extends Scalar
  ? ScalarValues[T]
  : T extends `vec2<${infer S extends Scalar}>`
    ? readonly [ScalarValues[S], ScalarValues[S]]
    : T extends `vec3<${infer S extends Scalar}>`
      ? readonly [ScalarValues[S], ScalarValues[S], ScalarValues[S]]
      : T extends `vec4<${infer S extends Scalar}>`
        ? readonly [ScalarValues[S], ScalarValues[S], ScalarValues[S], ScalarValues[S]]
        : never;

/** What a record holds, by field. */
export type Values<F extends Fields> = { readonly [Name in keyof F]: Value<F[Name]> };

/** A packed buffer: two views of the same bytes, addressed in u32s. */
export interface PackedViews {
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
}

/** How WGSL reaches the records of a packed buffer. */
export interface AccessorOptions {
  /** Prefix of the functions: `row` gives `row_token(...)`. */
  name: string;
  /** The bound `array<u32>`. */
  array: string;
  /**
   * WGSL of the address of record 0. The functions then take a record's index; without it, its address.
   */
  base?: string;
  /** Whether `set_<name>_<field>` functions are made, too. */
  writable?: boolean;
}

/** A record that TypeScript and WGSL share. Offsets, strides and addresses count u32s. */
export interface RecordLayout<F extends Fields = Fields> {
  readonly fields: F;
  /** From one record to the next. */
  readonly stride: number;
  readonly offsets: { readonly [Name in keyof F]: number };
  /** @throws CapstanError `bad_request` for a value that its field does not hold, or a record past the buffer's end */
  write(to: PackedViews, at: number, values: Values<F>): void;
  /** @throws CapstanError `bad_request` for a record past the buffer's end */
  read(from: PackedViews, at: number): Values<F>;
  /** One record in a buffer of its own. @throws CapstanError as `write` */
  pack(values: Values<F>): Uint32Array<ArrayBuffer>;
  /** The WGSL struct of that name, for a uniform binding. A `bool` is a u32 there. */
  struct(name: string): string;
  /** WGSL functions that read (and write) a record's fields in a storage binding, and `<NAME>_STRIDE`. */
  accessors(options: AccessorOptions): string;
}

/**
 * Declares a record once: from its fields come the writer, the reader, the stride and the WGSL. Fields lie in their
 * order under WGSL's rules of alignment, so that the same layout serves uniform structs and arrays of u32.
 *
 * @example
 * const TILE = record({ first_row: "u32", n_rows: "u32" });
 * [...TILE.pack({ first_row: 8, n_rows: 4 })]; // [8,4]
 * TILE.accessors({ name: "tile", array: "batch", base: "step.tiles_at" }); // tile_first_row(index), tile_n_rows(index)
 */
export function record<const F extends Fields>(fields: F): RecordLayout<F> {
  return new Layout(fields);
}

interface Field {
  name: string;
  scalar: Scalar;
  offset: number;
  /** Scalars of a vector; 1 for a scalar. */
  count: number;
}

class Layout<F extends Fields> implements RecordLayout<F> {
  readonly fields: F;
  readonly stride: number;
  readonly offsets: { readonly [Name in keyof F]: number };
  readonly #fields: readonly Field[];

  constructor(fields: F) {
    this.fields = fields;
    const placed: Field[] = [];
    let end = 0;
    let largest = 1;
    for (const [name, type] of Object.entries(fields)) {
      const { scalar, count } = parse(type);
      const alignment = count === 1 ? 1 : count === 2 ? 2 : 4;
      const offset = aligned(end, alignment);
      placed.push({ name, scalar, offset, count });
      end = offset + count;
      largest = Math.max(largest, alignment);
    }
    this.#fields = placed;
    this.stride = aligned(end, largest);
    this.offsets = Object.fromEntries(placed.map(({ name, offset }) => [name, offset])) as {
      [Name in keyof F]: number;
    };
  }

  write(to: PackedViews, at: number, values: Values<F>): void {
    this.#check(to, at);
    const given = values as Readonly<Record<string, unknown>>;
    const { u32, f32 } = to;
    // By index: a prompt's rows are written one by one.
    for (let n = 0; n < this.#fields.length; n++) {
      const { name, scalar, offset, count } = itemAt(this.#fields, n);
      const value = given[name];
      if (count === 1) {
        store(u32, f32, at + offset, scalar, value, name);
      } else {
        const vector = value as readonly unknown[];
        if (vector.length !== count) throw refused(name, `${count} numbers`, vector);
        for (let i = 0; i < count; i++) store(u32, f32, at + offset + i, scalar, vector[i], name);
      }
    }
  }

  read(from: PackedViews, at: number): Values<F> {
    this.#check(from, at);
    const values: Record<string, unknown> = {};
    for (const { name, scalar, offset, count } of this.#fields) {
      const first = at + offset;
      values[name] =
        count === 1
          ? fetch(from, first, scalar)
          : Array.from({ length: count }, (_, i) => fetch(from, first + i, scalar));
    }
    return values as Values<F>;
  }

  pack(values: Values<F>): Uint32Array<ArrayBuffer> {
    const u32 = new Uint32Array(this.stride);
    this.write({ u32, f32: new Float32Array(u32.buffer) }, 0, values);
    return u32;
  }

  struct(name: string): string {
    const members = this.#fields.map((field) => `  ${field.name}: ${typeOf(field, "u32")},`);
    return [`struct ${name} {`, ...members, "}"].join("\n");
  }

  accessors({ name, array, base, writable = false }: AccessorOptions): string {
    const stride = `${name.toUpperCase()}_STRIDE`;
    const given = base === undefined ? "at" : "index";
    const first = base === undefined ? "at" : `${base} + ${stride} * index`;
    const lines = [`const ${stride}: u32 = ${this.stride}u;`];
    for (const field of this.#fields) {
      const { scalar, count, offset } = field;
      const places = Array.from({ length: count }, (_, i) => `${array}[${plus(first, offset + i)}]`);
      const type = typeOf(field, "bool");
      const loaded = places.map((place) => load(place, scalar));
      const value = count === 1 ? loaded[0] : `${type}(${loaded.join(", ")})`;
      lines.push(`fn ${name}_${field.name}(${given}: u32) -> ${type} { return ${value}; }`);
      if (!writable) continue;
      const stored = places.map(
        (place, i) => `${place} = ${bits(count === 1 ? "value" : `value[${i}]`, scalar)};`,
      );
      lines.push(`fn set_${name}_${field.name}(${given}: u32, value: ${type}) { ${stored.join(" ")} }`);
    }
    return lines.join("\n");
  }

  #check({ u32 }: PackedViews, at: number): void {
    if (at >= 0 && at + this.stride <= u32.length) return;
    throw refused("a record", `a place among ${u32.length} u32s for its ${this.stride}`, at);
  }
}

function parse(type: FieldType): { scalar: Scalar; count: number } {
  const [, count, scalar] = /^vec([234])<(.*)>$/.exec(type) ?? [];
  return count === undefined
    ? { scalar: type as Scalar, count: 1 }
    : { scalar: scalar as Scalar, count: Number(count) };
}

function aligned(at: number, to: number): number {
  return Math.ceil(at / to) * to;
}

function store(
  u32: Uint32Array,
  f32: Float32Array,
  at: number,
  scalar: Scalar,
  value: unknown,
  name: string,
): void {
  switch (scalar) {
    case "u32":
      if (!isU32(value)) throw refused(name, "a whole number below 2^32", value);
      u32[at] = value;
      break;
    case "u32?":
      if (value !== null && !(isU32(value) && value !== NONE))
        throw refused(name, "null or a whole number below 2^32 - 1", value);
      u32[at] = value ?? NONE;
      break;
    case "f32":
      if (!(typeof value === "number" && Math.abs(value) <= MAX_F32))
        throw refused(name, "a number that float32 holds", value);
      f32[at] = value;
      break;
    case "bool":
      if (typeof value !== "boolean") throw refused(name, "true or false", value);
      u32[at] = value ? 1 : 0;
      break;
    default:
      scalar satisfies never;
  }
}

function isU32(value: unknown): value is number {
  return typeof value === "number" && value >>> 0 === value;
}

function fetch({ u32, f32 }: PackedViews, at: number, scalar: Scalar): number | boolean | null {
  const bits = u32[at]!;
  switch (scalar) {
    case "u32":
      return bits;
    case "u32?":
      return bits === NONE ? null : bits;
    case "f32":
      return f32[at]!;
    case "bool":
      return bits !== 0;
    default:
      return scalar satisfies never;
  }
}

function refused(name: string, need: string, found: unknown): CapstanError {
  return new CapstanError("bad_request", {
    action: "pack a record for the GPU",
    need: `${name} as ${need}`,
    found: show(found),
  });
}

/** A field's WGSL type; `as_bool` is what stands for a bool, which no uniform struct may hold. */
function typeOf({ scalar, count }: Field, as_bool: "u32" | "bool"): string {
  const type = scalar === "f32" ? "f32" : scalar === "bool" ? as_bool : "u32";
  return count === 1 ? type : `vec${count}<${type}>`;
}

function plus(address: string, offset: number): string {
  return offset === 0 ? address : `${address} + ${offset}u`;
}

function load(place: string, scalar: Scalar): string {
  if (scalar === "f32") return `bitcast<f32>(${place})`;
  return scalar === "bool" ? `${place} != 0u` : place;
}

function bits(value: string, scalar: Scalar): string {
  if (scalar === "f32") return `bitcast<u32>(${value})`;
  return scalar === "bool" ? `select(0u, 1u, ${value})` : value;
}

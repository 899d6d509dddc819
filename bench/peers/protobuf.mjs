// The few pieces of protobuf's wire format that an ONNX model needs, so that peers need npm alone.

/** A message from its fields, in order; fields that are undefined are left out. */
export function message(...fields) {
  return concat(fields.flat().filter((field) => field !== undefined));
}

/** A field of varint type: whole numbers from 0, or negative as 64-bit two's complement. */
export function int(number, value) {
  return concat([varint(number << 3), varint(BigInt.asUintN(64, BigInt(value)))]);
}

/** A field of 32-bit float. */
export function float(number, value) {
  return concat([varint((number << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)]);
}

/** A field of bytes: a message, text or raw data. */
export function bytes(number, value) {
  const data = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return concat([varint((number << 3) | 2), varint(data.length), data]);
}

function varint(value) {
  const out = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return Uint8Array.from(out);
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

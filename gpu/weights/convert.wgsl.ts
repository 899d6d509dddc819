/**
 * Weights as a file has them (SOURCE) to weights as kernels read them (DTYPE): a thread takes 64 neighbours of a row,
 * checks that they are finite and packs them. Quantised are blocks of 32. q8: steps from -127 to 127 of a scale, the f16
 * next to largest / 127. q4: steps from 0 to 15 above an offset, the f16 next to the least value, of the f16 next to
 * (largest - offset) / 15. Scales and offsets are kept 256 times as large so that small ones stay normal numbers.
 */
export const CONVERT = /* wgsl */ `
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(1) var<uniform> op: Op;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> stored: array<u32>;
@group(0) @binding(4) var<storage, read_write> bad: array<atomic<u32>>;

fn bits_at(index: u32) -> u32 {
//: if SOURCE == F32
  return source[index];
//: else
  return (source[index / 2u] >> (16u * (index % 2u))) & 0xffffu;
//: end
}

fn is_finite(bits: u32) -> bool {
//: if SOURCE == F32
//: if DTYPE == f16
  return (bits & 0x7fffffffu) < 0x477ff000u;
//: else
//: if DTYPE == bf16
  return (bits & 0x7fffffffu) < 0x7f7f8000u;
//: else
  return (bits & 0x7f800000u) != 0x7f800000u;
//: end
//: end
//: end
//: if SOURCE == F16
  return (bits & 0x7c00u) != 0x7c00u;
//: end
//: if SOURCE == BF16
//: if DTYPE == f16
  return (bits & 0x7fffu) < 0x4780u;
//: else
  return (bits & 0x7f80u) != 0x7f80u;
//: end
//: end
}

fn value_of(bits: u32) -> f32 {
//: if SOURCE == F32
  return bitcast<f32>(bits);
//: end
//: if SOURCE == F16
  // By arithmetic: an adapter may flush subnormal halves to zero.
  let low = bits & 0x7fffu;
  let size = select(bitcast<f32>((low << 13u) + 0x38000000u), f32(low) * 5.9604644775390625e-8, low < 0x400u);
  return select(size, -size, bits >= 0x8000u);
//: end
//: if SOURCE == BF16
  return bitcast<f32>(bits << 16u);
//: end
}

var<private> values: array<f32, 64>;

// Bits of which the upper half is the nearest bfloat16, of two the even one.
fn bfloat_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return bits + 0x7fffu + ((bits >> 16u) & 1u);
}

//: if QUANTISED
// WGSL's division may be off in its last bits. Its result is corrected by products with the middle between it and its
// neighbours, which have few enough bits to be exact: quotients are rounded to the nearest, to the even one of two.

// The f16 next to 256 * largest / most.
fn half_bits(largest: f32, most: f32) -> u32 {
  let value = 256.0 * min(largest, 65504.0);
  // What would be subnormal is 0.
  if (value < most * 0.00006103515625) { return 0u; }
  if (value >= most * 65504.0) { return 0x7bffu; }
  let near = clamp((bitcast<u32>(value / most) - 0x38000000u) >> 13u, 0x400u, 0x7bffu);
  let below = most * middle(near - 1u);
  let above = most * middle(near);
  let odd = (near & 1u) == 1u;
  if (value > above || (value == above && odd)) { return near + 1u; }
  if (value < below || (value == below && odd)) { return near - 1u; }
  return near;
}

// Between the f16 of these bits and the next.
fn middle(bits: u32) -> f32 { return bitcast<f32>((bits << 13u) + 0x38001000u); }

fn scale_of(bits: u32) -> f32 { return unpack2x16float(bits).x * 0.00390625; }

fn step_of(value: f32, scale: f32, most: f32) -> i32 {
  if (scale == 0.0) { return 0; }
  let size = min(abs(value), most * scale);
  var step = round(size / scale);
  let odd = (i32(step) & 1) == 1;
  let below = (step - 0.5) * scale;
  let above = (step + 0.5) * scale;
  if (size > above || (size == above && odd)) { step += 1.0; }
  else if (size < below || (size == below && odd)) { step -= 1.0; }
  return i32(select(step, -step, value < 0.0));
}
//: end

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.x + id.y * groups.x * 64u;
  let row = index / op.blocks;
  let block = index % op.blocks;
  if (row >= op.rows) { return; }
  for (var i = 0u; i < 64u; i++) {
    let col = 64u * block + i;
    values[i] = 0.0;
    if (col < op.cols) {
      let bits = bits_at(row * op.cols + col);
      if (is_finite(bits)) { values[i] = value_of(bits); }
      else { atomicMin(&bad[op.tensor], op.first_element + row * op.cols + col); }
    }
  }
  let to_row = op.row_start + row * op.row_step;
//: if DTYPE == f32
  let to = op.to + to_row * op.row_stride + 64u * block;
  for (var i = 0u; i < 64u; i++) { stored[to + i] = bitcast<u32>(values[i]); }
//: end
//: if DTYPE == f16
  let to = op.to + to_row * op.row_stride + 32u * block;
  for (var i = 0u; i < 32u; i++) {
//: if SOURCE == F16
    let col = 64u * block + 2u * i;
    var pair = 0u;
    if (col < op.cols) { pair = bits_at(row * op.cols + col); }
    if (col + 1u < op.cols) { pair = pair | (bits_at(row * op.cols + col + 1u) << 16u); }
    stored[to + i] = pair;
//: else
    stored[to + i] = pack2x16float(vec2<f32>(values[2u * i], values[2u * i + 1u]));
//: end
  }
//: end
//: if DTYPE == bf16
  let to = op.to + to_row * op.row_stride + 32u * block;
  for (var i = 0u; i < 32u; i++) {
    stored[to + i] = (bfloat_bits(values[2u * i]) >> 16u) | (bfloat_bits(values[2u * i + 1u]) & 0xffff0000u);
  }
//: end
//: if QUANTISED
  var scales = 0u;
//: if DTYPE == q8
  let to = op.to + to_row * op.row_stride + 16u * block;
  for (var half = 0u; half < 2u; half++) {
    var largest = 0.0;
    for (var i = 0u; i < 32u; i++) { largest = max(largest, abs(values[32u * half + i])); }
    let bits = half_bits(largest, 127.0);
    scales = scales | (bits << (16u * half));
    let scale = scale_of(bits);
    for (var w = 0u; w < 8u; w++) {
      var packed = 0u;
      for (var i = 0u; i < 4u; i++) {
        packed = packed | ((u32(step_of(values[32u * half + 4u * w + i], scale, 127.0)) & 0xffu) << (8u * i));
      }
      stored[to + 8u * half + w] = packed;
    }
  }
  stored[op.scales_to + to_row * op.blocks + block] = scales;
//: else
  let to = op.to + to_row * op.row_stride + 8u * block;
  var offsets = 0u;
  for (var half = 0u; half < 2u; half++) {
    var least = values[32u * half];
    var largest = least;
    for (var i = 1u; i < 32u; i++) {
      least = min(least, values[32u * half + i]);
      largest = max(largest, values[32u * half + i]);
    }
    let size = half_bits(abs(least), 1.0);
    let offset = select(scale_of(size), -scale_of(size), least < 0.0);
    let bits = half_bits(max(0.0, largest - offset), 15.0);
    let scale = scale_of(bits);
    scales = scales | (bits << (16u * half));
    offsets = offsets | (select(size, size | 0x8000u, least < 0.0) << (16u * half));
    for (var w = 0u; w < 4u; w++) {
      var packed = 0u;
      for (var i = 0u; i < 8u; i++) {
        // Low nibbles are the first four of eight, high nibbles the last four.
        let shift = 8u * (i % 4u) + 4u * (i / 4u);
        let above = max(0.0, values[32u * half + 8u * w + i] - offset);
        packed = packed | (u32(step_of(above, scale, 15.0)) << shift);
      }
      stored[to + 4u * half + w] = packed;
    }
  }
  let at = op.scales_to + 2u * (to_row * op.blocks + block);
  stored[at] = scales;
  stored[at + 1u] = offsets;
//: end
//: end
}
`;

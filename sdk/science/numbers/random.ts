/** Seeded randomness of the experiment: the same seed and name give the same numbers on every machine. */

/** 32 bits of a text under a seed (FNV-1a, then murmur3's finaliser). Seeds of responses come from here. */
export function hashSeed(seed: number, text: string): number {
  let hash = mix((0x811c9dc5 ^ seed) >>> 0) ^ mix(Math.floor(seed / 2 ** 32) >>> 0);
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return mix(hash >>> 0);
}

function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Uniform numbers in [0, 1): a counter hashed, so that no state is hidden. */
export function uniforms(seed: number): () => number {
  let counter = 0;
  return () => {
    counter += 1;
    return mix((mix((seed + Math.imul(counter, 0x9e3779b9)) >>> 0) + counter) >>> 0) / 2 ** 32;
  };
}

/** A direction drawn evenly from the unit sphere, [size]. */
export function randomDirection(seed: number, size: number): Float32Array {
  const next = uniforms(seed);
  const draw = Float64Array.from({ length: size }, () => {
    // Box and Muller; 1 - u keeps the logarithm finite.
    return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  });
  const length = Math.hypot(...draw);
  return Float32Array.from(draw, (x) => x / length);
}

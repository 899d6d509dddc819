/** A claim of the contract that does not hold. Plain, so that checks run in any runtime and under any runner. */
export class ContractError extends Error {
  override readonly name = "ContractError";
}

export function check(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new ContractError(claim);
}

/** Same length and same values, bit for bit (NaN equals NaN). */
export function checkSame(got: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  check(got.length === expected.length, `${what}: ${got.length} values, expected ${expected.length}`);
  for (let i = 0; i < got.length; i++) {
    check(Object.is(got[i], expected[i]), `${what}: [${i}] is ${got[i]}, expected ${expected[i]}`);
  }
}

/** The call must fail with a CapstanError of one of these codes. */
export async function checkRefused(
  codes: readonly string[],
  what: string,
  call: () => unknown,
): Promise<void> {
  let caught: unknown;
  try {
    await call();
  } catch (error) {
    caught = error;
  }
  check(caught !== undefined, `${what}: no error, expected ${codes.join(" or ")}`);
  const { name, code } = caught as { name?: string; code?: string };
  check(
    name === "CapstanError" && codes.includes(code ?? ""),
    `${what}: ${String(caught)} (${code}), expected CapstanError ${codes.join(" or ")}`,
  );
}

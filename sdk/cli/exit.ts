/** Exit codes of every verb. */
export const EXIT = { done: 0, failed: 1, usage: 2, fell_short: 3, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

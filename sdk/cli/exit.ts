/** Exit codes of every verb; a signal's is 128 and its number. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  fell_short: 3,
  /** Ctrl-C (SIGINT). */
  interrupted: 130,
  /** SIGTERM. */
  terminated: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

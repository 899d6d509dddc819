/** The role that is the Assistant itself. */
export const DEFAULT_ROLE = "default";

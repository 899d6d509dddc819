/** Takes a sentence about what was odd in a model's files: what stands where, and what was done about it. */
export type Warn = (text: string) => void;

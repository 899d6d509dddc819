/** An axis of random directions that fits a model, for tests that want any axis at all. */
export { randomAxis } from "../../bench/random_axis.ts";

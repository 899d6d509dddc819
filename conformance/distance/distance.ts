import { itemAt } from "../../models/certain.ts";
import { rowError } from "../bounds.ts";

/** Relative L2 errors of rows: |row - truth| / |truth|. */
export interface RowErrors {
  mean: number;
  worst: number;
}

/** How far a device and transformers' float32 are from the f64 truth, over the same rows. */
export interface Distance {
  n_rows: number;
  device: RowErrors;
  transformers: RowErrors;
  /** The device's error over transformers', of the means and of the worst rows: below 1 the device is nearer. */
  ratio: RowErrors;
}

export interface CaseDistance extends Distance {
  case: string;
  /** `model_type` of the model's config. */
  architecture: string;
  /** The same by kind of site (`hook_resid_post`, `logits`): every block, run and pass of the case. */
  sites: ({ site: string } & Distance)[];
}

/** What DESIGN (section 5) aims at: the mean over all cases of a case's `ratio.mean`, and the largest of them. */
export const AIM: RowErrors = { mean: 1, worst: 1.5 };

/** The cases of a run together. */
export interface Summary {
  n_cases: number;
  /** Over the cases' `ratio.mean`. */
  ratio: RowErrors & { worst_case: string };
  /** Over the cases' `ratio.worst`. */
  worst_row_ratio: RowErrors & { worst_case: string };
  aim: RowErrors;
  reached: boolean;
}

/** The errors of a device and of transformers in the same rows, of one case. */
export class Rows {
  readonly #errors = new Map<string, { device: number[]; transformers: number[] }>();

  /** Adds rows [n_rows * width] of a kind of site: what each computed, and the truth. */
  add(
    site: string,
    width: number,
    { truth, device, transformers }: Record<"truth" | "device" | "transformers", Float32Array>,
  ): void {
    const errors = this.#errors.get(site) ?? { device: [], transformers: [] };
    this.#errors.set(site, errors);
    for (let start = 0; start < truth.length; start += width) {
      errors.device.push(rowError(truth, device, start, width).relative_error);
      errors.transformers.push(rowError(truth, transformers, start, width).relative_error);
    }
  }

  /** All rows, and those of each kind of site. */
  distance(): Distance & Pick<CaseDistance, "sites"> {
    const kinds = [...this.#errors];
    const all = (of: "device" | "transformers") => kinds.flatMap(([, errors]) => errors[of]);
    return {
      ...distanceOf(all("device"), all("transformers")),
      sites: kinds.map(([site, { device, transformers }]) => ({ site, ...distanceOf(device, transformers) })),
    };
  }
}

function distanceOf(device: readonly number[], transformers: readonly number[]): Distance {
  const [ours, theirs] = [rowErrors(device), rowErrors(transformers)];
  return {
    n_rows: device.length,
    device: ours,
    transformers: theirs,
    ratio: { mean: ratio(ours.mean, theirs.mean), worst: ratio(ours.worst, theirs.worst) },
  };
}

/** The mean over all cases and the worst of them, held to the aim. @throws RangeError for no cases */
export function summarise(cases: readonly CaseDistance[]): Summary {
  const of = (which: keyof RowErrors) => {
    const ratios = cases.map(({ ratio }) => ratio[which]);
    const { mean, worst } = rowErrors(ratios);
    return { mean, worst, worst_case: itemAt(cases, ratios.indexOf(worst)).case };
  };
  const mean = of("mean");
  return {
    n_cases: cases.length,
    ratio: mean,
    worst_row_ratio: of("worst"),
    aim: AIM,
    reached: mean.mean <= AIM.mean && mean.worst <= AIM.worst,
  };
}

function rowErrors(errors: readonly number[]): RowErrors {
  if (errors.length === 0) throw new RangeError("no rows to compare");
  let [sum, worst] = [0, 0];
  for (const error of errors) {
    sum += error;
    worst = Math.max(worst, error);
  }
  return { mean: sum / errors.length, worst };
}

/** Two that are both exact are as near as each other. */
function ratio(device: number, transformers: number): number {
  return device === transformers ? 1 : device / transformers;
}

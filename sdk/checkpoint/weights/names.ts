/**
 * Where the decoder of a checkpoint hangs: the same tensors are published under `model.` (a causal model), under
 * nothing (a bare one), and inside a multimodal model as transformers 4 and 5 save it. This is the one place that
 * knows of it; architectures name their tensors as transformers' own causal model does.
 */
const WRAPPERS = ["model.", "language_model.model.", "model.language_model.", "language_model.", ""];

/** GPT-NeoX's head: `embed_out` in what is published, `lm_head` to transformers 5. */
const HEADS = ["embed_out.weight", "lm_head.weight"];

/**
 * Finds out under which names a checkpoint keeps the tensors of a table. The token embedding decides: it comes first in
 * every table, and only a tied checkpoint may keep the head instead of it; then the tensor after it does.
 *
 * @param names the table's own names, the embedding first
 * @param has whether the checkpoint has a tensor of that name
 * @returns the checkpoint's name for each of the table's; its own where the checkpoint has none
 */
export function resolveNames(
  names: readonly string[],
  has: (name: string) => boolean,
): (name: string) => string {
  const base = bodyPrefix(names);
  const stem = (name: string) => name.slice(base.length);
  const prefixOf = (name: string) => [base, ...WRAPPERS].find((one) => has(one + stem(name)));
  const prefix = prefixOf(names[0] ?? "") ?? prefixOf(names[1] ?? "") ?? base;
  return (name) => {
    if (has(name) && prefix === base) return name;
    if (base === "" || name.startsWith(base)) return prefix + stem(name);
    // A head stands beside the body, and inside a wrapper where the body is inside one.
    const heads = [name, ...(HEADS.includes(name) ? HEADS : [])];
    return heads.flatMap((head) => ["", ...WRAPPERS].map((one) => one + head)).find(has) ?? name;
  };
}

/** What the body's names begin with, `model.` or `transformer.`; nothing where most of them share no first part. */
function bodyPrefix(names: readonly string[]): string {
  const [first = ""] = names;
  const prefix = first.slice(0, first.indexOf(".") + 1);
  const sharing = names.filter((name) => name.startsWith(prefix)).length;
  return sharing > names.length / 2 ? prefix : "";
}

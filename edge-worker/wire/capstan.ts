import { z } from "@hono/zod-openapi";
import type { Hook, Site } from "../../models/index.ts";

/** The `capstan` field of requests and responses: caps, hooks, projections. */

const vector = z
  .array(z.number())
  .min(1)
  .max(65_536)
  .transform((values) => Float32Array.from(values))
  .openapi({ type: "array", items: { type: "number" }, description: "[d_model]" });
const site = z.string().max(100).openapi({ example: "blocks.4.hook_resid_post" });
const positions = z.enum(["all", "last"]);

const HOOK = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("cap"),
      site,
      vector,
      floor: z.number().optional(),
      ceiling: z.number().optional(),
      positions: positions.optional(),
      name: z.string().max(100).optional(),
    }),
    z.strictObject({
      kind: z.enum(["add", "ablate"]),
      site,
      vector,
      coefficient: z.number().optional(),
      positions: positions.optional(),
    }),
    z.strictObject({
      kind: z.literal("mean_ablate"),
      site,
      vector,
      mean: vector,
      positions: positions.optional(),
    }),
    z.strictObject({ kind: z.literal("project"), site, vector, name: z.string().max(100).optional() }),
  ])
  .openapi("Hook");

export const CAPSTAN_REQUEST = z
  .strictObject({
    cap: z
      .union([z.string().min(1).max(200), z.literal(false)])
      .nullish()
      .openapi({
        description: "The name of a cap of `GET /v1/caps`, or false for none. Default: the model's own.",
      }),
    hooks: z
      .array(HOOK)
      .max(64)
      .nullish()
      .transform((hooks) => hooks?.map(asHook))
      .openapi({ description: "Hooks behind the cap, for clients that the policy lets send them." }),
    projections: z
      .boolean()
      .nullish()
      .openapi({ description: "Report the projections of each token. Default: false." }),
    layer: z.int().min(0).max(10_000).nullish().openapi({
      description:
        "The layer whose projections are reported: of the axis, and of the cap where it acts there. Default: the axis's target layer; for the cap its first.",
    }),
    drift: z.boolean().nullish().openapi({
      description:
        "Project the assistant's earlier turns, too, and report each one's drift (one more prefill where a cap acts before the axis's layer). Default: where the policy watches drift.",
    }),
  })
  .openapi("CapstanRequest");

export type CapstanRequest = Partial<z.output<typeof CAPSTAN_REQUEST>>;

/** Fields that were left out stay left out. */
function asHook(hook: z.output<typeof HOOK>): Hook {
  const given = Object.fromEntries(Object.entries(hook).filter(([, value]) => value !== undefined));
  return { ...given, site: hook.site as Site } as unknown as Hook;
}

const mean = z.number().nullable().optional();
const list = z.array(z.number()).optional();

export const CAPSTAN_RESPONSE = z
  .object({
    cap: z.string().nullable().openapi({ description: "The cap that acted." }),
    projection: z.object({ before: mean, after: mean, axis: mean }).optional().openapi({
      description:
        "Means over the reply's tokens: on the cap's vector at `cap_layer`, before and after it; on the Assistant axis at `axis_layer`.",
    }),
    cap_layer: z.int().optional(),
    axis_layer: z.int().optional(),
    touched: z.int().optional().openapi({ description: "Positions that the cap moved at `cap_layer`." }),
    tokens: z.int().optional(),
    mean_shift: z.number().optional(),
    projections: z
      .object({ before: list, after: list, axis: list })
      .optional()
      .openapi({ description: "The same by token, where they were asked for." }),
    drift: z
      .object({
        threshold: z.number(),
        turns: z.array(
          z.object({
            turn: z.int(),
            projection: z.number().nullable(),
            drift: z.number().nullable(),
            alert: z.boolean(),
          }),
        ),
        alerts: z.int(),
        action: z.enum(["alert", "cap", "stop"]).nullable(),
      })
      .optional(),
  })
  .openapi("CapstanResponse");

export type CapstanResponse = z.output<typeof CAPSTAN_RESPONSE>;

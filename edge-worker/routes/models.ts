import type { Caps } from "../../sdk/science/index.ts";
import { axisCard } from "../policy/axis_card.ts";
import type { Client } from "../policy/keys.ts";
import type { ServedModel } from "../service/served_model.ts";
import { servedModel } from "./call.ts";
import type { App, RequestContext, Shared } from "./context.ts";

/** `GET /v1/models`, `GET /v1/models/{model}`, `GET /v1/caps` */
export function addModels(app: App, _: Shared): void {
  app.get("/v1/models", (c) => c.json({ object: "list", data: visible(c).map(describe) }));
  // Names may hold a slash (hub ids), written as it is or as %2F.
  app.get("/v1/models/:name{.+}", (c) => c.json(describe(servedModel(c, c.req.param("name")))));
  app.get("/v1/caps", (c) => c.json({ object: "list", data: visible(c).flatMap(cardsOf) }));
}

function visible(c: RequestContext): ServedModel[] {
  const allowed = ({ rules }: Client, name: string) => rules.models?.includes(name) ?? true;
  return [...c.var.state.models.values()].filter(({ name }) => allowed(c.var.client, name));
}

function describe({ name, created, holder, rules, caps, axis }: ServedModel) {
  const model = holder.loaded;
  return {
    id: name,
    object: "model" as const,
    created,
    owned_by: "capstan",
    capstan: {
      digest: model?.digest ?? null,
      device: model?.device.kind ?? null,
      dtype: model?.device.dtype ?? null,
      n_ctx: model?.n_ctx ?? null,
      caps: [...caps.keys()],
      default_cap: rules.default_cap ?? null,
      pinned: rules.pinned,
      axis_layer: axis?.target_layer ?? null,
      axis: axis === null ? null : axisCard(axis),
    },
  };
}

/**
 * A cap's card: what it was made of and on, where it acts, and what was measured, as far as its file says. What it was made of
 * is null where the file does not say.
 */
function cardsOf({ name, rules, caps, axis }: ServedModel) {
  return [...caps].map(([id, { data }]: [string, Caps]) => {
    const { measured = null, digest = null, ...made_of } = data.axis ?? {};
    return {
      id,
      object: "cap" as const,
      model: name,
      default: rules.default_cap === id,
      pinned: rules.pinned && rules.default_cap === id,
      layers: [...data.layers],
      percentile: data.percentile,
      floors: [...data.floors].map(finite),
      ceilings: [...data.ceilings].map(finite),
      made_on: data.model,
      any_model: rules.caps[id]?.any_model ?? false,
      of: data.of,
      axis_digest: digest,
      made_of: digest === null ? null : made_of,
      measured,
      axis:
        axis === null
          ? null
          : {
              digest: axis.digest,
              made_on: axis.model,
              target_layer: axis.target_layer,
              matches: digest === null ? null : digest === axis.digest,
            },
    };
  });
}

/** No bound is an infinity, which JSON lacks. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

import { itemAt } from "../../../models/certain.ts";
import type { ModelCard } from "../backend/backend.ts";
import type { Settings } from "../state/conversation.ts";
import { PERSONAS } from "../state/presets.ts";
import { el } from "./dom.ts";
import { field, slider } from "./fields.ts";

/** The persona, how replies are sampled, and where projections are read. `change` is called with what was set. */
export function setupPanel(
  settings: Settings,
  model: ModelCard,
  change: (part: Partial<Settings>) => void,
): HTMLElement {
  return el(
    "details",
    // On a phone the conversation comes first.
    { className: "panel", open: innerWidth > 1080 },
    el("summary", {}, "Persona and sampling"),
    el(
      "div",
      { className: "fields" },
      ...personaFields(settings, change),
      ...samplingFields(settings, change),
      ...layerField(settings, model, change),
    ),
  );
}

function personaFields(settings: Settings, change: (part: Partial<Settings>) => void): HTMLElement[] {
  const text = el("textarea", {
    value: settings.system,
    rows: 2,
    placeholder: "None",
    on: { input: () => set(text.value) },
  });
  const chips = PERSONAS.map((persona) =>
    el(
      "button",
      {
        type: "button",
        on: {
          click: () => {
            text.value = persona.system;
            set(persona.system);
          },
        },
      },
      persona.name,
    ),
  );
  const mark = (system: string) => {
    for (const [i, chip] of chips.entries())
      chip.setAttribute("aria-pressed", String(itemAt(PERSONAS, i).system === system));
  };
  const set = (system: string) => {
    mark(system);
    change({ system });
  };
  mark(settings.system);
  const group = el(
    "div",
    { className: "chips", attrs: { role: "group", "aria-label": "Personas" } },
    ...chips,
  );
  return [group, field("System prompt", text)];
}

function samplingFields(settings: Settings, change: (part: Partial<Settings>) => void): HTMLElement[] {
  let { sampling } = settings;
  const set = (part: Partial<Settings["sampling"]>) => {
    sampling = { ...sampling, ...part };
    change({ sampling });
  };
  const whole = (value: number | null, min: number, max: number, use: (value: number | null) => void) => {
    const input = el("input", {
      type: "number",
      attrs: { min, max, step: 1, value: value ?? undefined },
      on: {
        change: () => {
          const given = Math.round(Number(input.value));
          const is_set = input.value.trim() !== "" && Number.isFinite(given);
          use(is_set ? Math.min(max, Math.max(min, given)) : null);
        },
      },
    });
    return input;
  };
  return [
    slider({
      label: "Temperature",
      value: sampling.temperature,
      min: 0,
      max: 2,
      step: 0.05,
      show: (value) => value.toFixed(2),
      change: (temperature) => set({ temperature }),
    }),
    el(
      "div",
      { className: "pair" },
      field(
        "Longest reply, tokens",
        whole(sampling.max_tokens, 1, 8192, (value) => set({ max_tokens: value ?? 200 })),
      ),
      field(
        "Seed, empty for any",
        whole(sampling.seed, 0, 2 ** 31 - 1, (seed) => set({ seed })),
      ),
    ),
  ];
}

function layerField(
  { layer }: Settings,
  { axis }: ModelCard,
  change: (part: Partial<Settings>) => void,
): HTMLElement[] {
  if (axis === null || layer === null || axis.layers.length < 2) return [];
  return [
    slider({
      label: "Layer to read at, from the next reply on",
      value: axis.layers.indexOf(layer),
      min: 0,
      max: axis.layers.length - 1,
      show: (at) => String(axis.layers[at]),
      change: (at) => change({ layer: itemAt(axis.layers, at) }),
    }),
  ];
}

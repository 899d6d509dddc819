import { el } from "../view/dom.ts";
import { field } from "../view/fields.ts";
import { KeptModels } from "./files.ts";
import type { LocalSource } from "./local_backend.ts";
import type { LocalChoice } from "./start.ts";

/** Asks which model to run in the page. */
export async function modelsDialog(choose: (choice: LocalChoice) => void): Promise<void> {
  const kept = await KeptModels.open();
  const device = el(
    "select",
    {},
    ...["auto", "wasm", "webgpu"].map((name) =>
      el("option", { value: name }, DEVICES[name as keyof typeof DEVICES]),
    ),
  );
  const axis = el("input", { type: "file", accept: ".safetensors" });
  const take = (source: LocalSource) => {
    dialog.close();
    const [file = null] = axis.files ?? [];
    choose({ source, device: device.value as LocalChoice["device"], axis: file });
  };
  const dialog = el(
    "dialog",
    {
      className: "dialog",
      attrs: { "aria-labelledby": "models-title" },
      on: { close: () => dialog.remove() },
    },
    el("h2", { id: "models-title" }, "A model in this browser"),
    el(
      "div",
      { className: "fields" },
      button("The embedded model, capstan-tiny (9 MB)", () => take({ kind: "embedded" })),
      kept === null ? null : await keptList(kept, take),
      hubForm(take),
      folderForm(take, kept !== null),
      field("An axis for it, instead of the one in its folder (axis.safetensors)", axis),
      field("Runs on", device),
    ),
    el(
      "div",
      { className: "row" },
      button("Cancel", () => dialog.close()),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

const DEVICES = { auto: "WebGPU where there is a GPU, else WASM", wasm: "WASM", webgpu: "WebGPU" } as const;

function button(text: string, click: () => void): HTMLButtonElement {
  return el("button", { type: "button", on: { click } }, text);
}

async function keptList(kept: KeptModels, take: (source: LocalSource) => void): Promise<HTMLElement | null> {
  const names = await kept.names();
  if (names.length === 0) return null;
  const items = names.map((name) => {
    const remove = button("Remove", () => void kept.remove(name).then(() => item.remove()));
    remove.setAttribute("aria-label", `Remove ${name}`);
    const item = el(
      "li",
      { className: "row" },
      button(name, () => take({ kind: "kept", name })),
      remove,
    );
    return item;
  });
  return el(
    "div",
    { className: "field" },
    el("span", { className: "label" }, "Kept in this browser"),
    el("ul", {}, ...items),
  );
}

function hubForm(take: (source: LocalSource) => void): HTMLElement {
  const id = el("input", {
    type: "text",
    required: true,
    placeholder: "owner/model",
    pattern: "[^\\s/]+/[^\\s/]+",
  });
  return el(
    "form",
    {
      className: "line",
      on: {
        submit: (event) => {
          event.preventDefault();
          take({ kind: "hub", id: id.value.trim() });
        },
      },
    },
    field("A model of the hub, kept as it comes", id),
    el("button", { type: "submit" }, "Load"),
  );
}

function folderForm(take: (source: LocalSource) => void, can_keep: boolean): HTMLElement {
  const folder = el("input", { type: "file", multiple: true, attrs: { webkitdirectory: true } });
  const keep = el("input", { type: "checkbox", checked: false });
  folder.addEventListener("change", () => {
    const files = [...(folder.files ?? [])];
    if (files.length > 0) take({ kind: "folder", files, keep: can_keep && keep.checked });
  });
  return el(
    "div",
    { className: "field" },
    can_keep ? el("label", { className: "check" }, keep, "Keep a copy in this browser") : null,
    field("A folder of yours (config.json, tokenizer.json, *.safetensors)", folder),
  );
}

import { onlyOf } from "../../../models/certain.ts";
import { announce } from "../view/app.ts";
import { el } from "../view/dom.ts";
import type { Page } from "../view/page.ts";
import { LocalBackend, type LocalOptions, type LocalSource } from "./local_backend.ts";
import { modelsDialog } from "./models_dialog.ts";

/** A choice of the visitor's. */
export interface LocalChoice extends Pick<LocalOptions, "device" | "axis"> {
  source: LocalSource;
}

/** The page with its model in it. */
export async function useLocal(page: Page, wanted: string): Promise<void> {
  void keepForOffline();
  const source: LocalSource = wanted === "" ? { kind: "embedded" } : { kind: "hub", id: wanted };
  let running: LocalBackend | null = null;
  const choose = () => void modelsDialog((choice) => void open(choice));
  const open = async (choice: LocalChoice): Promise<void> => {
    const old = running;
    running = null;
    const load = new AbortController();
    const bar = el("progress", { attrs: { "aria-label": "Loading" } });
    const text = el("p", {}, "Loading the engine");
    const cancel = () => load.abort();
    page.notice(
      el(
        "div",
        { className: "loading" },
        el("h2", {}, "The model is loaded into this page"),
        text,
        bar,
        el("div", { className: "row" }, el("button", { type: "button", on: { click: cancel } }, "Cancel")),
      ),
    );
    try {
      await old?.dispose();
      running = await LocalBackend.open(choice.source, {
        ...choice,
        signal: load.signal,
        on_progress: (what, done, total) => {
          text.textContent = `${what}: ${megabytes(done)} of ${megabytes(total)}`;
          bar.max = total;
          bar.value = done;
        },
      });
      const model = onlyOf(await running.models());
      await page.use(running, model, [
        el("span", {}, model.name),
        el("span", {}, `in this browser, ${model.device}`),
        el("button", { type: "button", className: "quiet", on: { click: choose } }, "Models…"),
      ]);
    } catch (error) {
      page.notice(
        el("h2", {}, load.signal.aborted ? "Nothing is loaded" : "The model could not be loaded"),
        el("p", {}, load.signal.aborted ? "" : (error as Error).message),
        el(
          "div",
          { className: "row" },
          el("button", { type: "button", className: "primary", on: { click: choose } }, "Choose a model"),
        ),
      );
    }
  };
  await open({ source, device: "auto", axis: null });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Keeps the page's files, so that it opens without a network from now on. */
async function keepForOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  try {
    const registration = await navigator.serviceWorker.register("service_worker.js");
    if (registration.active !== null) return;
    await navigator.serviceWorker.ready;
    announce("From now on this page opens offline, too.");
  } catch {
    // A page from plain http may keep nothing; it works all the same.
  }
}

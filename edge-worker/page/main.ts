import { itemAt } from "../../models/certain.ts";
import { BackendError, type ModelCard } from "./backend/backend.ts";
import { ServerBackend } from "./backend/server.ts";
import { el } from "./view/dom.ts";
import { field } from "./view/fields.ts";
import { Page } from "./view/page.ts";

/** The page: on the server that it came from, or with `?local` (`?local=owner/model`) on a model in the page itself. */
const page = new Page();

async function useServer(): Promise<void> {
  const backend = new ServerBackend(new URL("v1", location.href).href);
  backend.key = sessionKey.get();
  try {
    const models = await backend.models();
    await show(backend, models, itemAt(models, 0));
  } catch (error) {
    const status = error instanceof BackendError ? error.status : null;
    if (status === 401) askForKey(backend);
    // A static server has the page's files and no API.
    else if (status === 404) location.replace(`?local${location.hash}`);
    else
      page.notice(
        el("h2", {}, "The server cannot be asked"),
        el("p", {}, (error as Error).message),
        localLink(),
      );
  }
}

async function show(backend: ServerBackend, models: readonly ModelCard[], model: ModelCard): Promise<void> {
  const name =
    models.length === 1
      ? el("span", {}, model.name)
      : el(
          "select",
          {
            attrs: { "aria-label": "Model" },
            on: {
              change: (event) =>
                void show(backend, models, itemAt(models, (event.target as HTMLSelectElement).selectedIndex)),
            },
          },
          ...models.map((one) => el("option", { selected: one === model }, one.name)),
        );
  await page.use(backend, model, [name, el("span", {}, `on this server, ${model.device}`), localLink()]);
}

function localLink(): HTMLElement {
  return el("a", { href: "?local" }, "Run it in this browser");
}

function askForKey(backend: ServerBackend): void {
  const input = el("input", { type: "password", autocomplete: "off", required: true });
  const form = el(
    "form",
    {
      className: "fields",
      on: {
        submit: (event) => {
          event.preventDefault();
          sessionKey.set(input.value.trim());
          void useServer();
        },
      },
    },
    el("h2", {}, "This server asks for a key"),
    backend.key === ""
      ? null
      : el("p", { className: "error", attrs: { role: "alert" } }, "It does not know that key."),
    field("API key, kept until this tab is closed", input),
    el("div", { className: "row" }, el("button", { type: "submit", className: "primary" }, "Use it")),
  );
  page.notice(form);
  input.focus();
}

const sessionKey = {
  get: (): string => {
    try {
      return sessionStorage.getItem("capstan-key") ?? "";
    } catch {
      return "";
    }
  },
  set: (key: string): void => {
    try {
      sessionStorage.setItem("capstan-key", key);
    } catch {}
  },
};

const wanted = new URLSearchParams(location.search).get("local");
if (wanted === null) void useServer();
else void import("./local/start.ts").then(({ useLocal }) => useLocal(page, wanted));

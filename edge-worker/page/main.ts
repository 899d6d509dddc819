import { ServerBackend } from "./backend/server.ts";
import { App } from "./view/app.ts";
import { byId } from "./view/dom.ts";

const backend = new ServerBackend(new URL("v1", location.href).href);
const [model] = await backend.models();
new App(backend, model!, byId("composer"));

import type { CaseHost, HostOptions } from "./host.ts";
import { openChromium, openPage } from "./page_host.ts";
import { openWorkerd } from "./workerd_host.ts";

/** Runtimes that check cases for this one. */
export const HOSTS: Readonly<
  Record<"chromium" | "page" | "workerd", (options: HostOptions) => Promise<CaseHost>>
> = { chromium: openChromium, page: openPage, workerd: openWorkerd };

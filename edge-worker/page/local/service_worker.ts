/**
 * Keeps the page, the engine and the embedded model for use offline. Registered where the model runs in the page. The
 * network is asked first: names have no digests in them, and the files of a newer page go together.
 */
export {};

/** Written into this file by the build: paths on the server, and a digest of their contents. */
declare const KEPT: { version: string; paths: string[] };

interface Lifetime extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as {
  readonly registration: { readonly scope: string };
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: Lifetime) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
};

const PREFIX = "capstan-page ";
const name = `${PREFIX}${KEPT.version}`;
const root = new URL(scope.registration.scope);
const model = new URL("models/", root).href;
/** The kept files' addresses: the page may lie below the root of its server. */
const kept = new Set(KEPT.paths.map((path) => new URL(path.slice(1), root).href));

scope.addEventListener("install", (event) => {
  event.waitUntil(keepAll());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const address = `${url.origin}${url.pathname}`;
  const is_ours = kept.has(address) || address.startsWith(model);
  if (request.method === "GET" && is_ours) event.respondWith(answer(request, address));
});

async function keepAll(): Promise<void> {
  const cache = await caches.open(name);
  await cache.addAll([...kept].map((address) => new Request(address, { cache: "no-cache" })));
  await scope.skipWaiting();
}

async function dropOthers(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names.filter((one) => one.startsWith(PREFIX) && one !== name).map((one) => caches.delete(one)),
  );
}

async function answer(request: Request, address: string): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const cache = await caches.open(name);
    const found = await cache.match(address);
    // A model's files that were not kept are files that it has not.
    if (found === undefined && !kept.has(address)) return new Response(null, { status: 404 });
    if (found === undefined) throw error;
    return await partOf(found, request.headers.get("range"));
  }
}

/** The range that is asked for, of a file that is kept whole. */
async function partOf(whole: Response, range: string | null): Promise<Response> {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return whole;
  const bytes = await whole.blob();
  const [start, end] = [Number(first), last ? Math.min(Number(last) + 1, bytes.size) : bytes.size];
  const headers = new Headers({ "content-type": whole.headers.get("content-type") ?? "" });
  const etag = whole.headers.get("etag");
  if (etag !== null) headers.set("etag", etag);
  if (start >= end) {
    headers.set("content-range", `bytes */${bytes.size}`);
    return new Response(null, { status: 416, headers });
  }
  headers.set("content-range", `bytes ${start}-${end - 1}/${bytes.size}`);
  headers.set("content-length", String(end - start));
  return new Response(bytes.slice(start, end), { status: 206, headers });
}

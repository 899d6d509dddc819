import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { buildDist, root } from "../../testing/runtimes/runtimes.ts";
import { createApp } from "../app.ts";
import { addPolicy } from "../cli/policy.ts";
import { addServe } from "../cli/serve.ts";
import { get } from "../fixtures/client.ts";
import { model } from "../fixtures/tiny.ts";
import { type PolicyInput, readPolicy } from "../policy/policy.ts";

/** The files that deploy the server, without the tools that read them: what they call is there, and they agree. */

const folder = import.meta.dirname;
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const page = readFileSync(join(root, "docs", "deploy.md"), "utf8");

const dockerfile = read("Dockerfile").replaceAll(/\\\n\s*/g, " ");
/** A directive's value in the Dockerfile, its last one. */
const directive = (name: string) => [...dockerfile.matchAll(new RegExp(`^${name} (.*)$`, "gm"))].at(-1)![1]!;
const compose = parse(read("compose.yaml")).services.capstan;
const manifests = parseAllDocuments(read("kubernetes.yaml")).map((one) => {
  expect(one.errors).toEqual([]);
  return one.toJS();
});
const manifest = (kind: string) => manifests.find((one) => one.kind === kind);
const pod = manifest("Deployment").spec.template.spec;
const [container] = pod.containers;
const unit = Object.fromEntries(
  [...read("capstan.service").matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value!]),
);
const wrangler = JSON.parse(read("wrangler.jsonc").replaceAll(/^\s*\/\/.*$/gm, ""));
const policies: Record<string, PolicyInput> = {
  "policy.json": JSON.parse(read("policy.json")),
  "kubernetes.yaml": JSON.parse(manifest("ConfigMap").data["policy.json"]),
};

/** What each of them starts: the arguments behind `capstan`. */
const CALLS: Record<string, string[]> = {
  Dockerfile: ["serve", ...JSON.parse(directive("CMD"))],
  "compose.yaml": ["serve", ...compose.command],
  "kubernetes.yaml": ["serve", ...container.args],
  "capstan.service": unit.ExecStart!.split(" ").slice(2),
};
const option = (call: readonly string[], name: string) => call[call.indexOf(name) + 1];
const PORT = "8080";

const cli = new Command();
addServe(cli);
addPolicy(cli);

describe("what they start", () => {
  it.each(Object.entries(CALLS))("%s: the verb's own options, and its port", (_, [verb, ...args]) => {
    const command = cli.commands.find((one) => one.name() === verb)!;
    const known = command.options.map(({ long }) => long);
    expect(known).toEqual(expect.arrayContaining(args.filter((arg) => arg.startsWith("--"))));
    expect(option(args, "--port")).toBe(PORT);
    expect(option(args, "--policy")).toBe("/etc/capstan/policy.json");
  });

  it("is reached where it should be: all addresses in a container, loopback behind a proxy", () => {
    const hosts = Object.entries(CALLS).map(([name, call]) => [name, option(call, "--host")]);
    expect(Object.fromEntries(hosts)).toEqual({
      Dockerfile: "0.0.0.0",
      "compose.yaml": "0.0.0.0",
      "kubernetes.yaml": "0.0.0.0",
      "capstan.service": "127.0.0.1",
    });
    expect(JSON.parse(directive("ENTRYPOINT"))).toEqual(["node", "node_modules/.bin/capstan", "serve"]);
    expect(unit.ExecStart).toMatch(/ node_modules\/\.bin\/capstan serve /);
  });

  it("every command of the page has options that there are", () => {
    const called = [...page.matchAll(/capstan (policy \w+|serve)([^`\n#]*)/g)];
    expect(called.length).toBeGreaterThan(2);
    for (const [, verb, rest] of called) {
      const path = verb!.split(" ");
      let command = cli.commands.find((one) => one.name() === path[0])!;
      if (path[1] !== undefined) command = command.commands.find((one) => one.name() === path[1])!;
      expect(command, verb).toBeDefined();
      const flags = rest!.match(/--[\w-]+/g) ?? [];
      expect(command.options.map(({ long }) => long)).toEqual(expect.arrayContaining(flags));
    }
  });
});

describe("they agree", () => {
  it("on the port", () => {
    expect(directive("EXPOSE")).toBe(PORT);
    expect(compose.ports.map((one: string) => one.split(":").at(-1))).toEqual([PORT]);
    expect(container.ports).toEqual([{ name: "http", containerPort: Number(PORT) }]);
    expect(manifest("Service").spec.ports[0].targetPort).toBe("http");
    expect(directive("HEALTHCHECK")).toContain(`127.0.0.1:${PORT}/ready`);
    expect(/server 127\.0\.0\.1:(\d+);/.exec(read("nginx.conf"))![1]).toBe(PORT);
    expect(/reverse_proxy 127\.0\.0\.1:(\d+) /.exec(read("Caddyfile"))![1]).toBe(PORT);
  });

  it("on the time that running requests are given", () => {
    const seconds = (text: string) => Number.parseFloat(text);
    for (const { limits } of Object.values(policies)) {
      const { drain_s, deadline_s } = readPolicy({ ...policies["policy.json"]!, limits }, "p").limits;
      expect(seconds(compose.stop_grace_period)).toBeGreaterThan(drain_s);
      expect(seconds(unit.TimeoutStopSec!)).toBeGreaterThan(drain_s);
      const pre_stop = seconds(container.lifecycle.preStop.exec.command.at(-1));
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(drain_s + pre_stop);
      expect(seconds(/proxy_read_timeout (\w+);/.exec(read("nginx.conf"))![1]!)).toBeGreaterThan(deadline_s);
    }
    expect([directive("STOPSIGNAL"), unit.KillSignal, unit.SuccessExitStatus]).toEqual([
      "SIGTERM",
      "SIGTERM",
      "143",
    ]);
    expect(unit.ExecReload).toContain("-HUP");
  });

  it("on the API's own paths, which answer", async () => {
    const app = createApp({ models: { tiny: model } });
    const { startupProbe, livenessProbe, readinessProbe } = container;
    const probes = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path);
    const others = [
      /health_uri (\S+)/.exec(read("Caddyfile"))![1]!,
      /location = (\S+)/.exec(read("nginx.conf"))![1]!,
    ];
    expect([...probes, ...others]).toEqual(["/health", "/health", "/ready", "/ready", "/metrics"]);
    for (const path of new Set([...probes, ...others])) expect((await get(app, path)).status, path).toBe(200);
  });

  it("on names: volumes, labels, images", () => {
    const volumes = pod.volumes.map(({ name }: { name: string }) => name).sort();
    expect(container.volumeMounts.map(({ name }: { name: string }) => name).sort()).toEqual(volumes);
    const { app } = manifest("Deployment").spec.template.metadata.labels;
    for (const kind of ["Deployment", "PodDisruptionBudget"])
      expect(manifest(kind).spec.selector.matchLabels).toEqual({ app });
    expect(manifest("Service").spec.selector).toEqual({ app });
    expect(pod.volumes[0].configMap.name).toBe(manifest("ConfigMap").metadata.name);
    expect(container.image).toBe(compose.image);
    expect(manifest("Deployment").spec.replicas).toBeGreaterThan(1);
  });
});

describe("the policies", () => {
  it.each(Object.entries(policies))("%s: is one, and serves nobody until it has a key", (_, policy) => {
    const { keys, anonymous } = readPolicy(policy, "p");
    expect([keys, anonymous]).toEqual([{}, false]);
  });

  it("are started by the command as it is called, which is ready and asks for a key", async () => {
    buildDist();
    const bin = join(root, "bin", "capstan.mjs");
    const checked = spawnSync(process.execPath, [bin, "policy", "check", join(folder, "policy.json")], {
      encoding: "utf8",
    });
    expect(checked.status, checked.stderr).toBe(0);
    const replaced: Record<string, string> = {
      "/etc/capstan/policy.json": join(folder, "policy.json"),
      "0.0.0.0": "127.0.0.1",
      [PORT]: "0",
    };
    const args = CALLS.Dockerfile!.map((arg) => replaced[arg] ?? arg);
    const child = spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    const origin = await new Promise<string>((resolve, reject) => {
      let said = "";
      child.stdout.on("data", (chunk) => {
        said += chunk;
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (found !== null) resolve(found[0]);
      });
      ended.then(() => reject(new Error(said)));
    });
    const status = async (path: string) => (await fetch(`${origin}${path}`)).status;
    expect([await status("/ready"), await status("/health"), await status("/v1/models")]).toEqual([
      200, 200, 401,
    ]);
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
  });
});

describe("paths", () => {
  it("that the image is made of are in the repository, and those of the package in it", () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(\S+) /gm)].map(([, path]) => path!);
    expect(copied).toContain("edge-worker/deploy/policy.json");
    for (const path of copied) expect(existsSync(join(root, path)), path).toBe(true);
    expect(existsSync(join(folder, compose.build.context, compose.build.dockerfile))).toBe(true);
    expect(compose.volumes[0]).toMatch(/^\.\/policy\.json:/);
    const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
    expect(files).toContain("edge-worker/deploy");
    buildDist();
    for (const path of [wrangler.main, wrangler.assets.directory]) {
      const inside = path.replace("node_modules/capstan/", "");
      expect(existsSync(join(root, inside)), path).toBe(true);
    }
    expect(existsSync(join(root, "models", wrangler.vars.MODEL.replace("assets:", "")))).toBe(true);
  });

  it("of every file here are on the page, and lead somewhere", () => {
    const linked = [...page.matchAll(/\]\(\.\.\/edge-worker\/deploy\/([^)]+)\)/g)].map(([, name]) => name!);
    for (const name of linked) expect(existsSync(join(folder, name)), name).toBe(true);
    const own = readdirSync(folder).filter((name) => !/\.test\.ts$|dockerignore$/.test(name));
    for (const name of own) expect(page, name).toContain(name);
  });
});

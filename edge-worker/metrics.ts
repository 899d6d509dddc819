import type { ServedModel } from "./service/served_model.ts";
import type { Service } from "./service/service.ts";

/**
 * Counters, histograms and gauges in Prometheus' text format. Not a library: those there are read the process, which
 * workers do not have (`ProcessWatch` does where there is one).
 */

type Labels = Readonly<Record<string, string>>;

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

class Counter {
  readonly name: string;
  readonly help: string;
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(labels: Labels, by = 1): void {
    const key = written(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  lines(): string[] {
    return [
      ...heading(this, "counter"),
      ...[...this.#values].map(([key, value]) => `${this.name}${key} ${value}`),
    ];
  }
}

/** How often values were at most each of some bounds. */
export class Histogram {
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #values = new Map<string, { labels: Labels; counts: number[]; sum: number; n: number }>();

  constructor(name: string, help: string, bounds: readonly number[] = SECONDS) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
  }

  observe(labels: Labels, seconds: number): void {
    const key = written(labels);
    const known = this.#values.get(key) ?? { labels, counts: this.#bounds.map(() => 0), sum: 0, n: 0 };
    for (const [i, bound] of this.#bounds.entries()) if (seconds <= bound) known.counts[i]!++;
    known.sum += seconds;
    known.n++;
    this.#values.set(key, known);
  }

  lines(): string[] {
    const series = [...this.#values].flatMap(([key, { labels, counts, sum, n }]) => [
      ...this.#bounds.map(
        (le, i) => `${this.name}_bucket${written({ ...labels, le: String(le) })} ${counts[i]}`,
      ),
      `${this.name}_bucket${written({ ...labels, le: "+Inf" })} ${n}`,
      `${this.name}_sum${key} ${sum}`,
      `${this.name}_count${key} ${n}`,
    ]);
    return [...heading(this, "histogram"), ...series];
  }
}

/** What the server counts. Labels hold names of the policy and of routes, never a request's own text. */
export class Metrics {
  readonly requests = new Counter("capstan_http_requests_total", "Requests by route and status.");
  readonly duration = new Histogram(
    "gen_ai_server_request_duration_seconds",
    "From a request to its last byte.",
  );
  readonly first_token = new Histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "From a request to its first token.",
  );
  readonly tokens = new Counter(
    "capstan_tokens_total",
    "Tokens by model and type: prompt, cached (of these), completion.",
  );
  readonly positions = new Counter("capstan_cap_positions_total", "Positions of replies under a cap.");
  readonly touched = new Counter("capstan_cap_touched_total", "Positions of these that the cap moved.");
  readonly alerts = new Counter(
    "capstan_drift_alerts_total",
    "Conversations that drifted, by what the policy did.",
  );

  /** @param others lines of others, such as of the process */
  text(service: Service, others: readonly string[]): string {
    const own = [
      this.requests,
      this.duration,
      this.first_token,
      this.tokens,
      this.positions,
      this.touched,
      this.alerts,
    ];
    return `${[...own.flatMap((one) => one.lines()), ...gauges(service), ...others].join("\n")}\n`;
  }
}

function gauges(service: Service): string[] {
  const models = [...(service.current?.models.values() ?? [])];
  return [
    ...gauge("capstan_draining", "Whether the server is shutting down.", [[{}, Number(service.is_draining)]]),
    ...gauge("capstan_sequences", "Sequences by model and state.", models.flatMap(sequences)),
    ...gauge(
      "capstan_kv_blocks",
      "Blocks of the KV cache: used, of these cached, and in all.",
      models.flatMap(blocks),
    ),
  ];
}

type Sample = readonly [Labels, number];

function sequences({ name, holder }: ServedModel): Sample[] {
  const stats = holder.loaded?.stats();
  if (stats === undefined) return [];
  return [
    [{ model: name, state: "running" }, stats.n_running],
    [{ model: name, state: "waiting" }, stats.n_waiting],
  ];
}

function blocks({ name, holder }: ServedModel): Sample[] {
  const counts = holder.loaded?.stats().kv_blocks;
  return counts === undefined
    ? []
    : Object.entries(counts).map(([state, n]) => [{ model: name, state }, n] as const);
}

/** A value by its labels, as it is now. */
export function gauge(name: string, help: string, samples: readonly Sample[]): string[] {
  return [
    ...heading({ name, help }, "gauge"),
    ...samples.map(([labels, value]) => `${name}${written(labels)} ${value}`),
  ];
}

function heading({ name, help }: { name: string; help: string }, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function written(labels: Labels): string {
  const quoted = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${quoted(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

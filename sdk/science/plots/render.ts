import type { TopLevelSpec } from "vega-lite";
import { CapstanError, show } from "../../../models/index.ts";
import { writeFileAtomic } from "../../platform/index.ts";

/** Draws vega-lite specs. The libraries are large and optional, so they are loaded when a plot is asked for. */

/**
 * A plot as data: a vega-lite specification, `TopLevelSpec` of vega-lite's types. These types are not named here, for
 * the package may be missing where a program is checked, and they need the DOM's.
 */
export type PlotSpec = object;

/**
 * A plot as SVG text.
 *
 * @throws CapstanError `unsupported` when vega and vega-lite are not installed
 * @example
 * const svg = await toSvg(plot("persona-space", axis));
 */
export async function toSvg(spec: PlotSpec): Promise<string> {
  const [vega, lite] = await Promise.all([
    optional("vega", () => import("vega")),
    optional("vega-lite", () => import("vega-lite")),
  ]);
  const compiled = lite.compile(spec as TopLevelSpec, { logger: vega.logger(vega.Error) }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none", logLevel: vega.Error });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/**
 * A plot as the bytes of a PNG.
 *
 * @param scale pixels of the picture for one of the plot's
 * @throws CapstanError `unsupported` when `@resvg/resvg-js` is not installed, or the system has no fonts
 */
async function toPng(spec: PlotSpec, scale = 2): Promise<Uint8Array> {
  const { Resvg } = await optional("@resvg/resvg-js", () => import("@resvg/resvg-js"));
  const options = {
    fitTo: { mode: "zoom" as const, value: scale },
    background: "white",
    font: { loadSystemFonts: true, defaultFontFamily: "DejaVu Sans" },
  };
  const probe = '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="20"><text y="15">Ag</text></svg>';
  if (new Resvg(probe, options).getBBox() === undefined) {
    const need = "a font in the system, for the text";
    const fix = "Install one (fonts-dejavu-core on Debian), or write .svg.";
    throw new CapstanError("unsupported", { action: "draw a PNG", need, found: "none", fix });
  }
  return new Resvg(await toSvg(spec), options).render().asPng();
}

/**
 * Writes a plot as its file name says: `.svg` or `.png`.
 *
 * @example
 * await savePlot(plot("drift", [conversation]), "drift.svg");
 */
export async function savePlot(spec: PlotSpec, path: string): Promise<void> {
  if (path.endsWith(".svg")) return await writeFileAtomic(path, await toSvg(spec));
  if (path.endsWith(".png")) return await writeFileAtomic(path, await toPng(spec));
  throw new CapstanError("bad_request", {
    action: "save a plot",
    need: "a path that ends in .svg or .png",
    found: show(path),
  });
}

/**
 * Whether PNGs can be drawn here; when not, SVG is what remains.
 *
 * @example
 * const ending = (await canDrawPng()) ? "png" : "svg";
 */
export async function canDrawPng(): Promise<boolean> {
  try {
    await toPng({ data: { values: [] }, mark: "point" }, 1);
    return true;
  } catch (error) {
    if (error instanceof CapstanError) return false;
    throw error;
  }
}

async function optional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const fix = "Install the plots' packages: npm install vega vega-lite @resvg/resvg-js.";
    const parts = {
      action: "draw a plot",
      need: `the optional package ${name}`,
      found: "it cannot be loaded",
      fix,
    };
    throw new CapstanError("unsupported", parts, { cause });
  }
}

/** Elements as data: for the page's own document, and for a file that is exported. */

export interface Markup {
  tag: string;
  attributes: Readonly<Record<string, string | number>>;
  children: readonly (Markup | string)[];
}

/** @param attributes those that are undefined are left out */
export function markup(
  tag: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: (Markup | string | null)[]
): Markup {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return {
    tag,
    attributes: Object.fromEntries(given) as Record<string, string | number>,
    children: children.filter((child) => child !== null),
  };
}

/** Elements of HTML that have no end tag. */
const VOID = new Set(["meta", "br", "hr", "link", "img"]);

/** As text of HTML, every character of text and attributes escaped where it has a meaning. */
export function toHtml(node: Markup | string): string {
  if (typeof node === "string") return escapeHtml(node);
  const { tag, attributes, children } = node;
  const given = Object.entries(attributes).map(([name, value]) => ` ${name}="${escapeHtml(String(value))}"`);
  const inner = tag === "style" ? children.join("") : children.map(toHtml).join("");
  return VOID.has(tag) ? `<${tag}${given.join("")}>` : `<${tag}${given.join("")}>${inner}</${tag}>`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "circle", "line", "rect", "text", "tspan", "title", "desc"]);

/** As elements of the document. */
export function toElement({ tag, attributes, children }: Markup): Element {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  for (const child of children) element.append(typeof child === "string" ? child : toElement(child));
  return element;
}

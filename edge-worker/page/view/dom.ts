/** Elements of the document with their listeners, in one call. */

type Props<T extends keyof HTMLElementTagNameMap> = {
  [Name in keyof HTMLElementTagNameMap[T]]?: HTMLElementTagNameMap[T][Name] | undefined;
} & {
  /** Attributes by name; undefined and false leave one out. */
  attrs?: Readonly<Record<string, string | number | boolean | undefined>>;
  on?: { [Type in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Type]) => void };
};

export function el<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  { attrs = {}, on = {}, ...properties }: Props<T> = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  setAttributes(element, attrs);
  for (const [type, listener] of Object.entries(on))
    element.addEventListener(type, listener as (event: Event) => void);
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function setAttributes(
  element: Element,
  attrs: Readonly<Record<string, string | number | boolean | undefined>>,
): void {
  for (const [name, value] of Object.entries(attrs)) {
    if (value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** An element of the page by its id. */
export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element #${id}.`);
  return element as T;
}

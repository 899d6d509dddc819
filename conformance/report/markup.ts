/** Text as markup may hold it, in an attribute too; characters that XML has no place for are left out. */
export function escapeMarkup(text: string | number): string {
  return String(text)
    .replace(XML_LACKS, "\uFFFD")
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const XML_LACKS = /[^\P{Cc}\t\n\r]|\p{Cs}|[\uFFFE\uFFFF]/gu;

/** An element with what is already markup inside. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...inner: readonly string[]
): string {
  const said = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeMarkup(value)}"`);
  return `<${name}${said.join("")}>${inner.join("")}</${name}>`;
}

import type { Message } from "../../types.ts";

/** A message's content as one text: its parts' texts joined, nothing between them. */
export function contentText({ content }: Pick<Message, "content">): string {
  return typeof content === "string" ? content : content.map(({ text }) => text).join("");
}

import { CapstanError, isObject, show } from "../../../models/index.ts";
import type { Message } from "../../types.ts";

/** Roles that every chat template means, or refuses by itself. */
const KNOWN: readonly string[] = ["system", "user", "assistant", "tool"];

/**
 * Refuses a transcript with a role that no model was trained on: most templates write whatever name they are given into
 * the chat. A role of the family's own is one that the template names.
 *
 * @param chat_template its source; null where it is not known
 * @throws CapstanError `bad_request`
 */
export function checkRoles(messages: readonly Message[], chat_template: string | null, action: string): void {
  for (const [turn, message] of messages.entries()) {
    // What is no message is refused by whoever renders the chat.
    const role: unknown = isObject(message) ? message.role : undefined;
    if (typeof role !== "string" || KNOWN.includes(role)) continue;
    if (chat_template?.includes(`'${role}'`) || chat_template?.includes(`"${role}"`)) continue;
    throw new CapstanError("bad_request", {
      action,
      need: `roles that the chat template knows (${KNOWN.join(", ")})`,
      found: `${show(role)} in message ${turn}`,
      fix: "What the model is to play goes into a system message.",
    });
  }
}

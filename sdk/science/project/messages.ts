import { CapstanError, show } from "../../../models/index.ts";
import type { Message } from "../../types.ts";

/** Reads messages. Throws `bad_file`. */
export function checkMessages(value: unknown, where: string): Message[] {
  const isMessage = (message: Partial<Message> | null) =>
    typeof message?.role === "string" && typeof message.content === "string";
  if (Array.isArray(value) && value.length > 0 && value.every(isMessage)) return value;
  const need = "messages [{ role, content }, ...]";
  throw new CapstanError("bad_file", { action: `read ${where}`, need, found: show(value) });
}

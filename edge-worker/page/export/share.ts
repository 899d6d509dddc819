import { itemAt } from "../../../models/certain.ts";
import type { Conversation } from "../state/conversation.ts";
import { meanOf } from "../state/conversation.ts";
import { type ReplySnapshot, readSnapshot, type Snapshot, snapshotOf } from "./snapshot.ts";

/** A conversation in the fragment of a link, which no server is sent: JSON, deflated, in base64url. */

const NAME = "chat=";
/** Characters of a link that every program passes on. Beyond, the readings of single tokens are left out. */
const LONG = 16_000;
/** What a fragment may unfold to, in bytes. */
const MOST_BYTES = 8_000_000;

export async function toFragment(conversation: Conversation): Promise<string> {
  const snapshot = rounded(snapshotOf(conversation));
  const whole = await pack(snapshot);
  return `#${NAME}${whole.length <= LONG ? whole : await pack(withoutTokens(snapshot, conversation))}`;
}

/** @returns null where a fragment holds no conversation @throws Error that says why it cannot be read */
export async function fromFragment(fragment: string): Promise<ReturnType<typeof readSnapshot> | null> {
  const text = fragment.replace(/^#/, "");
  if (!text.startsWith(NAME)) return null;
  let json: string;
  try {
    json = new TextDecoder("utf-8", { fatal: true }).decode(
      await unpack(fromBase64(text.slice(NAME.length))),
    );
  } catch {
    throw new Error("The link is cut off or damaged.");
  }
  return readSnapshot(JSON.parse(json));
}

/** Numbers with as many digits as are shown. */
function rounded(snapshot: Snapshot): Snapshot {
  const text = JSON.stringify(snapshot, (name, value: unknown) =>
    typeof value === "number" && (name === "before" || name === "after" || name === "mean_shift")
      ? Number(value.toPrecision(4))
      : value,
  );
  return JSON.parse(text) as Snapshot;
}

function withoutTokens(snapshot: Snapshot, { turns }: Conversation): Snapshot {
  for (const [i, turn] of snapshot.turns.entries()) {
    for (const [column, reply] of turn.replies.entries()) {
      const state = itemAt(turns, i).replies[column];
      if (reply === null || !state) continue;
      const [before, after] = [meanOf(state, "before"), meanOf(state, "after")];
      reply.means = { ...(before === null ? {} : { before }), ...(after === null ? {} : { after }) };
      reply.tokens = joined(reply.tokens);
    }
  }
  return snapshot;
}

/** Neighbouring tokens of one kind as one, without readings. */
function joined(tokens: ReplySnapshot["tokens"]): ReplySnapshot["tokens"] {
  const out: ReplySnapshot["tokens"] = [];
  for (const { text, reasoning } of tokens) {
    const last = out.at(-1);
    if (last !== undefined && last.reasoning === reasoning) last.text += text;
    else out.push({ text, ...(reasoning === undefined ? {} : { reasoning }) });
  }
  return out;
}

async function pack(snapshot: Snapshot): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(snapshot));
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return toBase64(new Uint8Array(await new Response(packed).arrayBuffer()));
}

async function unpack(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MOST_BYTES) throw new Error("too large");
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

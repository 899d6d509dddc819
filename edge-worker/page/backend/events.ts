/** Server-sent events as they come over fetch: the `data` of each. */

/**
 * Reads events out of a body, whatever pieces it comes in. Fields other than `data` and comments are passed over, as the
 * format has it; an event without its closing blank line is not one.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      let at = 0;
      for (;;) {
        const end = lineEnd(text, at, done);
        if (end === null) break;
        const line = text.slice(at, end.from);
        at = end.to;
        if (line !== "") {
          const [, name = "", rest = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
          if (name === "data") data.push(rest);
        } else if (data.length > 0) {
          yield data.join("\n");
          data = [];
        }
      }
      text = text.slice(at);
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Where the next line ends and the one after it begins. A CR at the end of what has come may be half of CRLF. */
function lineEnd(text: string, at: number, is_all: boolean): { from: number; to: number } | null {
  const match = /\r\n|\r|\n/g;
  match.lastIndex = at;
  const found = match.exec(text);
  if (found === null) return null;
  if (found[0] === "\r" && !is_all && found.index === text.length - 1) return null;
  return { from: found.index, to: found.index + found[0].length };
}

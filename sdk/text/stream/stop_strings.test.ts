import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStrings } from "./stop_strings.ts";

function run(stops: string[], texts: string[]): { text: string; stopped: boolean; ids: number[] } {
  const machine = new StopStrings<number>(stops);
  const out: { token: number; text: string }[] = [];
  for (const [token, text] of texts.entries()) {
    const step = machine.push({ token, text });
    out.push(...step.out);
    if (step.stopped)
      return { text: out.map((p) => p.text).join(""), stopped: true, ids: out.map((p) => p.token) };
  }
  out.push(...machine.flush().out);
  return { text: out.map((p) => p.text).join(""), stopped: false, ids: out.map((p) => p.token) };
}

describe("stop strings", () => {
  it("end the text before the stop, even when it spans tokens", () => {
    expect(run(["END"], ["ab", "E", "N", "Dx"])).toEqual({ text: "ab", stopped: true, ids: [0] });
    expect(run(["END"], ["abE", "ND"])).toEqual({ text: "ab", stopped: true, ids: [0] });
    expect(run(["END"], ["E", "N", "x"])).toEqual({ text: "ENx", stopped: false, ids: [0, 1, 2] });
  });

  it("hold back a token without text until the next, so that a character's bytes go out together", () => {
    const machine = new StopStrings<number>([]);
    expect(machine.push({ token: 0, text: "" }).out).toEqual([]);
    expect(machine.push({ token: 1, text: "é" }).out.map((piece) => piece.token)).toEqual([0, 1]);
  });

  it("hold back a token whose text is still to come, and give it what comes at the end", () => {
    const machine = new StopStrings<number>(["!"]);
    expect(machine.push({ token: 0, text: "a" }).out).toEqual([{ token: 0, text: "a" }]);
    expect(machine.push({ token: 1, text: " " }, true).out).toEqual([]);
    expect(machine.flush("\ufffd")).toEqual({ out: [{ token: 1, text: " \ufffd" }], stopped: false });
    expect(machine.push({ token: 2, text: "b" }, true).out).toEqual([]);
    expect(machine.flush("?!x")).toEqual({ out: [{ token: 2, text: "b?" }], stopped: true });
  });

  it("give exactly the text before the first stop, however it is cut into tokens", () => {
    const letters = fc.stringMatching(/^[ab]{0,4}$/);
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 12 }),
        fc.array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 3 }),
        (texts, stops) => {
          const result = run(stops, texts);
          let seen = "";
          let at = -1;
          for (const text of texts) {
            seen += text;
            const found = stops.map((stop) => seen.indexOf(stop)).filter((index) => index >= 0);
            if (found.length > 0) {
              at = Math.min(...found);
              break;
            }
          }
          expect(result.stopped).toBe(at >= 0);
          expect(result.text).toBe(at >= 0 ? seen.slice(0, at) : texts.join(""));
        },
      ),
    );
  });
});

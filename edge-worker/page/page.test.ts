import { describe, expect, it } from "vitest";
import { sha256 } from "../../sdk/platform/index.ts";
import { lacks } from "../../testing/parts.ts";
import { exported, idle, ready, send, Visitor } from "./fixtures/visitor.ts";
import { SCRIPTS } from "./state/presets.ts";

describe.skipIf(lacks("chromium"))("the page on a server", () => {
  const visitor = new Visitor();

  it("answers in two columns, tints tokens and draws the drift; a point of the chart leads to its turn", async () => {
    const page = await visitor.open();
    await send(page, "You are a pirate of the storm! Who are you?");
    await send(page, "What colour is the sky?");
    expect(await page.locator(".turn").count()).toBe(2);
    expect(await page.locator(".reply .text").allInnerTexts()).toSatisfy((texts: string[]) =>
      texts.every((text) => text.length > 3),
    );
    expect(await page.locator(".reply .token.high, .reply .token.low").count()).toBeGreaterThan(20);
    expect(await page.locator(".mean").first().innerText()).toMatch(
      /^mean −?[\d.]+, . (above|below) the floor$/,
    );
    await page.locator(".reply .token").first().hover();
    expect(await page.locator("#tip").innerText()).toMatch(/^−?[\d.]+ at layer 4\n.*floor 42\.9$/s);
    expect(await page.locator(".chart .point").count()).toBe(4);
    await page.evaluate("scrollTo(0, document.body.scrollHeight)");
    await page.getByRole("button", { name: /^Turn 1, Uncapped: / }).click();
    expect(await page.evaluate("document.activeElement.id")).toBe("turn-1");
    expect(await page.locator("#turn-1").getAttribute("class")).toContain("shown");
    expect(visitor.asked.filter((path) => path === "/v1/chat/completions")).toHaveLength(4);
  });

  it("shows the readings before or after the cap", async () => {
    const page = await visitor.open();
    await page.getByRole("button", { name: "Pirate" }).click();
    await send(page, "Who are you?");
    const means = () => page.locator(".mean").allInnerTexts();
    const after = await means();
    await page.getByText("before cap").click();
    await expect.poll(means).not.toEqual(after);
    const [plain, capped] = await means();
    expect(plain).toBe(after[0]);
    const number = (text: string | undefined) => Number(/[−\d.]+/.exec(text!)![0].replace("−", "-"));
    expect(number(capped)).toBeLessThan(number(after[1]));
  });

  it("undoes, regenerates, edits and stops", async () => {
    const page = await visitor.open();
    await send(page, "Who are you?");
    await send(page, "Rise from the pit and answer me!");
    await page.getByRole("button", { name: "Undo" }).click();
    expect(await page.locator(".turn").count()).toBe(1);
    expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe(
      "Rise from the pit and answer me!",
    );
    const texts = () => page.locator(".reply .text").allInnerTexts();
    const first = await texts();
    await page.getByLabel("Seed, empty for any").fill("99");
    await page.getByLabel("Seed, empty for any").blur();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await idle(page);
    const second = await texts();
    expect(second).not.toEqual(first);
    await page.getByLabel("Seed, empty for any").fill("1");
    await page.getByLabel("Seed, empty for any").blur();
    await page.getByRole("button", { name: "Again: Capped: p50" }).click();
    await idle(page);
    expect(await texts()).toEqual([second[0], first[1]]);
    await page.getByRole("button", { name: "Edit turn 1" }).click();
    await page.getByLabel("Message of turn 1").fill("What is in the box?");
    await page.getByRole("button", { name: "Send again from here" }).click();
    await idle(page);
    expect(await page.locator(".user p").allInnerTexts()).toEqual(["What is in the box?"]);
    expect(await page.locator(".reply").count()).toBe(2);
    await page.getByRole("button", { name: "New" }).click();
    const script = SCRIPTS[1]!;
    await page.getByRole("button", { name: script.name }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    await idle(page);
    expect(await page.locator(".turn").count()).toBeLessThan(script.turns.length);
  });

  it("plays a prepared conversation in which the uncapped column gives the code away and the capped keeps it", async () => {
    const page = await visitor.open();
    await page.getByRole("button", { name: "A code in the notes" }).click();
    await idle(page);
    const [plain, capped] = await page.locator("#turn-3 .reply .text").allInnerTexts();
    expect(plain).toContain("red heron 3");
    expect(capped).not.toContain("red heron");
    expect(await page.locator("#turn-3 .mean").allInnerTexts()).toEqual([
      expect.stringContaining("▼ below the floor"),
      expect.stringContaining("▲ above the floor"),
    ]);
  });

  it("shares by a link that needs no server's memory, and exports what opens again", async () => {
    const page = await visitor.open();
    await send(page, "Who are you?");
    await page.getByRole("button", { name: "Share" }).click();
    await expect.poll(() => page.locator("#status").innerText()).toContain("Link copied");
    const link = (await page.evaluate("navigator.clipboard.readText()")) as string;
    const texts = await page.locator(".reply .text").allInnerTexts();
    const means = await page.locator(".mean").allInnerTexts();
    visitor.asked = [];
    const other = await visitor.openAt(link);
    await other.locator(".reply").nth(1).waitFor();
    expect(await other.locator(".reply .text").allInnerTexts()).toEqual(texts);
    expect(await other.locator(".mean").allInnerTexts()).toEqual(means);
    expect(visitor.asked).not.toContain("/v1/chat/completions");
    await send(other, "And then?");
    await visitor.openAt(`${link.slice(0, -9)}`).then(async (broken) => {
      await expect.poll(() => broken.locator("#status").innerText()).toBe("The link is cut off or damaged.");
    });
    const json = await exported(page, "JSON");
    expect(json.name).toBe("capstan-chat.json");
    expect(JSON.parse(json.text).turns[0].replies).toHaveLength(2);
    expect((await exported(page, "Markdown")).text).toContain("**Capped: p50** (mean projection");
    const html = await exported(page, "Page with chart");
    const alone = await visitor.context.newPage();
    await alone.goto(`data:text/html;charset=utf-8,${encodeURIComponent(html.text)}`);
    expect(await alone.locator("svg .point").count()).toBe(2);
    expect(await alone.locator("section .text").allInnerTexts()).toEqual(texts);
    await page.getByRole("button", { name: "New" }).click();
    await page.locator("input[type=file]").setInputFiles(json.path);
    await page.locator(".reply").nth(1).waitFor();
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
  });

  it("is used with the keyboard alone", async () => {
    const page = await visitor.open();
    const focus = () =>
      page.evaluate(
        "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent",
      );
    const tabTo = async (name: string | RegExp) => {
      for (let i = 0; i < 60; i++) {
        const now = (await focus()) as string;
        if (typeof name === "string" ? now === name : name.test(now)) return;
        await page.keyboard.press("Tab");
      }
      throw new Error(`the keyboard does not come to ${name}`);
    };
    expect(await focus()).toBe("message");
    await page.keyboard.type("Who are you?");
    await page.keyboard.press("Enter");
    await idle(page);
    expect(await focus()).toBe("message");
    await page.locator(".skip").focus();
    await tabTo(/^Turn 1, Uncapped/);
    await page.keyboard.press("Enter");
    expect(await focus()).toBe("turn-1");
    await tabTo(/^Uncapped, reply/);
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#tip").innerText()).toMatch(/at layer 4/);
    const first = await page.locator("#token").innerText();
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#token").innerText()).not.toBe(first);
    await tabTo("message");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    expect(await page.locator("#message").inputValue()).toBe("one\ntwo");
    await page.locator(".skip").focus();
    await tabTo(/^Edit turn 1/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    expect(await focus()).toBe("Edit turn 1");
    await page.locator("[name=side][value=after]").focus();
    await page.keyboard.press("ArrowLeft");
    expect(await page.locator("[name=side][value=before]").isChecked()).toBe(true);
    await page.locator(".skip").focus();
    await tabTo("Export");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await focus()).toBe("JSON");
    await page.keyboard.press("Escape");
    expect(await focus()).toBe("Export");
  });

  it("asks for a key where the server wants one, and shows a pinned cap alone", async () => {
    const key = "a-key-of-this-test";
    const digest = await sha256(key);
    const guarded = await visitor.serve(({ models: { "capstan-tiny": tiny }, ...policy }) => ({
      ...policy,
      models: { "capstan-tiny": { ...tiny!, default_cap: "p50", pinned: true } },
      keys: { me: { sha256: digest } },
    }));
    const page = await visitor.openAt(`${guarded.origin}/`);
    await page.getByLabel(/^API key/).fill("wrong");
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel(/^API key/).fill(key);
    await page.getByRole("button", { name: "Use it" }).click();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply-head strong").allInnerTexts()).toEqual(["Capped: p50"]);
    expect(await page.locator(".head select").isDisabled()).toBe(true);
    visitor.faults = visitor.faults.filter((fault) => !fault.includes("401"));
    await page.close();
    await guarded.close(AbortSignal.abort());
  });
});

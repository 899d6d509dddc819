import { describe, expect, it } from "vitest";
import { lacks } from "../../testing/parts.ts";
import { idle, Visitor, violationsOf } from "./fixtures/visitor.ts";

describe.skipIf(lacks("chromium"))("the page", () => {
  const visitor = new Visitor();

  it.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 390],
    ["dark", 390],
  ] as const)("has nothing that axe objects to, %s at %i pixels, and fits", async (scheme, width) => {
    await visitor.renew({ viewport: { width, height: 800 }, colorScheme: scheme });
    const page = await visitor.openLocal();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe(scheme);
    const violations: string[] = await violationsOf(page, "the start");
    await page.getByRole("button", { name: "A code in the notes" }).click();
    await idle(page);
    violations.push(...(await violationsOf(page, "a conversation")));
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    const [first, second] = await Promise.all(
      [0, 1].map((i) => page.locator("#turn-1 .reply").nth(i).boundingBox()),
    );
    if (width === 390) expect(second!.y).toBeGreaterThan(first!.y + first!.height);
    else expect(second!.x).toBeGreaterThan(first!.x + first!.width);
    await page.locator(".head").nth(1).locator("select").selectOption("Own cap");
    await page.getByRole("button", { name: "Edit turn 2" }).click();
    await page.getByText("Export").click();
    violations.push(...(await violationsOf(page, "menus")));
    await page.getByRole("button", { name: "Models…" }).click();
    violations.push(...(await violationsOf(page, "the dialog")));
    expect(violations).toEqual([]);
    await page.keyboard.press("Escape");
    const other = scheme === "dark" ? "light" : "dark";
    await page.getByRole("button", { name: `${other === "dark" ? "Dark" : "Light"} theme` }).click();
    await page.reload();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe(other);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The demo page, as `npm run demo:browser` serves it: it finds the 132 ms, the bound holds whatever the slider does, NTS and
 * Roughtime are proven and the impostor is not; by keyboard, without complaints, on a phone. Leaves screenshots in
 * .cache/screenshots, to be looked at.
 */
import { mkdirSync } from "node:fs";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Peer, untilReady } from "../support/peers.ts";
import { chromiumPath, openBrowser } from "./stage.ts";

const missing = chromiumPath() === undefined;
const FOLDER = ".cache/screenshots";
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

describe.skipIf(missing)("the demo page", () => {
  let browser: Browser;
  let peer: Peer;
  let page: Page;
  const complaints: string[] = [];
  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    browser = await openBrowser();
    peer = new Peer(process.execPath, ["build/demo-browser.mjs", "--port=0", "--as-built"]);
    const url = await untilReady("the demo to serve", () => /http:\S+/.exec(peer.stdout)?.[0], peer);
    page = await browser.newPage({ colorScheme: "light", viewport: DESKTOP });
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(url);
  });
  afterAll(async () => {
    await browser?.close();
    await peer?.stop();
  });

  test("tells how slow this computer is", async () => {
    await page.locator("#verdict", { hasText: /your computer is \d+\sms slow ±\s\d/ }).waitFor({ timeout: 120_000 });
    const verdict = (await page.textContent("#verdict"))!;
    expect(Math.abs(Number(/(\d+)\sms slow/.exec(verdict)![1]) - 132)).toBeLessThan(40);
  });

  test("tells who signed what: NTS and Roughtime are proven in the page, the relay's own word and an impostor's are not", async () => {
    await page.locator("#signed tr.refused").waitFor({ timeout: 120_000 });
    await page.locator("#signed tr.proven").nth(2).waitFor({ timeout: 120_000 });
    const rows = await page.locator("#signed tr").evaluateAll((all) => all.map((row) => [row.className, row.firstElementChild!.textContent]));
    expect(rows).toEqual([["unsigned", "the relay itself"], ["proven", "NTS"], ["proven", "Roughtime, Ada"], ["proven", "Roughtime, Bo"], ["refused", "an impostor"]]);
    const colors = await page.locator("#signed .mark").evaluateAll((all) => new Set(all.map((mark) => getComputedStyle(mark).color)).size);
    expect(colors).toBe(3);
  });

  test("is used by keyboard: the slider moves the answer by half of the delay, and the bound holds", async () => {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => [document.activeElement!.id, document.activeElement!.matches(":focus-visible"), getComputedStyle(document.activeElement!).outlineStyle])).toEqual(["hold", true, "solid"]);
    for (let i = 0; i < 20; i++) await page.keyboard.press("ArrowRight");
    expect(await page.textContent("#held")).toMatch(/^200\sms$/);
    await page.locator("#explain", { hasText: /\b(9\d|1[0-3]\d)\.\d\sms off, inside the bound/ }).waitFor({ timeout: 120_000 });
  });

  test("has a name for everything that is not text, and says in words what the charts show", async () => {
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll("[role=img], section, input")].filter((one) => {
        const named = (one.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent?.trim());
        const labels = one instanceof HTMLInputElement ? [...(one.labels ?? [])].map((label) => label.textContent!.trim()) : [];
        return ![...named, ...labels].some(Boolean);
      }).map((one) => one.outerHTML.slice(0, 80)));
    expect(unnamed).toEqual([]);
    expect(await page.textContent("#offsets-told")).toMatch(/^\d+ answers, from /);
    expect(await page.evaluate(() => [document.documentElement.lang, document.title, document.querySelectorAll("h1").length])).toEqual(["en", "escapement: the time in a page", 1]);
  });

  test("shows whole seconds to who wants little motion", async () => {
    expect(await page.textContent("#clock")).toMatch(/^\d\d:\d\d:\d\d\.\d$/);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await page.locator("#clock", { hasText: /^\d\d:\d\d:\d\d$/ }).waitFor({ timeout: 60_000 });
    await page.emulateMedia({ reducedMotion: "no-preference" });
  });

  test("fits a desktop and a phone, light and dark, and complains of nothing", async () => {
    for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]] as const) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        // The charts are drawn anew for the new width.
        await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth - innerWidth), { timeout: 60_000 }).toBe(0);
        await page.screenshot({ path: `${FOLDER}/demo-${name}-${colorScheme}.png`, fullPage: true });
      }
    }
    expect(complaints).toEqual([]);
  });
});

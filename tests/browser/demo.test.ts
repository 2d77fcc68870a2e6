// SPDX-License-Identifier: MIT OR Apache-2.0
/** The demo page, as `npm run demo:browser` serves it: it finds the 132 ms, and the bound holds whatever the slider does. */
import { mkdirSync } from "node:fs";
import process from "node:process";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Peer, untilReady } from "../support/peers.ts";
import { chromiumPath, openBrowser } from "./stage.ts";

const missing = chromiumPath() === undefined;

describe.skipIf(missing)("the demo page", () => {
  let browser: Browser;
  let peer: Peer;
  beforeAll(async () => {
    browser = await openBrowser();
    peer = new Peer(process.execPath, ["build/demo-browser.mjs", "--port=0"]);
  });
  afterAll(async () => {
    await browser?.close();
    await peer?.stop();
  });

  test.for(["light", "dark"] as const)("tells how slow this computer is, %s", { timeout: 90_000 }, async (colorScheme) => {
    const url = await untilReady("the demo to serve", () => /http:\S+/.exec(peer.stdout)?.[0], peer);
    const page = await browser.newPage({ colorScheme, viewport: { width: 1100, height: 1150 } });
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(url);
    await page.locator("#verdict", { hasText: /your computer is \d+ ms slow ±/ }).waitFor({ timeout: 25_000 });
    const verdict = (await page.textContent("#verdict"))!;
    expect(Math.abs(Number(/(\d+) ms slow/.exec(verdict)![1]) - 132)).toBeLessThan(40);
    // By keyboard: 200 ms out, none back.
    await page.focus("#hold");
    for (let i = 0; i < 20; i++) await page.keyboard.press("ArrowRight");
    expect(await page.textContent("#held")).toBe("200 ms");
    await page.locator("#explain", { hasText: /\b(9\d|1[01]\d)\.\d ms off, inside the bound/ }).waitFor({ timeout: 15_000 });
    await page.locator("#signed tr").nth(3).waitFor({ timeout: 25_000 });
    expect(await page.textContent("#signed")).toMatch(/Ed25519 key .*no answer that its key signed/s);
    expect(complaints).toEqual([]);
    mkdirSync(".cache/screenshots", { recursive: true });
    await page.screenshot({ path: `.cache/screenshots/demo-${colorScheme}.png` });
    await page.close();
  });
});

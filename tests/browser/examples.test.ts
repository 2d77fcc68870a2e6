// SPDX-License-Identifier: MIT OR Apache-2.0
/** examples/browser in Chromium: the script tag, and what a bundler makes of the rest, on a computer whose clock is wrong. */
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumPath, openBrowser, openStage } from "./stage.ts";
import { openTelling } from "./telling.ts";

/** RFC 6238, appendix B: the secret, a time, and the last six digits of its code. */
const SECRET = [..."12345678901234567890"].map((character) => character.charCodeAt(0));
/** What the relay is ahead of this computer, s. */
const AHEAD = 3600;

async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: ["jwt", "totp", "countdown", "bundler"].map((name) => `export * from "./${name}.js";`).join(""), resolveDir: "examples/browser" },
    bundle: true, write: false, format: "esm",
    plugins: [{ name: "served", setup: (own) => void own.onResolve({ filter: /^escapement\// }, () => ({ path: "/index.js", external: true })) }],
  });
  return `${outputFiles[0]!.text}\n;globalThis.examples = { judgeToken, oneTimePassword, codeAt, countdown, stamp };`;
}

describe.skipIf(chromiumPath() === undefined)("examples/browser", () => {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser()));
  afterAll(() => browser?.close());

  test("judge tokens, make codes and count down by the right time", async () => {
    await using relay = await openTelling();
    relay.wrong = AHEAD;
    await using stage = await openStage({ connect: [relay.url], files: { "/examples.js": await bundled(), "/page.html": "<script type=module src=/examples.js></script>" } });
    const page = await browser.newPage();
    await page.goto(`${stage.url}page.html`);
    const call = (code: string) => page.evaluate(`(async (relay) => ${code})(${JSON.stringify(relay.url)})`);
    const token = (from: number, to: number) => {
      const now = Date.now() / 1000 + AHEAD;
      return `e30.${Buffer.from(JSON.stringify({ nbf: now + from, exp: now + to })).toString("base64url")}.x`;
    };
    expect(await call(`[await examples.judgeToken("${token(-60, 60)}", relay), await examples.judgeToken("${token(-60, -30)}", relay), await examples.judgeToken("${token(60, 90)}", relay)]`)).toEqual(["valid", "expired", "early"]);
    expect(await call(`[await examples.codeAt(new Uint8Array([${SECRET}]), 59), await examples.codeAt(new Uint8Array([${SECRET}]), 20000000000)]`)).toEqual(["287082", "353130"]);
    const right = await call(`(async () => { const now = () => Date.now() / 1000 + ${AHEAD}; const before = now() - 1; const { code } = await examples.oneTimePassword(new Uint8Array([${SECRET}]), relay); return [code, await examples.codeAt(new Uint8Array([${SECRET}]), before), await examples.codeAt(new Uint8Array([${SECRET}]), now() + 1)]; })()`) as string[];
    expect(right.slice(1)).toContain(right[0]);
    // From when its clock is there: that takes a busy machine some of the seconds.
    const seen = await call(`new Promise((resolve) => { const seen = []; examples.countdown(new Date(Date.now() + ${AHEAD * 1000} + 8300), (left) => { seen.push(left); if (left === 0) resolve(seen); }, relay); })`) as number[];
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(seen).toEqual(seen.map((_, i) => seen.length - 1 - i));
  });

  test("work by a script tag", async () => {
    await using relay = await openTelling();
    const html = readFileSync("examples/browser/script-tag.html", "utf8").replace("wss://relay.example.org/", relay.url).replace("/escapement/index.js", "/index.js");
    await using stage = await openStage({ policy: "", files: { "/tag.html": html } });
    const page = await browser.newPage();
    await page.goto(`${stage.url}tag.html`);
    await page.locator("#time", { hasText: /^20\d\d-.*Z ± \d+\.\d ms$/ }).waitFor({ timeout: 60_000 });
  });
});

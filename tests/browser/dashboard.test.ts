// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's page as an operator sees it: a daemon from dist that follows three servers, one of which lies, and a reference
 * clock with a name that is markup. It shows who is right, says when the daemon is gone, complains of nothing. Leaves
 * screenshots in .cache/screenshots, to be looked at.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApi } from "../../hosts/common/api.ts";
import type { Server } from "../../hosts/common/server/serve.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { readKeys } from "../../daemon/secrets.ts";
import { COMMAND, Peer, eventually, freePort, freshDirectory, freeTcpPort, loopbackAlias, untilReady, writeLines } from "../support/peers.ts";
import { chromiumPath, openBrowser } from "./stage.ts";

const missing = chromiumPath() === undefined || !existsSync(COMMAND);
if (missing) console.warn("SKIPPED: the daemon's page needs Chromium, and a build");
const SCREENSHOTS = ".cache/screenshots";
const DESKTOP = { width: 1360, height: 900 };
const TABLET = { width: 820, height: 1100 };
const SMALL = { width: 1100, height: 800 };
const PHONE = { width: 390, height: 844 };
const MARKUP = "<img/src=x/onerror=alert(1)>";
const SECRET = "HEX:00112233445566778899AABBCCDDEEFF";
/** What the liar's clock is ahead. */
const LIE_NS = 200_000_000n;
/** Of the page's own words: it has heard from the daemon. */
const PATIENCE = { timeout: 60_000 };

describe.skipIf(missing)("the daemon's page", () => {
  const directory = freshDirectory();
  const address = loopbackAlias();
  let servers: Server[] = [];
  let names: string[];
  let daemon: Peer;
  let browser: Browser;
  let page: Page;
  let port: number;
  let served: number;
  const complaints: string[] = [];

  beforeAll(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    const host = await lendHost();
    const { serve } = createApi(() => Promise.resolve(host));
    const keys = writeLines(directory, "keys", [`7 AES128 ${SECRET}`]);
    const place = { listen: [address], port: 0, workers: 0, rootDispersion: 0.001 } as const;
    servers = await Promise.all([
      serve({ ...place, stratum: 1, refid: "GPS", keys: await readKeys(keys, () => {}) }),
      serve({ ...place, stratum: 2, refid: "192.0.2.9" }),
      serve({ ...place, stratum: 1, refid: "LIAR", clock: () => host.clock.now() + LIE_NS }),
    ]);
    names = servers.map(({ addresses }) => `${address}:${addresses[0]!.port}`);
    port = await freeTcpPort("127.0.0.1");
    served = await freePort(address);
    writeFileSync(join(directory, "daemon.toml"), [
      ...names.flatMap((name, index) => ["[[source]]", `address = "${name}"`, "min-poll = 0", "max-poll = 1", ...(index === 0 ? [`key = "${keys}:7"`] : [])]),
      "[[refclock]]", 'kind = "sock"', `device = "${join(directory, "sock")}"`, `name = "${MARKUP}"`,
      "[clock]", 'mode = "virtual"',
      "[observe]", `socket = "${join(directory, "observe.sock")}"`, `dashboard = { port = ${port} }`,
      "[server]", `listen = ["${address}"]`, `port = ${served}`, "client-log = true",
    ].join("\n"));
    daemon = startDaemon();
    await untilReady("the daemon to tell where its page is", () => daemon.said.includes(`the page is at http://127.0.0.1:${port}/`) || undefined, daemon);
    browser = await openBrowser();
    page = await browser.newPage({ colorScheme: "light", viewport: DESKTOP });
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => void dialog.dismiss().then(() => complaints.push(dialog.message())));
    await page.goto(`http://127.0.0.1:${port}/`);
  });
  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
    await Promise.all(servers.map((server) => server.close()));
    rmSync(directory, { recursive: true, force: true });
  });

  const startDaemon = () => new Peer(process.execPath, [COMMAND, "daemon", "--config", join(directory, "daemon.toml")]);
  /** Class and text of each source's row. */
  const rows = async () => new Map(await page.locator("#sources tbody tr").evaluateAll((all) => all.map((row) => [row.querySelector("th > span")!.textContent!, { state: row.className.split(" ")[0]!, text: row.textContent! }] as const)));

  test("shows that the clock is synchronised, to whom, and how far it could be off", async () => {
    await page.locator("#badge", { hasText: /^synchronised$/ }).waitFor(PATIENCE);
    await page.locator("#verdict", { hasText: /^off by [+-]\d+(\.\d+)? (s|ms|µs|ns) ± \d+\.\d+ (s|ms|µs)$/ }).waitFor(PATIENCE);
    expect(await page.textContent("#facts")).toMatch(/Leap statusNormal/);
    expect(await page.textContent("#where")).toMatch(/^escapement on \S+ · a virtual clock$/);
    expect(await page.title()).toMatch(/^\S+, escapement$/);
  });

  test("marks who is followed, who agrees and who lies, and says why", async () => {
    const judged = await eventually("the liar to be found, and one of the others to be followed", async () => {
      const seen = await rows();
      const states = names.map((name) => seen.get(name)?.state);
      return states[2] === "falseticker" && states.includes("followed") && !states.includes("unusable") ? seen : undefined;
    }, daemon);
    const [keyed, plain, liar] = names.map((name) => judged.get(name)!);
    expect(["combined followed", "followed usable"]).toContain([keyed!.state, plain!.state].sort().join(" "));
    expect(keyed!.text).toContain("symmetric key");
    expect(plain!.text).toContain("nobody");
    const [, lie] = /\+(\d+\.\d+) ms ± .*its interval misses the majority's/.exec(liar!.text) ?? [];
    expect(Math.abs(Number(lie) - 200), liar!.text).toBeLessThan(50);
    expect(await page.locator("#sources tr", { hasText: names[0]! }).locator(".reach [role=img]").getAttribute("aria-label")).toMatch(/^\d of the last 8 requests answered, octal [0-7]{3}$/);
  });

  test("shows a name that is markup as the text that it is", async () => {
    expect([...(await rows()).keys()]).toContain(MARKUP);
    expect(await page.locator("img").count()).toBe(0);
  });

  test("runs the daemon's clock, to whole seconds for who wants little motion", async () => {
    const shown = async () => (await page.textContent("#clock"))!;
    expect(await shown()).toMatch(/^\d\d:\d\d:\d\d\.\d$/);
    const behind = await page.evaluate(() => (Date.now() - Date.parse(`${new Date().toISOString().slice(0, 11)}${document.getElementById("clock")!.textContent}Z`)) % 86_400_000);
    expect(Math.abs(behind)).toBeLessThan(2000);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await page.locator("#clock", { hasText: /^\d\d:\d\d:\d\d$/ }).waitFor(PATIENCE);
    await page.emulateMedia({ reducedMotion: "no-preference" });
  });

  test("shows what its server answers, and to whom", async () => {
    const { query } = createApi(lendHost);
    await query(`${address}:${served}`);
    await page.locator("#clients tbody tr", { hasText: "127.0.0.1" }).waitFor(PATIENCE);
    await page.locator("#counters tbody tr", { hasText: /^answered\D*[\d.]+\D*[1-9]/ }).waitFor(PATIENCE);
  });

  test("draws the past and says it in words, the bound at will, by keyboard", async () => {
    await page.locator("#offset canvas").waitFor(PATIENCE);
    expect(await page.textContent("#offset-told")).toMatch(/^now: [+-].* ± /);
    expect(await page.textContent("#frequency-told")).toMatch(/^now: [+-]\d+\.\d{3} ppm/);
    await page.focus("body");
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => [document.activeElement!.id, getComputedStyle(document.activeElement!).outlineStyle])).toEqual(["bounded", "solid"]);
    await page.keyboard.press("Space");
    expect(await page.isChecked("#bounded")).toBe(false);
    await page.keyboard.press("Space");
  });

  test("has a head for each column, a name for what is not text, and nothing secret", async () => {
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll("[role=img], [role=region], section")].filter((one) => !one.getAttribute("aria-label") && !(one.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => document.getElementById(id)?.textContent?.trim())).map((one) => one.outerHTML.slice(0, 80)));
    expect(unnamed).toEqual([]);
    expect(await page.evaluate(() => [...document.querySelectorAll("thead th, tbody th")].filter((head) => !head.getAttribute("scope")).length)).toBe(0);
    const state = await (await fetch(`http://127.0.0.1:${port}/state.json`)).text();
    for (const secret of [SECRET.slice(4), SECRET.slice(4).toLowerCase(), join(directory, "keys"), "cookie\""]) expect(state).not.toContain(secret);
  });

  test("fits every screen, light and dark, its sources uncut, and complains of nothing", async () => {
    for (const [name, viewport] of [["desktop", DESKTOP], ["small", SMALL], ["tablet", TABLET], ["phone", PHONE]] as const) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        // The charts are drawn anew for the new width.
        await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
        await expect.poll(() => page.evaluate(() => document.getElementById("sources")!.scrollWidth - document.getElementById("sources")!.parentElement!.clientWidth), { message: name }).toBeLessThanOrEqual(0);
        await page.screenshot({ path: `${SCREENSHOTS}/dashboard-${name}-${colorScheme}.png`, fullPage: true });
      }
    }
    expect(complaints).toEqual([]);
  });

  test("says since when the daemon does not answer, and goes on when it does again", async () => {
    await daemon.stop();
    await page.locator("#silence", { hasText: /^The daemon has not answered for \d+ s$/ }).waitFor(PATIENCE);
    expect(await page.textContent("#told")).toBe("The daemon does not answer any more");
    expect(await page.textContent("#badge")).toBe("no answer");
    await page.screenshot({ path: `${SCREENSHOTS}/dashboard-silent.png` });
    daemon = startDaemon();
    await page.locator("#silence").waitFor({ state: "hidden", ...PATIENCE });
    await page.locator("#badge", { hasText: /^synchronised$/ }).waitFor(PATIENCE);
  });

  test("cannot be read by a page from elsewhere", async () => {
    const stranger = await browser.newPage();
    // Another origin, on a port of one of its own.
    await stranger.route("http://127.0.0.2/", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>stranger</title>" }));
    await stranger.goto("http://127.0.0.2/");
    const got = await stranger.evaluate(async (url) => {
      const read = (mode: RequestMode) => fetch(`${url}state.json`, { mode }).then((response) => response.text(), (error: Error) => error.name);
      const image = new Promise<string>((resolve) => Object.assign(new Image(), { onload: () => resolve("seen"), onerror: () => resolve("refused"), src: `${url}icon.svg` }));
      return [await read("cors"), await read("no-cors"), await image];
    }, `http://127.0.0.1:${port}/`);
    expect(got).toEqual(["TypeError", "TypeError", "refused"]);
    await stranger.close();
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * escapement/browser in Chromium, over a relay's own time: now(), the small clock, in a page and in a worker, and how good
 * they are. Skipped, aloud, where there is no Chromium.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { chromiumPath, openBrowser, openPage, openStage, type Stage } from "./stage.ts";
import { openTelling } from "./telling.ts";

const missing = chromiumPath() === undefined;
if (missing) console.warn("NOT TESTED: escapement/browser in Chromium; npm run peers installs it");

describe.skipIf(missing)("escapement/browser in Chromium", () => {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser()));
  afterAll(() => browser?.close());

  test("now() and measure() ask the relay, without WebAssembly, under the strictest policy", async () => {
    await using relay = await openTelling();
    await using stage = await openStage({ policy: `default-src 'none'; img-src data:; script-src 'self'; connect-src ${relay.url}` });
    const page = await openPage(browser, stage);
    relay.wrong = 5;
    let [least, nearest] = [Infinity, Infinity];
    // Always within its bound; and near, once no exchange waits for a processor.
    for (let tries = 0; tries < 10 && (least >= 0.1 || nearest >= 100); tries++) {
      const { offset, bound } = await page.run("measure", { relay: relay.url });
      expect(Math.abs(offset - 5)).toBeLessThanOrEqual(bound);
      least = Math.min(least, bound);
      nearest = Math.min(nearest, Math.abs((await page.run("now", { relay: relay.url })) - 5000));
    }
    expect(least).toBeLessThan(0.1);
    expect(nearest).toBeLessThan(100);
    expect(page.complaints).toEqual([]);
    expect([...stage.sent.keys()].filter((path) => path.endsWith(".wasm"))).toEqual([]);
  });

  test("without a relay it says what to do", async () => {
    await using stage = await openStage();
    const page = await openPage(browser, stage);
    for (const told of await page.run("withoutRelay", null)) expect(told).toMatch(/^UNSUPPORTED: expected a relay: a page has no UDP; run one/);
  });

  test("a page that was frozen asks as soon as it is brought back, and is right meanwhile", async () => {
    await using relay = await openTelling();
    await using stage = await openStage({ connect: [relay.url] });
    const page = await openPage(browser, stage);
    relay.wrong = 7;
    await page.run("keepClock", { relay: relay.url });
    await page.lifecycle("frozen");
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const { asked } = relay;
    await page.lifecycle("active");
    // No question is due for 16 s.
    await expect.poll(() => relay.asked, { timeout: 12_000 }).toBeGreaterThan(asked);
    const { error, uncertainty } = await page.run("readKept", null);
    expect(Math.abs(error - 7)).toBeLessThan(uncertainty + 0.001);
    expect(page.complaints).toEqual([]);
  });

  test("a clock that somebody set by an hour, as after sleep, says that it knows nothing, asks anew, and is right again", async () => {
    await using relay = await openTelling();
    await using stage = await openStage({ connect: [relay.url] });
    const page = await openPage(browser, stage);
    relay.wrong = -2;
    expect(await page.run("keepClock", { relay: relay.url })).toBeLessThan(1);
    // No answers: so that there is something to see.
    relay.change = () => undefined;
    await page.run("setClock", { aheadMs: 3_600_000 });
    await expect.poll(async () => (await page.run("readKept", null)).uncertainty ?? Infinity, { timeout: 60_000 }).toBe(Infinity);
    relay.change = (frame) => frame;
    await expect.poll(async () => (await page.run("readKept", null)).synchronised, { timeout: 120_000, interval: 500 }).toBe(true);
    const { error, uncertainty } = await page.run("readKept", null);
    expect(Math.abs(error + 2)).toBeLessThan(uncertainty + 0.001);
  });

  const cases = [["page", false], ["page", true], ["worker", false], ["worker", true]] as const;
  test.for(cases)("the small clock is right in a %s, cross-origin isolated: %s", async ([where, isolated]) => {
    await using relay = await openTelling();
    await using stage = await openStage({ connect: [relay.url], isolated });
    const page = await openPage(browser, stage);
    relay.wrong = -3;
    const told = await page.run("readClock", { relay: relay.url }, where);
    const errors = told.readings.map(({ error }) => Math.abs(error + 3)).sort((a, b) => a - b);
    const bounds = told.readings.map(({ bound }) => bound).sort((a, b) => a - b);
    const [p50, bound] = [errors, bounds].map((all) => all[all.length >> 1]!) as [number, number];
    const us = (seconds: number) => `${(seconds * 1e6).toFixed(seconds < 1e-4 ? 1 : 0)} µs`;
    console.log(`${where}${isolated ? ", isolated" : ""}: p50 ${us(p50)}, worst ${us(errors.at(-1)!)}, bound ${us(bound)}, timer ${us(told.step)}, agreed in ${told.settled.toFixed(1)} s, ${octets(stage)} octets gzipped`);
    // Loopback on a shared machine: generous. docs/browser.md has what was measured.
    expect(p50).toBeLessThan(0.005);
    expect(bound).toBeLessThan(0.1);
    // Each within what the clock said at that moment; the ruler is good to a step of the timer.
    expect(p50).toBeLessThan(bound);
    expect(told.readings.filter(({ error, bound }) => Math.abs(error + 3) > bound + told.step)).toEqual([]);
    expect(told.backwards).toBe(0);
    expect(page.complaints).toEqual([]);
  });

  // As wrong as a clock can be: what is slow on one side alone is half error, and nothing of that can be seen.
  test.each([["out", 60, 0], ["back", 0, 60]])("each reading is within its bound where the way %s takes all the time", { timeout: 60_000 }, async (_, holdRequest, holdReply) => {
    await using relay = await openTelling();
    await using stage = await openStage({ connect: [relay.url] });
    const page = await openPage(browser, stage);
    Object.assign(relay, { wrong: 4, holdRequest, holdReply });
    const { readings, step } = await page.run("readClock", { relay: relay.url });
    const errors = readings.map(({ error, bound }) => ({ error: Math.abs(error - 4), bound }));
    console.log(`60 ms ${holdRequest ? "out" : "back"}: worst ${Math.max(...errors.map(({ error }) => error))} s, least bound ${Math.min(...errors.map(({ bound }) => bound))} s, nearest by ${Math.min(...errors.map(({ error, bound }) => bound - error))} s`);
    // Else the comparison would say nothing.
    expect(errors.filter(({ error }) => error < 0.025)).toEqual([]);
    expect(errors.filter(({ error, bound }) => error > bound + step)).toEqual([]);
  });
});

const octets = ({ sent }: Stage): number => [...sent.values()].reduce((sum, one) => sum + one, 0);

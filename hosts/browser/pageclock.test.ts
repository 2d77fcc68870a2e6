// SPDX-License-Identifier: MIT OR Apache-2.0
/** How the start of a page's clock ends: agreed, late, aborted; against a relay that may be silent, with the WebSocket of ws. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Quiet, openTelling, type Telling } from "../../tests/browser/telling.ts";
import { startPageClock } from "./pageclock.ts";

beforeAll(() => {
  vi.stubGlobal("WebSocket", Quiet);
  vi.stubGlobal("fetch", async () => new Response(readFileSync("dist/browser/page.wasm")));
});
afterAll(() => void vi.unstubAllGlobals());

async function told<T>(act: (relay: Telling) => Promise<T>): Promise<T> {
  await using relay = await openTelling();
  return await act(relay);
}

/** Nobody is asked any more. */
async function quiet(relay: Telling): Promise<void> {
  const { asked } = relay;
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(relay.asked).toBe(asked);
}

describe("the start of a page's clock", { timeout: 30_000 }, () => {
  test("ends when the relay is believed; aborted later, the clock asks no more and runs on", () => told(async (relay) => {
    relay.wrong = 40;
    const stop = new AbortController();
    const clock = await startPageClock([relay.url], { signal: stop.signal });
    expect(Math.abs(clock.now().getTime() / 1000 - Date.now() / 1000 - 40)).toBeLessThan(clock.uncertainty + 0.002);
    stop.abort();
    clock.askNow();
    await quiet(relay);
    const before = clock.nowNs();
    expect(clock.nowNs()).toBeGreaterThanOrEqual(before);
  }));

  test("fails when nobody answers in time, says who said what, and asks no more", () => told(async (relay) => {
    relay.change = () => undefined;
    await expect(startPageClock([relay.url], { timeout: 0.3 })).rejects.toMatchObject({ code: "NO_AGREEMENT", message: `expected sources that agree within 0.3 s, got ${relay.url}: 0 answers` });
    await quiet(relay);
  }));

  test.each([["before it", 0], ["while it waits", 100]])("fails when it is aborted %s", (_, afterMs) => told(async (relay) => {
    relay.change = () => undefined;
    const stop = new AbortController();
    const started = startPageClock([relay.url], { signal: stop.signal });
    if (afterMs === 0) stop.abort("enough");
    else setTimeout(() => stop.abort("enough"), afterMs);
    await expect(started).rejects.toMatchObject({ code: "ABORTED", cause: "enough" });
    await quiet(relay);
  }));

  test("waits for nobody where the timeout is 0", () => told(async (relay) => {
    relay.change = () => undefined;
    const clock = await startPageClock([relay.url], { timeout: 0 });
    expect(clock).toMatchObject({ synchronised: false, uncertainty: Infinity });
    clock.close();
    await expect(startPageClock([relay.url], { timeout: 0, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  }));
});

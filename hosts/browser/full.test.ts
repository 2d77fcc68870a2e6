// SPDX-License-Identifier: MIT OR Apache-2.0
/** How much of the core is fetched for what a page asks, and which build is then in use. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const RELAY = "wss://relay.example.org/";
const fetched: string[] = [];
/** Answers are held until they are let go; undefined: at once. */
let held: Map<string, () => void> | undefined;
let failing = false;

async function load() {
  vi.resetModules();
  const [{ hostBy }, { coreModule }] = await Promise.all([import("./full.ts"), import("../common/core/core.ts")]);
  const exported = () => WebAssembly.Module.exports(coreModule()).length;
  return { hostBy: (part: "query" | "follow" | "whole") => hostBy(RELAY, part), exported };
}

const lengthOf = (file: string) => WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(`dist/browser/${file}`))).length;

beforeEach(() => {
  fetched.length = 0;
  held = undefined;
  failing = false;
  vi.stubGlobal("fetch", async (url: URL) => {
    const name = url.pathname.split("/").at(-1)!;
    fetched.push(name);
    if (failing) throw new TypeError("no network");
    if (held) await new Promise<void>((resolve) => held!.set(name, resolve));
    return new Response(readFileSync(`dist/browser/${name}`));
  });
});
afterEach(() => void vi.unstubAllGlobals());

describe("of the core a page fetches", () => {
  test("what is needed, once, and what can more takes its place", async () => {
    const { hostBy, exported } = await load();
    for (const part of ["query", "query", "follow", "query", "follow"] as const) await hostBy(part);
    expect(fetched).toEqual(["query.wasm", "follow.wasm"]);
    expect(exported()).toBe(lengthOf("follow.wasm"));
    for (const part of ["whole", "follow", "query", "whole"] as const) await hostBy(part);
    expect(fetched).toEqual(["query.wasm", "follow.wasm", "core.wasm"]);
    expect(exported()).toBe(lengthOf("core.wasm"));
  });

  test("nothing that can less, once more is on its way", async () => {
    held = new Map();
    const { hostBy } = await load();
    const all = (["follow", "query"] as const).map((part) => hostBy(part));
    await expect.poll(() => held!.size).toBe(1);
    held.get("follow.wasm")!();
    await Promise.all(all);
    expect(fetched).toEqual(["follow.wasm"]);
  });

  test("and what comes late takes no place of what can more", async () => {
    held = new Map();
    const { hostBy, exported } = await load();
    const [late, early] = [hostBy("query"), hostBy("whole")];
    await expect.poll(() => held!.size).toBe(2);
    held.get("core.wasm")!();
    await early;
    held.get("query.wasm")!();
    await late;
    expect(exported()).toBe(lengthOf("core.wasm"));
  });

  test("again, what did not come", async () => {
    const { hostBy } = await load();
    failing = true;
    await expect(hostBy("follow")).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringMatching(/follow\.wasm.*no network.*beside its \.js files/) });
    failing = false;
    await hostBy("follow");
    expect(fetched).toEqual(["follow.wasm", "follow.wasm"]);
  });
});

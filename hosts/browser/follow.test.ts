// SPDX-License-Identifier: MIT OR Apache-2.0
/** Which clocks of a page do with the small build, and which need everything. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ClockOptions } from "../common/client/start.ts";
import { asksServers } from "./follow.ts";

const key = { id: 1, type: "AES128", secret: new Uint8Array(16) } as const;
const source = "ntp:time.example.org";

describe("a page's clock over servers", () => {
  test.each<[string, ClockOptions]>([
    ["none are named", {}],
    ["they are texts and URLs", { sources: ["nts:time.example.org", "time.example.org", new URL("ntp://time.example.org")] }],
    ["they have options that change nothing", { sources: [{ source, mode: "client", version: 4, minPoll: 4, pool: 3, interleaved: false }, { source, version: 3 }] }],
    ["they bring authorities", { sources: [{ source: "nts:time.example.org", nts: { ca: "…" } }], algorithm: "estimator", stepLimits: { single: 1, startup: 0, sum: 0 } }],
  ])("does with the small build where %s", (_, options) => expect(asksServers(options)).toBe(true));

  test.each<[string, ClockOptions]>([
    ["a reference clock", { sources: [source, " refclock:gpsd"] }],
    ["a reference clock as an object", { sources: [{ source: "refclock:local" }] }],
    ["a peer", { sources: [{ source, mode: "symmetric" }] }],
    ["a broadcast server", { sources: [{ source, mode: "broadcast" }] }],
    ["a network", { sources: [{ source, mode: "manycast" }] }],
    ["a reference clock of the page's own", { sources: [{ source: "mine", mode: "refclock", clock: undefined as never }] }],
    ["a key", { sources: [{ source, key }] }],
    ["NTPv5", { sources: [{ source, version: 5 }] }],
    ["NTPv5 perhaps", { sources: [{ source, version: "auto" }] }],
    ["interleaved mode", { sources: [{ source, interleaved: true }] }],
    ["corrections", { sources: [{ source, correction: true }] }],
    ["Roughtime for certificates", { sources: [{ source: "nts:time.example.org", nts: { certTime: "roughtime" } }] }],
    ["the PLL/FLL", { sources: [source], algorithm: "pll-fll" }],
    ["peers that come unasked", { sources: [source], peering: { allow: ["192.0.2.1"] } }],
  ])("needs everything for %s", (_, options) => expect(asksServers(options)).toBe(false));

  test("has a build of the core that exports nothing of its own, and all of a build for questions", () => {
    const exported = (file: string) => WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(`dist/browser/${file}`))).map(({ name }) => name);
    const [query, follow, whole] = ["query.wasm", "follow.wasm", "core.wasm"].map((file) => new Set(exported(file)));
    expect([...query!].filter((name) => !follow!.has(name))).toEqual([]);
    expect([...follow!].filter((name) => !whole!.has(name))).toEqual(["coldReset"]);
  });

  test("has all that its face calls, but for what only those call who need everything", () => {
    const exported = new Set(WebAssembly.Module.exports(new WebAssembly.Module(readFileSync("dist/browser/follow.wasm"))).map(({ name }) => name));
    const files = ["discipline", "events", "source-variables", "authentication", "refid"].map((name) => readFileSync(`hosts/common/client/${name}.ts`, "utf8"));
    const called = new Set(files.flatMap((text) => [...text.matchAll(/exports\.(\w+)\(/g)].map(([, name]) => name!)));
    expect(called.size).toBeGreaterThan(30);
    expect([...called].filter((name) => !exported.has(name)).sort()).toEqual([
      "associationCorrect", "associationDraft", "associationInterleave", "associationKey", "associationVersion5", "keySet",
    ]);
  });
});

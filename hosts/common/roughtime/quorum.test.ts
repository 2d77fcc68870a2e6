// SPDX-License-Identifier: MIT OR Apache-2.0
/** Measurements of real servers on loopback: the chain, the rounds, liars, the silent, the bootstrap. @module */

import { afterAll, describe, expect, it } from "vitest";
import { ownServer, tcpHost, type OwnServer } from "../../../tests/support/roughtime.ts";
import { bootstrapTime } from "./bootstrap.ts";
import { roughtimeCore } from "./core.ts";
import { generateKey } from "./keys.ts";
import { measure } from "./quorum.ts";
import { judgeReport } from "./report.ts";

const host = await tcpHost();
const honest = await Promise.all(["one", "two", "three"].map((name) => ownServer(host, { name })));
const ahead = await ownServer(host, { name: "ahead", ahead: 3600 });
const behind = await ownServer(host, { name: "behind", ahead: -60 });
afterAll(() => Promise.all([...honest, ahead, behind].map((own) => own[Symbol.asyncDispose]())));
const entries = (...servers: OwnServer[]) => servers.map(({ entry }) => entry);
/** Nobody answers for this key. */
const stranger = () => ({ ...honest[0]!.entry, name: "stranger", publicKey: generateKey(host).publicKey });

describe("a measurement", () => {
  it("asks three servers twice in one order, each nonce bound to the answer before", async () => {
    const { exchanges, servers, contradictions, report, lost } = await measure(host, entries(...honest));
    expect([contradictions, report, lost]).toEqual([[], undefined, []]);
    const names = servers.map(({ name }) => name);
    expect(new Set(names.slice(0, 3)).size).toBe(3);
    expect(names.slice(3)).toEqual(names.slice(0, 3));
    expect(exchanges[0]!.rand).toBeUndefined();
    for (let i = 1; i < exchanges.length; i++) {
      const { request, rand } = exchanges[i]!;
      expect(roughtimeCore().nonceOf(request)).toEqual(roughtimeCore().nextNonce(exchanges[i - 1]!.response, rand!));
    }
  });

  it.each([["an hour ahead", ahead], ["a minute behind", behind]])("catches a liar %s, whichever place it has, and proves it", async (_, liar) => {
    for (let i = 0; i < 6; i++) {
      const { contradictions, report, servers } = await measure(host, entries(honest[0]!, liar, honest[1]!));
      expect(contradictions.length).toBeGreaterThan(0);
      // Each pair has the liar in it.
      for (const pair of contradictions) expect(pair.map((place) => servers[place]!.name)).toContain(liar.entry.name);
      expect(judgeReport(report!)).toMatchObject({ problems: [], contradictions });
    }
  });

  it("leaves out who does not answer, and reports nobody for it", async () => {
    const { lost, exchanges, report } = await measure(host, [...entries(...honest), stranger()], { count: 4, timeout: 2 });
    expect(lost).toMatchObject([{ server: { name: "stranger" }, error: { code: "TIMEOUT" } }]);
    expect([exchanges.length, report]).toEqual([6, undefined]);
  });

  it("of fewer than three that answer is none", async () => {
    await expect(measure(host, [...entries(honest[0]!, honest[1]!), stranger()], { timeout: 0.3 })).rejects.toMatchObject({ code: "NO_AGREEMENT", message: expect.stringContaining("stranger TIMEOUT") });
  });

  it("of fewer than three, or of one key twice, is not begun", async () => {
    await expect(measure(host, entries(honest[0]!, honest[1]!))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(measure(host, entries(...honest), { count: 2 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(measure(host, entries(honest[0]!, honest[1]!, honest[0]!))).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("key") });
  });

  it("ends at its caller's signal", async () => {
    await expect(measure(host, entries(...honest), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("the bootstrap", () => {
  it("bounds the present without reading the wall clock", async () => {
    const blind = { ...host, clock: { ...host.clock, monotonic: () => host.clock.monotonic(), now: () => 0n } };
    const before = Date.now();
    const { low, high, agreeing, report } = await bootstrapTime(blind, entries(...honest));
    expect([agreeing, report]).toEqual([3, undefined]);
    expect(low).toBeLessThanOrEqual(Date.now());
    expect(high).toBeGreaterThanOrEqual(before);
    expect(high - low).toBeLessThan(10_000);
  });

  it("goes by the majority against a liar, and has the proof", async () => {
    const before = Date.now();
    const { low, high, agreeing, answered, report } = await bootstrapTime(host, entries(honest[0]!, ahead, honest[1]!));
    expect([agreeing, answered]).toEqual([2, 3]);
    expect(low <= Date.now() && before <= high).toBe(true);
    expect(judgeReport(report!).problems).toEqual([]);
  });

  it("says nothing when no majority agrees", async () => {
    await expect(bootstrapTime(host, entries(honest[0]!, ahead, behind))).rejects.toMatchObject({ code: "NO_AGREEMENT" });
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/** The time of a Roughtime majority for judging certificates: asked for once, carried on by the monotonic clock, never guessed. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ownServer, tcpHost, type OwnServer } from "../../../tests/support/roughtime.ts";
import { sourceText } from "../roughtime/list.ts";
import { quorumServers } from "./quorumservers.ts";
import { quorumTime } from "./quorumtime.ts";

const machine = await tcpHost();
let servers: OwnServer[];
beforeAll(async () => {
  servers = await Promise.all(["one", "two", "three"].map((name) => ownServer(machine, { name })));
});
afterAll(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));

const entries = () => servers.map(({ entry }) => entry);
const received = () => servers.reduce((sum, { server }) => sum + server.stats.received, 0);
const never = new AbortController().signal;

describe("the time of a majority", () => {
  it("is asked for once by all who want it at a time, and then carried on by the monotonic clock alone", async () => {
    let slept = 0n;
    const host = { ...machine, clock: { ...machine.clock, now: () => 0n, precision: 1e-6, description: "no wall clock", monotonic: () => machine.clock.monotonic() + slept } };
    const before = received();
    const times = await Promise.all([1, 2, 3].map(() => quorumTime(host, entries(), never)));
    for (const time of times) expect(Math.abs(time - Date.now())).toBeLessThan(5000);
    // Each of three servers twice.
    expect(received() - before).toBe(6);
    slept = 599_000_000_000n;
    expect(Math.abs((await quorumTime(host, entries(), never)) - Date.now() - 599_000)).toBeLessThan(5000);
    expect(received() - before).toBe(6);
    slept = 601_000_000_000n;
    expect(Math.abs((await quorumTime(host, entries(), never)) - Date.now())).toBeLessThan(5000);
    expect(received() - before).toBe(12);
  });

  it("is no other list's", async () => {
    const host = { ...machine };
    await using other = await ownServer(machine, { name: "other" });
    await quorumTime(host, entries(), never);
    const before = other.server.stats.received;
    await quorumTime(host, [entries()[0]!, entries()[1]!, other.entry], never);
    expect(other.server.stats.received).toBeGreaterThan(before);
  });

  it("ends with who asks, and the next one asks anew", async () => {
    const host = { ...machine };
    await expect(quorumTime(host, entries(), AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
    expect(Math.abs((await quorumTime(host, entries(), never)) - Date.now())).toBeLessThan(5000);
  });
});

describe("servers", () => {
  it("may be written as sources or be a list's, three or more of them", () => {
    expect(quorumServers([...entries().slice(0, 2), sourceText(entries()[2]!)])).toMatchObject([{ name: "one" }, { name: "two" }, { publicKey: entries()[2]!.publicKey }]);
    for (const few of [[], entries().slice(0, 2)]) expect(() => quorumServers(few)).toThrow(/3 Roughtime servers or more.*got \d/);
    expect(() => quorumServers(["a.example", "b.example", "c.example"])).toThrow(/roughtime:HOST/);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Mistakes that NTP clients for JavaScript made before us: each test says what the mistaken client would tell, and that
 * ours does not. Junk, spoofing and kisses, the other half of them, are in spoofing.test.ts.
 */

import { createSocket, type Socket } from "node:dgram";
import { afterEach, describe, expect, it } from "vitest";
import { lendHost, now, query, serve, type Server } from "../../hosts/node/index.ts";
import type { Host } from "../../hosts/common/host.ts";
import { query as queryOn } from "../../hosts/common/client/query.ts";
import { hasIPv6, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { openRelay } from "../support/relay.ts";
import { chronyServer } from "./chrony.ts";
import { failure, sourceOf } from "./ask.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
const { clock } = await lendHost();

/** A stratum-1 server of ours whose clock is `aheadNs` ahead of this machine's. */
function serverAhead(aheadNs: bigint): Promise<Server> {
  return serve({ listen: [loopbackAlias()], port: 0, stratum: 1, clock: () => clock.now() + aheadNs });
}

function endpointOf(server: Server) {
  return server.addresses[0] ?? { address: "", port: 0 };
}

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

/** A port that takes everything and says nothing. */
function silentPort(address: string, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4").once("error", reject);
    open.push(socket);
    socket.bind(port, address, () => resolve(socket.address().port));
  });
}

const seconds = (ns: bigint) => Number(ns) / 1e9;
const magnitude = (ns: bigint) => (ns < 0n ? -ns : ns);

describe("the offset", () => {
  it.each([["ahead", 3_000_000n], ["behind", -3_000_000n], ["right", 0n]] as const)("is no average of absolute values when the server is %s by less than half the delay", async (_, aheadNs) => {
    await using server = await serverAhead(aheadNs);
    await using path = await openRelay({ server: endpointOf(server), holdRequestMs: 20, onReply: ({ reply }) => [{ data: reply, holdMs: 20 }] });
    const { offset, delay, rootDistance, t1, t2, t3, t4 } = await query(path.source);
    // The relay knows how unequal the paths were; only what it did not see of the delay can have bent the offset further.
    const { requestNs, replyNs } = path.held[0] ?? { requestNs: 0n, replyNs: 0n };
    const expected = seconds(aheadNs) + seconds(requestNs - replyNs) / 2;
    expect(Math.abs(offset - expected)).toBeLessThanOrEqual((delay - seconds(requestNs + replyNs)) / 2 + 1e-6);
    expect(Math.abs(offset - seconds(aheadNs)), "the truth lies within the bound").toBeLessThanOrEqual(rootDistance);
    const averaged = seconds(magnitude(t2 - t1) + magnitude(t3 - t4)) / 2;
    expect(averaged, "what the mistake would tell: half of the delay, whatever the clocks say").toBeGreaterThan(0.45 * delay);
    expect(Math.abs(averaged - seconds(aheadNs))).toBeGreaterThan(10e-3);
  });

  it.skipIf(skipped)(titled("is exact to the nanosecond, where a double of Unix seconds has steps of 238 ns", skipped), async () => {
    await using server = await chronyServer();
    let finer = 0;
    for (let i = 0; i < 16; i++) {
      const { offsetNs, t1, t2, t3, t4 } = await query(sourceOf(server));
      const exact = (t2 - t1 + t3 - t4) / 2n;
      // Each of the four has been rounded to a nanosecond once.
      expect(magnitude(offsetNs - exact)).toBeLessThanOrEqual(2n);
      const asDouble = (ns: bigint) => Number(ns) / 1e9;
      const doubled = (asDouble(t2) - asDouble(t1) + asDouble(t3) - asDouble(t4)) / 2;
      if (Math.abs(doubled * 1e9 - Number(exact)) > 10) finer++;
    }
    expect(finer, "how often doubles would have lost more than 10 ns").toBeGreaterThan(0);
  });
});

describe("now()", () => {
  it("is not the server's transmit time, which is old by the way back", async () => {
    const hour = 3_600_000_000_000n;
    await using server = await serverAhead(hour);
    await using path = await openRelay({ server: endpointOf(server), holdRequestMs: 1000, onReply: ({ reply }) => [{ data: reply, holdMs: 1000 }] });
    const told = await now({ sources: [path.source] });
    const age = Number((clock.now() + hour) / 1_000_000n) - told.getTime();
    // The mistake would be a second late. What is left is how unequal the two ways were, and how long ago now() returned.
    const [held] = path.held;
    const unequal = Number(magnitude((held?.requestNs ?? 0n) - (held?.replyNs ?? 0n))) / 2e6;
    expect(Math.abs(age)).toBeLessThan(500 + unequal);
  });

  it("is not told when the only source is a kiss, a liar without a majority, or silent", async () => {
    await using kisser = await serve({ listen: [loopbackAlias()], port: 0, kiss: "DENY" });
    expect((await failure(now({ sources: [sourceOf(endpointOf(kisser))] }))).code).toBe("NO_AGREEMENT");
    await using liar = await serverAhead(500_000_000n);
    await using honest = await serverAhead(0n);
    expect((await failure(now({ sources: [liar, honest].map((server) => sourceOf(endpointOf(server))) }))).code).toBe("NO_AGREEMENT");
    const silent = `127.0.0.1:${await silentPort("127.0.0.1")}`;
    expect((await failure(now({ sources: [silent], timeout: 0.3 }))).code).toBe("NO_AGREEMENT");
  });
});

describe("the wait", () => {
  it("ends by itself when nobody answers", async () => {
    const port = await silentPort("127.0.0.1");
    const began = performance.now();
    const { code, message } = await failure(query(`127.0.0.1:${port}`, { timeout: 0.5 }));
    expect(code, message).toBe("TIMEOUT");
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it("ends when the caller says so", async () => {
    const port = await silentPort("127.0.0.1");
    const abort = new AbortController();
    const asked = failure(query(`127.0.0.1:${port}`, { timeout: 60, signal: abort.signal }));
    abort.abort();
    expect((await asked).code).toBe("ABORTED");
  });
});

describe("a name with several addresses", async () => {
  const six = await hasIPv6();

  /** Names are looked up by the caller's host: ours knows one more. */
  const withName = async (addresses: readonly string[]): Promise<Host> => ({
    ...(await lendHost()),
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
  });

  it.each([
    ["IPv6 is silent and IPv4 answers", "::1", "127.0.0.1", true],
    ["IPv4 is silent and IPv6 answers", "127.0.0.1", "::1", true],
    ["the first of two of one family is silent", "127.0.0.1", loopbackAlias(), false],
  ] as const)("is answered when %s", async (_, silent, answering, needsSix) => {
    if (needsSix && !six) return console.warn("SKIPPED: no IPv6 on loopback");
    await using server = await serve({ listen: [answering], port: 0, stratum: 1 });
    const { port } = endpointOf(server);
    await silentPort(silent, port);
    const sample = await queryOn(await withName([silent, answering]), `time.example.org:${port}`);
    expect(sample).toMatchObject({ source: `time.example.org:${port}`, address: answering, usable: true });
  });

  it("is asked again in vain when all are silent: the error names them all", async () => {
    const first = loopbackAlias();
    const second = loopbackAlias();
    const port = await silentPort(first);
    await silentPort(second, port);
    const { code, message } = await failure(queryOn(await withName([first, second]), `time.example.org:${port}`, { timeout: 0.8 }));
    expect(code).toBe("TIMEOUT");
    expect(message).toContain(`${first}:${port}, ${second}:${port}`);
  });
});

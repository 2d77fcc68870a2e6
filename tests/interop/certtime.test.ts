// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `certTime: "roughtime"` end to end: a host whose clock is years wrong, Roughtime servers that sign, and key establishment over
 * TLS with certificates that are valid at one time and not at another. What a majority signed decides; without one nothing is
 * asked for; and one that lies moves nothing.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { virtualHost } from "../../daemon/served.ts";
import { query } from "../../hosts/common/client/query.ts";
import type { Host } from "../../hosts/common/host.ts";
import type { RoughtimeServerEntry } from "../../hosts/common/roughtime/client.ts";
import type { CertificateTime } from "../../hosts/common/nts/options.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { ntsServer, type NtsServer } from "../support/nts-server.ts";
import { issue, makeCa } from "../support/pki.ts";
import { freePort, loopbackAlias } from "../support/peers.ts";
import { ownServer, tcpHost, type OwnServer } from "../support/roughtime.ts";

const YEAR_S = 31_557_600;
const YEAR_MS = YEAR_S * 1000;
const now = Date.now();
const ca = makeCa({ notBefore: now - 40 * YEAR_MS, notAfter: now + 40 * YEAR_MS });
// The runtime's own TLS would judge by the machine's clock, which is right.
const { connectTls: _, ...machine } = await tcpHost();

/** This machine, but for its clock, which is so many years ahead. */
function hostAhead(years: number): Host {
  const wallNs = machine.clock.now();
  const timeNs = wallNs + BigInt(Math.round(years * YEAR_S)) * 1_000_000_000n;
  return virtualHost(machine, () => ({ wallNs, timeNs, rate: 0 }));
}

/** A certificate valid between so many years from now. */
function certificateOf(address: string, from: number, to: number) {
  return issue(ca, { ips: [address], notBefore: now + from * YEAR_MS, notAfter: now + to * YEAR_MS });
}

let honest: OwnServer[];
let valid: NtsServer;
let expired: NtsServer;

async function ntsWith(from: number, to: number): Promise<NtsServer> {
  const address = loopbackAlias();
  return ntsServer(new PkiFiles(), { protocols: [0], address, certificate: certificateOf(address, from, to) });
}

beforeAll(async () => {
  honest = await Promise.all(["one", "two", "three"].map((name) => ownServer(machine, { name })));
  [valid, expired] = await Promise.all([ntsWith(-0.1, 0.1), ntsWith(-5, -3)]);
});
afterAll(() => Promise.all([...(honest ?? []), valid, expired].map((one) => one?.[Symbol.asyncDispose]())));

/** The certificate is all right but for the time. */
const untimely = expect.stringMatching(/valid from .* to /) as string;
const entries = () => honest.map(({ entry }) => entry);
const ask = (host: Host, { source }: NtsServer, certTime: CertificateTime, roughtime: readonly RoughtimeServerEntry[] = []) =>
  query(host, `nts:${source}`, { timeout: 20, nts: { ca: ca.certificate, certTime, ...(roughtime.length > 0 ? { roughtime } : {}) } });

/** A server that nobody reaches. */
async function gone(entry: RoughtimeServerEntry): Promise<RoughtimeServerEntry> {
  const port = await freePort("127.0.0.1");
  return { ...entry, addresses: entry.addresses.map((address) => ({ ...address, port })) };
}

describe.each([["ten years slow", -10], ["ten years fast", 10]])("a clock that is %s", (_, years) => {
  it("finds a good certificate invalid by itself", async () => {
    await expect(ask(hostAhead(years), valid, "system")).rejects.toMatchObject({ code: "TLS", message: untimely });
  });

  it("is no hindrance where Roughtime servers agree, and what is measured with the keys tells how wrong it is", async () => {
    const sample = await ask(hostAhead(years), valid, "roughtime", entries());
    expect({ authenticated: sample.authenticated, problems: sample.problems() }).toEqual({ authenticated: true, problems: [] });
    expect(sample.offset / YEAR_S).toBeCloseTo(-years, 5);
  });
});

describe("a clock at which a certificate that has expired would be valid", () => {
  it("finds it valid by itself", async () => {
    expect((await ask(hostAhead(-4), expired, "system")).authenticated).toBe(true);
  });

  it("does not find it valid where Roughtime servers agree on the time", async () => {
    await expect(ask(hostAhead(-4), expired, "roughtime", entries())).rejects.toMatchObject({ code: "TLS", message: untimely });
  });

  it("does not find it valid when one Roughtime server of three says that it is that late", async () => {
    await using liar = await ownServer(machine, { name: "liar", ahead: -4 * YEAR_S });
    await expect(ask(hostAhead(-4), expired, "roughtime", [entries()[0]!, liar.entry, entries()[1]!])).rejects.toMatchObject({ code: "TLS", message: untimely });
    // And the truth is found past the liar.
    expect((await ask(hostAhead(-4), valid, "roughtime", [entries()[0]!, liar.entry, entries()[1]!])).authenticated).toBe(true);
  });
});

describe("without a majority of Roughtime servers", () => {
  const refused = { code: "NO_AGREEMENT", message: expect.stringContaining('certTime = "roughtime"') };

  it("no keys are asked for: one of three is silent", async () => {
    const before = valid.packets.length;
    await expect(ask(hostAhead(-10), valid, "roughtime", [entries()[0]!, entries()[1]!, await gone(entries()[2]!)])).rejects.toMatchObject(refused);
    expect(valid.packets.length).toBe(before);
  });

  it("no keys are asked for: three disagree", async () => {
    await using early = await ownServer(machine, { name: "early", ahead: -4 * YEAR_S });
    await using late = await ownServer(machine, { name: "late", ahead: 4 * YEAR_S });
    await expect(ask(hostAhead(-10), valid, "roughtime", [entries()[0]!, early.entry, late.entry])).rejects.toMatchObject(refused);
  });

  it("four or five do with three that agree", async () => {
    const servers = [...entries(), await gone({ ...entries()[0]!, publicKey: new Uint8Array(32).fill(9) })];
    expect((await ask(hostAhead(-10), valid, "roughtime", servers)).authenticated).toBe(true);
  });

  it.each([[[]], [["roughtime:127.0.0.1#Ixu7gqjJ9TU6IxsO8wxZxAFT5te6FcZZQq5vXFl35JE="]], [["a.example", "b.example", "c.example"]]])("it is wrong usage to name fewer than three, or what is none: %j", async (roughtime) => {
    await expect(query(hostAhead(0), `nts:${valid.source}`, { nts: { ca: ca.certificate, certTime: "roughtime", roughtime } })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("the time that was saved", () => {
  const saved = (host: Host, server: NtsServer, savedMs?: number) => query(host, `nts:${server.source}`, { timeout: 20, nts: { ca: ca.certificate, certTime: "saved", ...(savedMs === undefined ? {} : { savedMs }) } });

  it("is what certificates are judged by while the clock is before it", async () => {
    expect((await saved(hostAhead(-50), valid, now - 1000)).authenticated).toBe(true);
  });

  it("is nothing to a clock that is after it, and without it there is only that clock", async () => {
    await expect(saved(hostAhead(0), expired, now - 4 * YEAR_MS)).rejects.toMatchObject({ code: "TLS" });
    await expect(saved(hostAhead(-50), valid)).rejects.toMatchObject({ code: "TLS" });
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS (RFC 8915): `escapement query nts:` and a daemon of ours against chronyd, ntpd-rs and NTPsec, which count and log what
 * they authenticated; and what never happens: time that nobody vouches for, or a way back to plain NTP.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cableOfTests } from "../support/cable.ts";
import {
  COMMAND, Peer, escapement, eventually, freePort, freeTcpPort, freshDirectory, loopbackAlias, titled, whySkipped, writeLines, type StartOptions,
} from "../support/peers.ts";
import { reportOf } from "../support/daemon.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { chronyServer, numberIn, type ChronyProgram } from "./chrony.ts";
import { chronyNtsServer, type NtsChronyd, type NtsPlace } from "./chrony-nts.ts";
import { countsOf, ntpdRsServer } from "./ntpd-rs.ts";
import { ntpsecNtsServer, type NtpsecProgram } from "./ntpsec.ts";
import { record } from "./record.ts";

const chronySkipped = whySkipped(["chronyd", "chronyc", "chronyd-new", "chronyc-new"]);
const rustSkipped = whySkipped(["ntp-daemon", "ntp-ctl", "cc"]);
const ntpsecSkipped = whySkipped(["ntpd", "ntpd-new", "ntpq", "ip", "nsenter", "unshare"], { root: true });
const pki = new PkiFiles();
/** Somebody else's authority. */
const stranger = new PkiFiles();

interface Told {
  readonly status: number | null;
  readonly samples: readonly { readonly authenticated: boolean; readonly problems: readonly unknown[]; readonly nts?: { readonly aead: number } }[];
  readonly errors: readonly { readonly code?: string; readonly message?: string }[];
}

/** What `escapement query nts:… --json` tells; it trusts our authority alone. */
async function ask({ address, kePort }: NtsPlace, args: readonly string[] = [], { ca = pki.ca, ...options }: StartOptions & { ca?: string } = {}): Promise<Told> {
  const { status, stdout, stderr } = await escapement(["query", `nts:${address}:${kePort}`, "--ca", ca, "--json", "--timeout", "30", ...args], options);
  if (!stdout) throw new Error(stderr);
  return { status, ...(JSON.parse(stdout) as Omit<Told, "status">) };
}

function expectProven({ status, samples, errors }: Told, aead: number): void {
  expect({ status, errors }).toEqual({ status: 0, errors: [] });
  expect(samples).toMatchObject([{ authenticated: true, problems: [], nts: { aead } }]);
}

function expectNothing({ status, samples }: Told): void {
  expect({ status, samples }).toEqual({ status: 1, samples: [] });
}

describe.skipIf(chronySkipped).each<[ChronyProgram, readonly number[]]>([["chronyd", [15]], ["chronyd-new", [30, 15]]])(titled("%s is asked by NTS", chronySkipped), (program, aeads) => {
  let server: NtsChronyd;
  beforeAll(async () => {
    server = await chronyNtsServer({ pki, program });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const authenticated = async () => numberIn(await server.report("serverstats"), "Authenticated NTP packets");

  it("what both prefer is agreed upon", async () => {
    expectProven(await ask(server), aeads[0]!);
  });

  it.each(aeads)("AEAD %i: it authenticates our request and we its answer", async (aead) => {
    const before = await authenticated();
    expectProven(await ask(server, ["--aead", String(aead)]), aead);
    expect((await authenticated()) - before).toBe(1);
    record(program, "server", `\`query nts:\` with AEAD ${aead}`, "Authenticated NTP packets 1");
  });

  it("an AEAD that it does not have is an error and no time", async () => {
    const before = await authenticated();
    expectNothing(await ask(server, ["--aead", "17"]));
    expect(await authenticated()).toBe(before);
  });

  it("a certificate of somebody else's authority is an error and no time", async () => {
    const told = await ask(server, [], { ca: stranger.ca });
    expectNothing(told);
    expect(told.errors).toHaveLength(1);
  });

  it("a daemon of ours follows it, and always has cookies", async () => {
    const before = await authenticated();
    await using daemon = await startDaemon(server);
    const source = await daemon.after(6);
    expect(source).toMatchObject({ authentication: "nts", nts: { aead: aeads[0] } });
    expect((await authenticated()) - before).toBeGreaterThanOrEqual(6);
    expect(numberIn(await server.report("serverstats"), "NTS-KE connections dropped")).toBe(0);
    record(program, "server", "`escapement daemon` with a source of `nts:`", "Authenticated NTP packets 6 or more, NTS-KE connections dropped 0");
  });
});

describe.skipIf(chronySkipped)(titled("there is no way back to plain NTP", chronySkipped), () => {
  it("where NTP is answered but keys are not established", async () => {
    const address = loopbackAlias();
    await using plain = await chronyServer({ listen: [address], lines: ["local stratum 1"] });
    const told = await ask({ address, kePort: await freeTcpPort(address) });
    expectNothing(told);
    expect(told.errors).toHaveLength(1);
    expect(numberIn(await plain.report("serverstats"), "NTP packets received"), "it was not even asked").toBe(0);
  });

  it("where the server forgets its keys and then establishes none: a daemon of ours measures no more", async () => {
    await using bereft = await bereftDaemon();
    const { daemon, used, address, port } = bereft;
    await using plain = await chronyServer({ program: "chronyd-new", listen: [address], lines: ["local stratum 1", `port ${port}`] });
    await eventually("the new server to have been asked", async () => (numberIn(await plain.report("serverstats"), "NTP packets received") >= 2 ? true : undefined), daemon.peer);
    const after = await daemon.source();
    expect(after.used - used, "but for what the first still answered").toBeLessThanOrEqual(2);
    expect(numberIn(await plain.report("serverstats"), "Authenticated NTP packets")).toBe(0);
  });

  it("where the server forgets its keys and establishes new ones: a daemon of ours is back in step", async () => {
    await using bereft = await bereftDaemon();
    const { daemon, used, again } = bereft;
    await using second = await again();
    await daemon.after(used + 4);
    expect(numberIn(await second.report("serverstats"), "Authenticated NTP packets")).toBeGreaterThan(0);
    expect(numberIn(await second.report("serverstats"), "NTS-KE connections accepted")).toBeGreaterThan(0);
    record("chronyd-new", "server", "`escapement daemon`, after the server lost its keys", "NTS-KE connections accepted, Authenticated NTP packets");
  });
});

describe.skipIf(rustSkipped)(titled("ntpd-rs is asked by NTS", rustSkipped), () => {
  it.each([15, 17])("AEAD %i", async (aead) => {
    await using server = await ntpdRsServer({ pki });
    expectProven(await ask(server, ["--aead", String(aead)]), aead);
    const counts = await eventually("ntpd-rs to have counted it", async () => {
      const now = await countsOf(server);
      return now.get("NTS Received") ? now : undefined;
    }, server.peer);
    expect(Object.fromEntries(counts)).toMatchObject({ "NTS Received": 1, "NTS Accepted": 1, "NTS NAK": 0 });
    record("ntp-daemon", "server", `\`query nts:\` with AEAD ${aead}`, "NTS Accepted 1, NTS NAK 0");
  });

  it("a daemon of ours follows it", async () => {
    await using server = await ntpdRsServer({ pki });
    await using daemon = await startDaemon(server);
    expect(await daemon.after(6)).toMatchObject({ authentication: "nts", nts: { aead: expect.toBeOneOf([15, 17]) } });
    expect((await countsOf(server)).get("NTS NAK")).toBe(0);
  });
});

describe.skipIf(ntpsecSkipped)(titled("NTPsec is asked by NTS", ntpsecSkipped), () => {
  const HERE = "10.97.1.1";
  const THERE = "10.97.1.2";
  const cable = cableOfTests([HERE, THERE]);

  it.each<NtpsecProgram>(["ntpd", "ntpd-new"])("%s counts our request as good", async (program) => {
    await using server = await ntpsecNtsServer({ pki, program, namespace: cable.there, address: THERE });
    await eventually("an authenticated answer that is of use", async () => ((await ask(server, [], { namespace: cable.here })).status === 0 ? true : undefined), server.peer);
    expectProven(await ask(server, [], { namespace: cable.here }), 15);
    const counts = await server.counts();
    expect(counts.get("NTS server recvs w error")).toBe(0);
    expect(counts.get("NTS server recvs good")).toBeGreaterThanOrEqual(2);
    expect(counts.get("NTS KE serves bad")).toBe(0);
    record(program, "server", "`query nts:` with AEAD 15", "NTS server recvs good, none with error; NTS KE serves bad 0");
  });
});

interface OurSource {
  readonly used: number;
  readonly authentication: string;
  readonly nts?: { readonly aead: number };
}

/** A daemon of ours with one source of NTS, asked once a second. */
async function startDaemon({ address, kePort }: NtsPlace): Promise<AsyncDisposable & { readonly peer: Peer; source(): Promise<OurSource>; after(used: number): Promise<OurSource> }> {
  const place = freshDirectory();
  const socket = `${place}/observe.sock`;
  const config = writeLines(place, "daemon.toml", [
    "[[source]]", `address = "nts:${address}:${kePort}"`, "min-poll = 0", "max-poll = 0", "[source.nts]", `ca = "${pki.ca}"`,
    "[clock]", 'mode = "virtual"', "[observe]", `socket = "${socket}"`,
  ]);
  const peer = new Peer(process.execPath, [COMMAND, "daemon", "--config", config], { owns: [place] });
  const source = async () => (await reportOf<OurSource[]>("sources", socket))[0]!;
  const after = (used: number) => eventually(`${used} samples by NTS`, async () => {
    const now = await source();
    return now.used >= used ? now : undefined;
  }, peer);
  return { peer, source, after, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** A daemon of ours that has followed a chronyd by NTS, which is gone: nobody is at its place until `again` starts another there. */
async function bereftDaemon() {
  const address = loopbackAlias();
  const kePort = await freeTcpPort(address);
  const port = await freePort(address);
  const again = () => chronyNtsServer({ pki, program: "chronyd-new", listen: [address], kePort, lines: ["local stratum 1", `port ${port}`] });
  const first = await again();
  const daemon = await startDaemon(first);
  const { used } = await daemon.after(4);
  await first[Symbol.asyncDispose]();
  return { daemon, used, address, port, again, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
}

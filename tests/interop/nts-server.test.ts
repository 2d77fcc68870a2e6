// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS (RFC 8915) the other way: chronyd of two versions, ntpd-rs and NTPsec establish keys with `escapement serve` and follow
 * it; what they say of the keys, of the cookies, and of a server that has lost its keys.
 */

import { describe, expect, it } from "vitest";
import { cableOfTests } from "../support/cable.ts";
import { Namespace, eventually, freePort, freeTcpPort, loopbackAlias, titled, whySkipped, type Peer } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { startServe } from "./ask.ts";
import { authData, chronyNtsClient, type AuthData, type NtsPlace } from "./chrony-nts.ts";
import { numberIn, type ChronyProgram, type Chronyd } from "./chrony.ts";
import { ntpdRsClient, sourcesOf } from "./ntpd-rs.ts";
import { ntpsecNtsClient, type NtpsecProgram } from "./ntpsec.ts";
import { record } from "./record.ts";

const chronySkipped = whySkipped(["chronyd", "chronyc", "chronyd-new", "chronyc-new"]);
const rustSkipped = whySkipped(["ntp-daemon", "ntp-ctl", "cc"]);
const ntpsecSkipped = whySkipped(["ntpd", "ntpd-new", "ntpq", "ip", "nsenter", "unshare"], { root: true });
const pki = new PkiFiles();
/** Somebody else's authority. */
const stranger = new PkiFiles();
/** On one machine the true offset is 0, and our server stamps in an event loop, s. */
const NEAR = 5e-3;

interface OurServer extends AsyncDisposable, NtsPlace {
  readonly peer: Peer;
  readonly port: number;
}

/** `escapement serve` of stratum 1 with NTS; in a namespace at the ports that are registered. */
async function ourServer({ address = loopbackAlias(), namespace, ...ports }: { address?: string; port?: number; kePort?: number; namespace?: Namespace } = {}): Promise<OurServer> {
  const port = ports.port ?? (namespace ? 123 : await freePort(address));
  const kePort = ports.kePort ?? (namespace ? 4460 : await freeTcpPort(address));
  const { certificate, key } = pki.issue(address);
  const nts = ["--nts-cert", certificate, "--nts-key", key, "--nts-listen", `${address}:${kePort}`];
  const peer = await startServe(["--listen", `${address}:${port}`, "--stratum", "1", "--refid", "GPS", ...nts], namespace ? { namespace } : {});
  return { peer, address, port, kePort, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** Wait until `client` has selected the server and holds eight cookies. */
function inStep(client: Chronyd, { address }: NtsPlace): Promise<AuthData> {
  return eventually("chronyd to select our server by NTS", async () => {
    const data = await authData(client, address);
    return (await client.ask("sources")).includes(`^* ${address}`) && data.cookies === 8 ? data : undefined;
  }, client.peer);
}

describe.skipIf(chronySkipped).each<[ChronyProgram, number]>([["chronyd", 15], ["chronyd-new", 30]])(titled("%s follows escapement serve by NTS", chronySkipped), (program, aead) => {
  it("has eight cookies, no NAK, every packet test passed, and its most wanted AEAD", async () => {
    await using server = await ourServer();
    await using client = await chronyNtsClient([server], { pki, program });
    expect(await inStep(client, server)).toMatchObject({ mode: "NTS", type: aead, keyId: 1, attempts: 0, nak: 0, cookies: 8 });
    const data = await eventually("eight good packets", async () => {
      const report = await client.report("ntpdata");
      return numberIn(report, "Total good RX") >= 8 && report.get("NTP tests") === "111 111 1111" ? report : undefined;
    }, client.peer);
    expect(Object.fromEntries(data)).toMatchObject({ "Stratum": "1", "Authenticated": "Yes", "NTP tests": "111 111 1111" });
    await eventually("eight cookies, as each answer brought another", async () => (await authData(client, server.address)).cookies === 8 || undefined, client.peer);
    record(program, "client", "`escapement serve` with NTS", `Type ${aead}, NAK 0, Cook 8; Authenticated Yes, NTP tests ${data.get("NTP tests")}`);
  });

  it("asks for keys anew when the server was started with new ones, and is back in step", async () => {
    const first = await ourServer();
    await using client = await chronyNtsClient([first], { pki, program });
    const { keyId } = await inStep(client, first);
    await first[Symbol.asyncDispose]();
    await using second = await ourServer(first);
    const data = await eventually("chronyd to have other keys", async () => {
      const now = await authData(client, second.address);
      return now.keyId > keyId ? now : undefined;
    }, client.peer);
    expect(data.nak, "the new keys were not refused").toBe(0);
    const good = numberIn(await client.report("ntpdata"), "Total good RX");
    await eventually("four good answers more", async () => (numberIn(await client.report("ntpdata"), "Total good RX") >= good + 4 ? true : undefined), client.peer);
    await inStep(client, second);
    record(program, "client", "`escapement serve` with NTS, started anew with other keys", "KeyID 2, NAK 0, Cook 8");
  });

  it("never follows a server whose certificate is of a stranger's authority", async () => {
    await using server = await ourServer();
    await using client = await chronyNtsClient([server], { pki: stranger, program });
    await eventually("chronyd to have tried", async () => ((await authData(client, server.address)).attempts >= 1 ? true : undefined), client.peer);
    expect(await authData(client, server.address)).toMatchObject({ cookies: 0 });
    expect(numberIn(await client.report("ntpdata"), "Total good RX")).toBe(0);
  });
});

describe.skipIf(rustSkipped)(titled("ntpd-rs follows escapement serve by NTS", rustSkipped), () => {
  it("measures us and always has eight cookies", async () => {
    await using server = await ourServer();
    await using client = await ntpdRsClient([{ address: `${server.address}:${server.kePort}`, pki }]);
    const [source] = await eventually("ntpd-rs to have measured by NTS", async () => {
      const sources = await sourcesOf(client);
      return sources[0]?.cookies === 8 && sources[0].missingPolls === 0 && Math.abs(sources[0].offset) < NEAR && sources[0].delay > 0 ? sources : undefined;
    }, client.peer);
    expect(source).toMatchObject({ nts: true, address: `${server.address}:${server.port}`, missingPolls: 0 });
    record("ntp-daemon", "client", "`escapement serve` with NTS", "[NTS], Missing polls 0, NTS cookies 8/8 available");
  });
});

describe.skipIf(ntpsecSkipped)(titled("NTPsec follows escapement serve by NTS", ntpsecSkipped), () => {
  const HERE = "10.97.2.1";
  const THERE = "10.97.2.2";
  const cable = cableOfTests([HERE, THERE]);

  it.each<NtpsecProgram>(["ntpd", "ntpd-new"])("%s counts our answers as good", async (program) => {
    await using server = await ourServer({ address: HERE, namespace: cable.here });
    await using client = await ntpsecNtsClient(server, { pki, program, namespace: cable.there });
    const counts = await eventually("ntpd to take three answers", async () => {
      const now = await client.counts();
      return now.get("NTS client recvs good")! >= 3 ? now : undefined;
    }, client.peer);
    expect(counts.get("NTS client recvs w error")).toBe(0);
    expect(counts.get("NTS KE client probes bad")).toBe(0);
    expect(client.peer.said).toMatch(/Got 8 cookies, length \d+, aead=15/);
    record(program, "client", "`escapement serve` with NTS", "Got 8 cookies, aead=15; NTS client recvs good, none with error");
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/** Key establishment with programs of today: AEAD 30 and its record 1024 with chrony 4.9, in both roles; AEAD 17 with ntpd-rs. */
import { createSocket } from "node:dgram";
import { mkdirSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { establishKeys, type KeClientOptions } from "../../hosts/common/nts/client.ts";
import type { Establishment } from "../../hosts/common/nts/establish.ts";
import { serveKe } from "../../hosts/common/nts/server.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { testJar } from "../support/cookies.ts";
import { cookieOf, isAuthenticReply, isAuthenticRequest, ntsRequest } from "../support/nts-packet.ts";
import { Peer, eventually, freePort, freshDirectory, loopbackAlias, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";

const host = await lendHost({ native: false });
const ca = makeCa();
const folder = freshDirectory();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const noChrony = whySkipped(["chronyd-new", "chronyc-new"]);
const noNtpdRs = whySkipped(["ntp-daemon"]);

/** A certificate for an address, as files, and a directory for a daemon there. */
function placeAt(address: string) {
  const directory = path.join(folder, address);
  mkdirSync(directory, { mode: 0o700 });
  const pair = issue(ca, { ips: [address], dns: ["ke.example"] });
  return { directory, pair, certificate: writeLines(directory, "cert.pem", [pair.certificate]), key: writeLines(directory, "key.pem", [pair.key]) };
}

function chronyd(directory: string, lines: readonly string[]) {
  const socket = path.join(directory, "chronyd.sock");
  const file = writeLines(directory, "chrony.conf", ["cmdport 0", `bindcmdaddress ${socket}`, `pidfile ${directory}/pid`, `ntsdumpdir ${directory}`, ...lines]);
  const peer = new Peer("chronyd-new", ["-x", "-d", "-U", "-u", userInfo().username, "-f", file]);
  // It would become another user, who cannot reach the socket.
  const stay = ["-u", userInfo().username];
  return { peer, ask: async (...command: string[]) => (await run("chronyc-new", [...stay, "-h", socket, "-n", ...command])).stdout };
}

/** Whether NTP with these keys and cookies is honoured, each cookie once. */
async function honoured({ cookies, c2s, s2c, host: address, port }: Establishment): Promise<boolean[]> {
  const results: boolean[] = [];
  for (const cookie of cookies) {
    const request = ntsRequest(cookie, c2s);
    const reply = await new Promise<Uint8Array>((resolve, reject) => {
      const socket = createSocket("udp4");
      const end = (act: () => void) => { clearTimeout(timer); socket.close(); act(); };
      const timer = setTimeout(() => end(() => reject(new Error("no reply in 30 s"))), 30_000);
      socket.on("message", (data) => end(() => resolve(Uint8Array.from(data))));
      socket.send(request, port, address);
    });
    results.push(isAuthenticReply(request, reply, s2c));
  }
  return results;
}

const EIGHT = new Array(8).fill(true);

describe.skipIf(noChrony)(titled("chrony 4.9 and AEAD 30", noChrony), () => {
  it("gives our client keys out of the RFC's context, as both sent record 1024; and other algorithms when asked", async () => {
    const address = loopbackAlias();
    const { directory, certificate, key } = placeAt(address);
    const [port, kePort] = [await freePort(address), await freePort(address)];
    await using server = chronyd(directory, [`bindaddress ${address}`, `port ${port}`, "allow", "local stratum 1", `ntsserverkey ${key}`, `ntsservercert ${certificate}`, `ntsport ${kePort}`]).peer;
    const establish = (options: Partial<KeClientOptions> = {}) => establishKeys(host, { host: address, kePort, ca: ca.certificate, ...options });
    const told = await eventually("chronyd to establish keys", () => establish(), server);
    expect(told).toMatchObject({ aead: 30, port });
    expect(told.otherKeys).toBeUndefined();
    expect(await honoured(told)).toEqual(EIGHT);
    const plain = await establish({ aeads: [15] });
    expect(await honoured(plain)).toEqual(EIGHT);
  });

  it("establishes AEAD 30 with our server, and asks for time under the keys in our cookies", async () => {
    const address = loopbackAlias();
    const { directory, pair } = placeAt(address);
    const jar = testJar();
    const ntp = createSocket("udp4");
    const requests: Uint8Array[] = [];
    ntp.on("message", (data) => requests.push(Uint8Array.from(data)));
    await new Promise<void>((resolve) => ntp.bind(0, address, resolve));
    await using server = await serveKe(host, { ...pair, jar, listen: [address], port: 0, servers: [{ port: ntp.address().port }] });
    const trusted = writeLines(directory, "ca.pem", [ca.certificate]);
    const client = chronyd(directory, [`server ${address} port 1 nts ntsport ${server.addresses[0]!.port} iburst minpoll 0 maxpoll 0`, "port 0", `ntstrustedcerts ${trusted}`]);
    const request = await eventually("chronyd to ask for time", () => requests[0], client.peer);
    expect(await client.ask("authdata")).toMatch(/NTS\s+1\s+30\s+128/);
    const session = jar.open(cookieOf(request)!)!;
    expect(session.aead).toBe(30);
    expect(isAuthenticRequest(request, session.c2s)).toBe(true);
    expect(isAuthenticRequest(request, session.s2c)).toBe(false);
    await client.peer.stop();
    ntp.close();
  });
});

describe.skipIf(noNtpdRs)(titled("ntpd-rs and AEAD 17", noNtpdRs), () => {
  it("gives our client keys and cookies that its NTP server honours", async () => {
    const address = loopbackAlias();
    const { directory, certificate, key } = placeAt(address);
    const [port, kePort] = [await freePort(address), await freePort(address)];
    const file = writeLines(directory, "ntp.toml", [
      "[synchronization]", "local-stratum = 1", "[[server]]", `listen = "${address}:${port}"`,
      "[[nts-ke-server]]", `listen = "${address}:${kePort}"`, `ntp-port = ${port}`, `certificate-chain-path = "${certificate}"`, `private-key-path = "${key}"`,
      "accept-ntp-versions = [4, 5]",
    ]);
    await using server = new Peer("ntp-daemon", ["-c", file]);
    const establish = (aeads: readonly number[]) => establishKeys(host, { host: address, kePort, ca: ca.certificate, aeads });
    for (const aead of [17, 15]) {
      const told = await eventually("ntpd-rs to establish keys", () => establish([aead]), server);
      expect(told).toMatchObject({ aead, port, host: address });
      expect(await honoured(told)).toEqual(new Array(told.cookies.length).fill(true));
    }
    const v5 = (draft: string) => establishKeys(host, { host: address, kePort, ca: ca.certificate, protocols: [0x8001, 0], draft });
    expect(await v5("draft-ietf-ntp-ntpv5-08")).toMatchObject({ protocol: 0x8001 });
    // It follows the client's order.
    expect(await establish([30, 17, 15])).toMatchObject({ aead: 17 });
    expect(await establish([30, 15, 17])).toMatchObject({ aead: 15 });
  });
});

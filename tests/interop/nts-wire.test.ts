// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS seen by somebody on the wire who has the connection's secrets (--key-log): Wireshark decrypts key establishment and
 * verifies every authenticator, ours and theirs; and what must be so for everybody else: one packet has the other's length,
 * no cookie is sent twice.
 */

import { rmSync } from "node:fs";
import { createSocket } from "node:dgram";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Peer, escapement, eventually, freshDirectory, run, titled, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { chronyNtsServer, type NtsChronyd } from "./chrony-nts.ts";
import { complaints } from "./packet.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["tshark", "tshark-new", "chronyd-new", "chronyc-new"], { root: true });
const pki = new PkiFiles();
const directory = freshDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** One packet as tshark reads it: fields by name, several values separated by commas. */
type Seen = Readonly<Record<string, string>>;

const UNIQUE_IDENTIFIER = "0x0104";
const COOKIE = "0x0204";
const AUTHENTICATOR = "0x0404";
const EXPERT = "_ws.expert.message";
const FIELDS = ["ntp.flags.mode", "ntp.nts.crypto_success", "ntp.ext.type", "ntp.ext.value", "udp.length", "_ws.malformed", EXPERT];
const KE_FIELDS = ["nts-ke.type", "nts-ke.aead_algo", "_ws.malformed", EXPERT];
const FAULTLESS = { "_ws.malformed": "", [EXPERT]: "" };
const identifier = valueOf(UNIQUE_IDENTIFIER);
const cookie = valueOf(COOKIE);

/** A capture of a server's two ports into a file. */
async function capture({ address, port, kePort }: Pick<NtsChronyd, "address" | "port" | "kePort">, during: () => Promise<void>): Promise<string> {
  const file = join(directory, `${address}.pcap`);
  const [first, last] = [port + 1, port + 2];
  const tshark = new Peer("tshark", ["-l", "-n", "-i", "lo", "-f", `host ${address} and (udp portrange ${port}-${last} or tcp port ${kePort})`, "-w", file, "-P"]);
  const probe = createSocket("udp4");
  // What it shows later it has written: a probe that is sent last comes behind all that matters.
  const probes = (to: number) => eventually("tshark to capture", () => {
    probe.send(Buffer.of(0), to, address);
    return new RegExp(`→ ${to} `).test(tshark.stdout) || undefined;
  }, tshark);
  await probes(first);
  await during();
  await probes(last);
  probe.close();
  await tshark.stop("SIGINT");
  return file;
}

/** Fields of the packets of `file` that `filter` lets through, decrypted with the secrets of `keys`. */
async function read(file: string, keys: string, { port, kePort }: Pick<NtsChronyd, "port" | "kePort">, filter: string, fields: readonly string[]): Promise<Seen[]> {
  const { status, stdout, stderr } = await run("tshark-new", [
    "-r", file, "-n", "-o", `tls.keylog_file:${keys}`, "-d", `udp.port==${port},ntp`, "-d", `tcp.port==${kePort},tls`,
    "-Y", filter, "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", ...fields.flatMap((field) => ["-e", field]),
  ], { timeoutMs: 60_000 });
  if (status !== 0) throw new Error(`expected tshark to read ${file}: ${stderr}`);
  const rows = stdout.split("\n").slice(0, -1).map((line) => Object.fromEntries(line.split(";").map((value, i) => [fields[i] ?? "", value])) as Seen);
  return rows.map((row) => ({ ...row, [EXPERT]: complaints(row[EXPERT] ?? "") }));
}

describe.skipIf(skipped)(titled("Wireshark, which has the secrets, reads escapement query nts:", skipped), () => {
  it.each([15, 30])("AEAD %i: it verifies each packet, finds nothing malformed, and no cookie twice", async (aead) => {
    await using server = await chronyNtsServer({ pki, program: "chronyd-new" });
    const keys = join(directory, `keys-${aead}`);
    const file = await capture(server, async () => {
      const options = ["--ca", pki.ca, "--aead", String(aead), "--key-log", keys, "--samples", "3", "--json"];
      const { status, stderr } = await escapement(["query", `nts:${server.address}:${server.kePort}`, ...options]);
      expect(status, stderr).toBe(0);
    });
    const seen = await read(file, keys, server, "ntp", FIELDS);
    expect(seen.map((packet) => packet["ntp.flags.mode"])).toEqual(["3", "4", "3", "4", "3", "4"]);
    for (const packet of seen) expect(packet).toMatchObject({ "ntp.nts.crypto_success": "True", ...FAULTLESS });
    // RFC 8915 §5.7: a fresh identifier and a fresh cookie for each request, an answer of the same length with the identifier.
    const requests = seen.filter((packet) => packet["ntp.flags.mode"] === "3");
    const replies = seen.filter((packet) => packet["ntp.flags.mode"] === "4");
    expect(requests.map((packet) => packet["ntp.ext.type"])).toEqual(requests.map(() => [UNIQUE_IDENTIFIER, COOKIE, AUTHENTICATOR].join(",")));
    expect(replies.map(identifier)).toEqual(requests.map(identifier));
    expect(replies.map((packet) => packet["udp.length"])).toEqual(requests.map((packet) => packet["udp.length"]));
    for (const unique of [identifier, cookie]) expect(new Set(requests.map(unique)).size).toBe(3);

    const [offer, answer] = await read(file, keys, server, "nts-ke", KE_FIELDS);
    expect(offer).toMatchObject({ "nts-ke.aead_algo": String(aead), ...FAULTLESS });
    expect(offer!["nts-ke.type"]!.split(",")).toEqual(["1", "4", ...(aead === 30 ? ["1024"] : []), "0"]);
    expect(answer).toMatchObject({ "nts-ke.aead_algo": String(aead), ...FAULTLESS });
    expect(answer!["nts-ke.type"]!.split(",").filter((type) => type === "5")).toHaveLength(8);
    record("tshark-new", "observer", `\`query nts:\` to chronyd with AEAD ${aead}`, "ntp.nts.crypto_success in each request and reply, nothing malformed");
  });

  it("and without the secrets it verifies nothing", async () => {
    await using server = await chronyNtsServer({ pki, program: "chronyd-new" });
    const file = await capture(server, async () => {
      expect((await escapement(["query", `nts:${server.address}:${server.kePort}`, "--ca", pki.ca, "--json"])).status).toBe(0);
    });
    const seen = await read(file, "/dev/null", server, "ntp", FIELDS);
    expect(seen.map((packet) => packet["ntp.nts.crypto_success"])).toEqual(["", ""]);
    expect(await read(file, "/dev/null", server, "nts-ke", KE_FIELDS)).toEqual([]);
  });
});

/** The value of a packet's first field of a type. */
function valueOf(type: string): (packet: Seen) => string {
  return (packet) => (packet["ntp.ext.value"] ?? "").split(",")[(packet["ntp.ext.type"] ?? "").split(",").indexOf(type)] ?? "";
}

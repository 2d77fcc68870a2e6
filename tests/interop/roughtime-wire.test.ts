// SPDX-License-Identifier: MIT OR Apache-2.0
/** Our Roughtime as Wireshark reads it (4.6 is the first that does): every field where it should be, no complaint. */

import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BatchCore } from "../../hosts/common/roughtime/batch.ts";
import { sign } from "../../hosts/common/roughtime/ed25519.ts";
import { GREASES, greased } from "../../hosts/common/roughtime/grease.ts";
import { delegate, generateKey } from "../../hosts/common/roughtime/keys.ts";
import { drawNonce, makeRequest } from "../../hosts/common/roughtime/request.ts";
import { record } from "./record.ts";
import { findProgram, freshDirectory, titled, whySkipped } from "../support/peers.ts";

const skipped = findProgram("tshark-new") ? undefined : whySkipped(["tshark-new"]);
const run = promisify(execFile);
const host = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
const key = generateKey(host);
const MIDPOINT = 1_900_000_000n;
const PORT = 2002;

/** A capture file of UDP datagrams between two documentation addresses, `[to the server?, payload]` each. */
function pcap(datagrams: readonly (readonly [boolean, Uint8Array])[]): Buffer {
  const RAW_IP = 101;
  const head = Buffer.alloc(24);
  [0xa1b2c3d4, 0x00040002, 0, 0, 65535, RAW_IP].forEach((word, i) => head.writeUInt32LE(word, 4 * i));
  return Buffer.concat([head, ...datagrams.flatMap(([there, payload], i) => {
    const ip = Buffer.alloc(28);
    ip.writeUInt16BE(0x4500, 0);
    ip.writeUInt16BE(28 + payload.length, 2);
    ip.writeUInt16BE(0x4011, 8);
    const [client, server] = [[192, 0, 2, 1], [192, 0, 2, 2]] as const;
    ip.set(there ? [...client, ...server] : [...server, ...client], 12);
    const [from, to] = there ? [40_000 + (i >> 1), PORT] : [PORT, 40_000 + (i >> 1)];
    ip.writeUInt16BE(from, 20);
    ip.writeUInt16BE(to, 22);
    ip.writeUInt16BE(8 + payload.length, 24);
    const record = Buffer.alloc(16);
    [Number(MIDPOINT), i, ip.length + payload.length, ip.length + payload.length].forEach((word, at) => record.writeUInt32LE(word, 4 * at));
    return [record, ip, payload];
  })]);
}

/** A 32-bit number with its octets the other way round. */
const swapped = (value: number) => new DataView(Uint32Array.of(value).buffer).getUint32(0, false);

const FIELDS = [
  "udp.dstport", "roughtime.proto", "roughtime.tag", "roughtime.ver", "roughtime.nonce", "roughtime.midp", "roughtime.radius", "roughtime.index",
  "roughtime.msg_len", "roughtime.length.illegal", "roughtime.response.too_large", "roughtime.path.too_large", "_ws.malformed", "_ws.expert.message", "_ws.col.protocol",
] as const;
type Seen = Readonly<Record<(typeof FIELDS)[number], string>>;

describe.skipIf(skipped !== undefined)(titled("our Roughtime, in Wireshark's eyes,", skipped), () => {
  const directory = freshDirectory();
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function seen(datagrams: readonly (readonly [boolean, Uint8Array])[]): Promise<Seen[]> {
    const file = path.join(directory, `${datagrams.length}.pcap`);
    writeFileSync(file, pcap(datagrams));
    const args = ["-n", "-r", file, "-d", `udp.port==${PORT},roughtime`, "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", ...FIELDS.flatMap((field) => ["-e", field])];
    const { stdout } = await run(findProgram("tshark-new")!, args);
    return stdout.trimEnd().split("\n").map((line) => Object.fromEntries(line.split(";").map((value, i) => [FIELDS[i] ?? "", value])) as Seen);
  }

  const requests = Array.from({ length: 40 }, (_, i) => makeRequest(key.publicKey, drawNonce(host).nonce, i % 2 ? [0x8000000c] : [1, 0x8000000c]));
  const answers: Uint8Array[] = [];
  let told: Seen[] = [];
  beforeAll(async () => {
    const { seed, certificate } = delegate(host, key, MIDPOINT - 10n, MIDPOINT + 10n);
    const reading = { midpoint: MIDPOINT, radius: 3, certificate, sign: (context: Uint8Array, value: Uint8Array) => sign(seed, context, value) };
    await new BatchCore(key.publicKey).answer(requests.map((data, i) => ({ data, least: 1024, reply: (answer) => (answers[i] = answer) })), reading);
    told = await seen(requests.flatMap((request, i) => [[true, request], [false, answers[i]!]] as const));
  });

  it("is Roughtime, well-formed, and gives no cause for complaint", () => {
    expect(told).toHaveLength(80);
    for (const one of told) {
      expect(one["_ws.col.protocol"]).toMatch(/^roughtime$/i);
      for (const complaint of ["roughtime.length.illegal", "roughtime.response.too_large", "roughtime.path.too_large", "_ws.malformed", "_ws.expert.message"] as const) {
        expect([complaint, one[complaint]]).toEqual([complaint, ""]);
      }
    }
    record("tshark-new", "observer", "Roughtime requests and answers of ours, in both versions", "roughtime, nothing malformed, no expert message");
  });

  it("asks with the tags and the nonce of the request", () => {
    requests.forEach((request, i) => {
      const one = told[2 * i]!;
      expect(one["roughtime.tag"].replace(/\\000|\0/g, "").split(",").map((tag) => tag.trim())).toEqual(["VER", "SRV", "NONC", "TYPE", "ZZZZ"]);
      expect(Buffer.from(request).toString("hex")).toContain(one["roughtime.nonce"].replaceAll(":", ""));
      expect(one["roughtime.msg_len"]).toBe("1024");
    });
  });

  it("answers with the request's nonce, its place, the midpoint and the radius", () => {
    const places = { 0: 0, 1: 0 };
    requests.forEach((_, i) => {
      const [asked, one] = [told[2 * i]!, told[2 * i + 1]!];
      expect(one["roughtime.nonce"]).toBe(asked["roughtime.nonce"]);
      expect(one["roughtime.radius"]).toBe("3");
      // Wireshark 4.6.9 reads this one number, alone of all, with its most significant octet first; RFC 10049 §4.1.1 knows no exception.
      const place = places[(i % 2) as 0 | 1]++;
      expect([place, swapped(place)]).toContain(Number(one["roughtime.index"]));
      expect(one["roughtime.midp"]).toMatch(/2030/);
      expect(one["roughtime.tag"].replace(/\\000|\0/g, "").split(",")).toEqual(expect.arrayContaining(["SIG", "NONC", "TYPE", "PATH", "SREP", "CERT", "INDX", "ROOT", "PUBK", "MINT", "MAXT"]));
    });
  });

  it("is well-formed with grease in it, too: what is wrong is not its form", async () => {
    const chance = new Uint8Array(16).fill(5);
    const spoilt = await seen(GREASES.flatMap((kind) => [[true, requests[0]!], [false, greased(answers[0]!, kind, chance)]] as const));
    for (const one of spoilt) expect([one["_ws.malformed"], one["roughtime.length.illegal"]]).toEqual(["", ""]);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/** What our requests look like to somebody on the wire: Wireshark's eyes, and what they must not see (RFC 9109, data minimisation). */

import { createSocket } from "node:dgram";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { query, serve, type QueryOptions } from "../../hosts/node/index.ts";
import { Peer, escapement, eventually, titled, whySkipped } from "../support/peers.ts";
import { chronyServer, type Chronyd } from "./chrony.ts";
import { AT, complaints } from "./packet.ts";
import { sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["tshark", "chronyd", "chronyc"], { root: true });
const FIELDS = ["udp.srcport", "udp.dstport", "udp.payload", "ntp.flags", "_ws.malformed", "_ws.expert.message", "ip.src"] as const;

/** One packet as tshark reads it. */
type Seen = Readonly<Record<(typeof FIELDS)[number], string>>;

/** Its octets. */
function payload(seen: Seen): Buffer {
  return Buffer.from(seen["udp.payload"].replaceAll(":", ""), "hex");
}

/** A capture of one server's port. */
class Capture implements AsyncDisposable {
  readonly #tshark: Peer;
  readonly #port: number;

  private constructor(tshark: Peer, port: number) {
    this.#tshark = tshark;
    this.#port = port;
  }

  /** Start, and wait until it really captures: probes are sent until one is seen. */
  static async start({ address, port }: { address: string; port: number }): Promise<Capture> {
    const fields = FIELDS.flatMap((field) => ["-e", field]);
    const tshark = new Peer("tshark", ["-l", "-n", "-i", "lo", "-f", `host ${address} and udp port ${port}`, "-d", `udp.port==${port},ntp`, "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", ...fields]);
    const capture = new Capture(tshark, port);
    const probe = createSocket("udp4");
    await eventually("tshark to capture", () => {
      probe.send(Buffer.of(0), port, address);
      return tshark.stdout.includes(";") || undefined;
    }, tshark);
    probe.close();
    return capture;
  }

  /** All packets of full length so far; probes are shorter. */
  #seen(): Seen[] {
    const lines = this.#tshark.stdout.split("\n").slice(0, -1);
    const rows = lines.map((line) => Object.fromEntries(line.split(";").map((value, i) => [FIELDS[i] ?? "", value])) as Seen);
    return rows.filter((row) => (row["udp.payload"] ?? "").length >= 96);
  }

  /** Requests that came after the first `skip`, once there are `count` of them. */
  requests(skip: number, count: number): Promise<Seen[]> {
    return eventually(`tshark to see ${count} requests`, () => {
      const requests = this.#to("udp.dstport").slice(skip);
      return requests.length >= count ? requests : undefined;
    }, this.#tshark);
  }

  /** How many requests it has seen. */
  get count(): number {
    return this.#to("udp.dstport").length;
  }

  /** The server's replies, once there are `count` of them. */
  replies(count: number): Promise<Seen[]> {
    return eventually(`tshark to see ${count} replies`, () => {
      const replies = this.#to("udp.srcport");
      return replies.length >= count ? replies : undefined;
    }, this.#tshark);
  }

  #to(end: "udp.srcport" | "udp.dstport"): Seen[] {
    return this.#seen().filter((row) => Number(row[end]) === this.#port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#tshark[Symbol.asyncDispose]();
  }
}

describe.skipIf(skipped)(titled("our requests on the wire", skipped), () => {
  let server: Chronyd;
  let capture: Capture;
  beforeAll(async () => {
    server = await chronyServer();
    capture = await Capture.start(server);
  });
  afterAll(() => Promise.all([capture, server].map((one) => one?.[Symbol.asyncDispose]())));

  /** Ask `count` times, one after the other, and what was seen of it. */
  async function asked(count: number, options: QueryOptions = {}): Promise<Seen[]> {
    const before = capture.count;
    for (let i = 0; i < count; i++) await query(sourceOf(server), options);
    return capture.requests(before, count);
  }

  it.each([
    ["NTPv4", { version: 4 }, "23", 48],
    ["NTPv3", { version: 3 }, "1b", 48],
    ["NTPv4 with field 0xF323", { version: 4, fineRoot: true }, "23", 76],
  ] as const)("%s: well formed, and all zero but flags, precision and transmit timestamp", async (_, options, flags, length) => {
    const requests = await asked(4, options);
    expect(requests).toHaveLength(4);
    for (const seen of requests) {
      expect(seen["ntp.flags"]).toBe(`0x${flags}`);
      expect([seen["_ws.malformed"], complaints(seen["_ws.expert.message"])]).toEqual(["", ""]);
      const data = payload(seen);
      expect(data).toHaveLength(length);
      const told = [...data.subarray(0, 48).entries()].filter(([at, octet]) => octet !== 0 && at < AT.transmit).map(([at]) => at);
      expect(told, "octets before the transmit timestamp that tell anything").toEqual([AT.flags, AT.precision]);
      expect(data[AT.precision]).toBe(32);
    }
    record("tshark", "observer", `requests of \`query\`: ${_}`, `ntp.flags 0x${flags}, nothing malformed, no expert message`);
  });

  it("each comes from another ephemeral port", async () => {
    const ports = (await asked(16)).map((seen) => Number(seen["udp.srcport"]));
    for (const port of ports) expect(port).toBeGreaterThanOrEqual(1024);
    // The kernel picks at random from 28,000: one repetition in 16 is possible, more are not by chance.
    expect(new Set(ports).size).toBeGreaterThanOrEqual(15);
    const steps = ports.slice(1).map((port, i) => port - (ports[i] ?? 0));
    expect(new Set(steps).size, "nor in steps that could be guessed").toBeGreaterThanOrEqual(8);
  });

  it("each has a transmit timestamp of 64 random bits that tells nothing of our clock", async () => {
    const transmits = (await asked(32)).map((seen) => payload(seen).readBigUInt64BE(AT.transmit));
    expect(new Set(transmits).size).toBe(32);
    expect(transmits.every((value) => value !== 0n)).toBe(true);
    // 2048 fair coins: 1024 ± 23 (one sigma); eight sigmas happen by chance once in 10^15 runs.
    const ones = transmits.map((value) => value.toString(2).replaceAll("0", "").length).reduce((a, b) => a + b);
    expect(Math.abs(ones - 1024)).toBeLessThan(8 * 23);
    const nowSeconds = Math.floor(Date.now() / 1000) + 2_208_988_800;
    const near = transmits.filter((value) => Math.abs(Number(value >> 32n) - nowSeconds) < 86_400);
    expect(near.length, "a day in 136 years: never twice").toBeLessThan(2);
  });

  it("the command sends one request a source and no more", async () => {
    const before = capture.count;
    expect((await escapement(["query", sourceOf(server), "--json"])).status).toBe(0);
    // Whatever it sent is in the capture before the request that follows it.
    await query(sourceOf(server));
    expect(await capture.requests(before, 2)).toHaveLength(2);
  });
});

describe.skipIf(skipped)(titled("our server's replies on the wire", skipped), () => {
  it("are well formed to Wireshark, fields and all", async () => {
    await using server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 1, refid: "PPS" });
    const [{ address, port }] = server.addresses as [{ address: string; port: number }];
    await using capture = await Capture.start({ address, port });
    await query(`${address}:${port}`, { fineRoot: true });
    await query(`${address}:${port}`, { version: 3 });
    const replies = await capture.replies(2);
    expect(replies.map((seen) => seen["ntp.flags"])).toEqual(["0x24", "0x1c"]);
    for (const seen of replies) expect([seen["_ws.malformed"], complaints(seen["_ws.expert.message"])]).toEqual(["", ""]);
    expect(replies.map((seen) => payload(seen).length)).toEqual([76, 48]);
    record("tshark", "observer", "replies of `serve`", "ntp.flags 0x24 and 0x1c, nothing malformed, no expert message");
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Mangled requests by the hundred thousand (FUZZ: as many as it says), from many addresses, through a server with everything
 * on, batch by batch: nothing traps, no answer is longer than its request, each datagram is counted once, and nothing is
 * written behind a slot's packet. The generator is seeded, so that a failure shows the packet and comes again.
 */
import { describe, expect, it } from "vitest";
import { concat, field, fromHex, hex, captured, mac, packet, seconds, seededRandom } from "../support/core.ts";
import { fuzzCount, fuzzLimit } from "../support/fuzz.ts";
import { DENY, KISS, LIMITED, TestServer, ipv4 } from "../support/server.ts";

const SLOTS = 64;
const BATCHES = Math.ceil(fuzzCount(384_000) / SLOTS);
const LONGEST = 200;
const CANARY = 0x5a;
const random = seededRandom(0xf00d);

function everything(): TestServer {
  const server = new TestServer();
  const { exports, core, fields } = server;
  exports.gateLog(1);
  exports.interleaveClients(1);
  server.limit(0.5, 4, { leak: 3 });
  exports.limitPrefixes(seconds(0.01), 64);
  exports.limitKisses(seconds(4), seconds(0.001), 1000);
  server.rules([ipv4(10, 0, 0, 0), 108, DENY], [ipv4(10, 16, 0, 0), 108, KISS], [ipv4(10, 32, 0, 0), 108, LIMITED]);
  exports.gateControl(1);
  exports.accessBegin();
  exports.accessAdd(0n, 0xffff_0000_0000n, 97, 0);
  exports.accessCommit(1, DENY);
  // Smeared all the time that the test takes.
  core.setU64(fields.LEAP_AT, server.now + seconds(80_000));
  core.setI64(fields.SMEAR_LENGTH, seconds(172_800));
  core.view.setUint8(fields.SMEAR_SHAPE, 2);
  core.view.setUint8(fields.SMEAR_LEAP, 1);
  core.view.setFloat64(fields.GROWTH, 15e-6, true);
  return server;
}

const whole = [
  ...captured.map(({ hex: text }) => fromHex(text)),
  ...[1, 2, 3, 4].map((version) => packet({ version, transmitTime: 1n })),
  packet({ originTime: 3n, receiveTime: 4n, transmitTime: 5n }),
  packet({ mode: 1, transmitTime: 1n }, mac(20)),
  packet({ transmitTime: 1n }, field(0x4321, 28), field(0xf323, 28)),
  concat(Uint8Array.of(0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
  concat(Uint8Array.of(0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4), Uint8Array.of(108, 101, 97, 112)),
].map((octets) => octets.subarray(0, LONGEST));

/** A packet as it is (every other), or changed in one to four places. */
function mangled(): Uint8Array {
  const octets = Uint8Array.from(whole[random() % whole.length]!);
  if (random() & 1) return octets;
  for (let times = 1 + (random() & 3); times > 0; times--) octets[random() % octets.length]! ^= 1 << (random() & 7);
  if (random() % 4 === 0) octets[0] = random();
  return random() % 4 === 0 ? octets.subarray(0, random() % (octets.length + 1)) : octets;
}

describe("a server with everything on", () => {
  it("fed mangled requests traps nothing, answers nothing with more, counts each once, and leaves the rest alone", { timeout: fuzzLimit(BATCHES * SLOTS) }, () => {
    const server = everything();
    const octetsAtFirst = server.core.exports.memory.buffer.byteLength;
    const { core, exports, at } = server;
    const constant = (name: string) => core.constant(name);
    const [table, size, stride] = [constant("SLOT_TABLE"), constant("SLOT_SIZE"), constant("SLOT_STRIDE_OCTETS")];
    const slot = { length: constant("SLOT_LENGTH"), received: constant("SLOT_RECEIVED"), high: constant("SLOT_HIGH"), low: constant("SLOT_LOW"), known: constant("SLOT_KNOWN"), control: constant("SLOT_CONTROL") };
    core.bytes.fill(CANARY, at, at + SLOTS * stride);
    let [answers, controls] = [0, 0];
    for (let batch = 0; batch < BATCHES; batch++) {
      const requests = Array.from({ length: SLOTS }, mangled);
      requests.forEach((octets, i) => {
        const of = table + i * size;
        core.bytes.set(octets, at + i * stride);
        core.view.setInt32(of + slot.length, octets.length, true);
        core.setU64(of + slot.received, server.now);
        core.view.setUint8(of + slot.known, random() % 8 ? 1 : 0);
        core.setU64(of + slot.high, random() % 4 ? 0n : BigInt(random()) << 32n);
        core.setU64(of + slot.low, 0xffff_0000_0000n | BigInt(0x0a00_0000 + (random() & 0x3f_00_0f)));
        server.now += seconds(0.0001);
      });
      answers += exports.answerBatch(SLOTS, server.now, server.server);
      requests.forEach((octets, i) => {
        const length = core.view.getInt32(table + i * size + slot.length, true);
        const control = core.view.getInt32(table + i * size + slot.control, true);
        if (length < 0 || length > octets.length || (length > 0 && length < 48)) throw new Error(`an answer of ${length} octets to ${hex(octets)}`);
        if (control !== 0 && (control !== octets.length || length !== 0)) throw new Error(`control of ${control} octets: ${hex(octets)}`);
        controls += control === 0 ? 0 : 1;
        const behind = at + i * stride + octets.length;
        for (let place = behind; place < at + i * stride + LONGEST + 32; place++) if (core.bytes[place] !== CANARY) throw new Error(`written behind ${hex(octets)}`);
        core.bytes.fill(CANARY, at + i * stride, behind);
      });
    }
    const { RECEIVED = 0, ANSWERED = 0, MALFORMED = 0, UNANSWERABLE = 0, DENIED = 0, LIMITED: OVER = 0, CONTROL = 0, HUSHED = 0 } = server.counters();
    expect([RECEIVED, ANSWERED, CONTROL, HUSHED]).toEqual([BATCHES * SLOTS, answers, controls, 0]);
    expect(ANSWERED + MALFORMED + UNANSWERABLE + DENIED + OVER + CONTROL).toBe(RECEIVED);
    expect(core.exports.memory.buffer.byteLength, "memory grew").toBe(octetsAtFirst);
    // The packets reached all there is to reach: else the test says nothing.
    for (const name of ["ANSWERED", "MALFORMED", "UNANSWERABLE", "DENIED", "LIMITED", "CONTROL", "KISSES_RATE", "KISSES_DENY", "LEAKED"] as const) {
      expect(server.counter(name), name).toBeGreaterThan(100);
    }
  });
});

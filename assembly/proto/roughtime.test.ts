// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime's messages and requests in the core: what is exactly so is read, everything else refused, at every truncation
 * and after a million mutations without a trap.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Bench, seededRandom } from "../../tests/support/core.ts";
import { framed, message, rawMessage, u32 } from "../../tests/support/roughtime.ts";

const bench = new Bench();
const { core, exports } = bench;
const SLOT = core.constant("SLOTS");
const STRIDE = core.constant("SLOT_STRIDE_OCTETS");
const SCRATCH = core.constant("SCRATCH");
const NONCE = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const V1 = 1;
const DRAFT = 0x8000000c;
const zeros = (length: number) => new Uint8Array(length);

/** The version that the core would answer a request in; 0: none. */
function take(packet: Uint8Array, least = 0): number {
  core.bytes.set(packet, SLOT);
  return exports.roughtimeTake(0, packet.length, least) >>> 0;
}

/** A request of the usual tags but for these. */
function request(changes: Record<string, Uint8Array | undefined> = {}): Uint8Array {
  const tags = { VER: u32(V1, DRAFT), NONC: NONCE, TYPE: u32(0), ZZZZ: zeros(960), ...changes };
  return framed(message(Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== undefined)) as Record<string, Uint8Array>));
}

describe("a request", () => {
  it.each([
    ["of both versions", request(), V1],
    ["of the drafts' version", request({ VER: u32(DRAFT) }), DRAFT],
    ["without TYPE, as drafts 12 and 13", request({ TYPE: undefined }), DRAFT],
    ["with tags nobody knows", request({ AAAA: NONCE, QQ: zeros(0) }), V1],
    ["with 32 versions", request({ VER: u32(...Array.from({ length: 32 }, (_, i) => i + 1)) }), V1],
    ["among versions nobody knows", request({ VER: u32(0, 7, DRAFT, 0xffffffff) }), DRAFT],
    ["whose last value is empty", request({ ZZZZ: zeros(0) }), V1],
  ])("%s is taken", (_, packet, version) => {
    expect(take(packet)).toBe(version);
  });

  it.each([
    ["without VER", request({ VER: undefined })],
    ["without NONC", request({ NONC: undefined })],
    ["without TYPE in version 1 only", request({ TYPE: undefined, VER: u32(V1) })],
    ["of TYPE 1", request({ TYPE: u32(1) })],
    ["of an empty TYPE", request({ TYPE: zeros(0) })],
    ["with a nonce of 64 octets", request({ NONC: zeros(64) })],
    ["with a nonce of 28 octets", request({ NONC: zeros(28) })],
    ["for another server", request({ SRV: zeros(32).fill(1) })],
    ["with a short SRV", request({ SRV: zeros(28) })],
    ["with no version", request({ VER: zeros(0) })],
    ["with unknown versions only", request({ VER: u32(2, 3) })],
    ["with versions out of order", request({ VER: u32(DRAFT, V1) })],
    ["with a version twice", request({ VER: u32(V1, V1) })],
    ["with 33 versions", request({ VER: u32(...Array.from({ length: 33 }, (_, i) => i + 1)) })],
  ])("%s is not answered", (_, packet) => {
    expect(take(packet)).toBe(0);
  });

  it("shorter than asked for is not answered, and of just that length is", () => {
    const packet = request();
    expect([take(packet, packet.length - 12), take(packet, packet.length - 11)]).toEqual([V1, 0]);
  });

  it("is none at any truncation, whether its frame says so or not", () => {
    const packet = request();
    const taken = Array.from({ length: packet.length }, (_, length) => length).filter((length) => {
      if (take(packet.subarray(0, length))) return true;
      if (length < 12) return false;
      // With an honest frame only the end of ZZZZ may be missing, by whole words.
      const cut = framed(packet.subarray(12, length));
      const rest = packet.length - 960;
      return (take(cut) !== 0) !== (length >= rest && length % 4 === 0);
    });
    expect(taken).toEqual([]);
  });

  it("in a slot that does not exist is not answered", () => {
    for (const slot of [-1, 64, 1 << 30]) {
      expect([exports.roughtimeTake(slot, 1036, 0), exports.roughtimeAnswer(slot, 1)]).toEqual([0, 0]);
      exports.roughtimeDrop(slot);
    }
    expect([exports.roughtimeTake(0, -5, 0), exports.roughtimeTake(0, 1 << 30, 0)]).toEqual([0, 0]);
  });
});

describe("a message is refused", () => {
  const tag = (name: string) => Buffer.from(name.padEnd(4, "\0"), "latin1").readUInt32LE();
  const values = [u32(V1), NONCE, u32(0)];
  const tags = [tag("VER"), tag("NONC"), tag("TYPE")];

  it("not, when it is in order", () => {
    expect(take(framed(rawMessage(tags, values)))).toBe(V1);
  });

  it.each([
    ["with tags out of order", rawMessage([tags[1]!, tags[0]!, tags[2]!], [NONCE, u32(V1), u32(0)])],
    ["with a tag twice", rawMessage([...tags, tags[2]!], [...values, u32(0)])],
    ["with a value that is no multiple of four", rawMessage(tags, [u32(V1), NONCE, zeros(5)])],
    ["with an offset that is no multiple of four", rawMessage(tags, [zeros(2), NONCE, zeros(2)])],
    ["without any octets", zeros(0)],
    ["without tags", zeros(4)],
    ["without tags, but with octets", zeros(8)],
  ])("%s", (_, octets) => {
    expect(take(framed(octets))).toBe(0);
  });

  it.each([1, 2, 3, 4, 5, 0x20000000, 0x40000001, 0x80000000, 0xfffffffe, 0xffffffff].filter((count) => count !== 3))("that says it has %d tags and has 3", (count) => {
    const octets = rawMessage(tags, values);
    new DataView(octets.buffer).setUint32(0, count, true);
    expect(take(framed(octets))).toBe(0);
  });

  it.each([4, 0xffffffff, 0xfffffffc, 0x80000000, 400, 8])("whose offsets lead elsewhere: %d", (offset) => {
    const octets = rawMessage(tags, values);
    const view = new DataView(octets.buffer);
    view.setUint32(8, offset, true);
    expect(take(framed(octets)) === V1).toBe(false);
  });
});

describe("the head of a packet", () => {
  const length = (head: Uint8Array, most = 2000) => {
    core.bytes.set(head, SCRATCH);
    return exports.roughtimePacketLength(SCRATCH, head.length, most);
  };

  it("tells its length as soon as its 12 octets are there", () => {
    const packet = request();
    expect(Array.from({ length: 12 }, (_, i) => length(packet.subarray(0, i))).every((told) => told === 0)).toBe(true);
    expect(length(packet.subarray(0, 12))).toBe(packet.length);
    expect([length(packet.subarray(0, 12), packet.length), length(packet.subarray(0, 12), packet.length - 1)]).toEqual([packet.length, -1]);
  });

  it("of something else is none", () => {
    for (let i = 0; i < 8; i++) expect(length(request().map((octet, at) => (at === i ? octet ^ 1 : octet)).subarray(0, 12))).toBe(-1);
    expect(length(Uint8Array.from([...Buffer.from("ROUGHTIM"), 255, 255, 255, 255]))).toBe(-1);
  });
});

describe("a million mutations", () => {
  /** Places for a response, its request, and a strip that must stay as it is. */
  const [RESPONSE, ASKED] = [SLOT, SLOT + STRIDE];
  const FACTS = SCRATCH + 1024;
  const { responses } = JSON.parse(readFileSync(new URL("../../tests/vectors/roughtime-rfc10049-appendix-b.json", import.meta.url), "utf8")) as { responses: { request: string; response: string }[] };
  const [asked, response] = [responses[0]!.request, responses[0]!.response].map((text) => new Uint8Array(Buffer.from(text, "base64"))) as [Uint8Array, Uint8Array];
  const VALID = 0;

  it("of responses and requests trap nothing, and every verdict is one that is known", () => {
    const random = seededRandom(10049);
    const verdicts = new Map<number, number>();
    let answered = 0;
    core.bytes.set(asked, ASKED);
    // The server that it names, so that it is answered where it is still right.
    core.bytes.set(asked.subarray(12 + 40 + 4, 12 + 40 + 4 + 32), exports.roughtimeIdentity());
    for (let i = 0; i < 1_000_000; i++) {
      const whole = (i & 3) === 0 ? asked : response;
      const [at, place] = whole === asked ? [ASKED, 200] : [RESPONSE, response.length];
      core.bytes.set(whole, at);
      for (let changes = 1 + (random() & 3); changes > 0; changes--) mutate(at + (random() % place), random());
      const length = (random() & 15) === 0 ? random() % (whole.length + 1) : whole.length;
      if (whole === asked) {
        exports.roughtimeRequestNonce(ASKED, length);
        core.bytes.copyWithin(SLOT + 5 * STRIDE, ASKED, ASKED + length);
        if (exports.roughtimeTake(5, length, 0) !== 0) answered += 1;
        exports.roughtimeDrop(5);
        core.bytes.set(asked, ASKED);
        continue;
      }
      const verdict = exports.roughtimeResponseRead(RESPONSE, length, ASKED, asked.length, FACTS);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (verdict < 0 || verdict > 12) throw new Error(`verdict ${verdict}`);
    }
    // Nearly every reason was met; what is "valid if signed" has its changes under the signatures.
    expect([...verdicts.keys()].sort((a, b) => a - b)).toEqual([VALID, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12]);
    expect(answered).toBeGreaterThan(10_000);
  }, 60_000);

  /** An octet set, or a whole word to a number that breaks arithmetic. */
  function mutate(at: number, by: number): void {
    const words = [0, 1, 4, 8, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];
    if (by & 0x100) core.bytes[at] = by & 0xff;
    else core.view.setUint32(at & ~3, words[(by >>> 9) & 7]!, true);
  }
});

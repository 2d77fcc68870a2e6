// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Mangled NTS requests against a serving core, one by one and in batches: nothing traps, no answer is longer than its request,
 * nothing is written behind it, and only a request whose authenticated octets are whole gets time under the client's key. The
 * generator is seeded, so that a failure shows the packet and comes again.
 */
import { describe, expect, it } from "vitest";
import { Bench, concat, field, hex, seededRandom } from "../support/core.ts";
import { fuzzCount, fuzzLimit } from "../support/fuzz.ts";
import { KEY_LENGTHS, fieldsOf, ntsRequest, readAnswer, type Session } from "../support/nts.ts";

const MUTATIONS = fuzzCount(100_000);
const BATCHES = 400;
const STRIP = 64;
const CANARY = 0xe7;
const NTSN = 0x4e54534e;

const { core, exports, at } = new Bench();
const { bytes, view } = core;
const [STRIDE, SIZE] = [core.constant("SLOT_STRIDE_OCTETS"), core.constant("SLOT_SIZE")];
const [TABLE, SERVER, SCRATCH] = [core.constant("SLOT_TABLE"), core.constant("SERVER"), core.constant("SCRATCH")];
const LENGTH = core.constant("SLOT_LENGTH");
const random = seededRandom(0x8915);
const noise = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);

view.setUint8(SERVER + core.constant("SERVER_STRATUM"), 1);
for (let slot = 0; slot < 3; slot++) {
  bytes.set(noise(32), SCRATCH);
  exports.cookieKeySet(slot, slot * 0x01010101, SCRATCH);
}
exports.cookieKeyCurrent(1);
bytes.set(noise(32), SCRATCH);
exports.ntsSeed(SCRATCH);

function cookieOf({ aead, c2s, s2c }: Session): Uint8Array {
  bytes.set(c2s, SCRATCH);
  bytes.set(s2c, SCRATCH + 64);
  bytes.set(noise(16), SCRATCH + 128);
  return bytes.slice(SCRATCH + 256, SCRATCH + 256 + exports.cookieSeal(aead, SCRATCH, SCRATCH + 64, SCRATCH + 256, SCRATCH + 128));
}

interface Genuine {
  session: Session;
  request: Uint8Array;
  /** Where its authenticator begins, and where what counts of that ends: padding behind it is nobody's. */
  authenticator: number;
  end: number;
}

const genuine: Genuine[] = [15, 16, 17, 30].flatMap((aead) =>
  [0, 1, 7].flatMap((placeholders) =>
    [0, 21].map((text) => {
      const session = { aead, c2s: noise(KEY_LENGTHS[aead]!), s2c: noise(KEY_LENGTHS[aead]!) };
      const others = placeholders === 1 ? [concat(Uint8Array.of(0xf3, 0x23, 0, 28, 0xf5, 0xbe, 0xdd, 0x9a), new Uint8Array(20)), field(0x4321, 24)] : [];
      const request = ntsRequest(session, { cookie: cookieOf(session), placeholders, others, text: noise(text), padding: text === 0 ? 0 : 8 });
      const authenticator = fieldsOf(request).at(-1)!.at;
      const nonce = aead === 30 ? 12 : 16;
      return { session, request, authenticator, end: authenticator + 8 + nonce + 16 + text };
    }),
  ),
);

/** A few bits, octets, lengths or fields of it changed; a cut, or octets behind it. */
function mangled(request: Uint8Array): Uint8Array {
  let octets: Uint8Array = request.slice();
  for (let changes = random() % 3; changes >= 0; changes--) {
    const place = random() % octets.length;
    const kind = random() % 8;
    if (kind < 3) octets[place]! ^= 1 << (random() & 7);
    else if (kind === 3) octets[place] = random();
    else if (kind === 4) new DataView(octets.buffer).setUint16(Math.min(place & ~1, octets.length - 2), [0, 1, 12, 16, 28, 65535, random() & 0xffff][random() % 7]!);
    else if (kind === 5) octets = octets.slice(0, place < 48 ? octets.length - (place & 28) : place & ~3);
    else if (kind === 6 && octets.length < 1800) octets = concat(octets, [field(0x0204, 104), field(0x0404, 40), noise(20), noise(4)][random() % 4]!);
    else octets.copyWithin(48 + (random() % 8) * 4, Math.min(octets.length - 1, 48 + (random() % 64) * 4), octets.length);
  }
  return octets;
}

const seen = { silence: 0, kisses: 0, plain: 0, authentic: 0 };

function judge({ session, request, authenticator, end }: Genuine, sent: Uint8Array, reply: Uint8Array): void {
  const wrong = (what: string) => new Error(`${what}: ${hex(sent)}`);
  if (reply.length === 0) return void (seen.silence += 1);
  if (reply.length > sent.length) throw wrong(`an answer of ${reply.length} octets`);
  if (new DataView(reply.buffer).getUint32(12) === NTSN) {
    const [only, ...others] = fieldsOf(reply);
    if (only?.type !== 0x0104 || others.length > 0 || only.value.length < 32 || reply[0] !== 0xe4) throw wrong("a kiss with more or less than the unique identifier");
    return void (seen.kisses += 1);
  }
  const same = (from: number, to: number) => sent.length >= to && Buffer.compare(sent.subarray(from, to), request.subarray(from, to)) === 0;
  // The authenticator's own length is covered by nothing (RFC 8915 §5.6): with more padding behind it, it is as true as before.
  const authentic = same(0, authenticator + 2) && same(authenticator + 4, end);
  // With its fields gone, cut or renamed it is plain NTP; what it is answered then is no NTS answer.
  if (reply.length === 48 || reply.length === 52 || (reply.length - 48) % 28 === 0 && fieldsOf(reply).every(({ type }) => type === 0xf323)) {
    if (authentic && same(0, end)) throw wrong("a genuine request was answered in plain NTP");
    return void (seen.plain += 1);
  }
  if (!authentic) throw wrong(`answered under the client's key, though changed before octet ${end} (authenticator at ${authenticator})`);
  readAnswer(session, reply);
  seen.authentic += 1;
}

describe("an NTS request", () => {
  it("mangled in any way is answered under the client's key only if nothing was changed that counts", { timeout: fuzzLimit(MUTATIONS) }, () => {
    for (let run = 0; run < MUTATIONS; run++) {
      const from = genuine[random() % genuine.length]!;
      const sent = run % 50 === 0 ? from.request : mangled(from.request);
      bytes.fill(CANARY, at, at + sent.length + STRIP);
      bytes.set(sent, at);
      const length = exports.respond(at, sent.length, 1n << 62n, SERVER);
      if (length > 0) exports.stampTransmit(at, 1n << 62n);
      for (let offset = 0; offset < STRIP; offset += 4) if (view.getUint32(at + sent.length + offset) !== 0xe7e7e7e7) throw new Error(`written behind the packet: ${hex(sent)}`);
      judge(from, sent, bytes.slice(at, at + length));
    }
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(MUTATIONS / 200);
  });

  it("in a batch of others, mangled too, is judged as it would be alone", () => {
    for (let run = 0; run < BATCHES; run++) {
      const batch = Array.from({ length: random() % 65 }, () => {
        const from = genuine[random() % genuine.length]!;
        return { from, sent: random() % 3 === 0 ? from.request : mangled(from.request) };
      });
      bytes.fill(CANARY, at, at + 64 * STRIDE);
      batch.forEach(({ sent }, slot) => {
        bytes.set(sent, at + slot * STRIDE);
        view.setInt32(TABLE + slot * SIZE + LENGTH, sent.length, true);
      });
      exports.answerBatch(batch.length, 1n << 62n, SERVER);
      batch.forEach(({ from, sent }, slot) => {
        const start = at + slot * STRIDE;
        if (bytes.subarray(start + sent.length, start + STRIDE).some((octet) => octet !== CANARY)) throw new Error(`written behind the packet: ${hex(sent)}`);
        judge(from, sent, bytes.slice(start, start + view.getInt32(TABLE + slot * SIZE + LENGTH, true)));
      });
    }
  });

  it("cut anywhere traps nothing and gets no time under the client's key", () => {
    for (const from of genuine) {
      for (let length = 0; length < from.end; length++) {
        const sent = from.request.slice(0, length);
        bytes.set(sent, at);
        const reply = exports.respond(at, length, 1n << 62n, SERVER);
        if (reply > 0) exports.stampTransmit(at, 1n << 62n);
        judge(from, sent, bytes.slice(at, at + reply));
      }
    }
  });
});

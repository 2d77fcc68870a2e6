// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A million mangled packets (FUZZ: as many as it says), and every truncation of the whole ones, through everything that reads packets: nothing traps,
 * no answer is longer than its request, and nothing is written where nothing may be. The generator is seeded, so that a
 * failure shows the packet and comes again.
 */
import { describe, expect, it } from "vitest";
import { explainPacket } from "../../hosts/common/core/cold.ts";
import { Bench, ascii, captured, concat, field, fromHex, hex, mac, packet, seededRandom } from "../support/core.ts";
import { fuzzCount, fuzzLimit } from "../support/fuzz.ts";

const MUTATIONS = fuzzCount(1_000_000);
const EXPLAINED_EVERY = 500;
/** Room for the longest packet made here, and a strip behind it that must stay as it is. */
const LONGEST = 320;
const STRIP = 64;
const CANARY = 0x5a;
const CANARY_WORD = 0x5a5a5a5a;

const ORIGIN = 0x0123456789abcdefn;
const RECEIVED = 0xeb000000_80000000n;
const NOT_AN_ANSWER = (1 << 1) | (1 << 10) | (1 << 11);
/** With one of these (assembly/association/authentic.ts) nothing that nobody vouches for is an answer. */
const NOT_AUTHENTIC = 1 << 4;
const [AUTH_KEY, AUTH_NTS] = [1, 2];
const INDEX = 5;

const bench = new Bench();
const { core, exports, at } = bench;
const { bytes, view } = core;
const UNUSED = bytes.length * 0.75;
const STRIDE = core.constant("SLOT_STRIDE_OCTETS");
const EXCHANGE = core.constant("EXCHANGE");
const SAMPLE = core.constant("SAMPLE");
const SERVER = core.constant("SERVER");
const SCRATCH = core.constant("SCRATCH");
const PROBLEMS = SAMPLE + core.constant("SAMPLE_PROBLEMS");
const TRAILER = SCRATCH + 2048;
const AUTH = EXCHANGE + core.constant("EXCHANGE_AUTH");
const ORIGIN_AT = EXCHANGE + core.constant("EXCHANGE_ORIGIN");

/** Whole packets to begin with: what others send, and every version and mode with and without a tail. */
function wholePackets(): Uint8Array[] {
  const monoRoot = concat(fromHex("f323001cf5bedd9a"), new Uint8Array(20));
  const tails = [[], [mac(20)], [mac(24)], [mac(4, 0)], [monoRoot], [field(0x0104, 36), monoRoot, field(0x4321, 16), mac(20)], [monoRoot, monoRoot, monoRoot]];
  const made: Uint8Array[] = [];
  for (const tail of tails) {
    for (let version = 1; version <= 7; version++) {
      made.push(packet({ version, mode: 3, transmitTime: ORIGIN }, ...tail));
      made.push(packet({ version, mode: 4, stratum: 1, refid: ascii("GPS"), originTime: ORIGIN, receiveTime: RECEIVED, transmitTime: RECEIVED }, ...tail));
    }
    made.push(packet({ mode: 1, transmitTime: ORIGIN }, ...tail), packet({ mode: 4, leap: 3, refid: ascii("RATE"), originTime: ORIGIN }, ...tail));
  }
  return [...captured.map((entry) => fromHex(entry.hex)), ...made];
}

const seen = { answered: 0, unanswered: 0, samples: 0, kisses: 0, ignored: 0, wellFormed: 0, malformed: 0, fields: 0 };

function fail(what: string, octets: Uint8Array, length: number): never {
  throw new Error(`${what}: ${hex(octets.subarray(0, length))}`);
}

/** Nothing behind the packet was touched. */
function checkStrip(octets: Uint8Array, length: number, by: string): void {
  for (let offset = 0; offset < STRIP; offset += 4) {
    if (view.getInt32(at + length + offset, true) !== CANARY_WORD) fail(`${by} wrote behind the packet`, octets, length);
  }
}

function checkTrailer(octets: Uint8Array, length: number): void {
  bytes.set(octets, at);
  const wellFormed = exports.readTrailer(at, length, (octets[0]! >> 3) & 7, TRAILER);
  const fieldsEnd = view.getInt32(TRAILER, true);
  const macStart = view.getInt32(TRAILER + 8, true);
  const macLength = view.getInt32(TRAILER + 12, true);
  if (fieldsEnd < 48 || fieldsEnd > length || macStart < fieldsEnd || macStart + macLength > length) fail("the walk left the packet", octets, length);
  if (wellFormed !== 0 && macStart + macLength !== length) fail("octets are left over in a well-formed packet", octets, length);
  seen[wellFormed !== 0 ? "wellFormed" : "malformed"] += 1;
  seen.fields += view.getInt32(TRAILER + 4, true);
}

/** A reply of `reply` octets stands where the request stood. */
function checkAnswer(octets: Uint8Array, length: number, reply: number): void {
  if (reply > length) fail(`an answer of ${reply} octets to ${length}`, octets, length);
  if (reply < 48 || (reply !== 52 && (reply - 48) % 28 !== 0)) fail(`an answer of ${reply} octets`, octets, length);
  const mode = octets[0]! & 7;
  const version = (octets[0]! >> 3) & 7;
  if ((mode !== 1 && mode !== 3) || version < 1 || version > 4) fail("it must not be answered", octets, length);
  if ((bytes[at]! & 0x3f) !== ((version << 3) | (mode === 3 ? 4 : 2))) fail("version or mode of the answer", octets, length);
  for (let offset = 0; offset < 8; offset++) if (bytes[at + 24 + offset] !== octets[40 + offset]) fail("the origin differs", octets, length);
}

function checkServer(octets: Uint8Array, length: number): void {
  bytes.set(octets, at);
  const reply = exports.respond(at, length, RECEIVED, SERVER);
  checkStrip(octets, length, "respond");
  if (reply !== 0) {
    checkAnswer(octets, length, reply);
    exports.stampTransmit(at, RECEIVED);
    if (exports.respond(at, reply, RECEIVED, SERVER) !== 0) fail("it answers its own answer", octets, length);
  }
  seen[reply !== 0 ? "answered" : "unanswered"] += 1;
  bytes.set(octets, at);
  const kiss = exports.respondKiss(at, length, 0x52415445);
  checkStrip(octets, length, "respondKiss");
  if (kiss !== 0) checkAnswer(octets, length, kiss);
  if ((reply !== 0) !== (kiss !== 0)) fail(`an answer of ${reply} octets but a kiss of ${kiss}`, octets, length);
}

function checkClient(octets: Uint8Array, length: number): void {
  bytes.set(octets, at);
  const verdict = exports.replyRead(at, length, EXCHANGE, SAMPLE);
  const authenticated = bytes[AUTH] !== 0;
  const ignored = (view.getUint32(PROBLEMS, true) & (NOT_AN_ANSWER | (authenticated ? NOT_AUTHENTIC : 0))) !== 0;
  if (authenticated && verdict !== 0) fail("a packet that nobody signed is believed", octets, length);
  if ((verdict === 0) !== ignored) fail(`verdict ${verdict} though it is${ignored ? " no" : " an"} answer`, octets, length);
  if (verdict !== 0) {
    if (view.getBigUint64(at + 24) !== view.getBigUint64(ORIGIN_AT, true)) fail("an answer with a foreign origin", octets, length);
    if ((octets[0]! & 7) !== 4) fail("an answer in a wrong mode", octets, length);
  }
  for (let offset = 0; offset < length; offset++) if (bytes[at + offset] !== octets[offset]) fail("reading changed the packet", octets, length);
  checkStrip(octets, length, "replyRead");
  if (verdict === 0) seen.ignored += 1;
  else if (verdict === 1) seen.samples += 1;
  else seen.kisses += 1;
}

function checkRequest(octets: Uint8Array, length: number): void {
  bytes.fill(CANARY, at, at + LONGEST);
  const request = exports.requestWrite(at, EXCHANGE);
  const expected = { 0: [48, 76], [AUTH_KEY]: [72, 100], [AUTH_NTS]: [48 + 36 + 104 + 40, 76 + 36 + 104 + 40] }[bytes[AUTH]!]!;
  if (!expected.includes(request)) fail(`a request of ${request} octets`, octets, length);
  checkStrip(octets, request, "requestWrite");
}

/** Everything that reads packets, on the first `length` octets. All behind them is canary. */
function feed(octets: Uint8Array, length: number): void {
  octets.fill(CANARY, length);
  try {
    checkTrailerOrTooShort(octets, length);
    checkServer(octets, length);
    checkClient(octets, length);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) fail(`a trap, ${error.message}`, octets, length);
    throw error;
  }
}

/** The walk MUST only be asked about packets with a whole header. */
function checkTrailerOrTooShort(octets: Uint8Array, length: number): void {
  if (length >= 48) checkTrailer(octets, length);
}

const random = seededRandom(0x5eed);
/** Lengths that parsers trip over. */
const LENGTHS = [0, 1, 4, 12, 15, 16, 20, 24, 27, 28, 29, 32, 0x7fff, 0x8000, 0xfffc, 0xffff];

/** Change `octets` in one to four places; returns the new length. */
function mutate(octets: Uint8Array, length: number): number {
  for (let times = 1 + (random() & 3); times > 0; times--) {
    const place = random() % length;
    const kind = random() & 15;
    if (kind < 5) octets[place]! ^= 1 << (random() & 7);
    else if (kind < 8) octets[place] = random();
    else if (kind < 11) octets[0] = random();
    else if (kind === 11 && length > 52) {
      // A field's length, wherever one may stand.
      const spot = 50 + ((random() % (length - 51)) & ~3);
      const value = LENGTHS[random() & 15]!;
      octets[spot] = value >> 8;
      octets[spot + 1] = value;
    } else if (kind === 12) length = Math.max(1, random() % (length + 1));
    else if (kind === 13) length = Math.max(1, length & ~3);
    else if (kind === 14) length = grow(octets, length);
  }
  return length;
}

/** Append up to 64 octets of noise. */
function grow(octets: Uint8Array, length: number): number {
  const longer = Math.min(LONGEST, length + (random() & 63));
  for (let place = length; place < longer; place++) octets[place] = random();
  return longer;
}

/** Other state of server and client, so that their branches are taken too. Any bits are legal. */
function shuffleState(): void {
  for (let offset = 0; offset < core.constant("SERVER_SIZE"); offset++) bytes[SERVER + offset] = random();
  for (let offset = 0; offset < core.constant("EXCHANGE_SIZE"); offset++) bytes[EXCHANGE + offset] = random();
  view.setUint8(SERVER + core.constant("SERVER_STRATUM"), random() & 31);
  view.setUint8(EXCHANGE + core.constant("EXCHANGE_VERSION"), 1 + (random() & 3));
  view.setUint8(EXCHANGE + core.constant("EXCHANGE_MODE"), 3);
  view.setBigUint64(ORIGIN_AT, ORIGIN, true);
  bytes[AUTH] = [0, 0, AUTH_KEY, AUTH_NTS][random() & 3]!;
  view.setInt32(EXCHANGE + core.constant("EXCHANGE_AUTH_INDEX"), INDEX, true);
  if (bytes[AUTH] === AUTH_NTS) {
    exports.ntsOpen(INDEX, 15, SCRATCH, SCRATCH + 32, 1);
    exports.ntsCookie(INDEX, SCRATCH, 100);
  }
  // SHA1
  exports.keySet(INDEX, 7, 2, SCRATCH, 20);
}

describe("any packet", () => {
  const whole = wholePackets();
  const octets = new Uint8Array(LONGEST + STRIP);

  it("cut anywhere traps nothing and is never answered with more", () => {
    shuffleState();
    bytes.fill(CANARY, at, at + 2 * STRIDE);
    for (const from of whole) {
      for (let length = 0; length <= from.length; length++) {
        octets.set(from);
        feed(octets, length);
        explainPacket(octets.subarray(0, length));
      }
    }
  });

  it("mangled a million times traps nothing, is never answered with more, and leaves the rest of memory alone", { timeout: fuzzLimit(MUTATIONS) }, () => {
    const octetsAtFirst = core.exports.memory.buffer.byteLength;
    // All slots and the upper quarter of memory, where the core has nothing, are canary.
    bytes.fill(CANARY, at, at + 64 * STRIDE);
    bytes.fill(CANARY, UNUSED);
    expect(Math.max(at + 64 * STRIDE, SCRATCH + 4096)).toBeLessThan(UNUSED);
    const before = bytes.slice();
    for (const name of Object.keys(seen)) seen[name as keyof typeof seen] = 0;
    for (let run = 0; run < MUTATIONS; run++) {
      if (run % 1000 === 0) {
        shuffleState();
        checkRequest(octets, 0);
      }
      const from = whole[random() % whole.length]!;
      octets.set(from);
      const length = mutate(octets, from.length);
      feed(octets, length);
      if (run % EXPLAINED_EVERY === 0 && explainPacket(octets.subarray(0, length)).length === 0) fail("no explanation", octets, length);
    }
    expect(core.exports.memory.buffer.byteLength, "memory grew").toBe(octetsAtFirst);
    // Key schedules and working space of the cipher are the most of it.
    expect(written(before)).toBeLessThanOrEqual(2048);
    // The packets reached all there is to reach: else the test says nothing.
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(MUTATIONS / 1000);
  });

  /** How many octets changed outside what may: the packet's slot, the structures handed over, and the core's own few. */
  function written(before: Uint8Array): number {
    const own = [[at, at + LONGEST + STRIP], [SAMPLE, SAMPLE + core.constant("SAMPLE_SIZE")], [EXCHANGE, EXCHANGE + core.constant("EXCHANGE_SIZE")],
      [SERVER, SERVER + core.constant("SERVER_SIZE")], [TRAILER, TRAILER + 20]] as const;
    const now = bytes.slice();
    for (const [start, end] of own) now.set(before.subarray(start, end), start);
    expect(Buffer.compare(now.subarray(at, at + 64 * STRIDE), before.subarray(at, at + 64 * STRIDE)), "another slot was written").toBe(0);
    expect(Buffer.compare(now.subarray(UNUSED), before.subarray(UNUSED)), "unused memory was written").toBe(0);
    return now.reduce((sum, octet, index) => sum + (octet === before[index] ? 0 : 1), 0);
  }
});

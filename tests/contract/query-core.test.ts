// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages that ask (assembly/query.ts) against the whole one: what they share says the same, bit for bit. So does
 * what the one for pages that follow servers (assembly/follow.ts) has of it; the rest of that one is in follow-core.test.ts.
 *
 * Plain packets by the same session as the core for clocks; NTS with every algorithm, by true replies and by each of them with
 * one octet changed; then what it leaves out: symmetric keys and NTPv5 are neither sent nor believed.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { concat, seededRandom } from "../support/core.ts";
import { KEY_LENGTHS, ntsReply } from "./nts-reply.ts";
import { pageSessionHash } from "./page-session.ts";

const SESSION = 3;
const ORIGIN = 0x0123456789abcdefn;
const [IGNORED, SAMPLE] = [0, 1];
const [AUTH_KEY, AUTH_NTS] = [1, 2];

function prepare(core: Core, { auth = AUTH_NTS as number, version = 4, wants = 0, index = SESSION } = {}): void {
  const at = core.fields("EXCHANGE", ["AUTH", "AUTH_INDEX", "VERSION", "MODE", "WANTS", "ORIGIN", "T1", "T4"]);
  core.view.setUint8(at.AUTH, auth);
  core.view.setInt32(at.AUTH_INDEX, index, true);
  core.view.setUint8(at.VERSION, version);
  core.view.setUint8(at.MODE, 3);
  core.setU32(at.WANTS, wants);
  core.setU64(at.ORIGIN, ORIGIN);
  core.setU64(at.T1, 0xeb000000_00000000n);
  core.setU64(at.T4, 0xeb000000_10000000n);
}

function read(core: Core, packet: Uint8Array): { verdict: number; said: Uint8Array } {
  const slot = core.constant("SLOTS");
  core.bytes.set(packet, slot);
  const sample = core.constant("SAMPLE");
  const verdict = core.exports.replyRead(slot, packet.length, core.constant("EXCHANGE"), sample);
  return { verdict, said: core.bytes.slice(sample, sample + new Core().constant("SAMPLE_SIZE")) };
}

/** One exchange with NTS: the request, and what is said of the reply and of each reply with one octet changed. */
function exchange(core: Core, aead: number, keyLength: number): unknown[] {
  const random = seededRandom(aead);
  const octets = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
  const [scratch, slot] = [core.constant("SCRATCH"), core.constant("SLOTS")];
  const [c2s, s2c, cookie, fresh] = [octets(keyLength), octets(keyLength), octets(96), octets(96)];
  const begin = () => {
    core.bytes.set(concat(c2s, s2c), scratch);
    expect(core.exports.ntsOpen(SESSION, aead, scratch, scratch + keyLength, 1)).toBe(1);
    core.bytes.set(cookie, scratch);
    expect(core.exports.ntsCookie(SESSION, scratch, cookie.length)).toBe(1);
    prepare(core, { wants: 1 });
    core.bytes.set(Uint8Array.from({ length: 48 }, (_, i) => i), core.constant("NTS_RANDOM"));
    const length = core.exports.requestWrite(slot, core.constant("EXCHANGE"));
    return core.bytes.slice(slot, slot + length);
  };
  const request = begin();
  const header = new Uint8Array(48);
  header.set([0x24, 1, 6, 0xec]);
  new DataView(header.buffer).setBigUint64(24, ORIGIN);
  header.set([0xeb, 0, 0, 0, 8], 32);
  header.set([0xeb, 0, 0, 0, 9], 40);
  const reply = ntsReply({ aead, s2c, random: octets(16), header, identifier: Uint8Array.from({ length: 32 }, (_, i) => i), cookie: fresh });
  const said: unknown[] = [request];
  for (let at = 0; at < reply.length; at++) {
    begin();
    const changed = read(core, reply.map((octet, i) => (i === at ? octet ^ 0x40 : octet)));
    if (changed.verdict !== IGNORED) throw new Error(`octet ${at} of an authenticated reply was changed, and it was believed`);
    said.push(changed);
  }
  begin();
  const answer = read(core, reply);
  expect(answer.verdict).toBe(SAMPLE);
  expect(answer.said[core.constant("SAMPLE_AUTHENTICATED")]).toBe(1);
  // The cookie that came, in the next request.
  prepare(core);
  const length = core.exports.requestWrite(slot, core.constant("EXCHANGE"));
  return [...said, answer, core.bytes.slice(slot, slot + length), read(core, reply)];
}

describe.each([["ask", "query", 25_000], ["follow servers", "follow", 42_000]])("the core for pages that %s", (_, name, most) => {
  const octets = readFileSync(`dist/browser/${name}.wasm`);
  const module = new WebAssembly.Module(octets);
  const small = () => new Core(module);

  test("imports nothing and fits a page", () => {
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(octets.length).toBeLessThan(most);
  });

  test("exports nothing that the whole core does not, but for what empties it", () => {
    const whole = new Set(WebAssembly.Module.exports(new WebAssembly.Module(readFileSync("dist/core.wasm"))).map(({ name }) => name));
    expect(WebAssembly.Module.exports(module).map(({ name }) => name).filter((name) => !whole.has(name))).toEqual(["coldReset"]);
  });

  test("the same packets give the same bits", async () => {
    expect(await pageSessionHash(small())).toBe(await pageSessionHash(new Core()));
  });

  test.each(KEY_LENGTHS)("with AEAD %i the same requests are sent and the same replies believed", (aead, keyLength) => {
    expect(exchange(small(), aead, keyLength)).toEqual(exchange(new Core(), aead, keyLength));
  });

  test("without keys or cookies nothing is sent, and what comes is not believed", () => {
    const core = small();
    prepare(core);
    expect(core.exports.requestWrite(core.constant("SLOTS"), core.constant("EXCHANGE"))).toBe(0);
    expect(read(core, perfect(4)).verdict).toBe(IGNORED);
  });

  test.each([["a symmetric key", { auth: AUTH_KEY, version: 4 }], ["a kind that nobody knows", { auth: 3, version: 4 }], ["NTPv5", { auth: 0, version: 5 }]])("%s is neither sent nor believed", (_, how) => {
    const core = small();
    prepare(core, how);
    expect(core.exports.requestWrite(core.constant("SLOTS"), core.constant("EXCHANGE"))).toBe(0);
    expect(read(core, perfect(how.version)).verdict).toBe(IGNORED);
    // The twin: the same reply, where nobody asks for more.
    prepare(core, { auth: 0 });
    expect(read(core, perfect(4)).verdict).toBe(SAMPLE);
  });

  test("the same answers agree", () => {
    const agreement = (core: Core) => {
      const random = seededRandom(11);
      const said: unknown[] = [];
      for (let round = 0; round < 500; round++) {
        const count = random() % 20;
        for (let i = 0; i < count; i++) {
          const at = core.constant("CANDIDATES") + i * core.constant("CANDIDATE_SIZE");
          core.view.setBigInt64(at + core.constant("CANDIDATE_MID"), BigInt((random() | 0) % 1_000_000), true);
          core.view.setBigInt64(at + core.constant("CANDIDATE_DISTANCE"), BigInt(random() % 1_000_000), true);
        }
        const { exports } = core;
        said.push(exports.intersect(count), exports.intersectionLow(), exports.intersectionHigh(), exports.intersectionOffset(count));
      }
      return said;
    };
    expect(agreement(small())).toEqual(agreement(new Core()));
  });
});

/** A reply that would be perfect without authentication. */
function perfect(version: number): Uint8Array {
  const packet = new Uint8Array(48);
  packet.set([(version << 3) | 4, 1]);
  const view = new DataView(packet.buffer);
  view.setBigUint64(24, ORIGIN);
  view.setBigUint64(32, 0xeb000000_08000000n);
  view.setBigUint64(40, 0xeb000000_08000001n);
  return packet;
}

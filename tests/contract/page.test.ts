// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages (assembly/page.ts) against the whole one: each of its calls says the same as those of the whole one that it
 * is made of, bit for bit.
 *
 * Odd packets by the thousand; then a day of a clock that follows four sources, one of them lying, is run in both at once, with
 * steps of ours and of somebody else's, and all that is told is compared.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { seededRandom } from "../support/core.ts";
import { faceSession, smallFace, wholeFace, type PageFace } from "./page-face.ts";

const module = new WebAssembly.Module(readFileSync("dist/browser/page.wasm"));
const small = () => smallFace(module);
const whole = () => wholeFace(new Core());

describe("the core for pages", () => {
  test("imports nothing, exports its calls alone, and fits a page", () => {
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name).sort()).toEqual(["PACKET", "TOLD", "begin", "look", "memory", "reply", "slewed", "timer", "watch"]);
    expect(readFileSync("dist/browser/page.wasm").length).toBeLessThan(15_000);
  });

  test("the same packets give the same bits", async () => {
    const said = await faceSession(small());
    expect(said).toEqual(await faceSession(whole()));
    // Else the comparison would say nothing.
    expect(said.used).toBeGreaterThan(20);
    expect(said.problems).toBeGreaterThan(200);
  });

  test("a datagram longer than any reply writes nothing beside its slot, and is no answer", () => {
    const [face, other] = [small(), small()];
    for (const one of [face, other]) {
      one.begin(2, 1e-4, 4, 10);
      one.timer(0, 0n, 7n);
    }
    const packet = new Uint8Array(1 << 20).fill(0xff);
    packet.set([0x24, 1]);
    packet.set(face.request().subarray(40), 24);
    expect(face.reply(0, packet, { sent: 1n, came: 2n, monotonic: 2n, now: 3n })[0]).toBe(0);
    expect(face.timer(1, 5n, 9n)).toEqual(other.timer(1, 5n, 9n));
  });

  test("a day of four sources, one of them lying, is steered alike", () => {
    const said = day(small());
    expect(said).toEqual(day(whole()));
    const [, , , , , , , peer, , , survivors] = said.at(-1)!;
    expect(peer).toBeGreaterThanOrEqual(0);
    expect(survivors).toBe(SOURCES - 1);
    expect(said.some(([, , , , , , step]) => step !== 0)).toBe(true);
  });
});

const SOURCES = 4;
const SECOND = 1_000_000_000n;
const START = 1_790_000_000n * SECOND;
const UNIX_EPOCH = 2_208_988_800n;

/** What the core told over a day. */
function day(face: PageFace): number[][] {
  const random = seededRandom(7);
  const said: number[][] = [];
  face.begin(SOURCES, 1e-4, 6, 10);
  const due = Array.from({ length: SOURCES }, () => 10n * SECOND);
  /** By how much the clock is ahead of the truth, ns: it begins five seconds behind. */
  let ahead = -5n * SECOND;
  const clock = (now: bigint) => START + now + ahead;
  const obey = (told: number[], now: bigint) => {
    said.push(told);
    const step = BigInt(Math.round(told[6]! * 1e9));
    if (step === 0n) return;
    ahead += step;
    said.push(face.watch(clock(now), now, true));
  };
  for (let round = 0; round < 2000; round++) {
    const index = due.indexOf(due.reduce((least, one) => (one < least ? one : least)));
    const now = due[index]!;
    said.push(face.watch(clock(now), now, false));
    // Somebody sets the clock: back by a little, and ahead by an hour as after sleep.
    if (round === 700) ahead -= 2n * SECOND;
    if (round === 1200) ahead += 3600n * SECOND;
    const asked = face.timer(index, now, BigInt(random()) << 20n);
    said.push(asked);
    due[index] = BigInt(Math.round(asked[1]! * 1e9));
    const [out, back] = [BigInt(random() >>> 10), BigInt(random() >>> 10)];
    const reply = goodReply(face.request(), START + now + out + (index === 3 ? SECOND / 2n : 0n));
    const came = now + out + back;
    const told = face.reply(index, reply, { sent: clock(now), came: clock(came), monotonic: came, now: came + 1000n });
    if (told[0]! & 2) due[index] = BigInt(Math.round(told[1]! * 1e9));
    obey(told, came);
    if (told[5]! !== 0 && round % 3 === 0) obey(face.slewed(BigInt(Math.round(told[5]! * 1e9))), came);
    said.push(face.look((index + 1) % SOURCES, came));
  }
  return said;
}

/** Of a server of stratum 1 that says it is `timeNs`. */
function goodReply(request: Uint8Array, timeNs: bigint): Uint8Array {
  const packet = new Uint8Array(48);
  const view = new DataView(packet.buffer);
  packet.set([0x24, 1, 0, 0xea]);
  packet.set([0, 0, 0, 16, 0, 0, 0, 32, 0x47, 0x50, 0x53, 0], 4);
  packet.set(request.subarray(40), 24);
  for (const at of [16, 32, 40]) {
    view.setUint32(at, Number((timeNs / SECOND + UNIX_EPOCH) & 0xffffffffn));
    view.setUint32(at + 4, Number(((timeNs % SECOND) << 32n) / SECOND));
  }
  return packet;
}

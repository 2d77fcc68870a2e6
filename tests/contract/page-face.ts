// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for clocks of pages and the whole one behind one face (that of assembly/page.ts), and a session on it: some thousand
 * odd packets. For Node (page.test.ts) and for Chromium (tests/browser).
 *
 * What each call of the small core comes to is said here once more, by the exports of the whole one.
 *
 * @module
 */

import type { Core } from "../../hosts/common/core/core.ts";
import { PageCore } from "../../hosts/browser/pagecore.ts";

/** What hosts/browser/engine.ts can do. Each call returns all that is told after it. */
export interface PageFace {
  begin(count: number, precision: number, minPoll: number, maxPoll: number): void;
  timer(index: number, now: bigint, random: bigint): number[];
  request(): Uint8Array;
  reply(index: number, packet: Uint8Array, at: Reply): number[];
  slewed(now: bigint): number[];
  watch(time: bigint, monotonic: bigint, anew: boolean): number[];
  look(index: number, now: bigint): number[];
}

/** ns. */
export interface Reply {
  readonly sent: bigint;
  readonly came: bigint;
  readonly monotonic: bigint;
  readonly now: bigint;
}

const TOLD = 18;

export function smallFace(module: WebAssembly.Module): PageFace {
  const core = new PageCore(module);
  const told = () => Array.from(core.told.subarray(0, TOLD));
  const { call } = core;
  return {
    begin: (...all) => call.begin(...all),
    timer: (...all) => (call.timer(...all), told()),
    request: () => core.request(),
    reply: (index, packet, { sent, came, monotonic, now }) => (core.reply(index, packet, { time: sent, monotonic: sent }, { time: came, monotonic }, now), told()),
    slewed: (now) => (call.slewed(now), told()),
    watch: (...all) => (call.watch(...all), told()),
    look: (...all) => (call.look(...all), told()),
  };
}

export function wholeFace(core: Core): PageFace {
  const { exports, view, bytes } = core;
  const time = (ns: bigint) => exports.timestampFromUnixNs(ns);
  const seconds = (at: number) => exports.intervalToSeconds(core.i64(at));
  const secondsAt = (at: number) => exports.intervalToSeconds(exports.elapsed(time(0n), core.i64(at)));
  const tell = (index: number, wants: number, now: bigint): number[] => {
    exports.systemUpdate(time(now));
    const at = (start: number, name: string) => start + core.constant(name);
    const [steering, system, source, association] = [exports.steeringOut(), exports.systemOut(), exports.sourceOut(index), exports.associationOut(index)];
    const double = (start: number, name: string) => view.getFloat64(at(start, name), true);
    const integer = (start: number, name: string) => view.getInt32(at(start, name), true);
    return [
      wants,
      secondsAt(at(exports.actionOut(), "ACTION_TIMER")),
      ...["RATE", "FREQUENCY", "REMAINING"].map((name) => double(steering, `STEERING_${name}`)),
      core.u64(at(steering, "STEERING_UNTIL")) === 0n ? 0 : secondsAt(at(steering, "STEERING_UNTIL")),
      seconds(at(steering, "STEERING_STEP")),
      ...["PEER", "STRATUM", "LEAP", "SURVIVORS"].map((name) => integer(system, `SYSTEM_${name}`)),
      double(system, "SYSTEM_BOUND"),
      bytes[at(association, "ASSOCIATION_REACH")]!,
      ...["USED", "LAST_PROBLEMS"].map((name) => core.u32(at(association, `ASSOCIATION_${name}`))),
      integer(source, "SOURCE_SELECTION"),
      ...["OFFSET", "FLOOR"].map((name) => double(source, `SOURCE_${name}`)),
    ];
  };
  const slot = core.constant("SLOTS");
  return {
    begin(count, precision, minPoll, maxPoll) {
      exports.disciplineReset(0, 0);
      exports.disciplineLimits(0.1, 500e-6, minPoll, maxPoll);
      exports.disciplineStepPolicy(0.1, 3);
      exports.associationPrecision(exports.intervalFromSeconds(precision));
      exports.clockWatchReset();
      for (let index = 0; index < count; index++) exports.associationOpen(index, 4, minPoll, maxPoll);
    },
    timer: (index, now, random) => tell(index, exports.associationTimer(index, time(now), random), now),
    request: () => bytes.slice(slot, slot + view.getInt32(exports.actionOut() + core.constant("ACTION_LENGTH"), true)),
    reply(index, packet, { sent, came, monotonic, now }) {
      bytes.set(packet, slot);
      exports.associationSent(index, time(sent));
      exports.associationCame(index, time(came), time(monotonic));
      return tell(index, exports.associationReply(index, packet.length, time(now)), now);
    },
    slewed(now) {
      exports.disciplineTimer(time(now));
      return tell(0, 0, now);
    },
    watch(wall, monotonic, anew) {
      if (anew) {
        exports.associationsDrop();
        exports.clockWatchReset();
      }
      return tell(0, exports.clockWatch(time(wall), time(monotonic)), monotonic);
    },
    look: (index, now) => tell(index, 0, now),
  };
}

const PACKETS = 4000;
const SOURCES = 8;
const SECOND = 1_000_000_000n;
/** 2026, ns. */
const START = 1_790_000_000n * SECOND;
const UNIX_EPOCH = 2_208_988_800n;

/** A linear congruential generator (Knuth's MMIX), for packets that are the same everywhere. */
function generator(seed: bigint): (bits: number) => number {
  let state = seed;
  return (bits) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> BigInt(64 - bits));
  };
}

/** What a core tells of odd packets: replies good, late, mangled, kisses, with fields and MACs behind them. Hashed, and counted. */
export async function faceSession(face: PageFace): Promise<{ hash: string; used: number; problems: number }> {
  const random = generator(20361118n);
  const log = new Float64Array(PACKETS * 2 * TOLD + PACKETS * 6);
  let [at, now, used, problems] = [0, 10n * SECOND, 0, 0];
  const keep = (told: ArrayLike<number>) => (log.set(told, at), (at += told.length));
  face.begin(SOURCES, 1e-4, 4, 10);
  for (let i = 0; i < PACKETS; i++) {
    const index = random(3);
    now += BigInt(random(32)) * 4n;
    keep(face.timer(index, now, BigInt(random(48)) << 16n));
    const request = face.request();
    keep(new Float64Array(request.buffer, 0, 6));
    const packet = oddReply(request, random, START + now);
    const monotonic = now + BigInt(random(24));
    const told = face.reply(index, packet, { sent: START + now, came: START + monotonic, monotonic, now: monotonic + BigInt(random(16)) });
    keep(told);
    now = monotonic + 70_000n;
    used = Math.max(used, told[13]!);
    if (told[14] !== 0) problems += 1;
  }
  // NaN has many bits in some engines; none is expected.
  if (log.subarray(0, at).slice().some((one) => one !== one && !Number.isNaN(one))) throw new Error("what was told is no number");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", log));
  return { hash: Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join(""), used, problems };
}

/** A reply to `request` at `timeNs`, of every eighth or so something is wrong. */
function oddReply(request: Uint8Array, random: (bits: number) => number, timeNs: bigint): Uint8Array {
  const packet = new Uint8Array(random(3) === 0 ? 44 + (random(5) << 2) : 48);
  const behind = Math.max(0, packet.length - 48);
  for (let i = 48; i < packet.length; i++) packet[i] = i < 52 && behind === 28 ? [0, 4, 0, 28][i - 48]! : random(8);
  const whole = new Uint8Array(Math.max(48, packet.length));
  const view = new DataView(whole.buffer);
  whole.set(packet);
  whole[0] = random(3) === 0 ? random(8) : 0x24;
  whole[1] = random(4) === 0 ? random(5) : 1 + random(2);
  whole[2] = random(4);
  whole[3] = 0x100 - random(5);
  view.setUint32(4, random(5) === 0 ? random(32) : random(10));
  view.setUint32(8, random(5) === 0 ? random(32) : random(10));
  view.setUint32(12, [0x52415445, 0x44454e59, 0x47505300, 0x58585858][random(2)]!);
  const stamp = (place: number, ns: bigint) => {
    view.setUint32(place, Number((ns / SECOND + UNIX_EPOCH) & 0xffffffffn));
    view.setUint32(place + 4, Number(((ns % SECOND) << 32n) / SECOND));
  };
  const received = timeNs + BigInt(random(20)) + (random(4) === 0 ? BigInt(random(40)) : 0n);
  stamp(16, random(3) === 0 ? received + 5n : received - SECOND);
  whole.set(request.subarray(40, 48), 24);
  if (random(4) === 0) whole[24 + random(3)]! ^= 1 << random(3);
  stamp(32, received);
  stamp(40, received + BigInt(random(12)));
  if (random(5) === 0) whole.fill(0, 32 + (random(1) << 3), 40);
  return whole.subarray(0, packet.length);
}

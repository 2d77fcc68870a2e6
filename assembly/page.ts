// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for web pages: what a clock needs that follows a few sources, and nothing else.
 *
 * The same sources as assembly/index.ts, optimised for size: each call here is a few calls there and says the same bits, which
 * tests/contract/page.test.ts holds against the whole core. build/core.mjs defines PAGE and PLAIN for it, and the code that asks
 * `isDefined` of them leaves out what no page can use: keys and NTS (no cryptography here: such a request is not sent, such a
 * reply not believed), NTPv5, interleaved mode, reference clocks and the PLL. No strings cross: no as-bind, no collector.
 *
 * One instance is one clock. Times come as nanoseconds and are told in seconds. hosts/browser/pagecore.ts is the other side.
 */

import {
  associationCame,
  associationOpen,
  associationPrecision,
  associationReply,
  associationSent,
  associationTimer,
  associationsDrop,
} from "./association/association";
import { action, associationAt } from "./association/state";
import { clockWatch, clockWatchReset } from "./association/clockwatch";
import { System, systemOut, systemUpdate } from "./association/system";
import { steering } from "./discipline/clock";
import { disciplineTimer } from "./discipline/index";
import { sourceAt, toInterval, toSeconds } from "./discipline/memory";
import { limitPoll } from "./discipline/pace";
import { timestampFromUnixNs } from "./proto/timestamp";
import { slotPackets } from "./server/slots";

/** All that a page is told after each call; hosts/browser/pagecore.ts reads it in this order. s, s/s and counts. */
@unmanaged
class Told {
  /** ACTION_* bits of the last call, or what the watch has seen. */
  wants: f64;
  /** When to call {@link timer} for the source just named. */
  due: f64;
  // Steering.
  rate: f64;
  frequency: f64;
  remaining: f64;
  until: f64;
  step: f64;
  // System.
  peer: f64;
  stratum: f64;
  leap: f64;
  survivors: f64;
  bound: f64;
  // The source just named.
  reach: f64;
  used: f64;
  lastProblems: f64;
  selection: f64;
  offset: f64;
  floor: f64;
}

const told = changetype<Told>(memory.data(offsetof<Told>(), 8));

/** What timestampFromUnixNs makes of 0. */
const UNIX_EPOCH: u64 = <u64>2208988800 << 32;

/** Where packets go out and come in: slot 0; and where what is told lies. */
export const PACKET: usize = slotPackets;
export const TOLD: usize = changetype<usize>(told);

/** Follow `count` sources, polled each 2^minPoll to 2^maxPoll s, with a timer of this precision, s. */
export function begin(count: i32, precision: f64, minPoll: i32, maxPoll: i32): void {
  limitPoll(minPoll, maxPoll);
  associationPrecision(toInterval(precision));
  for (let index = 0; index < count; index++) associationOpen(index, 4, minPoll, maxPoll);
}

/** The time named has come: a request is written. `random`: 64 bits nobody can guess. */
export function timer(index: i32, now: i64, random: u64): void {
  const time = timestampFromUnixNs(now);
  tell(index, associationTimer(index, time, random), time);
}

/** A reply of `length` octets came at `came`, by the clock that is steered, and `monotonic`, to what left at `sent`. */
export function reply(index: i32, length: i32, sent: i64, came: i64, monotonic: i64, now: i64): void {
  associationSent(index, timestampFromUnixNs(sent));
  associationCame(index, timestampFromUnixNs(came), timestampFromUnixNs(monotonic));
  const time = timestampFromUnixNs(now);
  tell(index, associationReply(index, length, time), time);
}

/** A slew has ended. */
export function slewed(now: i64): void {
  const time = timestampFromUnixNs(now);
  disciplineTimer(time);
  tell(0, 0, time);
}

/** Clock and timer, read together; `anew` when we have stepped the clock: what is under way measures nothing then. */
export function watch(time: i64, monotonic: i64, anew: bool): void {
  if (anew) {
    associationsDrop();
    clockWatchReset();
  }
  const now = timestampFromUnixNs(monotonic);
  tell(0, clockWatch(timestampFromUnixNs(time), now), now);
}

/** How things are with source `index`. */
export function look(index: i32, now: i64): void {
  tell(index, 0, timestampFromUnixNs(now));
}

/** The other way round from {@link timestampFromUnixNs}, to the nearest double. */
function secondsAt(time: u64): f64 {
  return toSeconds(<i64>(time - UNIX_EPOCH));
}

function tell(index: i32, wants: i32, now: u64): void {
  const steered = steering();
  const system = changetype<System>(systemOut());
  const association = associationAt(index);
  const source = sourceAt(index);
  systemUpdate(now);
  told.wants = wants;
  told.due = secondsAt(action.timer);
  told.rate = steered.rate;
  told.frequency = steered.frequency;
  told.remaining = steered.remaining;
  told.until = steered.until == 0 ? 0 : secondsAt(steered.until);
  told.step = toSeconds(steered.step);
  told.peer = system.peer;
  told.stratum = system.stratum;
  told.leap = system.leap;
  told.survivors = system.survivors;
  told.bound = system.bound;
  told.reach = association.reach;
  told.used = association.used;
  told.lastProblems = association.lastProblems;
  told.selection = source.selection;
  told.offset = source.offset;
  told.floor = source.floor;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system variables (RFC 5905 §11.1): what we, being synchronised, tell our own clients and operators.
 *
 * The system peer is the survivor of least root distance. Stratum, root delay and reference identifier are its; the leap
 * indicator is what more than half of the survivors announce. Without survivors nobody may rely on us, but what was known
 * is not forgotten: the bound grows from where it stood. Tested in system.test.ts.
 */

import { disciplineBound } from "../discipline/index";
import { steering } from "../discipline/clock";
import { SOURCES, Source, secondsBetween, sourceAt, toInterval, toSeconds } from "../discipline/memory";
import { LEAP_NONE, LEAP_UNSYNCHRONISED, STRATUM_UNSYNCHRONISED } from "../proto/header";
import { Interval } from "../proto/timestamp";

/** Read by hosts through the exported SYSTEM_* offsets. */
@unmanaged
export class System {
  /** The system peer's index, -1 when there is none. */
  peer: i32;
  stratum: i32;
  leap: i32;
  survivors: i32;
  rootDelay: Interval;
  rootDispersion: Interval;
  /** When the system peer last told the time, on the monotonic clock. */
  updated: u64;
  /** Greatest error of the clock, s; Infinity before anything is known. */
  bound: f64;
  /** 1: nobody is followed, and our own clock is the reference (systemLocal). */
  local: i32;
}

/** PHI: what an unsteered clock may drift, s/s. */
const PHI: f64 = 15e-6;
/** Selection of a source that survived (discipline/memory.ts). */
const SURVIVOR: i32 = 1;

const systemAt: usize = memory.data(offsetof<System>(), 8);
const system = changetype<System>(systemAt);

/** The last bound that survivors vouched for, s, and when; it grows from there while there are none. */
let heldBound: f64 = Infinity;
let heldAt: u64 = 0;

export function systemOut(): usize {
  return systemAt;
}

/** λ of a source at `now`, s. */
function distanceAt(source: Source, now: u64): f64 {
  const age = max(secondsBetween(source.when, now), 0);
  return (source.rootDelay + source.floor) / 2 + source.rootDispersion + sqrt(max(source.varOffset, 0)) + PHI * age;
}

/** Stratum that we tell when nobody is followed; 0: that we are unsynchronised. */
let localStratum: i32 = 0;
/** What a clock that is its own reference says of its error, s. How far it is off the others' time nobody knows. */
const LOCAL_DISPERSION: f64 = 0.01;

/** When no source can be followed, our own clock is the reference, of this stratum (1..15); 0: it is not. */
export function systemLocal(stratum: i32): void {
  localStratum = stratum > 0 && stratum < STRATUM_UNSYNCHRONISED ? stratum : 0;
}

/** Bring {@link System} up to date for `now`. */
export function systemUpdate(now: u64): void {
  let peer = -1;
  let nearest: f64 = Infinity;
  let inserting = 0;
  let deleting = 0;
  let survivors = 0;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (!source.active || source.samples == 0 || source.selection != SURVIVOR) continue;
    survivors += 1;
    if (source.leap == 1) inserting += 1;
    if (source.leap == 2) deleting += 1;
    const distance = distanceAt(source, now);
    if (distance < nearest) {
      nearest = distance;
      peer = index;
    }
  }
  system.survivors = survivors;
  holdBound(now);
  if (!isDefined(PAGE)) system.local = 0;
  if (peer < 0 || !steering().synchronised) return leaveSynchronised(now);
  const source = sourceAt(peer);
  system.peer = peer;
  system.stratum = min(source.stratum + 1, STRATUM_UNSYNCHRONISED);
  system.leap = 2 * inserting > survivors ? 1 : 2 * deleting > survivors ? 2 : LEAP_NONE;
  if (isDefined(PLAIN)) return;
  system.rootDelay = toInterval(source.rootDelay + max(source.floor, 0));
  // Everything that may be wrong beyond half of the root delay, so that the two together are the bound.
  system.rootDispersion = toInterval(max(system.bound - (source.rootDelay + max(source.floor, 0)) / 2, 0));
  system.updated = source.when;
}

/** While there are survivors the discipline knows; without, our own doubt of the frequency and its wander add up. */
function holdBound(now: u64): void {
  const bound = disciplineBound(now);
  if (bound < Infinity) {
    heldBound = bound;
    heldAt = now;
  }
  const drift = PHI + 3 * max(steering().sdFrequency, 0);
  system.bound = heldBound + drift * max(secondsBetween(heldAt, now), 0);
}

/** The clock was moved behind our back by `interval`: as much worse is what is held, until survivors tell anew. */
export function systemMoved(interval: i64): void {
  heldBound += abs(toSeconds(interval));
}

/** Nothing is known of the clock any more: the machine slept. */
export function systemForget(): void {
  heldBound = Infinity;
}

function leaveSynchronised(now: u64): void {
  system.peer = -1;
  system.stratum = STRATUM_UNSYNCHRONISED;
  system.leap = LEAP_UNSYNCHRONISED;
  if (isDefined(PLAIN)) return;
  system.local = localStratum > 0 ? 1 : 0;
  system.stratum = system.local ? localStratum : STRATUM_UNSYNCHRONISED;
  system.leap = system.local ? LEAP_NONE : LEAP_UNSYNCHRONISED;
  system.rootDelay = 0;
  system.rootDispersion = system.local ? toInterval(LOCAL_DISPERSION) : 0;
  system.updated = now;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A core with associations in hand: time, randomness and packets are the test's.
 *
 * `Lab` plays the host (clock, timer, socket) and the servers. The wall clock is `BEGINNING` plus the monotonic clock plus what it was
 * stepped by; a server's offset is how far it is ahead of it.
 *
 * @module
 */

import { expect } from "vitest";
import { DisciplineCore } from "../../hosts/common/client/discipline.ts";
import type { Actions } from "../../hosts/common/client/events.ts";
import type { SourceVersion } from "../../hosts/common/client/version.ts";
import { ascii, packet, type HeaderFields } from "./core.ts";

/** 2030-03-17. */
export const BEGINNING = 1_900_000_000_000_000_000n;
const UNIX_EPOCH_NS = 2_208_988_800_000_000_000n;
const NS = 1e9;

/** A reading of a clock as an NTP timestamp, modulo its era. */
export function timestamp(unixNs: bigint): bigint {
  return BigInt.asUintN(64, ((unixNs + UNIX_EPOCH_NS) << 32n) / 1_000_000_000n);
}

/** What a server says, and how its clock and path are. Seconds. */
export interface Answer extends Partial<HeaderFields> {
  offset?: number;
  there?: number;
  back?: number;
}

export const RATE: Answer = { stratum: 0, refid: ascii("RATE") };
export const DENY: Answer = { stratum: 0, refid: ascii("DENY") };
export const RSTR: Answer = { stratum: 0, refid: ascii("RSTR") };

/** Polls may be up to 1/32 earlier. */
export const SPREAD = 1 / 32;

/** A wait of 2^poll s, up to 1/32 earlier. */
export function expectPoll(seconds: number, poll: number): void {
  expect(seconds).toBeLessThanOrEqual(2 ** poll);
  expect(seconds).toBeGreaterThanOrEqual(2 ** poll * (1 - SPREAD) - 1e-6);
}

export interface LabOptions {
  minPoll?: number;
  maxPoll?: number;
  algorithm?: "estimator" | "pll-fll";
}

export class Lab {
  readonly core = new DisciplineCore();
  /** Monotonic time, ns. */
  now = 1_000_000_000n;
  /** Steps of the wall clock so far, ns. */
  stepped = 0n;
  #random = 0x9e3779b97f4a7c15n;
  readonly #requests = new Map<number, Uint8Array>();

  constructor({ minPoll = 6, maxPoll = 10, algorithm = "estimator" }: LabOptions = {}) {
    this.core.reset({ algorithm, frequency: 0, skew: 0, precision: 1e-6 });
    this.core.limits({ slew: 0.1, frequency: 500e-6, minPoll, maxPoll });
    this.core.stepPolicy(0.1, 3);
    this.core.stepLimits(1000, 0, 0);
  }

  get wall(): bigint {
    return BEGINNING + this.now + this.stepped;
  }

  open(index = 0, options: { version?: SourceVersion; minPoll?: number; maxPoll?: number } = {}): void {
    this.core.open(index, { version: 4, minPoll: 6, maxPoll: 10, ...options });
  }

  pass(seconds: number): void {
    this.now += BigInt(Math.round(seconds * NS));
  }

  random(): bigint {
    this.#random = BigInt.asUintN(64, this.#random * 0x5851f42d4c957f2dn + 0x14057b7ef767814fn);
    return this.#random;
  }

  /** The timer fires; the request is out at once, unless its sending is yet to be told. */
  ask(index = 0, sent = true): Actions {
    const actions = this.core.timer(index, this.now, this.random());
    if (actions.send) this.#requests.set(index, actions.send);
    if (sent) this.core.sent(index, this.wall);
    return actions;
  }

  /** The last request of a source. */
  request(index = 0): Uint8Array {
    return this.#requests.get(index)!;
  }

  /** An honest reply to the last request, but for what is said otherwise; t1 was now. */
  replyOf(index: number, { offset = 0, there = 0.005, back = 0.005, ...fields }: Answer = {}): { data: Uint8Array; takes: number } {
    const at = timestamp(this.wall + BigInt(Math.round((offset + there) * NS)));
    const originTime = new DataView(this.request(index).buffer).getBigUint64(40);
    const header = { version: 4, mode: 4, stratum: 1, precision: -20, refid: ascii("GPS"), referenceTime: at, receiveTime: at, transmitTime: at, originTime, ...fields };
    return { data: packet(header), takes: there + back };
  }

  /** A datagram comes now. */
  deliver(index: number, data: Uint8Array): Actions {
    return this.core.reply(index, data, { time: this.wall, monotonic: this.now }, this.now);
  }

  /** The reply to the last request comes. */
  answer(index = 0, answer: Answer = {}): Actions {
    const { data, takes } = this.replyOf(index, answer);
    this.pass(takes);
    return this.deliver(index, data);
  }

  /** Ask, be answered, obey the step if there is one, and wait until the timer is due. Returns the seconds waited from the request on. */
  exchange(index = 0, answer: Answer = {}): number {
    const from = this.now;
    const asked = this.ask(index);
    const answered = this.answer(index, answer);
    this.obeyStep();
    return this.waitFor(answered.timerNs ?? asked.timerNs, from);
  }

  /** Ask in vain and wait until the timer is due. */
  lose(index = 0): { actions: Actions; waited: number } {
    const from = this.now;
    const actions = this.ask(index);
    return { actions, waited: this.waitFor(actions.timerNs, from) };
  }

  waitFor(timerNs: bigint | undefined, from = this.now): number {
    if (timerNs !== undefined && timerNs > this.now) this.now = timerNs;
    return Number(this.now - from) / NS;
  }

  obeyStep(): void {
    const { stepNs } = this.core.steering();
    if (stepNs === 0n) return;
    this.stepped += stepNs;
    this.core.drop();
    // Done: the core says it until it is told something new.
    this.core.steeringTimer(this.now);
  }

  /** One after the other, rounds of exchanges with each of the sources. */
  rounds(count: number, answers: readonly Answer[]): void {
    for (let round = 0; round < count; round++) {
      let due = this.now;
      answers.forEach((answer, index) => {
        const from = this.now;
        const asked = this.ask(index);
        const { timerNs = asked.timerNs } = this.answer(index, answer);
        this.obeyStep();
        if (timerNs !== undefined && timerNs > due) due = timerNs;
        if (due < from) due = from;
      });
      if (due > this.now) this.now = due;
    }
  }
}

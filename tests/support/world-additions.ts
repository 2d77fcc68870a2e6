// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A fake host whose oscillator has an error, whose wall clock others step, and which can be sent to sleep; and servers whose clocks and
 * paths change as one likes. Virtual time passes timer by timer: `letPass`.
 *
 * @module
 */

import { vi } from "vitest";
import type { HostClock } from "../../hosts/common/host.ts";
import { answers, FakeHost, trueNs, type Answering, type Behaviour, type FakeRequest } from "./fake-host.ts";

const NS = 1e9;
const ns = (seconds: number) => BigInt(Math.round(seconds * NS));

/** Taken before vitest's stands in for it. */
const realSetImmediate = setImmediate;
export const promisesSettle = () => new Promise<void>((resolve) => void realSetImmediate(resolve));

export class World extends FakeHost {
  override readonly clock: HostClock;
  readonly #born = performance.now();
  readonly #ppm: number;
  /** What the wall clock is ahead of the timer by, beyond what it was in the beginning, ns. */
  #wallNs = 0n;
  /** How long the machine slept, ns: while it does no timer runs, and the fake timers do not either. */
  #sleptNs = 0n;

  /** `clockError`: of the wall clock in the beginning, s. `ppm`: how much too fast the oscillator is. */
  constructor({ clockError = 0, ppm = 0, precision = 1e-6 }: { clockError?: number; ppm?: number; precision?: number } = {}) {
    super({ clockError, precision });
    this.#ppm = ppm;
    const began = trueNs() + ns(clockError);
    const monotonic = () => {
      const ms = performance.now() - this.#born;
      return BigInt(Math.round(ms * 1e6)) + BigInt(Math.round(ms * this.#ppm));
    };
    this.clock = { now: () => began + this.#wallNs + monotonic(), monotonic, precision, description: "virtual" };
  }

  /** The true time, ns since 1970. */
  truth(): bigint {
    return trueNs() + this.#sleptNs;
  }

  /** Somebody sets the wall clock. */
  stepWall(seconds: number): void {
    this.#wallNs += ns(seconds);
  }

  /** The timer stands still, the wall clock (nearly) does not. */
  sleep(seconds: number, wallError = 0): void {
    this.#sleptNs += ns(seconds);
    this.#wallNs += ns(seconds + wallError);
  }

  get sleptSeconds(): number {
    return Number(this.#sleptNs) / NS;
  }

  /** A server at `address`. */
  server(address: string, options: Answering = {}): ServerScript {
    const script = new ServerScript(this, options);
    this.at(address, script);
    return script;
  }
}

/** A server that may change; `away` takes requests and does not answer. */
export class ServerScript implements Behaviour {
  options: Answering;
  away = false;
  /** Share of requests that are lost. */
  readonly #world: World;
  readonly #made = new Map<string, Behaviour>();

  constructor(world: World, options: Answering) {
    this.#world = world;
    this.options = options;
  }

  onRequest(request: FakeRequest): void {
    if (this.away) return;
    const { offset = 0, ...rest } = this.options;
    const now = { ...rest, offset: offset + this.#world.sleptSeconds };
    const key = JSON.stringify(now);
    const made = this.#made.get(key) ?? answers(now);
    this.#made.set(key, made);
    made.onRequest?.(request);
  }
}

/** `seconds` of virtual time pass, timer by timer; `look` is called after each of them, at least once a second. */
export async function letPass(seconds: number, look: () => void = () => {}): Promise<void> {
  let over = false;
  const ends = setTimeout(() => (over = true), seconds * 1000);
  const ticks = setInterval(() => {}, 1000);
  while (!over) {
    vi.advanceTimersToNextTimer();
    await promisesSettle();
    look();
  }
  clearTimeout(ends);
  clearInterval(ticks);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// Paths between the client and its servers: one-way delays, losses, and what the servers believe
// the time to be. Delays are drawn per packet when it is sent. Tested in world.test.ts.

import type { Random } from "./rng.ts";

export type Direction = "request" | "response";

export interface PathSettings {
  /** Seconds one way without jitter. */
  readonly base: number;
  /** Mean of the exponential part, seconds one way (its sd when gaussian). */
  readonly jitter: number;
  readonly distribution: "exponential" | "gaussian" | "spiky";
  /** −1..1: the request's jitter is (1 + a)·J, the response's (1 − a)·J. */
  readonly asymmetry: number;
  /** Probability that a packet is lost. */
  readonly loss: number;
  /** Added one way, to both directions, from the time given on. */
  readonly routeChange: { readonly at: number; readonly extra: number } | null;
  /** In the second half of every so many seconds the jitter is multiplied. */
  readonly busy: { readonly every: number; readonly factor: number } | null;
  /** Seconds between which every packet is lost. */
  readonly outage: { readonly from: number; readonly to: number } | null;
}

/** One in twenty packets of a spiky path meets a queue twenty times as deep. */
const SPIKE_PROBABILITY = 0.05;
const SPIKE_FACTOR = 20;

export class Path {
  readonly settings: PathSettings;
  private readonly delays: Random;
  private readonly losses: Random;

  constructor(settings: PathSettings, delays: Random, losses: Random) {
    this.settings = settings;
    this.delays = delays;
    this.losses = losses;
  }

  /** Seconds until arrival, or ≤ 0 for a packet that is lost. */
  delay(now: number, direction: Direction): number {
    const { base, loss, outage, routeChange } = this.settings;
    if (loss > 0 && this.losses.uniform() < loss) return 0;
    const drawn = this.jitter(direction) * this.load(now);
    if (outage !== null && now >= outage.from && now < outage.to) return 0;
    const extra = routeChange !== null && now >= routeChange.at ? routeChange.extra : 0;
    return base + extra + drawn;
  }

  private load(now: number): number {
    const { busy } = this.settings;
    return busy !== null && now % busy.every >= busy.every / 2 ? busy.factor : 1;
  }

  private jitter(direction: Direction): number {
    const { asymmetry, distribution } = this.settings;
    const jitter = this.settings.jitter * (direction === "request" ? 1 + asymmetry : 1 - asymmetry);
    if (distribution === "gaussian") return jitter * this.delays.normal();
    if (distribution === "exponential") return jitter * this.delays.exponential();
    const spike = this.delays.uniform() < SPIKE_PROBABILITY ? SPIKE_FACTOR : 1;
    return jitter * spike * this.delays.exponential();
  }
}

/** A server's clock: true time plus an error that may depend on the time. */
export type ServerError = (time: number) => number;

// SPDX-License-Identifier: MIT OR Apache-2.0
// The thin client of the simulator: sends requests on time, hands every sample to the core, obeys
// its steering. What association/ and a host do in earnest, without packets' contents.

import type { Algorithm, Core, Steering } from "./core.ts";
import { Window } from "./core.ts";
import type { Path, ServerError } from "./network.ts";
import type { Scenario } from "./scenario.ts";
import type { Process, World } from "./world.ts";

const ALGORITHMS: Record<Algorithm, number> = { "pll-fll": 0, estimator: 1 };
const UNITS = 4294967296; // 2^32 to a second
const TICK_LIMIT = 0.1; // Linux: tick 9000..11000
const FREQUENCY_LIMIT = 500e-6;

interface Association {
  readonly index: number;
  readonly path: Path;
  readonly error: ServerError;
  sent: number;
  next: number;
}

export class Client implements Process {
  deadline = 0;
  polls = 0;
  steps = 0;
  /** Raised by every step of the clock: what was in flight then measures nothing. */
  private epoch = 0;
  private readonly world: World;
  private readonly core: Core;
  private readonly window: Window;
  private readonly epochNs: bigint;
  private readonly associations: Association[];
  private steering: Steering;

  constructor(world: World, core: Core, algorithm: Algorithm, scenario: Scenario, paths: readonly Path[]) {
    this.world = world;
    this.core = core;
    this.window = new Window(core);
    this.epochNs = BigInt(scenario.epoch) * 1000000000n;
    core.disciplineAlgorithm(ALGORITHMS[algorithm]);
    core.disciplineReset(scenario.drift.frequency, scenario.drift.doubt);
    core.disciplineStepPolicy(scenario.steps.least, scenario.steps.count);
    core.disciplineLimits(TICK_LIMIT, FREQUENCY_LIMIT, scenario.minPoll, scenario.maxPoll);
    this.associations = paths.map((path, index) => {
      core.disciplineAddSource(index);
      const error = scenario.servers[index] as ServerError;
      return { index, path, error, sent: 0, next: 0 };
    });
    this.steering = this.window.read();
    this.obey();
    this.schedule();
  }

  onTimer(): void {
    const now = this.world.clock.monotonic;
    for (const association of this.associations) if (association.next <= now) this.request(association);
    const due = Number(this.steering.until) / UNITS;
    if (this.steering.until !== 0n && due <= now) {
      this.core.disciplineTimer(toUnits(Math.max(now, due)));
      this.obey();
    }
    this.schedule();
  }

  /** The host noticed that somebody else stepped the wall clock. */
  noticeStep(seconds: number): void {
    this.epoch++;
    this.core.disciplineStepped(toUnitsSigned(seconds), toUnits(this.world.clock.monotonic));
    this.obey();
    this.schedule();
  }

  /** The computer wakes up: the host tells the core, and every source is asked in a burst. */
  wake(): void {
    const now = this.world.clock.monotonic;
    this.epoch++;
    this.core.disciplineForget(toUnits(now));
    for (const association of this.associations) {
      association.sent = 0;
      association.next = now;
    }
    this.obey();
    this.schedule();
  }

  /** The core's bound of our error now, s. */
  bound(): number {
    return this.core.disciplineBound(toUnits(this.world.clock.monotonic));
  }

  /** What the core said last. */
  get state(): Steering {
    return this.steering;
  }

  private request(association: Association): void {
    const { clock } = this.world;
    this.polls++;
    association.sent++;
    association.next = clock.monotonic + 2 ** this.core.disciplinePoll(association.sent);
    const t1 = this.timestamp(clock.readWallNs());
    const there = association.path.delay(this.world.time, "request");
    if (there <= 0) return;
    const { epoch } = this;
    this.world.send(there, () => this.serve(association, t1, epoch));
  }

  private serve(association: Association, t1: bigint, epoch: number): void {
    const { time } = this.world;
    const t2 = this.timestamp(Math.round((time + association.error(time)) * 1e9));
    const back = association.path.delay(time, "response");
    if (back <= 0) return;
    this.world.send(back, () => {
      if (epoch === this.epoch) this.receive(association, t1, t2);
    });
  }

  private receive(association: Association, t1: bigint, t2: bigint): void {
    const t4 = this.timestamp(this.world.clock.readWallNs());
    const there = BigInt.asIntN(64, t2 - t1);
    const back = BigInt.asIntN(64, t2 - t4); // the server answers in no time: t3 = t2
    this.window.write({
      when: toUnits(this.world.clock.monotonic),
      offset: (there + back) >> 1n,
      delay: BigInt.asIntN(64, there - back),
      dispersion: 4n, // two clocks that read to 1 ns: half of 2^-30 s each, in units of 2^-32 s
    }, 1);
    this.core.disciplineSample(association.index);
    this.obey();
    this.schedule();
  }

  private obey(): void {
    this.steering = this.window.read();
    this.world.clock.setRate(this.steering.rate);
    if (this.steering.step === 0n) return;
    this.world.clock.step(Number(this.steering.step) / UNITS);
    this.steps++;
    this.epoch++;
  }

  private schedule(): void {
    let deadline = this.steering.until === 0n ? Infinity : Number(this.steering.until) / UNITS;
    for (const association of this.associations) deadline = Math.min(deadline, association.next);
    this.deadline = deadline;
  }

  /** NTP timestamp, 32.32 within its era, of nanoseconds since the start. */
  private timestamp(ns: number): bigint {
    const total = this.epochNs + BigInt(ns);
    return BigInt.asUintN(64, ((total << 32n) + 500000000n) / 1000000000n);
  }
}

function toUnits(seconds: number): bigint {
  return BigInt(Math.ceil(seconds * UNITS));
}

function toUnitsSigned(seconds: number): bigint {
  return BigInt(Math.round(seconds * UNITS));
}

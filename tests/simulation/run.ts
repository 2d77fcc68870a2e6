// SPDX-License-Identifier: MIT OR Apache-2.0
// One run of one scenario with one seed: figures in the table's units. Test: table.test.ts.

import { Client } from "./client.ts";
import type { Algorithm, Steering } from "./core.ts";
import { Path } from "./network.ts";
import { SimulatedClock } from "./node.ts";
import { Random } from "./rng.ts";
import type { Figures, Scenario } from "./scenario.ts";
import { World } from "./world.ts";

const SETTLED = 1e-3; // seconds: the table's last column
const SETTLED_FINELY = 100e-6;

export interface Outcome extends Figures {
  /** Seconds until it stays below 100 µs. */
  readonly settlingFinely: number;
  /** Mean of the seconds between polls of one source, while statistics count. */
  readonly meanPoll: number;
  /** Times that the client stepped its clock, and what it said of itself at the end. */
  readonly steps: number;
  /** Kisses that the servers sent. */
  readonly kisses: number;
  /** Seconds at which the error was greater than the bound that the core gave. */
  readonly beyondBound: number;
  readonly last: Steering;
  /** Offset in seconds at every `traceEvery` seconds. */
  readonly trace: Float64Array;
}

export interface RunOptions {
  readonly algorithm: Algorithm;
  readonly seed: number;
  readonly traceEvery?: number;
}

export function run(scenario: Scenario, options: RunOptions): Outcome {
  const clock = new SimulatedClock();
  clock.wall = scenario.initialOffset;
  const world = new World(clock);
  const paths = scenario.servers.map(
    (_, index) =>
      new Path({ ...scenario.path, ...scenario.paths[index] }, new Random(options.seed, `delay ${index}`), new Random(options.seed, `loss ${index}`)),
  );
  const wander = new Random(options.seed, "wander");
  let walk = scenario.initialFrequency;
  clock.rawFrequency = walk + scenario.temperature(0);
  const client = new Client(world, options.algorithm, scenario, { paths, random: new Random(options.seed, "client") });
  world.run(client);

  let beyondBound = 0;
  const statistics = new Statistics(scenario, options.traceEvery ?? 60);
  world.until(
    scenario.duration,
    (second) => {
      walk += scenario.wander * wander.normal();
      clock.rawFrequency = walk + scenario.temperature(second);
      disturb(scenario, second, clock, client);
    },
    (second) => {
      const offset = clock.wall - second - scenario.utc(second);
      statistics.add(second, offset, clock.rate - 1, client.polls);
      if (Math.abs(offset) > client.bound()) beyondBound++;
    },
  );
  return { ...statistics.outcome(client, scenario.servers.length), beyondBound };
}

/** What happens to the client's computer from outside. */
function disturb(scenario: Scenario, second: number, clock: SimulatedClock, client: Client): void {
  const { stepped, asleep } = scenario;
  if (stepped !== null && second === stepped.at) {
    clock.step(stepped.by);
    if (stepped.noticed) client.noticeStep(stepped.by);
  }
  if (asleep === null) return;
  if (second === asleep.from) clock.asleep = true;
  if (second === asleep.to) {
    clock.asleep = false;
    clock.step(asleep.to - asleep.from + asleep.error);
    client.wake();
  }
}

class Statistics {
  private readonly scenario: Scenario;
  private readonly traceEvery: number;
  private readonly trace: Float64Array;
  private squares = 0;
  private frequencySquares = 0;
  private count = 0;
  private max = 0;
  private unsettled = 0;
  private unsettledFinely = 0;
  private pollsBefore = 0;

  constructor(scenario: Scenario, traceEvery: number) {
    this.scenario = scenario;
    this.traceEvery = traceEvery;
    this.trace = new Float64Array(Math.floor(scenario.duration / traceEvery) + 1);
  }

  add(second: number, offset: number, frequency: number, polls: number): void {
    const size = Math.abs(offset);
    if (size >= SETTLED) this.unsettled = second;
    if (size >= SETTLED_FINELY && second <= SETTLED_FINELY_WITHIN) this.unsettledFinely = second;
    if (second % this.traceEvery === 0) this.trace[second / this.traceEvery] = offset;
    if (second < this.scenario.statisticsFrom) {
      this.pollsBefore = polls;
      return;
    }
    this.squares += offset * offset;
    this.frequencySquares += frequency * frequency;
    this.max = Math.max(this.max, size);
    this.count++;
  }

  outcome(client: Client, servers: number): Omit<Outcome, "beyondBound"> {
    const { polls, steps, kisses, state } = client;
    const never = this.unsettled >= this.scenario.duration - 1;
    return {
      rms: Math.sqrt(this.squares / this.count) * 1e6,
      max: this.max * 1e6,
      frequency: Math.sqrt(this.frequencySquares / this.count) * 1e9,
      settling: never ? Infinity : this.unsettled + 1,
      settlingFinely: this.unsettledFinely + 1,
      meanPoll: (this.count * servers) / Math.max(1, polls - this.pollsBefore),
      steps,
      kisses,
      last: state,
      trace: this.trace,
    };
  }
}

/** Fine settling is looked at over the first 3 hours: later excursions are noise, not settling. */
const SETTLED_FINELY_WITHIN = 10800;

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A world in memory made anew for each test, and an engine in it that follows servers. Whatever a test did: what it closed leaves
 * no socket and no timer behind. Time is virtual.
 *
 * @module
 */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { steeredVirtual, type SteeredClock } from "../../hosts/common/clock/steered.ts";
import { Engine, type EngineEvent, type EngineOptions } from "../../hosts/common/client/engine.ts";
import type { Answering } from "./fake-host.ts";
import { World, letPass, promisesSettle, type ServerScript } from "./world-additions.ts";

export const MINUTE = 60;
export const HOUR = 3600;

/** The address of a test's server number `index`. */
export const address = (index: number): string => `192.0.2.${index + 1}`;

/** The world of a test. */
export class WorldStage {
  world!: World;

  /** Another world than the one that a test begins with: before anything is in it. */
  begin(options?: ConstructorParameters<typeof World>[0]): void {
    this.world = new World(options);
  }

  /** End what the test has begun. */
  close(): void {}
}

/** An engine that a test follows servers with. */
export class EngineStage extends WorldStage {
  engine: Engine | undefined;
  /** The clock that is steered; a virtual one over the world's, unless the test brings its own. */
  clock!: SteeredClock;
  events: EngineEvent[] = [];

  override begin(options?: ConstructorParameters<typeof World>[0]): void {
    super.begin(options);
    this.engine = undefined;
    this.clock = steeredVirtual(this.world.clock);
    this.events = [];
  }

  override close(): void {
    this.engine?.close();
  }

  /** An engine that follows a server for each of the options. */
  readonly follow = async (servers: readonly Answering[], options: Partial<EngineOptions> = {}): Promise<ServerScript[]> => {
    const scripts = servers.map((server, index) => this.world.server(address(index), server));
    await this.start({ sources: servers.map((_, index) => ({ source: address(index) })), ...options });
    return scripts;
  };

  /** An engine that is not started yet, and that nobody listens to. */
  readonly make = (options: EngineOptions): Engine => (this.engine = new Engine(this.world, this.clock, options));

  readonly start = (options: EngineOptions): Promise<void> => {
    const engine = this.make(options);
    engine.listen((event) => this.events.push(event));
    return engine.start();
  };

  /** How far the clock is ahead of the truth, s. */
  readonly error = (): number => Number(this.clock.now() - this.world.truth()) / 1e9;
  readonly state = () => this.engine!.tracking();
  readonly sourceStates = () => this.engine!.sources();
  /** What happened beside updates, in order. */
  readonly kinds = () => this.events.map(({ kind }) => kind).filter((kind) => kind !== "updated");

  /** At every timer: the bound holds. Returns the greatest error seen. */
  readonly passWithinBound = async (seconds: number): Promise<number> => {
    let worst = 0;
    await letPass(seconds, () => {
      const wrong = Math.abs(this.error());
      worst = Math.max(worst, wrong);
      const { uncertainty } = this.state();
      if (!(wrong <= uncertainty)) throw new Error(`${wrong} s wrong, but said to be within ${uncertainty} s after ${performance.now() / 1000} s`);
    });
    return worst;
  };
}

/** Make `stage` anew for each test of a file, and see that the test leaves nothing. */
export function staged<T extends WorldStage>(stage: T): T {
  beforeEach(() => {
    vi.useFakeTimers();
    stage.begin();
  });
  afterEach(async () => {
    stage.close();
    await promisesSettle();
    const open = stage.world.openSockets.length;
    // What servers and slow sockets still have under way ends by itself.
    for (let timers = 0; timers < 50 && vi.getTimerCount() > 0; timers++) vi.advanceTimersToNextTimer();
    await promisesSettle();
    const left = { open, late: stage.world.openSockets.length, timers: vi.getTimerCount() };
    vi.useRealTimers();
    expect(left).toEqual({ open: 0, late: 0, timers: 0 });
  });
  return stage;
}

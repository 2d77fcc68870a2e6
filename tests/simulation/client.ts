// SPDX-License-Identifier: MIT OR Apache-2.0
// The thin client of the simulator: calls the core's associations when they want, carries their packets, obeys the
// steering: what hosts/common/client does in earnest. The servers are a second instance of the core.

import type { Algorithm, Core, Steering } from "./core.ts";
import { ACTION, Window, instantiate } from "./core.ts";
import type { Path, ServerError } from "./network.ts";
import type { Random } from "./rng.ts";
import type { Scenario } from "./scenario.ts";
import type { Process, World } from "./world.ts";

const ALGORITHMS: Record<Algorithm, number> = { "pll-fll": 0, estimator: 1 };
const UNITS = 4294967296; // 2^32 to a second
const TICK_LIMIT = 0.1; // Linux: tick 9000..11000
const FREQUENCY_LIMIT = 500e-6;
const VERSION = 4;
const RATE = 0x52415445;

interface Association {
  readonly index: number;
  readonly path: Path;
  readonly error: ServerError;
  /** When the core wants to be called, on the monotonic clock. */
  next: number;
  /** When the server was asked before. */
  askedAt: number;
}

export class Client implements Process {
  deadline = 0;
  polls = 0;
  steps = 0;
  kisses = 0;
  private readonly world: World;
  private readonly core: Core;
  private readonly window: Window;
  private readonly servers: Core;
  private readonly serversWindow: Window;
  private readonly random: Random;
  private readonly scenario: Scenario;
  private readonly epochNs: bigint;
  private readonly associations: Association[];
  private steering: Steering;

  constructor(world: World, algorithm: Algorithm, scenario: Scenario, { paths, random }: { paths: readonly Path[]; random: Random }) {
    this.world = world;
    this.scenario = scenario;
    this.random = random;
    this.core = instantiate();
    this.window = new Window(this.core);
    this.servers = instantiate();
    this.serversWindow = new Window(this.servers);
    this.epochNs = BigInt(scenario.epoch) * 1000000000n;
    this.core.disciplineAlgorithm(ALGORITHMS[algorithm]);
    this.core.disciplineReset(scenario.drift.frequency, scenario.drift.doubt);
    this.core.disciplineStepPolicy(scenario.steps.least, scenario.steps.count);
    this.core.disciplineLimits(TICK_LIMIT, FREQUENCY_LIMIT, scenario.minPoll, scenario.maxPoll);
    this.associations = paths.map((path, index) => {
      this.core.associationOpen(index, VERSION, scenario.minPoll, scenario.maxPoll);
      const error = scenario.servers[index] as ServerError;
      return { index, path, error, next: 0, askedAt: -Infinity };
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
    this.core.associationsDrop();
    this.core.disciplineStepped(toUnitsSigned(seconds), toUnits(this.world.clock.monotonic));
    this.obey();
    this.schedule();
  }

  /** The computer wakes up: the host tells the core, and every source is asked in a burst. */
  wake(): void {
    const now = this.world.clock.monotonic;
    this.core.associationsRestart();
    this.core.disciplineForget(toUnits(now));
    for (const association of this.associations) association.next = now;
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
    const now = toUnits(clock.monotonic);
    const random = BigInt(Math.floor(this.random.uniform() * UNITS)) * BigInt(UNITS) + BigInt(Math.floor(this.random.uniform() * UNITS));
    const actions = this.core.associationTimer(association.index, now, random);
    const { length, timer } = this.window.action();
    association.next = actions & ACTION.timer ? Number(timer) / UNITS : Infinity;
    if (!(actions & ACTION.send)) return;
    const packet = this.window.takePacket(length);
    this.core.associationSent(association.index, this.timestamp(clock.readWallNs()));
    const there = association.path.delay(this.world.time, "request");
    if (there > 0) this.world.send(there, () => this.serve(association, packet));
  }

  private serve(association: Association, packet: Uint8Array): void {
    const { time } = this.world;
    const { servers, serversWindow, scenario } = this;
    const at = serversWindow.putPacket(packet);
    const t2 = this.timestamp(Math.round((time + association.error(time)) * 1e9));
    const tooSoon = time - association.askedAt < scenario.rateLimit;
    association.askedAt = time;
    if (tooSoon) this.kisses += servers.respondKiss(at, packet.length, RATE) > 0 ? 1 : 0;
    else if (servers.respond(at, packet.length, t2, serversWindow.server(scenario.leap(time))) > 0) servers.stampTransmit(at, t2);
    const reply = serversWindow.takePacket(packet.length);
    const back = association.path.delay(time, "response");
    if (back > 0) this.world.send(back, () => this.receive(association, reply));
  }

  private receive({ index }: Association, reply: Uint8Array): void {
    const { clock } = this.world;
    const now = toUnits(clock.monotonic);
    this.window.putPacket(reply);
    this.core.associationCame(index, this.timestamp(clock.readWallNs()), now);
    const actions = this.core.associationReply(index, reply.length, now);
    const association = this.associations[index]!;
    if (actions & ACTION.timer) association.next = Number(this.window.action().timer) / UNITS;
    if (actions & ACTION.stop) association.next = Infinity;
    if (actions & ACTION.steer) this.obey();
    this.schedule();
  }

  private obey(): void {
    this.steering = this.window.read();
    this.world.clock.setRate(this.steering.rate);
    if (this.steering.step === 0n) return;
    this.world.clock.step(Number(this.steering.step) / UNITS);
    this.steps++;
    this.core.associationsDrop();
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

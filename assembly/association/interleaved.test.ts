// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Interleaved client mode (RFC 9769 §2) against a server in the test whose transmit timestamps are a guess, wrong by a
 * millisecond, until the next reply tells the truth.
 */
import { describe, expect, it } from "vitest";
import { Bench, packet, seededRandom } from "../../tests/support/core.ts";
import { World, stamp, units } from "../../tests/support/world.ts";

const INDEX = 5;
const [SEND, TIMER, STEER] = [1, 2, 4];
/** The server stamps its replies so long before they leave. */
const GUESS = 0.001;
const PATH = 0.01;
const RESIDENCE = 0.0005;
/** Our clocks' reading and 32.32 arithmetic. */
const EXACT = 2e-9;

/** One exchange as the server saw it, true seconds. */
interface Seen {
  readonly t1: number;
  readonly receive: bigint;
  readonly transmit: bigint;
  readonly left: number;
}

interface Told {
  /** True time when the reply of the measured exchange came, and of its request. */
  readonly when: bigint;
  readonly told: bigint;
  readonly offset: number;
  readonly delay: number;
}

class Exchange {
  readonly world: World;
  readonly bench: Bench;
  readonly told: Told[] = [];
  readonly modes: string[] = [];
  /** What the server remembers: transmit timestamps by receive timestamp. */
  memory = new Map<bigint, bigint>();
  seen: Seen[] = [];
  requests: Uint8Array[] = [];
  /** What becomes of a datagram. */
  requestLost = () => false;
  replyLost = () => false;
  edit = (reply: Uint8Array) => reply;
  #random = seededRandom(7);
  readonly #measurement: number;

  constructor(world: World, { interleaved = true, poll = 3 } = {}) {
    this.world = world;
    this.bench = world.bench;
    const { exports, core } = this.bench;
    this.#measurement = (exports as unknown as { measurement(): number }).measurement();
    exports.disciplineReset(0, 0);
    exports.disciplineLimits(0.1, 500e-6, poll, poll);
    exports.disciplineStepPolicy(0.1, 0);
    exports.associationPrecision(units(1e-9));
    exports.associationOpen(INDEX, 4, poll, poll);
    if (interleaved) exports.associationInterleave(INDEX);
    core.view.setUint32(this.#measurement, 0);
    this.ask();
  }

  variable(name: string): number {
    const { core, exports } = this.bench;
    return core.view.getUint32(exports.associationOut(INDEX) + core.constant(`ASSOCIATION_${name}`), true);
  }

  /** A whole picture of the association, for "nothing changed". */
  state(): string {
    const { core, exports } = this.bench;
    const at = exports.associationOut(INDEX);
    const octets = core.bytes.slice(at, at + core.constant("ASSOCIATION_SIZE"));
    // The count of packets passed over, and when the last datagram came, whatever it was.
    for (const [name, size] of [["ASSOCIATION_IGNORED", 4], ["EXCHANGE_T4", 8], ["ASSOCIATION_CAME", 8]] as const) octets.fill(0, core.constant(name), core.constant(name) + size);
    return Buffer.from(octets).toString("hex");
  }

  ask(): void {
    const { world, bench: { exports } } = this;
    const random = (BigInt(this.#random()) << 32n) | BigInt(this.#random());
    const actions = exports.associationTimer(INDEX, world.monotonic(), random);
    expect(actions & (SEND | TIMER)).toBe(SEND | TIMER);
    const request = this.bench.octets(48);
    this.schedule();
    exports.associationSent(INDEX, stamp(world.local()));
    this.requests.push(request);
    const t1 = world.now;
    if (!this.requestLost()) world.after(PATH, () => this.serve(request, t1));
  }

  schedule(): void {
    const { core, exports } = this.bench;
    this.world.timer("ask", core.u64(exports.actionOut() + core.constant("ACTION_TIMER")), () => this.ask());
  }

  /** RFC 9769 §2 from the server's side. */
  serve(request: Uint8Array, t1: number): void {
    const { world } = this;
    const view = new DataView(request.buffer);
    const [origin, receive, transmit] = [24, 32, 40].map((at) => view.getBigUint64(at)) as [bigint, bigint, bigint];
    const arrived = stamp(world.now);
    const before = receive !== transmit && origin !== 0n ? this.memory.get(origin) : undefined;
    const guess = stamp(world.now + RESIDENCE - GUESS + 0.0008);
    const left = world.now + RESIDENCE;
    if (origin !== 0n) this.memory.set(arrived, stamp(left));
    this.seen.push({ t1, receive: arrived, transmit: stamp(left), left });
    const reply = packet({ mode: 4, stratum: 1, precision: -30, referenceTime: arrived - units(1), receiveTime: arrived, originTime: before ? receive : transmit, transmitTime: before ?? guess });
    if (!this.replyLost()) world.after(RESIDENCE + PATH, () => this.take(this.edit(reply)));
  }

  take(reply: Uint8Array): number {
    const { world, bench: { core, exports } } = this;
    this.bench.put(reply);
    exports.associationCame(INDEX, stamp(world.local()), world.monotonic());
    const used = this.variable("USED");
    const interleaved = this.variable("INTERLEAVED");
    const actions = exports.associationReply(INDEX, reply.length, world.monotonic());
    if (actions & TIMER) this.schedule();
    if (this.variable("USED") > used) {
      const at = (name: string) => this.#measurement + core.constant(`MEASUREMENT_${name}`);
      const real = (name: string) => Number(core.i64(at(name))) / 2 ** 32;
      this.told.push({ when: core.u64(at("WHEN")), told: core.u64(at("TOLD")), offset: real("OFFSET"), delay: real("DELAY") });
      this.modes.push(this.variable("INTERLEAVED") > interleaved ? "interleaved" : "basic");
    } else if (actions !== 0) this.modes.push("unused");
    if (actions & STEER) world.steer();
    return actions;
  }
}

describe("an association in interleaved mode", () => {
  it("measures with the server's true transmit timestamp what a basic reply measures with its guess", () => {
    const world = new World({ offset: 0 });
    const line = new Exchange(world);
    world.run(60);
    // The second request tells the server that we want it; the third reply completes the second exchange, measured before.
    expect(line.modes.slice(0, 6)).toEqual(["basic", "basic", "unused", "interleaved", "interleaved", "interleaved"]);
    expect(Math.abs(line.told[0]!.offset)).toBeGreaterThan(50e-6);
    for (const { offset, delay } of line.told.slice(4)) {
      expect(delay).toBeCloseTo(2 * PATH, 6);
      expect(Math.abs(offset)).toBeLessThan(150e-6);
    }
    expect(line.variable("REACH") & 0xff).toBe(0xff);
  });

  it("without the option is told nothing better, and its requests say nothing", () => {
    const line = new Exchange(new World(), { interleaved: false });
    line.world.run(60);
    expect(new Set(line.modes)).toEqual(new Set(["basic"]));
    for (const request of line.requests) expect(request.slice(24, 40).every((octet) => octet === 0)).toBe(true);
  });

  it("asks with the server's receive timestamp of the last reply, and two numbers that nobody can guess", () => {
    const line = new Exchange(new World());
    line.world.run(60);
    const numbers = new Set<bigint>();
    line.requests.slice(1).forEach((request, index) => {
      const view = new DataView(request.buffer);
      expect(view.getBigUint64(24)).toBe(line.seen[index]!.receive);
      numbers.add(view.getBigUint64(32)).add(view.getBigUint64(40));
    });
    expect(numbers.size).toBe(2 * (line.requests.length - 1));
  });

  it.each([
    ["a clock that drifts by 100 ppm", { drift: 100e-6 }],
    ["a clock slewed by 90 ms", { offset: 0.09 }],
    ["both at once", { offset: -0.05, drift: -200e-6 }],
  ])("%s: t1 and t4 of a poll ago are said anew in terms of the clock as it runs now", (_, start) => {
    const world = new World(start);
    const line = new Exchange(world);
    let checked = 0;
    let moved = 0;
    const take = line.take.bind(line);
    line.take = (reply) => {
      const { frequency } = world;
      const count = line.told.length;
      const seen = line.seen.at(-2);
      const expected = seen && (seen.t1 + (seen.left + PATH)) / 2 - (world.asIfAlways(seen.t1, frequency) + world.asIfAlways(seen.left + PATH, frequency)) / 2;
      const actions = take(reply);
      if (line.told.length > count && line.modes.at(-1) === "interleaved" && expected !== undefined) {
        const told = line.told.at(-1)!;
        expect(Math.abs(told.offset - expected)).toBeLessThan(EXACT * 5);
        expect(told.delay).toBeCloseTo(2 * PATH * (1 + world.drift) * (1 + frequency), 6);
        expect(told.told).toBeGreaterThan(told.when);
        moved = Math.max(moved, Math.abs(world.rate));
        checked++;
      }
      return actions;
    };
    world.run(400);
    expect(checked).toBeGreaterThan(30);
    // The clock was really moved between the exchange and its completion: else the test says nothing.
    expect(moved).toBeGreaterThan(50e-6);
    expect(Math.abs(world.now - world.local())).toBeLessThan(20e-6);
  });

  it("falls back to basic mode where the server forgets us, and back again, without a wrong sample", () => {
    const world = new World();
    const line = new Exchange(world);
    world.run(100);
    const before = line.modes.length;
    line.memory.clear();
    world.run(60);
    expect(line.modes.slice(before, before + 5)).toEqual(["basic", "unused", "interleaved", "interleaved", "interleaved"]);
    for (const { offset, delay } of line.told) {
      expect(Math.abs(offset)).toBeLessThan(GUESS);
      expect(delay).toBeGreaterThan(2 * PATH - GUESS);
    }
  });

  it.each(["request", "reply"] as const)("a lost %s makes no wrong sample", (what) => {
    const world = new World();
    const line = new Exchange(world);
    let count = 0;
    const sometimes = () => ++count > 6 && count % 4 === 0;
    if (what === "request") line.requestLost = sometimes;
    else line.replyLost = sometimes;
    world.run(400);
    expect(line.modes.filter((mode) => mode === "interleaved").length).toBeGreaterThan(20);
    for (const { offset, delay } of line.told.slice(4)) {
      expect(Math.abs(delay - 2 * PATH)).toBeLessThan(GUESS);
      expect(Math.abs(offset)).toBeLessThan(GUESS);
    }
  });

  it("asks in basic mode again when four requests stayed without an answer", () => {
    const world = new World();
    const line = new Exchange(world);
    world.run(60);
    line.requestLost = () => true;
    world.run(60);
    const origins = line.requests.slice(-5).map((request) => new DataView(request.buffer).getBigUint64(24));
    expect(origins.at(-1)).toBe(0n);
  });

  it("drops the exchange kept when the clock is stepped", () => {
    const world = new World();
    const line = new Exchange(world);
    world.run(62);
    line.bench.exports.associationsDrop();
    world.run(20);
    const origins = line.requests.slice(-2).map((request) => new DataView(request.buffer).getBigUint64(24));
    expect(origins[0]).toBe(0n);
    expect(line.modes.slice(-2)[0]).toBe("basic");
  });

  it("takes an interleaved transmit timestamp from before the exchange for what it is: another reply's", () => {
    const world = new World();
    const line = new Exchange(world);
    world.run(60);
    const used = line.variable("USED");
    const unfit = line.variable("UNFIT");
    line.edit = (reply) => {
      const view = new DataView(reply.buffer);
      view.setBigUint64(40, view.getBigUint64(40) - units(8));
      return reply;
    };
    world.run(8);
    expect(line.variable("USED")).toBe(used);
    expect(line.variable("UNFIT")).toBe(unfit + 1);
  });

  it("a duplicate, a replay of an old reply and a reply with a guessed origin change nothing", () => {
    const world = new World();
    const line = new Exchange(world);
    const replies: Uint8Array[] = [];
    line.edit = (reply) => (replies.push(reply.slice()), reply);
    world.run(61);
    // Between a request and its reply.
    line.edit = (reply) => {
      const before = line.state();
      for (const old of replies) expect(line.take(old.slice())).toBe(0);
      const forged = reply.slice();
      new DataView(forged.buffer).setBigUint64(24, new DataView(reply.buffer).getBigUint64(24) ^ 1n);
      expect(line.take(forged)).toBe(0);
      const [, , origin] = [24, 32, 40].map((at) => new DataView(line.requests.at(-1)!.buffer).getBigUint64(at));
      expect(origin).not.toBe(0n);
      expect(line.state()).toBe(before);
      replies.push(reply.slice());
      return reply;
    };
    const used = line.variable("USED");
    world.run(30);
    expect(line.variable("USED")).toBeGreaterThan(used + 2);
    const settled = line.state();
    expect(line.take(replies.at(-1)!.slice()), "the duplicate of a reply just used").toBe(0);
    expect(line.state()).toBe(settled);
  });
});

describe("100000 mangled packets", () => {
  it("trap nothing, and change nothing unless they carry one of the two numbers", () => {
    const world = new World();
    const line = new Exchange(world);
    const good: Uint8Array[] = [];
    line.edit = (reply) => (good.push(reply.slice()), reply);
    world.run(61);
    const { exports, core } = line.bench;
    const random = seededRandom(99);
    line.replyLost = () => true;
    while (line.requests.length < 12) world.run(1);
    const view = new DataView(line.requests.at(-1)!.buffer);
    const numbers = [view.getBigUint64(32), view.getBigUint64(40)];
    const before = line.state();
    for (let run = 0; run < 100_000; run++) {
      const octets = good[random() % good.length]!.slice();
      for (let times = 1 + (random() & 7); times > 0; times--) octets[random() % 48] = random();
      const length = random() & 7 ? 48 : random() % 49;
      if (numbers.includes(new DataView(octets.buffer).getBigUint64(24))) continue;
      core.bytes.set(octets, line.bench.at);
      exports.associationCame(INDEX, stamp(world.local()), world.monotonic());
      expect(exports.associationReply(INDEX, length, world.monotonic())).toBe(0);
    }
    expect(line.state()).toBe(before);
  });

  it("that carry the right number are measured or found unfit, and the association goes on", () => {
    const world = new World();
    const line = new Exchange(world);
    const random = seededRandom(4);
    line.edit = (reply) => {
      for (let times = random() & 3; times > 0; times--) {
        const place = random() % 48;
        if (place < 24 || place >= 32) reply[place] = random();
      }
      return reply;
    };
    world.run(4000);
    expect(line.variable("UNFIT")).toBeGreaterThan(20);
    expect(line.modes.filter((mode) => mode === "interleaved").length).toBeGreaterThan(20);
    line.edit = (reply) => reply;
    const used = line.variable("USED");
    world.run(200);
    expect(line.variable("USED")).toBeGreaterThan(used + 10);
  });
});

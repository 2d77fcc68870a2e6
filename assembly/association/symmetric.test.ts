// SPDX-License-Identifier: MIT OR Apache-2.0
/** Symmetric modes (RFC 5905 §9.2) against an honest peer, its restarts, and everybody who is not the peer. */
import { describe, expect, it } from "vitest";
import { packet, seededRandom, type HeaderFields } from "../../tests/support/core.ts";
import { World, stamp, units } from "../../tests/support/world.ts";

const INDEX = 9;
const [SEND, TIMER, STEER, STOP] = [1, 2, 4, 16];
const [ACTIVE, PASSIVE] = [1, 2];
const PATH = 0.01;
const POLL = 3;
const OUR_REFID = 0x7f000009;

/** Our association in a world, and a peer whose clock is true. */
class Pair {
  readonly world: World;
  readonly sent: Uint8Array[] = [];
  /** True times: when the peer got our last packet, and its transmit timestamp. */
  #got: { readonly transmit: bigint; readonly at: number } | undefined;
  peerMode = ACTIVE;
  header: Partial<HeaderFields> = {};
  /** Of the peer's packets. */
  lost = () => false;
  ourLost = () => false;
  readonly told: { readonly offset: number; readonly delay: number }[] = [];
  readonly passive: boolean;
  /** Of the timer and of packets that come, apart: else each packet would change when we poll. */
  #random = seededRandom(3);
  #other = seededRandom(8);

  constructor(world: World, { passive = false, poll = POLL } = {}) {
    this.world = world;
    this.passive = passive;
    const { exports } = world.bench;
    exports.disciplineReset(0, 0);
    exports.disciplineLimits(0.1, 500e-6, poll, poll);
    exports.disciplineStepPolicy(0.1, 0);
    exports.associationPrecision(units(1e-9));
    exports.symmetricOpen(INDEX, 4, poll, poll, passive ? 1 : 0, OUR_REFID);
    this.due();
    this.world.after(3, () => this.peerSends());
  }

  #bits(random: () => number): bigint {
    return (BigInt(random()) << 32n) | BigInt(random());
  }

  variable(name: string, base = "ASSOCIATION"): number {
    const { core, exports } = this.world.bench;
    return core.view.getUint32(exports.associationOut(INDEX) + core.constant(`${base}_${name}`), true);
  }

  get reach(): number {
    return this.variable("REACH") & 0xff;
  }

  due(): number {
    const { world } = this;
    const actions = world.bench.exports.symmetricTimer(INDEX, world.monotonic(), this.#bits(this.#random), stamp(world.local()));
    this.obey(actions);
    return actions;
  }

  obey(actions: number): void {
    const { world } = this;
    const { core, exports } = world.bench;
    if (actions & TIMER) world.timer("due", core.u64(exports.actionOut() + core.constant("ACTION_TIMER")), () => this.due());
    if (actions & SEND) this.send();
    if (actions & STEER) {
      const at = exports as unknown as { measurement(): number };
      const real = (name: string) => Number(core.i64(at.measurement() + core.constant(`MEASUREMENT_${name}`))) / 2 ** 32;
      this.told.push({ offset: real("OFFSET"), delay: real("DELAY") });
      world.steer();
    }
  }

  send(): void {
    const { world } = this;
    const octets = world.bench.octets(48);
    world.bench.exports.symmetricSent(INDEX, stamp(world.local()));
    this.sent.push(octets);
    if (this.ourLost()) return;
    world.after(PATH, () => (this.#got = { transmit: new DataView(octets.buffer).getBigUint64(40), at: world.now }));
  }

  /** What the peer would send now. */
  peerPacket(fields: Partial<HeaderFields> = {}): Uint8Array {
    const { now } = this.world;
    return packet({
      mode: this.peerMode, stratum: 1, poll: POLL, precision: -28, refid: 0x47505300, referenceTime: stamp(now - 1),
      originTime: this.#got?.transmit ?? 0n, receiveTime: this.#got ? stamp(this.#got.at) : 0n, transmitTime: stamp(now), ...this.header, ...fields,
    });
  }

  peerSends(): void {
    const octets = this.peerPacket();
    if (!this.lost()) this.world.after(PATH, () => this.take(octets));
    this.world.after(2 ** POLL, () => this.peerSends());
  }

  /** The peer has forgotten everything. */
  peerRestarts(): void {
    this.#got = undefined;
  }

  take(octets: Uint8Array, length = octets.length): number {
    const { world } = this;
    const { exports } = world.bench;
    world.bench.put(octets);
    exports.associationCame(INDEX, stamp(world.local()), world.monotonic());
    const actions = exports.symmetricPacket(INDEX, length, world.monotonic(), this.#bits(this.#other), stamp(world.local()));
    this.obey(actions);
    return actions;
  }
}

const fieldsOf = (octets: Uint8Array) => {
  const view = new DataView(octets.buffer, octets.byteOffset);
  return { mode: octets[0]! & 7, leap: octets[0]! >> 6, stratum: octets[1]!, origin: view.getBigUint64(24), receive: view.getBigUint64(32), transmit: view.getBigUint64(40) };
};

describe("a symmetric active association", () => {
  it("begins without knowing anything, and measures from the second packet on", () => {
    const pair = new Pair(new World());
    pair.world.run(100);
    expect(fieldsOf(pair.sent[0]!)).toMatchObject({ mode: ACTIVE, leap: 3, stratum: 0, origin: 0n, receive: 0n });
    expect(pair.told.length).toBeGreaterThanOrEqual(9);
    for (const { offset, delay } of pair.told) {
      expect(Math.abs(offset)).toBeLessThan(1e-6);
      expect(delay).toBeCloseTo(2 * PATH, 6);
    }
    expect(pair.reach).toBe(0xff);
  });

  it("echoes the peer's transmit timestamp, and when its packet came", () => {
    const pair = new Pair(new World());
    pair.world.run(60);
    for (const octets of pair.sent.slice(2)) {
      const { origin, receive } = fieldsOf(octets);
      expect(Math.abs(Number(receive - origin) / 2 ** 32 - PATH)).toBeLessThan(1e-6);
    }
  });

  it.each([["drifts", { drift: 60e-6 }], ["is 80 ms off", { offset: 0.08 }], ["both", { offset: -0.05, drift: -100e-6 }]])("disciplines a clock that %s, though the answers take seconds", (_, start) => {
    const world = new World(start);
    const pair = new Pair(world);
    world.run(800);
    expect(Math.abs(world.now - world.local())).toBeLessThan(50e-6);
    expect(pair.told.at(-1)!.delay).toBeCloseTo(2 * PATH, 4);
  });

  it("tells the time once it is synchronised, and not before", () => {
    const pair = new Pair(new World());
    pair.world.run(100);
    const { core, exports } = pair.world.bench;
    exports.sourceRefid(INDEX, 0x0a000001);
    pair.world.run(10);
    const last = pair.sent.at(-1)!;
    expect(fieldsOf(last)).toMatchObject({ leap: 0, stratum: 2 });
    expect(new DataView(last.buffer).getUint32(12)).toBe(0x0a000001);
    expect(core.view.getInt32(exports.systemOut() + core.constant("SYSTEM_PEER"), true)).toBe(INDEX);
  });

  it("vouches for our own clock, at the stratum that was asked for, where nobody can be followed", () => {
    const world = new World();
    world.bench.exports.systemLocal(7);
    const pair = new Pair(world);
    pair.lost = () => true;
    world.run(30);
    const last = pair.sent.at(-1)!;
    expect(fieldsOf(last)).toMatchObject({ leap: 0, stratum: 7 });
    const view = new DataView(last.buffer);
    // "LOCL", compared with itself just now, and 10 ms that nobody knows better.
    expect(view.getUint32(12)).toBe(0x4c4f434c);
    expect(Math.abs(Number(view.getBigUint64(40) - view.getBigUint64(16)) / 2 ** 32)).toBeLessThan(1e-3);
    expect([view.getUint32(4), view.getUint32(8) / 65536]).toEqual([0, expect.closeTo(0.01, 4)]);
    // A peer that is heard is followed instead.
    pair.lost = () => false;
    world.run(100);
    expect(fieldsOf(pair.sent.at(-1)!)).toMatchObject({ leap: 0, stratum: 2 });
    world.bench.exports.systemLocal(0);
  });

  it("vouches for nothing where our own clock is not to be the reference", () => {
    const pair = new Pair(new World());
    pair.lost = () => true;
    pair.world.run(30);
    const last = pair.sent.at(-1)!;
    expect(fieldsOf(last)).toMatchObject({ leap: 3, stratum: 0 });
    expect([12, 4, 8].map((at) => new DataView(last.buffer).getUint32(at))).toEqual([0, 0, 0]);
  });

  it.each([["lost by the network", "lost"], ["ours, lost", "ourLost"]] as const)("packets %s cost samples, not truth", (_, which) => {
    const pair = new Pair(new World());
    let count = 0;
    pair[which] = () => ++count % 3 === 0;
    pair.world.run(600);
    expect(pair.told.length).toBeGreaterThan(15);
    for (const { offset } of pair.told) expect(Math.abs(offset)).toBeLessThan(1e-6);
  });

  it("finds a peer again that has restarted", () => {
    const pair = new Pair(new World());
    pair.world.run(100);
    pair.peerRestarts();
    const before = pair.told.length;
    pair.world.run(60);
    expect(pair.told.length).toBeGreaterThan(before + 4);
  });

  it("finds a peer again whose clock went back a year, once it is given up", () => {
    const pair = new Pair(new World());
    pair.world.run(100);
    pair.peerRestarts();
    const back = (fields: object) => fields;
    const year = units(31_557_600);
    const honest = pair.peerPacket.bind(pair);
    pair.peerPacket = (fields = {}) => {
      const octets = honest(back(fields));
      const view = new DataView(octets.buffer);
      for (const at of [16, 32, 40]) if (view.getBigUint64(at) !== 0n) view.setBigUint64(at, view.getBigUint64(at) - year);
      return octets;
    };
    pair.world.run(8 * 12);
    const used = pair.variable("USED");
    pair.world.run(80);
    expect(pair.variable("USED")).toBeGreaterThan(used);
  });

  it("does not follow a peer that follows us", () => {
    const pair = new Pair(new World());
    pair.header = { stratum: 2, refid: OUR_REFID };
    pair.world.run(100);
    expect(pair.told).toEqual([]);
    expect(pair.variable("LAST_PROBLEMS")).toBe(1 << 13);
  });

  it.each([["leap 3", { leap: 3 }, 1 << 5], ["stratum 16", { stratum: 16 }, 1 << 5], ["a root delay of 40 s", { rootDelayShort: 40 << 16 }, (1 << 6) | (1 << 8)]])("does not use a peer with %s", (_, header, problems) => {
    const pair = new Pair(new World());
    pair.header = header;
    pair.world.run(100);
    expect(pair.told).toEqual([]);
    expect(pair.variable("LAST_PROBLEMS") & problems).toBe(problems);
  });

  it.each(["DENY", "RSTR"])("ends with a kiss %s that answers our packet, and only then", (code) => {
    const pair = new Pair(new World());
    const refid = Buffer.from(code).readUInt32BE();
    pair.world.run(60);
    expect(pair.take(pair.peerPacket({ stratum: 0, leap: 3, refid, originTime: 12345n }))).toBe(0);
    pair.header = { stratum: 0, leap: 3, refid };
    const sent = pair.sent.length;
    pair.world.run(60);
    expect(pair.sent.length).toBeLessThanOrEqual(sent + 2);
    expect(pair.take(pair.peerPacket())).toBe(0);
  });
});

describe("what is not the peer's answer", () => {
  it("a duplicate is nothing", () => {
    const pair = new Pair(new World());
    const seen: Uint8Array[] = [];
    const take = pair.take.bind(pair);
    pair.take = (octets) => (seen.push(octets.slice()), take(octets));
    pair.world.run(100);
    const [used, sent] = [pair.variable("USED"), pair.sent.length];
    for (const octets of seen) expect(take(octets.slice())).toBe(0);
    expect([pair.variable("USED"), pair.sent.length]).toEqual([used, sent]);
  });

  it("forged packets between all honest ones do not cost a sample, nor bend one", () => {
    const quiet = new Pair(new World());
    quiet.world.run(400);
    const pair = new Pair(new World());
    const random = seededRandom(11);
    const forge = () => {
      // Off the path: everything is known but our transmit timestamp.
      const originTime = (BigInt(random()) << 32n) | BigInt(random());
      const transmitTime = stamp(pair.world.now + (random() % 1000) / 100);
      const actions = pair.take(pair.peerPacket({ originTime, receiveTime: stamp(pair.world.now), transmitTime }));
      expect(actions).toBe(0);
      pair.world.after(0.37, forge);
    };
    // It begins once the peers have found each other.
    pair.world.after(20, forge);
    pair.world.run(400);
    expect(pair.told.length).toBe(quiet.told.length);
    for (const { offset } of pair.told) expect(Math.abs(offset)).toBeLessThan(1e-6);
    expect(pair.reach).toBe(quiet.reach);
  });

  it("100000 mangled packets trap nothing, and nothing is sent, measured or reached for them", () => {
    const pair = new Pair(new World());
    pair.world.run(101);
    const random = seededRandom(5);
    const { transmit } = fieldsOf(pair.sent.at(-1)!);
    const before = ["USED", "UNFIT", "SENT", "KISSES", "REACH"].map((name) => pair.variable(name));
    for (let run = 0; run < 100_000; run++) {
      const octets = new Uint8Array(96);
      octets.set(pair.peerPacket({ originTime: (BigInt(random()) << 32n) | BigInt(random()) }));
      for (let times = 1 + (random() & 7); times > 0; times--) octets[random() % 96] = random();
      if (fieldsOf(octets).origin === transmit) continue;
      const length = random() & 3 ? 48 : random() % 97;
      expect(pair.take(octets, length)).toBe(0);
    }
    expect(["USED", "UNFIT", "SENT", "KISSES", "REACH"].map((name) => pair.variable(name))).toEqual(before);
    pair.world.run(60);
    expect(pair.told.length).toBeGreaterThan(10);
  });
});

describe("a symmetric passive association", () => {
  const passive = () => {
    const pair = new Pair(new World(), { passive: true });
    return pair;
  };

  it("answers each packet once, at once and in mode 2, and measures", () => {
    const pair = passive();
    pair.world.run(100);
    expect(pair.sent.length).toBe(13);
    expect(new Set(pair.sent.map((octets) => fieldsOf(octets).mode))).toEqual(new Set([PASSIVE]));
    expect(pair.told.length).toBeGreaterThanOrEqual(10);
    for (const { offset } of pair.told) expect(Math.abs(offset)).toBeLessThan(1e-6);
  });

  it("is not answered by another passive one: two would answer each other for ever", () => {
    const pair = passive();
    pair.peerMode = PASSIVE;
    pair.world.run(100);
    expect(pair.sent).toEqual([]);
  });

  it("goes on with the true peer whatever is forged in its name", () => {
    const quiet = passive();
    quiet.world.run(400);
    const pair = passive();
    const random = seededRandom(12);
    const forge = () => {
      pair.take(pair.peerPacket({ originTime: BigInt(random()), transmitTime: stamp(pair.world.now) }));
      pair.world.after(0.37, forge);
    };
    // The answers to forged packets do reach the peer, which passes them over.
    const honest = pair.send.bind(pair);
    pair.send = () => {
      if (fieldsOf(pair.world.bench.octets(48)).origin % 2n === 0n) honest();
      else pair.world.bench.exports.symmetricSent(INDEX, stamp(pair.world.local()));
    };
    const packetOf = pair.peerPacket.bind(pair);
    pair.peerPacket = (fields = {}) => packetOf({ ...fields, transmitTime: ((fields.transmitTime ?? stamp(pair.world.now)) & ~1n) | (fields.transmitTime ? 1n : 0n) });
    pair.world.after(20, forge);
    pair.world.run(400);
    expect(pair.told.length).toBe(quiet.told.length);
  });

  it("ends when nothing is heard any more", () => {
    const pair = passive();
    pair.world.run(50);
    pair.lost = () => true;
    let stopped = 0;
    const due = pair.due.bind(pair);
    pair.due = () => {
      const actions = due();
      if (actions & STOP) stopped++;
      return actions;
    };
    pair.world.run(16 * 8);
    expect(stopped).toBe(1);
    expect(pair.take(pair.peerPacket())).toBe(0);
  });
});

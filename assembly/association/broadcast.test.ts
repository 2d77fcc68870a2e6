// SPDX-License-Identifier: MIT OR Apache-2.0
/** A broadcast client (RFC 5905 §3, §9) against a server that broadcasts truthfully, its imitators, and its silence. */
import { describe, expect, it } from "vitest";
import { packet, seededRandom, type HeaderFields } from "../../tests/support/core.ts";
import { World, stamp, units } from "../../tests/support/world.ts";

const INDEX = 17;
const [SEND, TIMER, STEER] = [1, 2, 4];
const [WAITING, VOLLEY, LISTENING] = [1, 2, 3];
const PATH = 0.004;
const POLL = 3;

/** Our association in a world with a server that broadcasts every 8 s. */
class Network {
  readonly world: World;
  readonly offsets: number[] = [];
  readonly heard: Uint8Array[] = [];
  header: Partial<HeaderFields> = {};
  sent = 0;
  silent = false;
  answers = true;
  #random = seededRandom(21);

  constructor(world: World) {
    this.world = world;
    const { exports } = world.bench;
    exports.disciplineReset(0, 0);
    exports.disciplineLimits(0.1, 500e-6, POLL, POLL);
    exports.disciplineStepPolicy(0.1, 0);
    exports.associationPrecision(units(1e-9));
    exports.broadcastOpen(INDEX, 4);
    world.after(1, () => this.broadcast());
  }

  #bits(): bigint {
    return (BigInt(this.#random()) << 32n) | BigInt(this.#random());
  }

  get phase(): number {
    const { core, exports } = this.world.bench;
    return core.view.getUint8(exports.listenerOut(INDEX) + core.constant("LISTENER_PHASE"));
  }

  variable(name: string): number {
    const { core, exports } = this.world.bench;
    return core.view.getUint32(exports.associationOut(INDEX) + core.constant(`ASSOCIATION_${name}`), true);
  }

  packetNow(fields: Partial<HeaderFields> = {}): Uint8Array {
    const { now } = this.world;
    return packet({ mode: 5, stratum: 1, poll: POLL, precision: -28, refid: 0x47505300, referenceTime: stamp(now - 1), transmitTime: stamp(now), ...this.header, ...fields });
  }

  broadcast(): void {
    const octets = this.packetNow();
    if (!this.silent) this.world.after(PATH, () => (this.heard.push(octets.slice()), this.take(octets)));
    this.world.after(2 ** POLL, () => this.broadcast());
  }

  take(octets: Uint8Array, length = octets.length): number {
    const { world } = this;
    const { exports } = world.bench;
    world.bench.put(octets);
    exports.associationCame(INDEX, stamp(world.local()), world.monotonic());
    const actions = exports.broadcastPacket(INDEX, length, world.monotonic(), this.#bits());
    this.obey(actions);
    return actions;
  }

  obey(actions: number): void {
    const { world } = this;
    const { core, exports } = world.bench;
    if (actions & TIMER) world.timer("due", core.u64(exports.actionOut() + core.constant("ACTION_TIMER")), () => this.obey(exports.broadcastTimer(INDEX, world.monotonic(), this.#bits())));
    if (actions & SEND) this.ask();
    if (actions & STEER) {
      const at = exports as unknown as { measurement(): number };
      this.offsets.push(Number(core.i64(at.measurement() + core.constant("MEASUREMENT_OFFSET"))) / 2 ** 32);
      world.steer();
    }
  }

  ask(): void {
    const { world } = this;
    const { exports } = world.bench;
    const request = world.bench.octets(48);
    exports.associationSent(INDEX, stamp(world.local()));
    this.sent += 1;
    if (!this.answers) return;
    world.after(PATH, () => {
      const at = stamp(world.now);
      const reply = packet({ mode: 4, stratum: 1, precision: -28, referenceTime: at - units(1), originTime: new DataView(request.buffer).getBigUint64(40), receiveTime: at, transmitTime: at });
      world.after(PATH, () => {
        world.bench.put(reply);
        exports.associationCame(INDEX, stamp(world.local()), world.monotonic());
        this.obey(exports.broadcastReply(INDEX, 48, world.monotonic()));
      });
    });
  }
}

describe("a broadcast client", () => {
  it("sends nothing before the first broadcast, six requests after it, and then nothing", () => {
    const network = new Network(new World());
    network.world.run(0.9);
    expect([network.phase, network.sent]).toEqual([WAITING, 0]);
    network.world.run(2);
    expect(network.phase).toBe(VOLLEY);
    network.world.run(30);
    expect([network.phase, network.sent]).toEqual([LISTENING, 6]);
    network.world.run(400);
    expect([network.phase, network.sent]).toEqual([LISTENING, 6]);
    expect(network.variable("REACH") & 0xff).toBe(0xff);
    for (const offset of network.offsets) expect(Math.abs(offset)).toBeLessThan(1e-7);
  });

  it.each([["40 ppm fast", { drift: 40e-6 }], ["60 ms off", { offset: 0.06 }]])("disciplines a clock that is %s", (_, start) => {
    const world = new World(start);
    new Network(world);
    world.run(900);
    expect(Math.abs(world.now - world.local())).toBeLessThan(20e-6);
  });

  it("does not listen to a server that broadcasts but does not answer, and does not ask it for ever at once", () => {
    const network = new Network(new World());
    network.answers = false;
    network.world.run(120);
    expect(network.offsets).toEqual([]);
    expect(network.sent).toBeLessThan(60);
  });

  it("measures the delay anew when the server was silent for eight intervals", () => {
    const network = new Network(new World());
    network.world.run(100);
    network.silent = true;
    network.world.run(100);
    expect(network.phase).toBe(WAITING);
    network.silent = false;
    network.world.run(40);
    expect([network.phase, network.sent]).toEqual([LISTENING, 12]);
  });

  it.each([
    ["leap 3", { leap: 3 }], ["stratum 0", { stratum: 0 }], ["a root dispersion of 17 s", { rootDispersionShort: 17 << 16 }],
    ["a kiss", { stratum: 0, refid: 0x52415445 }], ["a reference time that is yet to come", { referenceTime: stamp(1e6) }],
  ])("takes no time from a broadcast with %s", (_, header) => {
    const network = new Network(new World());
    network.world.run(100);
    const used = network.variable("USED");
    network.header = header;
    network.world.run(60);
    expect(network.variable("USED")).toBe(used);
  });
});

describe("what is no broadcast of the server's", () => {
  it("the replay of every packet heard so far changes nothing", () => {
    const network = new Network(new World());
    network.world.run(200);
    const [used, sent] = [network.variable("USED"), network.sent];
    network.world.run(5);
    for (const octets of network.heard) expect(network.take(octets.slice())).toBe(0);
    expect([network.variable("USED") - used, network.sent - sent]).toEqual([1, 0]);
  });

  it.each([
    ["another mode", { mode: 4 }], ["version 0", { version: 0 }], ["a later version", { version: 5 }], ["no transmit timestamp", { transmitTime: 0n }],
  ])("a packet of %s starts no volley", (_, fields) => {
    const network = new Network(new World());
    expect(network.take(network.packetNow(fields))).toBe(0);
    expect(network.phase).toBe(WAITING);
  });

  it("what comes too soon after the last is not used", () => {
    const network = new Network(new World());
    network.world.run(105.5);
    const used = network.variable("USED");
    expect(network.take(network.packetNow({ transmitTime: stamp(network.world.now + 3) }))).toBe(0);
    expect(network.variable("USED")).toBe(used);
  });

  it("100000 mangled packets, as they come to either port, trap nothing and are answered with nothing", () => {
    const network = new Network(new World());
    network.world.run(105.5);
    const { exports } = network.world.bench;
    const random = seededRandom(31);
    const before = ["USED", "SENT", "REACH"].map((name) => network.variable(name));
    for (let run = 0; run < 100_000; run++) {
      const octets = new Uint8Array(96);
      octets.set(network.heard[random() % network.heard.length]!);
      for (let times = 1 + (random() & 7); times > 0; times--) octets[random() % 96] = random();
      const length = random() & 3 ? 48 : random() % 97;
      // Within the shortest interval, so that none is due, whatever it says.
      expect(network.take(octets, length) & SEND).toBe(0);
      network.world.bench.put(octets);
      expect(exports.broadcastReply(INDEX, length, network.world.monotonic())).toBe(0);
    }
    expect(network.sent).toBe(6);
    expect(["USED", "SENT", "REACH"].map((name) => network.variable(name))).toEqual(before);
  });
});

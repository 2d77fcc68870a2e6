// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's NTPv5: what is taken for a reply and what is wrong with it, versions going up and down again, minimum polls,
 * interleaved mode, and loops seen in reference identifiers.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { hex, seconds } from "../../tests/support/core.ts";
import { EXCHANGES, FIELD, fieldsOf5 } from "../../tests/support/ntpv5.ts";
import { TestServer } from "../../tests/support/server.ts";

const COOKIE = 0xae7dbf4b8396c862n;
const TESTS = ["test1", "test2", "test3", "test4", "test5", "test6", "test7", "testA", "testB", "testC", "testD", "testE", "testF", "testG", "testH"];

describe("a reply", () => {
  const core = new Core();
  const at = core.fields("EXCHANGE", ["VERSION", "MODE", "ORIGIN", "T1", "T4", "WANTS"]);
  const sample = core.fields("SAMPLE", ["PROBLEMS", "T2", "T3", "ROOT_DELAY", "ROOT_DISPERSION"]);
  const slot = core.constant("SLOTS");

  function judge(octets: Uint8Array): { verdict: number; problems: string[] } {
    core.bytes.set(octets, slot);
    core.view.setUint8(at.VERSION, 5);
    core.view.setUint8(at.MODE, 3);
    core.setU64(at.ORIGIN, COOKIE);
    core.setU64(at.T1, 0xeead4791a7000000n);
    core.setU64(at.T4, 0xeead4791a9000000n);
    const verdict = core.exports.replyRead(slot, octets.length, core.constant("EXCHANGE"), core.constant("SAMPLE"));
    const bits = core.u32(sample.PROBLEMS);
    return { verdict, problems: TESTS.filter((_, bit) => bits & (1 << bit)) };
  }
  const withOctets = (place: number, ...values: number[]) => {
    const octets = EXCHANGES.reply.slice();
    octets.set(values, place);
    return octets;
  };

  it("captured from ntpd-rs is read, to the bit", () => {
    expect(judge(EXCHANGES.reply)).toEqual({ verdict: 1, problems: [] });
    expect([core.u64(sample.T2), core.u64(sample.T3)]).toEqual([0xeead4791a7529e84n, 0xeead4791a869c66dn]);
    expect([core.i64(sample.ROOT_DELAY), core.i64(sample.ROOT_DISPERSION)]).toEqual([0x119e0n, 0x2a30n]);
  });

  it.each([
    ["another cookie", 24, [0], 0, "test2"],
    ["the mode of a client", 0, [0x2b], 0, "testE"],
    ["version 4", 0, [0x24], 0, "testE"],
    ["a field that is cut", 70, [0, 0xff], 0, "testD"],
    ["no flag Synchronized", 14, [0, 0], 1, "test6"],
    ["stratum 0", 1, [0], 1, "test6"],
    ["stratum 16", 1, [16], 1, "test6"],
    ["TAI, which nobody asked for", 12, [1], 1, "testH"],
    ["another era", 13, [1], 1, "testH"],
    ["no receive timestamp", 32, [0, 0, 0, 0, 0, 0, 0, 0], 1, "test3"],
    ["a root dispersion of one second", 8, [0x10], 1, "testB"],
  ] as const)("with %s is told by the test for it", (_, place, values, verdict, test) => {
    const told = judge(withOctets(place, ...values));
    expect(told.verdict).toBe(verdict);
    expect(told.problems).toContain(test);
  });

  it("with leap 3 is fit for use: only leap seconds are not known", () => {
    expect(judge(withOctets(0, 0xec))).toEqual({ verdict: 1, problems: [] });
  });

  it("of stratum 0 and poll 127 is a kiss, one of poll 17 is not", () => {
    expect(judge(withOctets(1, 0, 127))).toMatchObject({ verdict: 2, problems: expect.arrayContaining(["test4", "testA"]) });
    expect(judge(withOctets(1, 0, 17)).problems).toEqual(["test6"]);
  });

  it("at every truncation and with every octet changed traps nothing, and is taken for one only where the cookie is right", () => {
    for (let length = 0; length < EXCHANGES.reply.length; length++) judge(EXCHANGES.reply.subarray(0, length));
    for (let place = 0; place < EXCHANGES.reply.length; place++) {
      for (let bit = 0; bit < 8; bit++) {
        const { verdict } = judge(withOctets(place, EXCHANGES.reply[place]! ^ (1 << bit)));
        if (place >= 24 && place < 32) expect(verdict).toBe(0);
      }
    }
  });
});

/** An association and a server in one world without delay; the association's requests, by version and draft. */
class Pair {
  readonly core = new Core();
  readonly server = new TestServer();
  readonly slot = this.core.constant("SLOTS");
  now = 1n << 40n;
  turn = 1n;
  answers = true;
  /** Names of drafts that the server does not know; version 4 alone; version 5 alone. */
  deaf: string[] = [];
  old = false;
  young = false;
  requests: Uint8Array[] = [];

  constructor(version: 5 | "auto", { serving = false, interleaved = false } = {}) {
    const { exports } = this.core;
    exports.disciplineAlgorithm(1);
    exports.disciplineReset(0, 0);
    exports.disciplineLimits(1e-4, 1e-4, 0, 10);
    exports.associationPrecision(seconds(1e-6));
    exports.associationOpen(0, 4, 0, 6);
    exports.associationVersion5(0, version === "auto" ? 1 : 0, serving ? 1 : 0);
    if (interleaved) exports.associationInterleave(0);
    this.identify(this.core, 3);
    this.identify(this.server.core, 5);
  }

  identify(core: Core, seed: number): void {
    const scratch = core.constant("SCRATCH");
    core.bytes.set(Uint8Array.from({ length: 64 }, (_, i) => (i * 73 + seed * 41) & 255), scratch);
    core.exports.referenceIdChoose(scratch);
  }

  field(name: string): number {
    return this.core.view.getUint8(this.core.exports.associationOut(0) + this.core.constant(`ASSOCIATION_${name}`));
  }

  /** One poll. Returns the actions of the reply, 0 without one. */
  poll(): number {
    const { core, server, slot } = this;
    this.now += seconds(2);
    server.now += seconds(2);
    core.exports.associationTimer(0, this.now, (this.turn += 0x9e3779b97f4a7c15n) & (2n ** 64n - 1n));
    const length = core.view.getInt32(core.exports.actionOut() + core.constant("ACTION_LENGTH"), true);
    const request = core.bytes.slice(slot, slot + length);
    this.requests.push(request);
    core.exports.associationSent(0, server.now - seconds(0.01));
    const silent = !this.answers || (this.old && this.version(request) === 5) || (this.young && this.version(request) === 4) || this.deaf.some((draft) => Buffer.from(request).includes(draft));
    let { reply } = silent ? { reply: new Uint8Array(0) } : server.ask(undefined, request);
    if (reply.length === 0) return 0;
    // Who knows version 4 alone knows no mark.
    if (this.old) reply = reply.map((octet, i) => (i >= 16 && i < 24 ? 0 : octet));
    core.bytes.set(reply, slot);
    core.exports.associationCame(0, server.now + seconds(0.01), this.now + seconds(0.02));
    return core.exports.associationReply(0, reply.length, this.now + seconds(0.02));
  }

  polls(count: number): number[] {
    return Array.from({ length: count }, () => this.poll());
  }

  version(request = this.requests.at(-1)!): number {
    return (request[0]! >> 3) & 7;
  }

  get versions(): number[] {
    return this.requests.map((request) => this.version(request));
  }

  get marked(): boolean[] {
    return this.requests.map((request) => hex(request.subarray(16, 24)) === "4e54503544524654");
  }

  get problems(): number {
    return this.core.u32(this.core.exports.associationOut(0) + this.core.constant("ASSOCIATION_LAST_PROBLEMS"));
  }
}

const STEER = 1 << 2;
const HEARD = 1 << 6;

describe("a source of version \"auto\"", () => {
  it("is asked with the mark, and in version 5 as soon as that comes back", () => {
    const pair = new Pair("auto");
    expect(pair.polls(4).map((actions) => actions & STEER)).toEqual([STEER, STEER, STEER, STEER]);
    expect(pair.versions).toEqual([4, 5, 5, 5]);
    expect(pair.marked).toEqual([true, false, false, false]);
    expect(pair.problems).toBe(0);
  });

  it("that knows version 4 alone is asked in that, with the mark eight times and then, for 256 polls, without", () => {
    const pair = new Pair("auto");
    pair.old = true;
    pair.polls(280);
    expect(new Set(pair.versions)).toEqual(new Set([4]));
    expect(pair.marked.filter(Boolean).length).toBeLessThan(26);
    expect(pair.marked.slice(0, 7)).toEqual(new Array(7).fill(true));
    expect(pair.marked.slice(8, 256)).toEqual(new Array(248).fill(false));
    expect(pair.marked.slice(264)).toContain(true);
  });

  it("that goes back to version 4 is asked in that after two requests in vain, and in version 5 again much later", () => {
    const pair = new Pair("auto");
    pair.polls(3);
    pair.old = true;
    pair.polls(6);
    expect(pair.versions).toEqual([4, 5, 5, 5, 5, 4, 4, 4, 4]);
    expect(pair.marked.slice(5)).toEqual([false, false, false, false]);
    pair.old = false;
    pair.polls(270);
    expect(pair.version()).toBe(5);
  });

  it("that is silent altogether never gets stuck in version 5", () => {
    const pair = new Pair("auto");
    pair.polls(2);
    pair.answers = false;
    pair.polls(40);
    // Four of version 4, two of version 5, and so on; never one of them for ever.
    expect(pair.versions.slice(-12).sort().join("")).toBe("444444445555");
    pair.answers = true;
    expect(pair.poll() & HEARD).toBe(HEARD);
  });

  it("that speaks version 5 alone is found, and stays found", () => {
    const pair = new Pair("auto");
    pair.young = true;
    pair.polls(20);
    expect(pair.versions).toEqual([4, 4, 4, 4, ...new Array<number>(16).fill(5)]);
    expect(pair.polls(10).map((actions) => actions & HEARD)).toEqual(new Array(10).fill(HEARD));
  });

  it("that speaks now this and now that, or names drafts nobody knows, is heard again within six requests of each change", () => {
    const pair = new Pair("auto");
    const kinds: [old: boolean, young: boolean, deaf: string[]][] = [
      [false, false, []], [true, false, []], [false, true, []], [false, true, ["ntpv5-09"]], [true, false, ["ntpv5-08"]], [false, false, ["ntpv5-09", "ntpv5-08"]], [false, true, ["ntpv5-08"]], [false, false, []],
    ];
    for (const [old, young, deaf] of [...kinds, ...kinds.toReversed(), ...kinds]) {
      Object.assign(pair, { old, young, deaf });
      const heard = pair.polls(40).map((actions) => (actions & HEARD) !== 0);
      expect(heard.indexOf(true), `${old} ${young} ${deaf}`).toBeLessThanOrEqual(6);
      expect(heard.slice(8), `${old} ${young} ${deaf}`).toEqual(new Array(32).fill(true));
    }
  });

  it("of which each request may or may not be heard is never left for long in a version that it does not speak", () => {
    let seed = 7;
    const chance = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff);
    for (let round = 0; round < 40; round++) {
      const pair = new Pair("auto");
      for (let change = 0; change < 12; change++) {
        const kind = Math.floor(chance() * 3);
        Object.assign(pair, { old: kind === 1, young: kind === 2 });
        // A third of all packets is lost for a while, then none.
        for (let poll = 0; poll < 10; poll++) {
          pair.answers = chance() > 1 / 3;
          pair.poll();
        }
        pair.answers = true;
        expect(pair.polls(8).some((actions) => (actions & HEARD) !== 0)).toBe(true);
      }
    }
  });
});

describe("a source of version 5", () => {
  it("that knows the draft before is asked in that after one request in vain", () => {
    const pair = new Pair(5);
    pair.deaf = ["ntpv5-09"];
    expect(pair.polls(4).map((actions) => actions & HEARD)).toEqual([0, HEARD, HEARD, HEARD]);
    expect(pair.versions).toEqual([5, 5, 5, 5]);
    expect(pair.requests.map((request) => Buffer.from(request).includes("ntpv5-08"))).toEqual([false, true, true, true]);
  });

  it("is not asked more often than it bears, and not at all when it does not want us", () => {
    const pair = new Pair(5);
    pair.server.limit(32, 8);
    pair.polls(2);
    const floor = pair.core.view.getInt8(pair.core.exports.associationOut(0) + pair.core.constant("ASSOCIATION_POLL_FLOOR"));
    expect(floor).toBe(5);
    pair.server.core.bytes.fill(0, pair.server.at, pair.server.at + 100);
    // A kiss of DENY, which in version 5 is a poll of 127.
    const ask = pair.server.ask.bind(pair.server);
    pair.server.ask = (from, octets = new Uint8Array(0)) => {
      const { core, exports, at } = pair.server;
      core.bytes.set(octets, at);
      const length = exports.respondKiss(at, octets.length, 0x44454e59);
      return { ...ask(from, octets), reply: (core.bytes.set(octets, at), exports.respondKiss(at, octets.length, 0x44454e59), core.bytes.slice(at, at + length)) };
    };
    expect(pair.poll() & (1 << 4)).toBe(1 << 4);
    expect(pair.field("ACTIVE")).toBe(0);
  });

  it("is followed in interleaved mode by its cookie", () => {
    const pair = new Pair(5, { interleaved: true });
    pair.server.exports.interleaveClients(1);
    pair.polls(5);
    expect(pair.requests.map((request) => hex(request.subarray(16, 24)) !== "0000000000000000")).toEqual([false, true, true, true, true]);
    expect(pair.core.u32(pair.core.exports.associationOut(0) + pair.core.constant("ASSOCIATION_INTERLEAVED"))).toBeGreaterThan(2);
  });
});

describe("a client that is a server, too", () => {
  let pair: Pair;
  beforeEach(() => {
    pair = new Pair(5, { serving: true });
  });
  const SERVER_IDS = (core: Core) => core.constant("REFERENCE_IDS");
  /** The server says that it follows the client. */
  const follows = (on: boolean) => {
    pair.server.exports.referenceIdsReset();
    if (!on) return;
    const ours = pair.core.bytes.slice(SERVER_IDS(pair.core), SERVER_IDS(pair.core) + 512);
    const theirs = SERVER_IDS(pair.server.core);
    ours.forEach((octet, i) => (pair.server.core.bytes[theirs + i]! |= octet));
  };

  it("follows a server when all of its reference identifiers are known, a chunk with each poll", () => {
    expect(pair.polls(5).map((actions) => actions & STEER)).toEqual([0, 0, 0, STEER, STEER]);
    expect(pair.requests.map((request) => fieldsOf5(request).find(({ type }) => type === FIELD.idsRequest)!.value.slice(0, 2)).map(([a = 0, b = 0]) => a * 256 + b)).toEqual([0, 128, 256, 384, 0]);
  });

  it("begins to ask whom a server follows when that knows the time: before, it may have followed nobody", () => {
    pair.server.core.view.setUint8(pair.server.fields.STRATUM, 16);
    expect(pair.polls(6).map((actions) => actions & STEER)).toEqual(new Array(6).fill(0));
    // Now it does, by us.
    pair.server.core.view.setUint8(pair.server.fields.STRATUM, 3);
    follows(true);
    expect(pair.polls(12).map((actions) => actions & STEER)).toEqual(new Array(12).fill(0));
    expect(pair.field("LOOPED")).toBe(1);
  });

  it("does not follow one that follows it, and says why; and comes back some polls after that has ended", () => {
    follows(true);
    expect(pair.polls(6).map((actions) => actions & (STEER | HEARD))).toEqual(new Array(6).fill(HEARD));
    expect([pair.problems, pair.field("LOOPED")]).toEqual([1 << 13, 1]);
    follows(false);
    const later = pair.polls(12).map((actions) => actions & STEER);
    expect(later.at(-1)).toBe(STEER);
    expect(later.indexOf(STEER)).toBeGreaterThan(0);
    expect(pair.field("LOOPED")).toBe(0);
  });

  it("leaves one that it followed as soon as that follows it", () => {
    pair.polls(16);
    const sources = () => pair.core.view.getInt32(pair.core.exports.systemOut() + pair.core.constant("SYSTEM_PEER"), true);
    pair.core.exports.systemUpdate(pair.now);
    expect(sources()).toBe(0);
    follows(true);
    pair.polls(4);
    pair.core.exports.systemUpdate(pair.now);
    expect([sources(), pair.field("LOOPED")]).toEqual([-1, 1]);
  });

  it("tells its own clients whom it follows, all the way up", () => {
    pair.polls(16);
    pair.core.exports.systemUpdate(pair.now);
    pair.core.exports.referenceIdsUpdate();
    const told = pair.core.bytes.slice(SERVER_IDS(pair.core), SERVER_IDS(pair.core) + 512);
    const theirs = pair.server.core.bytes.slice(SERVER_IDS(pair.server.core), SERVER_IDS(pair.server.core) + 512);
    const bits = (octets: Uint8Array) => octets.reduce((sum, octet) => sum + octet.toString(2).replaceAll("0", "").length, 0);
    expect(bits(theirs)).toBe(10);
    expect(theirs.every((octet, i) => (octet & ~told[i]!) === 0)).toBe(true);
    expect(bits(told)).toBeGreaterThan(17);
  });
});

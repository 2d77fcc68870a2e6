// SPDX-License-Identifier: MIT OR Apache-2.0
/** Manycast over a network in memory: who answers is followed, once, as far as wanted. Time is virtual. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { answers, errorOf, kisses, type Answering, type FakeRequest } from "../../../tests/support/fake-host.ts";
import { World, letPass, promisesSettle } from "../../../tests/support/world-additions.ts";
import { steeredVirtual } from "../clock/steered.ts";
import { NtpError } from "../errors.ts";
import type { UdpHandlers, UdpOptions, UdpSocket } from "../host.ts";
import { Engine, type EngineEvent, type EngineOptions, type ManycastSource } from "./engine.ts";

const GROUP = "224.0.1.1";
const MINUTE = 60;
const HOUR = 3600;

class Network extends World {
  /** Who hears the group. */
  readonly members = new Map<string, Answering>();
  /** An address of this machine itself. */
  own: string | undefined;
  /** Reaches the asker with each request to the group. */
  also: (request: FakeRequest) => void = () => {};

  constructor(options = {}) {
    super(options);
    this.at(GROUP, {
      onRequest: (request) => {
        for (const [address, options] of this.members) answers({ ...options, from: { address, ...options.from } }).onRequest?.(request);
        this.also(request);
      },
    });
  }

  /** A server that hears the group and answers whoever asks it. */
  member(address: string, options: Answering = {}): this {
    this.members.set(address, options);
    this.at(address, answers(options));
    return this;
  }

  override async openUdp(options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
    const socket = await super.openUdp(options, handlers);
    if (options.connect && options.connect.address === this.own) Object.assign(socket.local, { address: this.own });
    return socket;
  }
}

let network: Network;
let engine: Engine | undefined;
let events: EngineEvent[];

beforeEach(() => {
  vi.useFakeTimers();
  network = new Network();
  events = [];
});

afterEach(async () => {
  engine?.close();
  await promisesSettle();
  for (let timers = 0; timers < 50 && vi.getTimerCount() > 0; timers++) vi.advanceTimersToNextTimer();
  await promisesSettle();
  const left = { open: network.openSockets.length, timers: vi.getTimerCount() };
  vi.useRealTimers();
  engine = undefined;
  expect(left).toEqual({ open: 0, timers: 0 });
});

async function start(source: Partial<ManycastSource> = {}, options: Partial<EngineOptions> = {}): Promise<void> {
  const sources = [...(options.sources ?? []), { source: GROUP, mode: "manycast" as const, ...source }];
  engine = new Engine(network, steeredVirtual(network.clock), { ...options, sources });
  engine.listen((event) => events.push(event));
  await engine.start();
}

const found = () => engine!.sources().map(({ address }) => address?.replace(":123", ""));
const reachable = () => engine!.sources().filter(({ selection, used }) => selection !== "unreachable" && used > 0).map(({ address }) => address?.replace(":123", ""));
/** When everybody was asked, s. */
const asked = () => network.times(GROUP).map((ms) => ms / 1000);

describe("who answers is followed", () => {
  it("as a source of its own, and the clock is right", async () => {
    network = new Network({ clockError: 3 });
    network.member("192.0.2.1").member("192.0.2.2").member("192.0.2.3");
    await start();
    await letPass(MINUTE);
    expect(found()).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    expect(engine!.tracking()).toMatchObject({ synchronised: true, survivors: 3, stratum: 2 });
    for (const { used, selection } of engine!.sources()) expect({ used: used > 4, selection }).toEqual({ used: true, selection: "survivor" });
    expect(Math.abs(engine!.tracking().offset)).toBeLessThan(1e-3);
  });

  it("once, however often it answers, and by however many requests", async () => {
    network.member("192.0.2.1", { spoil: (reply) => [reply, reply, reply] });
    await start();
    await letPass(10 * MINUTE);
    expect(asked().length).toBeGreaterThan(3);
    expect(found()).toEqual(["192.0.2.1"]);
  });

  it("only as many as wanted", async () => {
    for (let index = 1; index <= 9; index++) network.member(`192.0.2.${index}`);
    await start({ manycast: { limit: 2 } });
    await letPass(HOUR);
    expect(found()).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(asked()).toHaveLength(1);
  });

  it("beside other sources, and not where it is one of them", async () => {
    network.member("192.0.2.1").member("192.0.2.2");
    await start({}, { sources: [{ source: "192.0.2.2" }] });
    await letPass(MINUTE);
    expect(found()).toEqual(["192.0.2.2", "192.0.2.1"]);
  });

  it("over IPv6, with one hop unless told otherwise", async () => {
    network.at("ff02::101", { onRequest: (request) => answers({ from: { address: "2001:db8::5" } }).onRequest?.(request) });
    network.at("2001:db8::5", answers());
    await start({ source: "[ff02::101]" });
    await letPass(MINUTE);
    expect(engine!.sources()).toMatchObject([{ source: "[2001:db8::5]:123", selection: "survivor" }]);
    expect(network.sockets[0]!.options).toMatchObject({ family: 6, broadcast: true, multicastHops: 1 });
  });

  it("until the engine is full", async () => {
    for (let index = 1; index <= 70; index++) network.member(`192.0.2.${index}`);
    const sources = Array.from({ length: 60 }, (_, index) => ({ source: `198.51.100.${index + 1}` }));
    await start({}, { sources });
    await letPass(5);
    expect(found()).toHaveLength(64);
  });
});

describe("who is not followed", () => {
  it.each<[string, Answering]>([
    ["a server that is not synchronised", { leap: 3 }],
    ["a server that says no", { kiss: "DENY" }],
    ["a server whose root is too far away", { rootDispersion: 17 }],
    ["who answers from another port than servers have", { from: { port: 5000 } }],
    ["who does not bring back our origin", { spoil: (reply) => reply.map((octet, at) => (at === 28 ? octet ^ 1 : octet)) }],
    ["another mode than a server's", { spoil: (reply) => reply.map((octet, at) => (at === 0 ? (octet & ~7) | 5 : octet)) }],
    ["half a packet", { spoil: (reply) => reply.slice(0, 40) }],
    ["who answers too late", { there: 4000, back: 2000 }],
  ])("%s", async (_, options) => {
    network.member("192.0.2.1", options).member("192.0.2.2");
    await start({ manycast: { limit: 1 } });
    await letPass(10);
    expect(found()).toEqual(["192.0.2.2"]);
  });

  it("this machine's own server", async () => {
    network.own = "192.0.2.1";
    network.member("192.0.2.1").member("192.0.2.2");
    await start();
    await letPass(10 * MINUTE);
    expect(network.times("192.0.2.1")).toEqual([]);
    expect(reachable()).toEqual(["192.0.2.2"]);
  });

  it("who sends DENY when asked by itself: it is let go for good, and its place is taken", async () => {
    network.member("192.0.2.1");
    network.at("192.0.2.1", kisses("DENY"));
    await start({ manycast: { limit: 1 } });
    await letPass(MINUTE);
    expect(events.filter(({ kind }) => kind === "stopped")).toHaveLength(1);
    network.member("192.0.2.2");
    await letPass(10 * MINUTE);
    expect(found()).toEqual(["192.0.2.2"]);
    expect(network.times("192.0.2.1")).toHaveLength(1);
  });
});

describe("everybody is asked", () => {
  it("less and less often while nobody answers, up to every 17 minutes or so", async () => {
    await start();
    await letPass(3 * HOUR);
    const gaps = asked().slice(1).map((time, index) => time - asked()[index]!);
    gaps.forEach((gap, index) => {
      const least = Math.min(16 * 2 ** index, 1024);
      expect(gap).toBeGreaterThanOrEqual(least);
      expect(gap).toBeLessThan(least * 1.126);
    });
    expect(gaps.length).toBeGreaterThan(9);
  });

  it("each time from another port, with another origin, and the socket closes after the window", async () => {
    await start();
    await letPass(6);
    expect(network.openSockets).toHaveLength(0);
    await letPass(10 * MINUTE);
    const requests = network.asked.filter(({ address }) => address === GROUP);
    expect(new Set(requests.map(({ localPort }) => localPort)).size).toBe(requests.length);
    expect(new Set(requests.map(({ data }) => String(data.slice(40)))).size).toBe(requests.length);
  });

  it("no more while there are enough, and again once one of them is gone, whose place the next one gets", async () => {
    network.member("192.0.2.1").member("192.0.2.2");
    await start({ manycast: { limit: 2 } }, { maxPoll: 6 });
    await letPass(20 * MINUTE);
    expect(asked()).toHaveLength(1);
    network.members.delete("192.0.2.1");
    network.at("192.0.2.1");
    network.member("192.0.2.3");
    await letPass(20 * MINUTE);
    expect(found()).toEqual(["192.0.2.3", "192.0.2.2"]);
    expect(engine!.tracking()).toMatchObject({ synchronised: true, survivors: 2 });
  });

  it("and a server that comes back is found again", async () => {
    network.member("192.0.2.1");
    await start({ manycast: { limit: 1 } }, { maxPoll: 6 });
    await letPass(MINUTE);
    network.members.clear();
    network.at("192.0.2.1");
    await letPass(HOUR);
    expect(reachable()).toEqual([]);
    network.member("192.0.2.1");
    await letPass(HOUR);
    expect(reachable()).toEqual(["192.0.2.1"]);
  });

  it("again after sending failed", async () => {
    network.at(GROUP, { sendFails: errorOf("ENETUNREACH") }, { onRequest: (request) => answers({ from: { address: "192.0.2.1" } }).onRequest?.(request) });
    network.at("192.0.2.1", answers());
    await start();
    await letPass(MINUTE);
    expect(reachable()).toEqual(["192.0.2.1"]);
  });
});

describe("what cannot be", () => {
  it("a host that cannot ask groups says so at once", async () => {
    vi.spyOn(network, "openUdp").mockRejectedValue(new NtpError("UNSUPPORTED", "no groups here"));
    await expect(start()).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it.each([
    [{ manycast: { limit: 0 } }],
    [{ manycast: { limit: 65 } }],
    [{ manycast: { hops: 0 } }],
    [{ manycast: { hops: 256 } }],
    [{ manycast: { limit: 1.5 } }],
  ])("%j is refused", async (source) => {
    await expect(start(source)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("neither are more than four networks, nor more sources than there is room for", async () => {
    const manycast = { source: GROUP, mode: "manycast" as const };
    await expect(start({}, { sources: [manycast, manycast, manycast, manycast] })).rejects.toThrow("at most 4 sources in manycast mode, got 5");
    await expect(start({ manycast: { limit: 60 } }, { sources: [{ source: "time.example.org", pool: 5 }] })).rejects.toThrow("got 65");
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5 through queries and engines, over a network in memory whose servers are the real core: versions 5 and "auto", older drafts,
 * servers of version 4, and two daemons that follow each other.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeHost, answers, inVirtualTime, trueNs, type Behaviour } from "../../../tests/support/fake-host.ts";
import { steeredVirtual } from "../clock/steered.ts";
import { ServerCore, type ServerState } from "../server/state.ts";
import { Engine } from "./engine.ts";
import { query } from "./query.ts";
import { startClock } from "./start.ts";
import { drafts } from "./version.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";
let host: FakeHost;
const engines: Engine[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  host = new FakeHost();
});
afterEach(() => {
  for (const engine of engines.splice(0)) engine.close();
  vi.useRealTimers();
});

const versions = () => host.asked.map(({ data }) => (data[0]! >> 3) & 7);

/** Answers what `hears` lets through. */
function hearing(hears: (data: Uint8Array) => boolean): Behaviour {
  const honest = answers();
  return { onRequest: (request) => (hears(request.data) ? honest.onRequest?.(request) : undefined) };
}

async function follow(options: ConstructorParameters<typeof Engine>[2], clock = steeredVirtual(host.clock)): Promise<Engine> {
  const engine = new Engine(host, clock, { minPoll: 1, maxPoll: 1, ...options });
  engines.push(engine);
  await engine.start();
  return engine;
}

describe("a query of version 5", () => {
  it("is answered in version 5", async () => {
    host.at(A, answers());
    const { value } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect(value).toMatchObject({ version: 5, mode: 4, stratum: 1, problemBits: 0 });
    expect(Math.abs(value!.offset)).toBeLessThan(1e-3);
  });

  it("names the next draft where nobody answers, and no other version", async () => {
    host.at(A, hearing((data) => Buffer.from(data).includes(drafts()[1]!)));
    const { value } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect([value?.version, versions()]).toEqual([5, [5, 5]]);
  });

  it("gets nothing from a server of version 4", async () => {
    host.at(A, hearing((data) => ((data[0]! >> 3) & 7) === 4));
    const { error } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });

  it("is told to go away by DENY", async () => {
    host.at(A, answers({ kiss: "DENY" }));
    const { value } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect([value?.kiss, value?.usable]).toEqual(["DENY", false]);
  });
});

describe("what a server of version 5 tells beside the time", () => {
  const serving = (more: Partial<ServerState>): Behaviour => answers(more);

  it("is in the sample: its versions, when its clock was set, and other scales where it knows them", async () => {
    host.at(A, serving({ taiOffset: 37, ut1Offset: -0.0625, referenceNs: trueNs() - 16_000_000_000n }));
    const { value } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect(value!.problemBits).toBe(0);
    expect(value!.ntpv5).toMatchObject({ versions: [1, 2, 3, 4, 5], scales: { tai: 37, ut1: -0.0625 }, correction: { request: 0, reply: 0, used: false } });
    expect(Number(trueNs() - value!.ntpv5!.referenceNs!) / 1e9).toBeCloseTo(16, 0);
    // No clock of a host of ours promises never to be stepped.
    expect(value!.ntpv5!.monotonic).toBeUndefined();
    const json = JSON.parse(JSON.stringify(value)) as { ntpv5: { referenceNs: string } };
    expect(json.ntpv5.referenceNs).toMatch(/^\d{19}$/);
  });

  it("is in no sample of version 4", async () => {
    host.at(A, serving({ taiOffset: 37 }));
    const { value } = await inVirtualTime(() => query(host, A));
    expect(value).not.toHaveProperty("ntpv5");
  });
});

describe("network nodes that correct", () => {
  /** A switch that holds requests for 40 ms and answers for 20, and says so where it is asked. */
  const switched: Behaviour = {
    onRequest(request) {
      const held = request.data.slice();
      hold(held, 40);
      const deliver: typeof request.deliver = (data, ms, from) => {
        hold(data, 20);
        request.deliver(data, ms + 20, from);
      };
      setTimeout(() => answers().onRequest?.({ ...request, data: held, deliver }), 40);
    },
  };
  /** Adds to the correction field at the end of a packet, if there is one. */
  function hold(data: Uint8Array, ms: number): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (data.length >= 76 && view.getUint16(data.length - 28) === 0xf506) view.setBigInt64(data.length - 12, view.getBigInt64(data.length - 12) + BigInt(ms) * 65_536_000_000n);
  }

  it("make a query truer, and its bound no narrower", async () => {
    host.at(A, switched);
    const { value: old } = await inVirtualTime(() => query(host, A, { version: 4 }));
    const { value } = await inVirtualTime(() => query(host, A, { version: 5 }));
    expect([old!.offset, old!.delay]).toEqual([expect.closeTo(0.01, 3), expect.closeTo(0.07, 3)]);
    expect([value!.offset, value!.delay]).toEqual([expect.closeTo(0, 3), expect.closeTo(0.01, 3)]);
    expect(value!.ntpv5!.correction).toEqual({ request: 0.04, reply: 0.02, used: true });
    expect(value!.rootDistance).toBeCloseTo(old!.rootDistance, 4);
  });

  it.each([[true, 0], [false, 0.01]] as const)("are heard by an engine that was told to ask for them: %s", async (correction, offset) => {
    host.at(A, switched);
    const clock = steeredVirtual(host.clock);
    const engine = await follow({ sources: [{ source: A, version: 5, correction }] }, clock);
    await vi.advanceTimersByTimeAsync(30_000);
    const [source] = engine.sources();
    expect(source!.used).toBeGreaterThan(3);
    expect(host.asked.every(({ data }) => Buffer.from(data).includes(Buffer.of(0xf5, 0x06, 0, 28)) === correction)).toBe(true);
    expect(engine.tracking().synchronised).toBe(true);
    expect(Number(clock.now() - trueNs()) / 1e9).toBeCloseTo(offset, 3);
    // The bound is that of the delay as it was measured, whoever said what.
    expect(engine.tracking().uncertainty).toBeGreaterThan(0.035);
    expect(engine.tracking().rootDelay).toBeCloseTo(0.07, 2);
  });
});

describe("an engine", () => {
  it("follows a source of version \"auto\" in version 5 after one request of version 4", async () => {
    host.at(A, answers());
    const engine = await follow({ sources: [{ source: A, version: "auto" }] });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(versions().slice(0, 4)).toEqual([4, 5, 5, 5]);
    expect(engine.tracking()).toMatchObject({ synchronised: true, stratum: 2 });
  });

  it("goes back to version 4 with a server that lost its version 5, and stays synchronised", async () => {
    let old = false;
    host.at(A, hearing((data) => !old || ((data[0]! >> 3) & 7) === 4));
    const engine = await follow({ sources: [{ source: A, version: "auto" }] });
    await vi.advanceTimersByTimeAsync(30_000);
    old = true;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(versions().at(-1)).toBe(4);
    expect(engine.tracking().synchronised).toBe(true);
    expect(engine.sources()[0]!.reach & 15).toBe(15);
  });

  it("refuses version 5 in modes that NTPv5 does not have", () => {
    for (const mode of ["symmetric", "broadcast"] as const) {
      expect(() => new Engine(host, steeredVirtual(host.clock), { sources: [{ source: A, mode, version: 5 }] })).toThrow(/version 3 or 4/);
    }
  });
});

describe("a clock with a server of one's own", () => {
  it("tells by update() whom it follows, and itself", async () => {
    host.at(A, answers({ referenceIds: Uint8Array.from({ length: 512 }, (_, octet) => (octet < 3 ? 255 : 0)) }));
    const started = inVirtualTime(() => startClock(host, { sources: [{ source: A, version: 5 }], serving: true, minPoll: 1, maxPoll: 1 }));
    const { value: clock } = await started;
    const ids = clock!.referenceIds();
    clock!.close();
    const bits = ids.reduce((sum, octet) => sum + octet.toString(2).replaceAll("0", "").length, 0);
    // The server's, and up to ten that are ours.
    expect([ids.length, ...ids.slice(0, 3)]).toEqual([512, 255, 255, 255]);
    expect([bits > 24, bits <= 34]).toEqual([true, true]);
  });
});

describe("two daemons that follow each other", () => {
  it("see it in their reference identifiers, and only one goes on", async () => {
    const server = () => new ServerCore({ stratum: 3, leap: 0, rootDelay: 0, rootDispersion: 0.001, precision: 1e-6, refid: undefined, kiss: undefined }, trueNs);
    const nodes = [A, B].map((address) => ({ address, core: server() }));
    for (const { address, core } of nodes) {
      host.at(address, { onRequest: (request) => setTimeout(() => {
        const reply = core.answer(request.data)?.slice();
        if (reply) request.deliver(reply, 5);
      }, 5) });
    }
    const daemons = [await follow({ sources: [{ source: B, version: 5 }], serving: true }), await follow({ sources: [{ source: A, version: 5 }], serving: true })];
    const both: boolean[] = [];
    let looped = 0;
    for (let second = 0; second < 400; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      daemons.forEach((daemon, i) => nodes[i]!.core.update({ stratum: 3, leap: 0, rootDelay: 0, rootDispersion: 0.001, precision: 1e-6, refid: undefined, referenceIds: daemon.referenceIds() }));
      const synchronised = daemons.filter((daemon) => daemon.tracking().synchronised).length;
      both.push(synchronised === 2);
      looped += daemons.some((daemon) => daemon.sources()[0]!.lastProblems.some(({ test }) => test === "testG")) ? 1 : 0;
    }
    expect(looped).toBeGreaterThan(10);
    expect(both.slice(-60).filter(Boolean)).toEqual([]);
    expect(daemons.some((daemon) => daemon.tracking().synchronised)).toBe(true);
  });
});

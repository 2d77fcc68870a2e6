// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source asked once, on a network that misbehaves in every way we know of. Time is virtual; after each test no socket and
 * no timer may be left.
 *
 * @module
 */

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  FakeHost, answers, errorOf, inVirtualTime, kisses, preceded, refuses, silent, unroutable, withOctet, type Behaviour, type Ending,
} from "../../../tests/support/fake-host.ts";
import { NtpError } from "../errors.ts";
import { query, type QueryOptions } from "./query.ts";
import type { Sample } from "./sample.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";
const C = "192.0.2.3";
const V6 = "2001:db8::1";

let host: FakeHost;

beforeEach(() => {
  vi.useFakeTimers();
  host = new FakeHost();
});

afterEach(() => {
  const left = { sockets: host.openSockets.length, timers: vi.getTimerCount() };
  vi.useRealTimers();
  expect(left).toEqual({ sockets: 0, timers: 0 });
});

/** Ask, let time pass, and let what is still under way in the network die away. */
async function ask(source: string, options?: QueryOptions): Promise<Ending<Sample>> {
  const ending = await inVirtualTime(() => query(host, source, options));
  expect(host.openSockets).toEqual([]);
  const asked = host.asked.length;
  await vi.runAllTimersAsync();
  expect(host.asked.length).toBe(asked); // nothing is sent once it has settled
  return ending;
}

function sampleOf({ value, error }: Ending<Sample>): Sample {
  if (!value) throw error;
  return value;
}

function errorFrom({ error }: Ending<Sample>): NtpError {
  expect(error).toBeInstanceOf(NtpError);
  return error as NtpError;
}

/** A world of several addresses under the name "time". */
function world(script: Record<string, Behaviour | Behaviour[]>): void {
  host.name("time", Object.keys(script));
  for (const [address, behaviour] of Object.entries(script)) host.at(address, ...[behaviour].flat());
}

describe("an answer", () => {
  it("gives the offset of the server's clock, whatever ours says", async () => {
    host = new FakeHost({ clockError: -3600 }).at(A, answers({ offset: 0.25, there: 20 }));
    const sample = sampleOf(await ask(A));
    expect(sample.offset).toBeCloseTo(3600.25, 8);
    expect(sample.delay).toBeCloseTo(0.04, 8);
    expect(sample).toMatchObject({ source: A, address: A, port: 123, stratum: 1, leap: 0, mode: 4, version: 4, usable: true });
  });

  it("over a lopsided path is wrong by half the difference, within its bound", async () => {
    host.at(A, answers({ there: 101, back: 1 }));
    const sample = sampleOf(await ask(A));
    expect(sample.offset).toBeCloseTo(0.05, 8);
    expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.rootDistance);
  });

  it("comes to the port and in the version asked", async () => {
    host.at(`${A} 4123`, answers());
    const sample = sampleOf(await ask(`${A}:4123`, { version: 3 }));
    expect(sample).toMatchObject({ port: 4123, version: 3 });
    expect((host.asked[0]?.data[0] ?? 0) >> 3).toBe(3);
  });

  it("of a request that tells nothing: all but version, mode, precision and a random timestamp is zero", async () => {
    host.at(A, answers());
    await ask(A);
    await ask(A);
    const [first, second] = host.asked.map(({ data }) => data);
    expect(first?.length).toBe(48);
    expect([...(first?.subarray(4, 40) ?? [])].every((octet) => octet === 0)).toBe(true);
    expect(first?.subarray(40)).not.toEqual(second?.subarray(40));
    expect(host.asked[0]?.localPort).not.toBe(host.asked[1]?.localPort);
  });

  it("that arrives before send() has told its stamp is not lost", async () => {
    host.at(A, { ...answers({ there: 1 }), sendTakes: 50 });
    const ending = await ask(A);
    expect(sampleOf(ending).delay).toBeCloseTo(0.002, 8);
    expect(ending.ms).toBe(50);
  });

  it("with a flood before send() has told its stamp is judged within bounds", async () => {
    host.at(A, { ...preceded(Array.from({ length: 100 }, () => new Uint8Array(48)), answers({ there: 9 })), sendTakes: 50 });
    const { message } = errorFrom(await ask(A, { timeout: 0.1 }));
    expect(message).toMatch(/passed over 16 ×/);
  });

  it("to a request whose send() never settles is a silence, not a hang", async () => {
    host.at(A, { ...answers(), sendTakes: Infinity });
    expect(errorFrom(await ask(A)).code).toBe("TIMEOUT");
  });
});

describe("among several addresses", () => {
  it("the first usable answer wins and the others are not asked", async () => {
    world({ [A]: answers({ there: 20 }), [B]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending)).toMatchObject({ source: "time", address: A });
    expect(host.order).toEqual([A]);
  });

  it("a dead first one costs one turn, not the answer", async () => {
    world({ [A]: silent, [B]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending).address).toBe(B);
    expect(ending.ms).toBe(410);
  });

  it("IPv6 that swallows everything falls back to IPv4", async () => {
    world({ [V6]: silent, "2001:db8::2": silent, [A]: answers() });
    expect(sampleOf(await ask("time")).address).toBe(A);
    expect(host.order).toEqual([V6, A]);
  });

  it("IPv6 without a route falls back to IPv4 at once", async () => {
    world({ [V6]: unroutable, [A]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending).address).toBe(A);
    expect(ending.ms).toBe(10);
  });

  it("a family whose sockets cannot be opened is passed over at once", async () => {
    world({ [V6]: { openFails: errorOf("EAFNOSUPPORT") }, [A]: answers() });
    expect((await ask("time")).ms).toBe(10);
  });

  it("a refusal gives the next one its turn at once", async () => {
    world({ [A]: refuses, [B]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending).address).toBe(B);
    expect(ending.ms).toBe(11);
  });

  it("a refusal gives the next one its turn at once, though an earlier one may still answer", async () => {
    world({ [A]: silent, [B]: refuses, [C]: answers() });
    expect((await ask("time")).ms).toBe(411);
  });

  it("an unfit answer gives the next one its turn at once, and its better one wins", async () => {
    world({ [A]: answers({ stratum: undefined }), [B]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending)).toMatchObject({ address: B, usable: true });
    expect(ending.ms).toBe(20);
  });

  it("a slow one is still listened to while the next has its turn", async () => {
    world({ [A]: answers({ there: 300, back: 300 }), [B]: silent });
    const ending = await ask("time");
    expect(sampleOf(ending).address).toBe(A);
    expect(ending.ms).toBe(600);
  });

  it("each is asked from a socket of its own, connected to it", async () => {
    world({ [A]: silent, [V6]: answers() });
    await ask("time");
    expect(host.sockets.map(({ options }) => [options.family, options.connect?.address])).toEqual([[4, A], [6, V6]]);
    expect(new Set(host.asked.map(({ localPort }) => localPort)).size).toBe(2);
  });

  it("only those of the family asked for are tried", async () => {
    world({ [V6]: answers(), [A]: answers() });
    expect(sampleOf(await ask("time", { family: 4 })).address).toBe(A);
    expect(host.order).toEqual([A]);
  });
});

describe("silence", () => {
  it("is a TIMEOUT that names what was asked", async () => {
    world({ [A]: silent, [V6]: silent });
    const ending = await ask("time", { timeout: 1.5 });
    const error = errorFrom(ending);
    expect(error).toMatchObject({ code: "TIMEOUT", source: "time" });
    expect(error.message).toContain('no answer from "time" within 1.5 s');
    expect(error.message).toContain(`asked ${A}:123, [${V6}]:123`);
    expect(ending.ms).toBe(1500);
  });

  it("is asked again once, no sooner than two seconds after", async () => {
    world({ [A]: silent, [B]: silent });
    await ask("time", { timeout: 60 });
    expect(host.times(A)).toEqual([0, 2000]);
    expect(host.times(B)).toEqual([400, 2400]);
  });

  it("at first is mended by the second request", async () => {
    world({ [A]: [silent, answers()] });
    const ending = await ask("time");
    expect(sampleOf(ending).usable).toBe(true);
    expect(ending.ms).toBe(2010);
    expect(host.asked[0]?.data).not.toEqual(host.asked[1]?.data);
  });

  it("of many addresses holds each to two requests, in order", async () => {
    world({ [A]: silent, [B]: refuses, [C]: silent, [V6]: silent });
    await ask("time", { timeout: 30 });
    expect(host.order).toEqual([A, V6, B, C, A, V6, C]);
  });

  it("of one with a refusal of the other says both", async () => {
    world({ [V6]: unroutable, [A]: silent });
    const { code, message } = errorFrom(await ask("time"));
    expect(code).toBe("TIMEOUT");
    expect(message).toContain(`[${V6}]:123: ENETUNREACH`);
  });

  it("while the socket opens is ended in time, and the socket that opens too late is closed", async () => {
    host.at(A, { ...answers(), openTakes: 10_000 });
    const ending = await ask(A, { timeout: 1 });
    expect(errorFrom(ending).code).toBe("TIMEOUT");
    expect(ending.ms).toBe(1000);
    expect(host.sockets.length).toBe(1);
    expect(host.asked).toEqual([]);
  });

  it("counts from when the request was sent, however long the socket took to open", async () => {
    host.at(A, { ...silent, openTakes: 1900 }, silent);
    await ask(A, { timeout: 10 });
    expect(host.times(A)).toEqual([1900, 3900]);
  });

  it("of the resolver is ended in time, and what it says too late is not acted upon", async () => {
    host.name("slow", { after: 10_000, addresses: [A, B] });
    const ending = await ask("slow", { timeout: 1 });
    expect(errorFrom(ending)).toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("did not resolve in time") });
    expect(ending.ms).toBe(1000);
    expect(host.sockets).toEqual([]);
  });
});

describe("where everything refuses", () => {
  it("it is UNREACHABLE at once, with the first reason", async () => {
    world({ [A]: refuses, [V6]: unroutable });
    const ending = await ask("time");
    const error = errorFrom(ending);
    expect(error).toMatchObject({ code: "UNREACHABLE", source: "time", cause: expect.objectContaining({ code: "ECONNREFUSED" }) });
    expect(error.message).toContain(`${A}:123, [${V6}]:123`);
    expect(ending.ms).toBeLessThan(10);
    expect(host.order).toEqual([A, V6]);
  });

  it("the last refusal ends it, whosever it is and whenever it comes", async () => {
    const late: Behaviour = { onRequest: (request) => setTimeout(() => request.refuse(errorOf("EHOSTUNREACH")), 600) };
    world({ [A]: late, [B]: refuses });
    const ending = await ask("time");
    expect(errorFrom(ending).code).toBe("UNREACHABLE");
    expect(ending.ms).toBe(600);
  });

  it("an unfit answer of one is still better than the error", async () => {
    world({ [A]: refuses, [B]: answers({ stratum: undefined }) });
    expect(sampleOf(await ask("time"))).toMatchObject({ address: B, usable: false });
  });

  it("a runtime without UDP says so", async () => {
    const bare = { runtime: "edge" as const, version: "", clock: host.clock, random: (bytes: Uint8Array<ArrayBuffer>) => host.random(bytes) };
    const { error } = await inVirtualTime(() => query(bare, A));
    expect(error).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("no UDP") });
  });

  it("a name that cannot be looked up is a DNS error", async () => {
    expect(errorFrom(await ask("nowhere.example"))).toMatchObject({ code: "DNS", source: "nowhere.example" });
  });
});

describe("datagrams that are no answer to this request change nothing", () => {
  const wrongOrigin = (reply: Uint8Array) => withOctet(reply, 31, (reply[31] ?? 0) ^ 1);

  it.each<[string, Behaviour]>([
    ["random octets", preceded([new Uint8Array(48).fill(0xa5)], answers())],
    ["an empty datagram", preceded([new Uint8Array(0)], answers())],
    ["an enormous datagram", preceded([new Uint8Array(65_507)], answers())],
    ["the request itself, reflected", { onRequest(request) { request.deliver(request.data, 1); answers().onRequest?.(request); } }],
    ["a thousand junk datagrams", preceded(Array.from({ length: 1000 }, (_, i) => new Uint8Array(i % 100).fill(i)), answers())],
  ])("%s first, then the answer", async (_, behaviour) => {
    host.at(A, behaviour);
    const ending = await ask(A);
    expect(sampleOf(ending).usable).toBe(true);
    expect(ending.ms).toBe(10);
  });

  it.each<[string, Behaviour, string]>([
    ["an origin wrong by one bit", answers({ spoil: wrongOrigin }), "test2"],
    ["another port", answers({ from: { port: 124 } }), "testF"],
    ["another address", answers({ from: { address: B } }), "testF"],
    ["mode 3", answers({ spoil: (reply) => withOctet(reply, 0, 0x23) }), "testE"],
    ["mode 5", answers({ spoil: (reply) => withOctet(reply, 0, 0x25) }), "testE"],
    ["a later version", answers({ spoil: (reply) => withOctet(reply, 0, 0x2c) }), "testE"],
    ["a truncated header", answers({ spoil: (reply) => reply.subarray(0, 47) }), "testD"],
    ["half an extension field", answers({ spoil: (reply) => Uint8Array.of(...reply, 1, 4, 0, 200) }), "testD"],
    ["a kiss with a wrong origin", kisses("DENY", { spoil: wrongOrigin }), "test2"],
    ["a kiss from another port", kisses("DENY", { from: { port: 124 } }), "testF"],
  ])("%s is no answer; the message counts it", async (_, behaviour, test) => {
    host.at(A, behaviour);
    const error = errorFrom(await ask(A));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toMatch(new RegExp(`passed over 2 × [^;]*${test}`));
  });

  it("a reply in two pieces is two pieces of junk", async () => {
    host.at(A, answers({ spoil: (reply) => [reply.slice(0, 24), reply.slice(24)] }));
    expect(errorFrom(await ask(A)).message).toContain("passed over 4 × testD");
  });

  it("a kiss with a wrong origin does not keep the server from being asked again", async () => {
    world({ [A]: [kisses("DENY", { spoil: wrongOrigin }), answers()] });
    expect(sampleOf(await ask("time")).usable).toBe(true);
    expect(host.times(A)).toEqual([0, 2000]);
  });

  it("an answer to the first request after the second is one still", async () => {
    host.at(A, answers({ there: 1500, back: 1500 }));
    const ending = await ask(A);
    expect(sampleOf(ending).delay).toBeCloseTo(3, 6);
    expect(ending.ms).toBe(3000);
  });

  it("an address in another spelling is the same sender", async () => {
    host.at("2001:0db8:0:0::1", answers({ from: { address: "2001:DB8::1" } }));
    expect(sampleOf(await ask("[2001:0db8:0:0::1]:123")).usable).toBe(true);
  });
});

describe("a kiss-o'-death", () => {
  it("is a sample with testA, at once where nobody else can be asked", async () => {
    host.at(A, kisses("RATE"));
    const ending = await ask(A);
    const sample = sampleOf(ending);
    expect(sample).toMatchObject({ kiss: "RATE", usable: false, stratum: 0 });
    expect(sample.problems().map(({ test }) => test)).toContain("testA");
    expect(ending.ms).toBe(10);
  });

  it.each(["DENY", "RSTR", "RATE", "X123"])("of %s is not answered by asking again", async (code) => {
    world({ [A]: kisses(code), [B]: silent });
    const ending = await ask("time");
    expect(sampleOf(ending).kiss).toBe(code);
    expect(host.order).toEqual([A, B, B]);
  });

  it("of one address does not keep the others from being asked", async () => {
    world({ [A]: kisses(), [B]: answers() });
    expect(sampleOf(await ask("time")).address).toBe(B);
  });

  it("is not answered by asking a doubled address again", async () => {
    host.name("time", [A, A]).at(A, kisses());
    await ask("time");
    expect(host.order).toEqual([A]);
  });
});

describe("an unfit sample", () => {
  it.each<[string, Behaviour, string]>([
    ["leap 3", answers({ spoil: (reply) => withOctet(reply, 0, 0xe4) }), "test6"],
    ["stratum 16", answers({ spoil: (reply) => withOctet(reply, 1, 16) }), "test6"],
    ["stratum 0 without a code", answers({ stratum: undefined, spoil: (reply) => withOctet(reply, 1, 0).fill(0, 12, 16) }), "test6"],
    ["a transmit timestamp of zero", answers({ spoil: (reply) => reply.slice().fill(0, 40) }), "test3"],
    ["a dispersion of two seconds", answers({ rootDispersion: 2 }), "testB"],
  ])("(%s) is given when there is nothing better, with its reason", async (_, behaviour, test) => {
    host.at(A, behaviour);
    const sample = sampleOf(await ask(A));
    expect(sample.usable).toBe(false);
    expect(sample.problems().map((problem) => problem.test)).toContain(test);
  });

  it("waits for a better one of a silent address until the time is over", async () => {
    world({ [A]: answers({ stratum: undefined }), [B]: silent });
    const ending = await ask("time", { timeout: 4 });
    expect(sampleOf(ending).address).toBe(A);
    expect(ending.ms).toBe(4000);
  });

  it("is the first of several: the resolver's order is a preference", async () => {
    world({ [A]: answers({ stratum: undefined }), [B]: kisses("RATE") });
    expect(sampleOf(await ask("time")).address).toBe(A);
  });

  it("gives way to a fit one that comes later", async () => {
    world({ [A]: answers({ stratum: undefined }), [B]: answers({ there: 1000 }) });
    expect(sampleOf(await ask("time")).address).toBe(B);
  });
});

describe("the caller's AbortSignal", () => {
  const listeners = (signal: AbortSignal) => {
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    return () => add.mock.calls.length - remove.mock.calls.length;
  };

  it("that has fired already: nothing is looked up, opened or sent", async () => {
    const resolve = vi.spyOn(host, "resolve");
    const reason = new Error("enough");
    const ending = await ask("time", { signal: AbortSignal.abort(reason) });
    expect(errorFrom(ending)).toMatchObject({ code: "ABORTED", source: "time", cause: reason });
    expect([resolve.mock.calls.length, host.sockets.length, ending.ms]).toEqual([0, 0, 0]);
  });

  it.each([
    ["while the name is looked up", 50],
    ["during a turn", 250],
    ["between the rounds", 1500],
  ])("ends it at once %s", async (_, when) => {
    host.name("time", { after: 100, addresses: [A, B] });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), when);
    const ending = await ask("time", { signal: controller.signal });
    expect(errorFrom(ending)).toMatchObject({ code: "ABORTED" });
    expect(ending.ms).toBe(when);
  });

  it("that fires while the socket opens leaves none open", async () => {
    host.at(A, { ...answers(), openTakes: 100 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    expect((await ask(A, { signal: controller.signal })).ms).toBe(50);
    expect(host.sockets.map(({ closed }) => closed)).toEqual([true]);
  });

  it("keeps no listener once the call has settled: a process-wide signal must not gather them", async () => {
    const controller = new AbortController();
    const left = listeners(controller.signal);
    host.at(A, answers());
    await ask(A, { signal: controller.signal });
    await ask(B, { signal: controller.signal, timeout: 1 });
    await ask("nowhere", { signal: controller.signal });
    expect(left()).toBe(0);
  });

  it("that fires afterwards changes nothing", async () => {
    host.at(A, answers());
    const controller = new AbortController();
    const sample = sampleOf(await ask(A, { signal: controller.signal }));
    controller.abort();
    await vi.runAllTimersAsync();
    expect(sample.usable).toBe(true);
  });
});

describe("options", () => {
  it.each([2000, 0, -1, NaN, Infinity, 300.1, 0.009, "5" as unknown as number, null as unknown as number])("a timeout of %s is refused; the message says seconds", async (timeout) => {
    const error = errorFrom(await ask(A, { timeout }));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toBe(`expected a timeout of 0.01..300 seconds, got ${timeout}`);
    expect(host.sockets).toEqual([]);
  });

  // 2.039 and 4.035 are a hair more, or less, than that in binary.
  it.each([0.01, 2.039, 4.035, 300])("a timeout of %s s is kept to the millisecond", async (timeout) => {
    expect((await ask(A, { timeout })).ms).toBe(Math.round(timeout * 1000));
  });

  it("without a timeout it is five seconds", async () => {
    expect((await ask(A)).ms).toBe(5000);
  });

  it.each([[{ version: 6 }, "version"], [{ version: 2 }, "version"], [{ family: 5 }, "family"]])("%j is refused", async (options, what) => {
    expect(errorFrom(await ask(A, options as QueryOptions))).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(what) });
  });

  it("fineRoot asks in an extension field, and its finer dispersion is told", async () => {
    host.at(A, answers({ rootDispersion: 100e-6 }));
    expect(sampleOf(await ask(A, { fineRoot: true })).rootDispersion).toBeCloseTo(100e-6, 8);
    expect(host.asked[0]?.data.length).toBeGreaterThan(48);
    expect(sampleOf(await ask(A)).rootDispersion).not.toBeCloseTo(100e-6, 8); // the header counts in 15 µs
  });
});

describe("on any network whatever", () => {
  const behaviour: fc.Arbitrary<() => Behaviour> = fc.oneof(
    fc.record({ there: fc.nat(900), back: fc.nat(900), sendTakes: fc.constantFrom(0, 30, 700) }).map(({ sendTakes, ...path }) => () => ({ ...answers(path), sendTakes })),
    fc.constantFrom(() => silent, () => refuses, () => unroutable, () => kisses(), () => answers({ stratum: undefined })),
    fc.constant(() => ({ ...silent, sendTakes: Infinity })),
    fc.nat(3000).map((openTakes) => () => ({ ...answers(), openTakes })),
    fc.constant(() => preceded([new Uint8Array(48), new Uint8Array(3)], answers({ there: 50 }))),
  );

  it("it settles once, in time, sends each address at most two requests two seconds apart, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(behaviour, behaviour), { minLength: 1, maxLength: 5 }), fc.integer({ min: 10, max: 6000 }), fc.option(fc.nat(4000), { nil: undefined }), async (scripts, timeout, abortAfter) => {
        host = new FakeHost();
        world(Object.fromEntries(scripts.map((script, i) => [i % 2 ? `2001:db8::${i}` : `192.0.2.${i + 1}`, script.map((make) => make())])));
        const controller = new AbortController();
        if (abortAfter !== undefined) setTimeout(() => controller.abort(), abortAfter);
        const { value, error, ms } = await ask("time", { timeout: timeout / 1000, signal: controller.signal });
        expect(ms).toBeLessThanOrEqual(Math.min(timeout, abortAfter ?? timeout));
        if (!value) expect(["TIMEOUT", "UNREACHABLE", "ABORTED"]).toContain((error as NtpError).code);
        for (const address of new Set(host.order)) {
          const [first = 0, second = Infinity, ...more] = host.times(address);
          expect(more).toEqual([]);
          expect(second - first).toBeGreaterThanOrEqual(2000);
        }
      }),
      { numRuns: 150 },
    );
  });
});

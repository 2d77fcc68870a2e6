// SPDX-License-Identifier: MIT OR Apache-2.0
/** One source asked once: its answer, what makes it unfit, what may be asked for; and any network whatever. Time is virtual. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { A, B, askingStage, errorFrom, sampleOf } from "../../../tests/support/asking.ts";
import { FakeHost, answers, kisses, preceded, refuses, silent, unroutable, withOctet, type Behaviour } from "../../../tests/support/fake-host.ts";
import { NtpError } from "../errors.ts";
import { type QueryOptions } from "./query.ts";

const stage = askingStage();
const { ask, world } = stage;

describe("an answer", () => {
  it("gives the offset of the server's clock, whatever ours says", async () => {
    stage.host = new FakeHost({ clockError: -3600 }).at(A, answers({ offset: 0.25, there: 20 }));
    const sample = sampleOf(await ask(A));
    expect(sample.offset).toBeCloseTo(3600.25, 8);
    expect(sample.delay).toBeCloseTo(0.04, 8);
    expect(sample).toMatchObject({ source: A, address: A, port: 123, stratum: 1, leap: 0, mode: 4, version: 4, usable: true });
  });

  it("over a lopsided path is wrong by half the difference, within its bound", async () => {
    stage.host.at(A, answers({ there: 101, back: 1 }));
    const sample = sampleOf(await ask(A));
    expect(sample.offset).toBeCloseTo(0.05, 8);
    expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.rootDistance);
  });

  it("comes to the port and in the version asked", async () => {
    stage.host.at(`${A} 4123`, answers());
    const sample = sampleOf(await ask(`${A}:4123`, { version: 3 }));
    expect(sample).toMatchObject({ port: 4123, version: 3 });
    expect((stage.host.asked[0]?.data[0] ?? 0) >> 3).toBe(3);
  });

  it("of a request that tells nothing: all but version, mode, precision and a random timestamp is zero", async () => {
    stage.host.at(A, answers());
    await ask(A);
    await ask(A);
    const [first, second] = stage.host.asked.map(({ data }) => data);
    expect(first?.length).toBe(48);
    expect([...(first?.subarray(4, 40) ?? [])].every((octet) => octet === 0)).toBe(true);
    expect(first?.subarray(40)).not.toEqual(second?.subarray(40));
    expect(stage.host.asked[0]?.localPort).not.toBe(stage.host.asked[1]?.localPort);
  });

  it("that arrives before send() has told its stamp is not lost", async () => {
    stage.host.at(A, { ...answers({ there: 1 }), sendTakes: 50 });
    const ending = await ask(A);
    expect(sampleOf(ending).delay).toBeCloseTo(0.002, 8);
    expect(ending.ms).toBe(50);
  });

  it("with a flood before send() has told its stamp is judged within bounds", async () => {
    stage.host.at(A, { ...preceded(Array.from({ length: 100 }, () => new Uint8Array(48)), answers({ there: 9 })), sendTakes: 50 });
    const { message } = errorFrom(await ask(A, { timeout: 0.1 }));
    expect(message).toMatch(/passed over 16 ×/);
  });

  it("to a request whose send() never settles is a silence, not a hang", async () => {
    stage.host.at(A, { ...answers(), sendTakes: Infinity });
    expect(errorFrom(await ask(A)).code).toBe("TIMEOUT");
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
    stage.host.at(A, behaviour);
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

describe("options", () => {
  it.each([2000, 0, -1, NaN, Infinity, 300.1, 0.009, "5" as unknown as number, null as unknown as number])("a timeout of %s is refused; the message says seconds", async (timeout) => {
    const error = errorFrom(await ask(A, { timeout }));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toBe(`expected a timeout of 0.01..300 seconds, got ${timeout}`);
    expect(stage.host.sockets).toEqual([]);
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
    stage.host.at(A, answers({ rootDispersion: 100e-6 }));
    expect(sampleOf(await ask(A, { fineRoot: true })).rootDispersion).toBeCloseTo(100e-6, 8);
    expect(stage.host.asked[0]?.data.length).toBeGreaterThan(48);
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
        stage.host = new FakeHost();
        world(Object.fromEntries(scripts.map((script, i) => [i % 2 ? `2001:db8::${i}` : `192.0.2.${i + 1}`, script.map((make) => make())])));
        const controller = new AbortController();
        if (abortAfter !== undefined) setTimeout(() => controller.abort(), abortAfter);
        const { value, error, ms } = await ask("time", { timeout: timeout / 1000, signal: controller.signal });
        expect(ms).toBeLessThanOrEqual(Math.min(timeout, abortAfter ?? timeout));
        if (!value) expect(["TIMEOUT", "UNREACHABLE", "ABORTED"]).toContain((error as NtpError).code);
        for (const address of new Set(stage.host.order)) {
          const [first = 0, second = Infinity, ...more] = stage.host.times(address);
          expect(more).toEqual([]);
          expect(second - first).toBeGreaterThanOrEqual(2000);
        }
      }),
      { numRuns: 150 },
    );
  });
});

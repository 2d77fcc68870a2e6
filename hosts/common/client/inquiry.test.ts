// SPDX-License-Identifier: MIT OR Apache-2.0
/** One source asked once, of whose addresses some are silent, refuse or come late; and a caller who has changed their mind. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { A, B, C, V6, askingStage, errorFrom, sampleOf } from "../../../tests/support/asking.ts";
import { answers, errorOf, inVirtualTime, refuses, silent, unroutable, type Behaviour } from "../../../tests/support/fake-host.ts";
import { query } from "./query.ts";

const stage = askingStage();
const { ask, world } = stage;

describe("among several addresses", () => {
  it("the first usable answer wins and the others are not asked", async () => {
    world({ [A]: answers({ there: 20 }), [B]: answers() });
    const ending = await ask("time");
    expect(sampleOf(ending)).toMatchObject({ source: "time", address: A });
    expect(stage.host.order).toEqual([A]);
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
    expect(stage.host.order).toEqual([V6, A]);
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
    expect(stage.host.sockets.map(({ options }) => [options.family, options.connect?.address])).toEqual([[4, A], [6, V6]]);
    expect(new Set(stage.host.asked.map(({ localPort }) => localPort)).size).toBe(2);
  });

  it("only those of the family asked for are tried", async () => {
    world({ [V6]: answers(), [A]: answers() });
    expect(sampleOf(await ask("time", { family: 4 })).address).toBe(A);
    expect(stage.host.order).toEqual([A]);
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
    expect(stage.host.times(A)).toEqual([0, 2000]);
    expect(stage.host.times(B)).toEqual([400, 2400]);
  });

  it("at first is mended by the second request", async () => {
    world({ [A]: [silent, answers()] });
    const ending = await ask("time");
    expect(sampleOf(ending).usable).toBe(true);
    expect(ending.ms).toBe(2010);
    expect(stage.host.asked[0]?.data).not.toEqual(stage.host.asked[1]?.data);
  });

  it("of many addresses holds each to two requests, in order", async () => {
    world({ [A]: silent, [B]: refuses, [C]: silent, [V6]: silent });
    await ask("time", { timeout: 30 });
    expect(stage.host.order).toEqual([A, V6, B, C, A, V6, C]);
  });

  it("of one with a refusal of the other says both", async () => {
    world({ [V6]: unroutable, [A]: silent });
    const { code, message } = errorFrom(await ask("time"));
    expect(code).toBe("TIMEOUT");
    expect(message).toContain(`[${V6}]:123: ENETUNREACH`);
  });

  it("while the socket opens is ended in time, and the socket that opens too late is closed", async () => {
    stage.host.at(A, { ...answers(), openTakes: 10_000 });
    const ending = await ask(A, { timeout: 1 });
    expect(errorFrom(ending).code).toBe("TIMEOUT");
    expect(ending.ms).toBe(1000);
    expect(stage.host.sockets.length).toBe(1);
    expect(stage.host.asked).toEqual([]);
  });

  it("counts from when the request was sent, however long the socket took to open", async () => {
    stage.host.at(A, { ...silent, openTakes: 1900 }, silent);
    await ask(A, { timeout: 10 });
    expect(stage.host.times(A)).toEqual([1900, 3900]);
  });

  it("of the resolver is ended in time, and what it says too late is not acted upon", async () => {
    stage.host.name("slow", { after: 10_000, addresses: [A, B] });
    const ending = await ask("slow", { timeout: 1 });
    expect(errorFrom(ending)).toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("did not resolve in time") });
    expect(ending.ms).toBe(1000);
    expect(stage.host.sockets).toEqual([]);
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
    expect(stage.host.order).toEqual([A, V6]);
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
    const bare = { runtime: "edge" as const, version: "", clock: stage.host.clock, random: (bytes: Uint8Array<ArrayBuffer>) => stage.host.random(bytes) };
    const { error } = await inVirtualTime(() => query(bare, A));
    expect(error).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("no UDP") });
  });

  it("a name that cannot be looked up is a DNS error", async () => {
    expect(errorFrom(await ask("nowhere.example"))).toMatchObject({ code: "DNS", source: "nowhere.example" });
  });
});

describe("the caller's AbortSignal", () => {
  const listeners = (signal: AbortSignal) => {
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    return () => add.mock.calls.length - remove.mock.calls.length;
  };

  it("that has fired already: nothing is looked up, opened or sent", async () => {
    const resolve = vi.spyOn(stage.host, "resolve");
    const reason = new Error("enough");
    const ending = await ask("time", { signal: AbortSignal.abort(reason) });
    expect(errorFrom(ending)).toMatchObject({ code: "ABORTED", source: "time", cause: reason });
    expect([resolve.mock.calls.length, stage.host.sockets.length, ending.ms]).toEqual([0, 0, 0]);
  });

  it.each([
    ["while the name is looked up", 50],
    ["during a turn", 250],
    ["between the rounds", 1500],
  ])("ends it at once %s", async (_, when) => {
    stage.host.name("time", { after: 100, addresses: [A, B] });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), when);
    const ending = await ask("time", { signal: controller.signal });
    expect(errorFrom(ending)).toMatchObject({ code: "ABORTED" });
    expect(ending.ms).toBe(when);
  });

  it("that fires while the socket opens leaves none open", async () => {
    stage.host.at(A, { ...answers(), openTakes: 100 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    expect((await ask(A, { signal: controller.signal })).ms).toBe(50);
    expect(stage.host.sockets.map(({ closed }) => closed)).toEqual([true]);
  });

  it("keeps no listener once the call has settled: a process-wide signal must not gather them", async () => {
    const controller = new AbortController();
    const left = listeners(controller.signal);
    stage.host.at(A, answers());
    await ask(A, { signal: controller.signal });
    await ask(B, { signal: controller.signal, timeout: 1 });
    await ask("nowhere", { signal: controller.signal });
    expect(left()).toBe(0);
  });

  it("that fires afterwards changes nothing", async () => {
    stage.host.at(A, answers());
    const controller = new AbortController();
    const sample = sampleOf(await ask(A, { signal: controller.signal }));
    controller.abort();
    await vi.runAllTimersAsync();
    expect(sample.usable).toBe(true);
  });
});

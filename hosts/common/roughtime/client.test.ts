// SPDX-License-Identifier: MIT OR Apache-2.0
/** One server asked: transports and addresses in turn, the back-off, what is passed over, and that nothing is left behind. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeHost, errorOf, inVirtualTime, silent, trueNs, unroutable, type Behaviour } from "../../../tests/support/fake-host.ts";
import type { Host } from "../host.ts";
import type { ByteStream } from "../stream.ts";
import { BatchCore } from "./batch.ts";
import { askServer, type AskOptions } from "./client.ts";
import { sign } from "./ed25519.ts";
import { greased, type Grease } from "./grease.ts";
import { delegate, generateKey } from "./keys.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const strong = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
const key = generateKey(strong);
const core = new BatchCore(key.publicKey);
const HERE = "192.0.2.1";
const THERE = "2001:db8::1";

async function answerTo(request: Uint8Array): Promise<Uint8Array | undefined> {
  const midpoint = trueNs() / 1_000_000_000n;
  const { seed, certificate } = delegate(strong, key, midpoint - 10n, midpoint + 10n);
  let answer: Uint8Array | undefined;
  await core.answer([{ data: request, least: 0, reply: (octets) => (answer = octets) }], { midpoint, radius: 3, certificate, sign: (context, value) => sign(seed, context, value) });
  return answer;
}

/** Answers after `ms`, spoilt or not. */
const answers = (ms = 10, spoil = (answer: Uint8Array) => answer, from?: { address: string; port: number }): Behaviour => ({
  onRequest: (request) => void answerTo(request.data).then((answer) => answer && request.deliver(spoil(answer), ms, from)),
});
const greases = (kind: Grease) => answers(10, (answer) => greased(answer, kind, new Uint8Array(16).fill(3)));

interface Connected {
  readonly address: string;
  readonly at: number;
  closed: boolean;
}

/** The fake host with TCP: `behave` answers what was written, refuses by an error, or is silent. */
function withTcp(host: FakeHost, behave: "answers" | "refuses" | "silent" | "hangs up"): Host & { connections: Connected[] } {
  const born = performance.now();
  const connections: Connected[] = [];
  const connectTcp = async ({ address }: { address: string }): Promise<ByteStream> => {
    const connected = { address, at: Math.round(performance.now() - born), closed: behave === "refuses" };
    connections.push(connected);
    if (behave === "refuses") throw errorOf("ECONNREFUSED");
    let wake: ((data: Uint8Array | undefined) => void) | undefined;
    return {
      read: () => new Promise((resolve) => (wake = resolve)),
      async write(request) {
        const answer = behave === "answers" ? await answerTo(request) : undefined;
        if (behave !== "silent") setTimeout(() => wake?.(answer), 5);
      },
      close() {
        connected.closed = true;
        wake?.(undefined);
      },
    };
  };
  return Object.assign(host, { connections, connectTcp, random: strong.random });
}

const server = (...hosts: string[]) => ({
  name: "test",
  publicKey: key.publicKey,
  addresses: (["udp", "tcp"] as const).flatMap((protocol) => hosts.map((host) => ({ protocol, host, port: 2002 }))),
});

/** Ask, in virtual time; whatever happens, nothing may be left open. */
async function ask(fake: FakeHost, host: Host & { connections?: Connected[] }, hosts = [HERE], options: AskOptions = {}) {
  const ending = await inVirtualTime(() => askServer(host, server(...hosts), options));
  expect(fake.openSockets).toEqual([]);
  expect((host.connections ?? []).filter(({ closed }) => !closed)).toEqual([]);
  // One may be the fake network's.
  expect(vi.getTimerCount()).toBeLessThanOrEqual(1);
  return ending;
}

describe("a server", () => {
  it("that answers over UDP is asked once, and with TCP not at all", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, answers());
    const host = withTcp(fake, "answers");
    const { value, ms } = await ask(fake, host);
    expect(value).toMatchObject({ transport: "udp", endpoint: { address: HERE, port: 2002 }, answer: { radius: 3 } });
    expect([ms, fake.asked.length, host.connections.length]).toEqual([10, 1, 0]);
  });

  it("that is silent over UDP is asked by TCP a second later", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, silent);
    const host = withTcp(fake, "answers");
    const { value } = await ask(fake, host);
    expect(value?.transport).toBe("tcp");
    expect(host.connections).toMatchObject([{ address: HERE, at: 1000 }]);
  });

  it("that is silent everywhere is asked again after 1, 1.5, 2.25 … s, by each transport in turn", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, silent);
    const host = withTcp(fake, "silent");
    const { error, ms } = await ask(fake, host, [HERE], { timeout: 12 });
    expect([fake.times(HERE), host.connections.map(({ at }) => at), ms]).toEqual([[0, 2500, 8125], [1000, 4750], 12000]);
    expect(error).toMatchObject({ code: "TIMEOUT", source: "test" });
  });

  it("that answers late is heard all the same: an attempt goes on while others are under way", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, answers(1800), silent);
    const { value, ms } = await ask(fake, withTcp(fake, "silent"));
    expect([value?.transport, ms]).toEqual(["udp", 1800]);
  });

  it("that cannot be reached by one family is asked over the other at once", async () => {
    const fake = new FakeHost().at(`${THERE} 2002`, unroutable).at(`${HERE} 2002`, answers());
    const { value, ms } = await ask(fake, withTcp(fake, "answers"), [THERE, HERE]);
    expect([value?.endpoint.address, ms]).toEqual([HERE, 10]);
  });

  it("that refuses everywhere is UNREACHABLE at once", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, unroutable);
    const { error, ms } = await ask(fake, withTcp(fake, "refuses"));
    expect(error).toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining("ECONNREFUSED") });
    expect(ms).toBe(0);
  });

  it("has each request's nonce drawn anew", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, silent);
    await ask(fake, withTcp(fake, "refuses"), [HERE], { timeout: 9 });
    const texts = fake.asked.map(({ data }) => Buffer.from(data).toString("hex"));
    expect(texts.length).toBeGreaterThan(2);
    expect(new Set(texts).size).toBe(texts.length);
  });
});

describe("an answer", () => {
  it.each<Grease>(["missing", "version", "signature"])("greased by %s is passed over, and the next one taken", async (kind) => {
    const fake = new FakeHost().at(`${HERE} 2002`, greases(kind), answers());
    const { value, ms } = await ask(fake, withTcp(fake, "hangs up"));
    expect([value?.transport, ms]).toEqual(["udp", 2510]);
  });

  it("with a tag that nobody knows is taken at once", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, greases("undefined"));
    expect((await ask(fake, fake)).ms).toBe(10);
  });

  it.each([["another address", { address: "192.0.2.9", port: 2002 }], ["another port", { address: HERE, port: 2003 }]])("from %s is passed over, right as it is", async (_, from) => {
    const fake = new FakeHost().at(`${HERE} 2002`, answers(10, (answer) => answer, from));
    const { error } = await ask(fake, withTcp(fake, "silent"), [HERE], { timeout: 0.5 });
    expect(error).toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("1 × from another address") });
  });

  it("that was refused is told of when no other came", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, answers(10, (answer) => answer.subarray(0, 300)));
    const { error } = await ask(fake, withTcp(fake, "silent"), [HERE], { timeout: 0.5 });
    expect((error as Error).message).toMatch(/refused 1 × malformed/);
  });

  it("to the request before is none to this one: a replay is passed over", async () => {
    let first: Uint8Array | undefined;
    const replays: Behaviour = { onRequest: (request) => void answerTo(request.data).then((answer) => request.deliver((first ??= answer!), 10)) };
    const fake = new FakeHost().at(`${HERE} 2002`, replays);
    const host = withTcp(fake, "silent");
    expect((await ask(fake, host)).value).toBeDefined();
    const { error } = await ask(fake, host, [HERE], { timeout: 0.5 });
    expect((error as Error).message).toMatch(/nonce/);
  });

  it("over a connection that ends before it is a failure, not an endless wait", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, unroutable);
    const { error } = await ask(fake, withTcp(fake, "hangs up"), [HERE], { timeout: 3 });
    expect((error as Error).message).toMatch(/closed the connection without a valid response/);
  });
});

describe("asking", () => {
  it("ends at its caller's signal, before and in the midst", async () => {
    const fake = new FakeHost().at(`${HERE} 2002`, silent);
    const abort = new AbortController();
    setTimeout(() => abort.abort("enough"), 700);
    const { error, ms } = await ask(fake, withTcp(fake, "silent"), [HERE], { signal: abort.signal });
    expect([ms, error]).toEqual([700, expect.objectContaining({ code: "ABORTED", cause: "enough" })]);
    expect((await ask(fake, fake, [HERE], { signal: abort.signal })).error).toMatchObject({ code: "ABORTED" });
  });

  it("of a name without address is DNS, and where there is neither UDP nor TCP it is UNSUPPORTED", async () => {
    const fake = new FakeHost();
    expect((await ask(fake, fake, ["nowhere.example"])).error).toMatchObject({ code: "DNS" });
    const bare = { runtime: "browser", version: "1", clock: fake.clock, random: strong.random } as Host;
    expect((await ask(fake, bare)).error).toMatchObject({ code: "UNSUPPORTED" });
  });
});

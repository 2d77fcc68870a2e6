// SPDX-License-Identifier: MIT OR Apache-2.0
/** Keys by a server's name: which address, whose TLS, until when; every way that it ends. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { testJar } from "../../../tests/support/cookies.ts";
import { FakeHost, inVirtualTime } from "../../../tests/support/fake-host.ts";
import { PairedStream, streamPair } from "../../../tests/support/tls-pair.ts";
import { writeKeMessage } from "../core/cold.ts";
import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { TlsClientOptions, TlsStream } from "../stream.ts";
import { answerTo } from "./answer.ts";
import { establishKeys, type KeClientOptions } from "./client.ts";
import { receiveKeMessage } from "./receive.ts";

const NAME = "ke.example";
const unsupported = () => new NtpError("UNSUPPORTED", "not here");
const refusing = async () => { throw new NtpError("UNREACHABLE", "nobody there"); };

/** What an address does when it is connected to. */
type Behaviour = (options: TlsClientOptions) => Promise<TlsStream>;

const streams: PairedStream[] = [];

/** Connects, and answers as a server does, after `ms`. */
function answering(ms = 0): Behaviour {
  return async () => {
    const [client, server] = streamPair();
    streams.push(client);
    void receiveKeMessage(server, { octets: 4096, records: 32 }).then(async (request) => {
      if ("ended" in request) return;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      const { records } = await answerTo(request, server, "192.0.2.1", { protocols: [0], aeads: [15], jar: testJar(), servers: [{}], random: () => 0 });
      await server.write(writeKeMessage(records)).catch(() => {});
    });
    return client;
  };
}

/** Never comes to an end by itself, but obeys its signal. */
const hanging: Behaviour = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("given up"))));

interface Connected {
  readonly address: string;
  readonly options: TlsClientOptions;
  readonly at: number;
}

/** A host whose name has these addresses, each of which behaves so. */
function hostWith(behaviours: Record<string, Behaviour>): { host: Host; connected: Connected[] } {
  const fake = new FakeHost().name(NAME, Object.keys(behaviours));
  const connected: Connected[] = [];
  const start = performance.now();
  const connectTls = async (options: TlsClientOptions) => {
    const { address } = options.endpoint;
    connected.push({ address, options, at: Math.round(performance.now() - start) });
    return behaviours[address]!(options);
  };
  return { host: Object.assign(fake, { connectTls }) as Host, connected };
}

const ask = (host: Host, options: Partial<KeClientOptions> = {}) => inVirtualTime(() => establishKeys(host, { host: NAME, ...options }));

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] }));
afterEach(() => {
  expect(vi.getTimerCount(), "no timer is left").toBe(0);
  vi.useRealTimers();
  for (const stream of streams.splice(0)) expect(stream.closed, "every stream is closed").toBe(true);
});

describe("keys from a name", () => {
  it("come from its address, at port 4460, by the protocol ntske/1 and the name", async () => {
    const { host, connected } = hostWith({ "192.0.2.1": answering() });
    const { value } = await ask(host);
    expect(value).toMatchObject({ aead: 15, host: "192.0.2.1", port: 123 });
    expect(connected[0]!.options).toMatchObject({ endpoint: { address: "192.0.2.1", port: 4460 }, serverName: NAME, alpn: ["ntske/1"], pq: "prefer", time: undefined });
  });

  it("come from the next address, of the other family first, when one refuses", async () => {
    const { host, connected } = hostWith({ "2001:db8::1": refusing, "2001:db8::2": refusing, "192.0.2.1": answering() });
    expect((await ask(host)).value?.host).toBe("192.0.2.1");
    expect(connected.map(({ address }) => address)).toEqual(["2001:db8::1", "192.0.2.1"]);
  });

  it("come from the next address when one is silent for a second, and the silent one is given up", async () => {
    const given: TlsClientOptions[] = [];
    const { host, connected } = hostWith({ "192.0.2.1": (options) => { given.push(options); return hanging(options); }, "192.0.2.2": answering() });
    expect((await ask(host)).value?.host).toBe("192.0.2.2");
    expect(connected.map(({ at }) => at)).toEqual([0, 1000]);
    expect(given[0]!.signal.aborted).toBe(true);
  });

  it("come over the first of two connections that stand, and the other is closed", async () => {
    const late: Behaviour = async (options) => { await new Promise((resolve) => setTimeout(resolve, 1500)); return answering()(options); };
    const { host } = hostWith({ "192.0.2.1": late, "192.0.2.2": answering(2000) });
    expect((await ask(host)).value?.host).toBe("192.0.2.2");
  });

  it("come only over the family asked for", async () => {
    const { host, connected } = hostWith({ "2001:db8::1": answering(), "192.0.2.1": answering() });
    expect((await ask(host, { family: 4 })).value?.host).toBe("192.0.2.1");
    expect(connected.length).toBe(1);
  });
});

describe("whose TLS", () => {
  const own = (log: TlsClientOptions[]) => async () => async (_tcp: unknown, options: TlsClientOptions) => {
    log.push(options);
    return answering()(options);
  };
  const withTcp = (host: Host): Host => Object.assign(host, { connectTcp: async () => streamPair()[0], rootCertificates: async () => "ROOTS" });

  it("the runtime's where it can; our own is not even loaded", async () => {
    const { host } = hostWith({ "192.0.2.1": answering() });
    const load = vi.fn();
    await ask(withTcp(host), { tls: load });
    expect(load).not.toHaveBeenCalled();
  });

  it("our own where the runtime's says it cannot, or is missing, with the runtime's roots", async () => {
    const log: TlsClientOptions[] = [];
    const { host } = hostWith({ "192.0.2.1": async () => { throw unsupported(); } });
    expect((await ask(withTcp(host), { tls: own(log), time: 1 })).value).toBeDefined();
    expect(log[0]).toMatchObject({ time: 1, ca: "ROOTS", serverName: NAME });
    const bare = withTcp(new FakeHost().name(NAME, ["192.0.2.1"]));
    expect((await ask(bare, { tls: own(log), ca: "MINE" })).value).toBeDefined();
    expect(log[1]).toMatchObject({ ca: "MINE" });
  });

  it("the runtime's without ML-KEM where that is only preferred and there is no way to have it", async () => {
    const classic: Behaviour = async (options) => { if (options.pq !== "off") throw unsupported(); return answering()(options); };
    const { host, connected } = hostWith({ "192.0.2.1": classic });
    expect((await ask(host)).value).toBeDefined();
    expect(connected.map(({ options }) => options.pq)).toEqual(["prefer", "off"]);
  });

  it("none where ML-KEM is required, or a time is given, and nobody can: never less than asked", async () => {
    const cannot: Behaviour = async (options) => { if (options.pq !== "off" || options.time !== undefined) throw unsupported(); return answering()(options); };
    for (const options of [{ pq: "require" }, { time: 1 }, { time: "any", pq: "off" }] as const) {
      const { host } = hostWith({ "192.0.2.1": cannot });
      expect((await ask(host, options)).error).toMatchObject({ code: "UNSUPPORTED" });
    }
  });

  it("none on a host that has neither TLS nor TCP", async () => {
    expect((await ask(new FakeHost())).error).toMatchObject({ code: "UNSUPPORTED", source: NAME });
  });

  it("closes its TCP connection when our own TLS fails", async () => {
    const [tcp] = streamPair();
    const host = Object.assign(new FakeHost().name(NAME, ["192.0.2.1"]), { connectTcp: async () => tcp, rootCertificates: async () => "ROOTS" }) as Host;
    const failing = async () => async () => { throw new NtpError("TLS", "bad certificate"); };
    expect((await ask(host, { tls: failing })).error).toMatchObject({ code: "TLS" });
    expect(tcp.closed).toBe(true);
  });
});

describe("it ends with an error", () => {
  it("when nobody answers in time: connecting, or after it", async () => {
    for (const behaviour of [hanging, answering(60_000)]) {
      const { host } = hostWith({ "192.0.2.1": behaviour });
      const ended = inVirtualTime(() => establishKeys(host, { host: NAME, timeout: 3, source: "nts:ke.example" }));
      const { error, ms } = await ended;
      expect(error).toMatchObject({ code: "TIMEOUT", source: "nts:ke.example" });
      expect(ms).toBe(3000);
      vi.clearAllTimers();
    }
  });

  it("when its caller aborts, before or during", async () => {
    const { host } = hostWith({ "192.0.2.1": hanging });
    expect((await ask(host, { signal: AbortSignal.abort("no") })).error).toMatchObject({ code: "ABORTED", cause: "no" });
    const controller = new AbortController();
    setTimeout(() => controller.abort("later"), 500);
    expect(await ask(host, { signal: controller.signal })).toMatchObject({ error: { code: "ABORTED", cause: "later" }, ms: 500 });
  });

  it("that tells most when all addresses have failed", async () => {
    const mistrusted = async () => { throw new NtpError("TLS", "certificate has expired"); };
    const { host } = hostWith({ "192.0.2.1": refusing, "192.0.2.2": mistrusted, "192.0.2.3": refusing });
    expect((await ask(host)).error).toMatchObject({ code: "TLS", message: expect.stringContaining("expired"), source: NAME });
    expect((await ask(hostWith({ "192.0.2.1": refusing }).host)).error).toMatchObject({ code: "UNREACHABLE" });
  });

  it("when the server refuses, without asking its other addresses", async () => {
    const { host, connected } = hostWith({ "192.0.2.1": answering(), "192.0.2.2": answering() });
    expect((await ask(host, { aeads: [17] })).error).toMatchObject({ code: "NTS_KE", source: NAME });
    expect(connected.length).toBe(1);
  });

  it("when the name has no address", async () => {
    const { host } = hostWith({ "192.0.2.1": answering() });
    expect((await ask(host, { host: "other.example" })).error).toMatchObject({ code: "DNS" });
  });

  it("when the resolver hangs, which cannot be cancelled", async () => {
    const host = Object.assign(new FakeHost().name(NAME, { after: Infinity, addresses: [] }), { connectTls: hanging }) as Host;
    expect(await ask(host, { timeout: 2 })).toMatchObject({ error: { code: "TIMEOUT" }, ms: 2000 });
  });

  it("when a connection fails in the middle, whatever the runtime calls it", async () => {
    const breaking: Behaviour = async () => {
      const [client] = streamPair();
      streams.push(client);
      client.read = async () => { throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }); };
      return client;
    };
    expect((await ask(hostWith({ "192.0.2.1": breaking }).host)).error).toMatchObject({ code: "TLS", message: expect.stringContaining("ECONNRESET") });
  });

  it("before anybody is asked when what is asked for has no meaning", async () => {
    const { host, connected } = hostWith({ "192.0.2.1": answering() });
    for (const options of [{ aeads: [99] }, { timeout: 0 }, { timeout: NaN }, { timeout: 1e9 }, { server: "a b" }]) expect((await ask(host, options)).error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(connected).toEqual([]);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/** The server on real loopback sockets of Node's, and its options. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lendHost } from "../../node/index.ts";
import { openUdp } from "../../node/udp.ts";
import { runtimeClock } from "../../node/clock.ts";
import type { Datagram, Endpoint, Host, UdpHandlers, UdpOptions, UdpSocket } from "../host.ts";
import { query } from "../client/query.ts";
import { serve, type ServeOptions, type Server } from "./serve.ts";

const LOOPBACK = "127.0.0.1";
/** Only a failure takes this long. */
const PATIENCE_MS = 60_000;
const clock = runtimeClock();

/** Node's own sockets, counted. */
let opened: { readonly socket: UdpSocket; closed: boolean }[];
let host: Host;
let servers: Server[];

beforeEach(() => {
  opened = [];
  servers = [];
  host = {
    runtime: "node", version: "", clock,
    random: (bytes) => crypto.getRandomValues(bytes),
    async openUdp(options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
      const socket = await openUdp(clock, options, handlers);
      const entry = { socket, closed: false };
      opened.push(entry);
      const close = socket.close.bind(socket);
      socket.close = () => {
        entry.closed = true;
        close();
      };
      return socket;
    },
  };
});

afterEach(async () => {
  for (const server of servers) await server.close();
  expect(opened.filter(({ closed }) => !closed)).toEqual([]);
});

async function start(options: ServeOptions = {}, on = host): Promise<Server> {
  const server = await serve(on, { listen: [LOOPBACK], port: 0, ...options });
  servers.push(server);
  return server;
}

const portOf = ({ addresses }: Server): number => addresses[0]?.port ?? 0;
const ask = (server: Server) => query(host, `${LOOPBACK}:${portOf(server)}`, { timeout: 20 });

/** Send octets from a socket of one's own and gather what comes back. */
async function exchange(to: Endpoint, packets: readonly Uint8Array[], until: () => boolean): Promise<Uint8Array[]> {
  const replies: Uint8Array[] = [];
  const handlers: UdpHandlers = { onDatagram: ({ data }: Datagram) => void replies.push(Uint8Array.from(data)), onError: () => {} };
  const socket = await openUdp(clock, { family: to.address.includes(":") ? 6 : 4 }, handlers);
  try {
    for (const packet of packets) await socket.send(packet, to);
    await vi.waitFor(() => expect(until() || replies.length >= packets.length).toBe(true), PATIENCE_MS);
    return replies;
  } finally {
    socket.close();
  }
}

function request(version = 4, mode = 3, length = 48): Uint8Array {
  const packet = new Uint8Array(length);
  packet[0] = (version << 3) | mode;
  if (length >= 48) packet.fill(0x5a, 40, 48);
  return packet;
}

const families = await (async () => {
  try {
    (await openUdp(clock, { family: 6, address: "::1" }, { onDatagram() {}, onError() {} })).close();
    return 2;
  } catch {
    console.warn("SKIPPED: dual-stack tests need IPv6 on loopback");
    return 1;
  }
})();

describe("a server", () => {
  it("told its stratum tells this host's time", async () => {
    const sample = await ask(await start({ stratum: 3, refid: "192.0.2.9" }));
    expect(sample).toMatchObject({ stratum: 3, leap: 0, mode: 4, refid: "192.0.2.9", usable: true });
    expect(Math.abs(sample.offset)).toBeLessThan(sample.rootDistance);
  });

  it("not told one vouches for nothing: leap 3, stratum 0, INIT", async () => {
    const sample = await ask(await start({ refid: "GPS", leap: 1 }));
    expect(sample).toMatchObject({ stratum: 0, leap: 3, refid: "INIT", usable: false });
  });

  it("with a clock of its caller's own serves that, and is within its bound", async () => {
    let readings = 0;
    const ahead = () => {
      readings += 1;
      return clock.now() + 3_600_000_000_000n;
    };
    const sample = await ask(await start({ stratum: 1, clock: ahead }));
    expect(Math.abs(sample.offset - 3600)).toBeLessThan(sample.rootDistance);
    expect(readings).toBeGreaterThanOrEqual(2); // t2 and t3 are both on that clock
    expect(sample.t3 >= sample.t2).toBe(true);
  });

  it("tells its leap, root delay and dispersion", async () => {
    const sample = await ask(await start({ stratum: 2, leap: 1, rootDelay: 0.25, rootDispersion: 0.5 }));
    expect(sample).toMatchObject({ leap: 1, rootDelay: 0.25, rootDispersion: 0.5 });
  });

  it("by default claims ten milliseconds of dispersion, not zero", async () => {
    expect((await ask(await start({ stratum: 1 }))).rootDispersion).toBeCloseTo(0.01, 4);
  });

  it.each([[{ stratum: 1 }, "LOCL"], [{ stratum: 1, refid: "PPS" }, "PPS"], [{ stratum: 2 }, "127.127.1.1"], [{ stratum: 15, refid: "255.0.0.1" }, "255.0.0.1"]])("of %j has the refid %s", async (options, refid) => {
    expect((await ask(await start(options))).refid).toBe(refid);
  });

  it("with a kiss sends nothing but that, to the right asker", async () => {
    const sample = await ask(await start({ kiss: "DENY", stratum: 1 }));
    expect(sample.kiss).toBe("DENY");
    expect(sample.problems().map(({ test }) => test)).toEqual(expect.arrayContaining(["test4", "testA"]));
  });

  it("answers IPv4 and IPv6 on one free port", { skip: families < 2 }, async () => {
    const server = await serve(host, { port: 0, stratum: 1 });
    servers.push(server);
    const { addresses } = server;
    expect(addresses.map(({ address }) => address)).toEqual(["0.0.0.0", "::"]);
    expect(addresses[0]?.port).toBe(addresses[1]?.port);
    for (const address of [LOOPBACK, "[::1]"]) expect((await query(host, `${address}:${portOf(server)}`)).usable).toBe(true);
    expect(server.stats).toMatchObject({ received: 2, dropped: 0 });
  });

  it("is reached with kernel time stamps, too, where this host has them", async () => {
    const server = await start({ stratum: 1 });
    expect((await query(await lendHost(), `${LOOPBACK}:${portOf(server)}`)).usable).toBe(true);
  });
});

describe("what has no right to an answer is counted and gets none", () => {
  const bad: Record<string, Uint8Array> = {
    "an empty datagram": new Uint8Array(0),
    "one octet": new Uint8Array(1),
    "47 octets": request(4, 3, 48).subarray(0, 47),
    "version 0": request(0),
    "version 5": request(5),
    "mode 0": request(4, 0),
    "mode 2": request(4, 2),
    "mode 4: two servers would answer each other for ever": request(4, 4),
    "mode 5": request(4, 5),
    "mode 6": request(4, 6),
    "mode 7": request(4, 7),
    "half an extension field": Uint8Array.of(...request(), 1, 4, 0, 200, ...new Uint8Array(24)),
    "no multiple of four": request(4, 3, 50),
    "an enormous datagram": request(4, 3, 9000),
  };

  it("each of them", async () => {
    const server = await start({ stratum: 1 });
    const packets = Object.values(bad);
    const replies = await exchange({ address: LOOPBACK, port: portOf(server) }, packets, () => server.stats.received === packets.length);
    expect(replies).toEqual([]);
    expect(server.stats).toEqual({ received: packets.length, answered: 0, dropped: packets.length, failed: 0 });
  });

  it.each([[1, 3, 4], [2, 3, 4], [3, 3, 4], [4, 3, 4], [4, 1, 2]])("but version %i, mode %i is answered in mode %i", async (version, mode, answer) => {
    const server = await start({ stratum: 1 });
    const [reply] = await exchange({ address: LOOPBACK, port: portOf(server) }, [request(version, mode)], () => false);
    expect([(reply?.[0] ?? 0) >> 3, (reply?.[0] ?? 0) & 7]).toEqual([version, answer]);
    expect(reply?.subarray(24, 32)).toEqual(new Uint8Array(8).fill(0x5a));
    await vi.waitFor(() => expect(server.stats).toEqual({ received: 1, answered: 1, dropped: 0, failed: 0 }), PATIENCE_MS);
  });
});

describe("answers on their way", () => {
  /** A host whose sockets send later, as a runtime with a full send buffer does. */
  function lateHost(sent: { data: Uint8Array; to: Endpoint | undefined }[]): { host: Host; receive: (data: Uint8Array, port: number) => void; release: () => void } {
    let handlers: UdpHandlers | undefined;
    const waiting: (() => void)[] = [];
    const late: Host = {
      ...host,
      async openUdp(options, given) {
        handlers = given;
        return {
          local: { address: options.address ?? "", port: 1 },
          stamps: "user",
          close: () => {},
          send: (data, to) =>
            new Promise((resolve, reject) => {
              waiting.push(() => {
                if (to?.port === 666) return reject(new Error("EPERM"));
                sent.push({ data: data.slice(), to });
                resolve({ sentNs: 0n, stamp: "user" });
              });
            }),
        };
      },
    };
    return {
      host: late,
      receive: (data, port) => handlers?.onDatagram({ data, from: { address: LOOPBACK, port }, receivedNs: clock.now(), stamp: "user" }),
      release: () => waiting.splice(0).forEach((send) => send()),
    };
  }

  it("are not overwritten by the next request", async () => {
    const sent: { data: Uint8Array; to: Endpoint | undefined }[] = [];
    const late = lateHost(sent);
    await start({ stratum: 1 }, late.host);
    for (const port of [1, 2, 3]) late.receive(request().fill(port, 40, 48), port);
    late.release();
    expect(sent.map(({ data, to }) => [data[24], to?.port])).toEqual([[1, 1], [2, 2], [3, 3]]);
  });

  it("that the socket refuses to send are counted, and nothing else happens", async () => {
    const late = lateHost([]);
    const server = await start({ stratum: 1 }, late.host);
    late.receive(request(), 666);
    late.receive(request(), 5);
    late.release();
    await vi.waitFor(() => expect(server.stats).toEqual({ received: 2, answered: 1, dropped: 0, failed: 1 }), PATIENCE_MS);
  });
});

describe("a port that is taken", () => {
  it("is a SOCKET error that names it and carries the system's own, and nothing is left open", async () => {
    const first = await start();
    const second = serve(host, { listen: [LOOPBACK], port: portOf(first) });
    await expect(second).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining(`${LOOPBACK} port ${portOf(first)}`), cause: expect.objectContaining({ code: "EADDRINUSE" }) });
    expect(opened.filter(({ closed }) => !closed).length).toBe(1);
  });

  it("on the second address closes the first", { skip: families < 2 }, async () => {
    const first = await start({ listen: ["::1"] });
    await expect(serve(host, { listen: [LOOPBACK, "::1"], port: portOf(first) })).rejects.toMatchObject({ code: "SOCKET" });
    expect(opened.filter(({ closed }) => !closed).length).toBe(1);
    const again = await start({ listen: [LOOPBACK], port: portOf(first) }); // it is free indeed
    expect(portOf(again)).toBe(portOf(first));
  });

  it("of one family is not passed over silently, even where addresses are the default", { skip: families < 2 }, async () => {
    const first = await start({ listen: ["::"] });
    await expect(serve(host, { port: portOf(first) })).rejects.toMatchObject({ code: "SOCKET" });
  });

  it("while a free one is looked for means another try", { skip: families < 2 }, async () => {
    let refused = 0;
    const unlucky: Host = {
      ...host,
      openUdp: (options, handlers) => {
        if (options.family === 6 && refused++ < 3) return Promise.reject(Object.assign(new Error("taken"), { code: "EADDRINUSE" }));
        return host.openUdp!(options, handlers);
      },
    };
    const server = await start({ listen: [LOOPBACK, "::1"] }, unlucky);
    expect(server.addresses.length).toBe(2);
    expect(opened.filter(({ closed }) => !closed).length).toBe(2);
  });

  it("below 1024 hints at the privilege", async () => {
    const forbidden: Host = { ...host, openUdp: () => Promise.reject(Object.assign(new Error("bind EACCES"), { code: "EACCES" })) };
    await expect(serve(forbidden)).rejects.toMatchObject({ code: "SOCKET", message: expect.stringMatching(/0\.0\.0\.0 port 123: bind EACCES.*CAP_NET_BIND_SERVICE/) });
  });
});

describe("a family that this host lacks", () => {
  const without = (code: string): Host => ({
    ...host,
    openUdp: (options, handlers) => (options.family === 6 ? Promise.reject(Object.assign(new Error(code), { code })) : host.openUdp!(options, handlers)),
  });

  it.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])("(%s) is left out by default", async (code) => {
    const server = await serve(without(code), { port: 0 });
    servers.push(server);
    expect(server.addresses.map(({ address }) => address)).toEqual(["0.0.0.0"]);
  });

  it("is an error where its address was asked for", async () => {
    await expect(serve(without("EAFNOSUPPORT"), { port: 0, listen: [LOOPBACK, "::"] })).rejects.toMatchObject({ code: "SOCKET" });
  });

  it("is an error when it is all there was", async () => {
    const none: Host = { ...host, openUdp: () => Promise.reject(Object.assign(new Error("no"), { code: "EAFNOSUPPORT" })) };
    await expect(serve(none, { port: 0 })).rejects.toMatchObject({ code: "SOCKET" });
  });
});

describe("closing", () => {
  it("is idempotent, frees the port and keeps the counts", async () => {
    const server = await start({ stratum: 1 });
    const port = portOf(server);
    await ask(server);
    await server.close();
    await server.close();
    expect(server.stats.received).toBe(1);
    expect(portOf(await start({ port }))).toBe(port);
  });

  it("comes with the end of an await using block", async () => {
    {
      await using server = await serve(host, { listen: [LOOPBACK], port: 0 });
      expect(server.addresses.length).toBe(1);
    }
    expect(opened.every(({ closed }) => closed)).toBe(true);
  });
});

describe("a wrong option", () => {
  it.each<[ServeOptions, string]>([
    [{ stratum: 0 }, "a stratum of 1..15"],
    [{ stratum: 16 }, "a stratum of 1..15"],
    [{ stratum: 1.5 }, "a stratum of 1..15"],
    [{ stratum: NaN }, "a stratum of 1..15"],
    [{ leap: 3 as 0 }, "a leap indicator of 0, 1 or 2"],
    [{ rootDelay: -1 }, "a rootDelay of 0..16 s"],
    [{ rootDelay: 16 }, "a rootDelay of 0..16 s"],
    [{ rootDispersion: NaN }, "a rootDispersion of 0..16 s"],
    [{ kiss: "" }, "a kiss code"],
    [{ kiss: "DENIED" }, "a kiss code"],
    [{ kiss: "ÄÖÜ" }, "a kiss code"],
    [{ port: -1 }, "a port of 0..65535"],
    [{ port: 65536 }, "a port of 0..65535"],
    [{ port: 1.5 }, "a port of 0..65535"],
    [{ listen: [] }, "at least one address"],
    [{ stratum: 1, refid: "TOOLONG" }, "one to four ASCII characters"],
    [{ stratum: 1, refid: "" }, "one to four ASCII characters"],
    [{ stratum: 1, refid: "G P" }, "one to four ASCII characters"],
    [{ stratum: 2, refid: "GPS" }, "an IPv4 address"],
    [{ stratum: 2, refid: "192.0.2" }, "an IPv4 address"],
    [{ stratum: 2, refid: "192.0.2.256" }, "an IPv4 address"],
    [{ stratum: 2, refid: "192..2.1" }, "an IPv4 address"],
    [{ stratum: 2, refid: "0x10.0.2.1" }, "an IPv4 address"],
    [{ stratum: 2, refid: " 1.0.2.1" }, "an IPv4 address"],
    [{ stratum: 2, refid: "2001:db8::1" }, "an IPv4 address"],
  ])("%j is refused by a message that says what was expected and what came; no socket is opened", async (options, expected) => {
    await expect(serve(host, { listen: [LOOPBACK], port: 0, ...options })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/^expected .*, got /) });
    await expect(serve(host, { listen: [LOOPBACK], port: 0, ...options })).rejects.toThrow(expected);
    expect(opened).toEqual([]);
  });

  it("on a runtime without UDP is UNSUPPORTED", async () => {
    await expect(serve({ runtime: "browser", version: "", clock, random: (bytes) => bytes })).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("browser has no UDP") });
  });
});

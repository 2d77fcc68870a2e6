// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A malicious relay before chronyd and a Roughtime server: it alters, forges, replays, reorders, drops and delays, lies about its
 * times, swaps servers, and meddles with the TLS handshake. No forged sample is taken, and no clock is moved beyond its bound.
 * Client and servers read one clock, so the true offset is 0.
 */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createApi } from "../../hosts/common/api.ts";
import type { Host } from "../../hosts/common/host.ts";
import { readFrame, writeFrame, type Frame } from "../../hosts/common/relay/protocol.ts";
import { relayHost, startRelay, type Relay } from "../../hosts/common/relay/index.ts";
import type { WebSocketConstructor } from "../../hosts/common/websocket.ts";
import { lendHost, type Clock } from "../../hosts/node/index.ts";
import { titled, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { ownServer, type OwnServer } from "../support/roughtime.ts";
import { chronyNtsServer, type NtsChronyd } from "./chrony-nts.ts";

/** What the relay makes of a frame: any number of frames, each after a while. */
type Meddling = (frame: Frame) => readonly (Frame & { holdMs?: number })[];

interface Evil {
  /** To the server. */
  readonly up?: Meddling;
  /** To the client. */
  readonly down?: Meddling;
}

/** A WebSocket with somebody in the middle. */
function meddledWith({ up = (frame) => [frame], down = (frame) => [frame] }: Evil): WebSocketConstructor {
  class Meddled extends WebSocket {
    override send(data: Uint8Array): void {
      for (const { holdMs = 0, ...frame } of up(readFrame(data)!)) {
        const octets = writeFrame(frame as Frame);
        if (holdMs === 0) super.send(octets);
        else setTimeout(() => super.send(octets), holdMs);
      }
    }
    override addEventListener(type: never, listener: never): void {
      if (type !== "message") return super.addEventListener(type, listener);
      super.addEventListener("message", ({ data }) => {
        for (const { holdMs = 0, ...frame } of down(readFrame(new Uint8Array(data as ArrayBuffer))!)) {
          const event = { data: writeFrame(frame as Frame) };
          const tell = listener as unknown as (event: object) => void;
          if (holdMs === 0) tell(event);
          else setTimeout(() => tell(event), holdMs);
        }
      });
    }
  }
  return Meddled as unknown as WebSocketConstructor;
}

const skipped = whySkipped(["chronyd", "chronyc"]);
const pki = new PkiFiles();
const onReply = (change: (payload: Uint8Array) => Uint8Array): Meddling => (frame) => (frame.type === "reply" ? [{ ...frame, payload: change(frame.payload.slice()) }] : [frame]);
const flipped = (at: number) => onReply((payload) => {
  payload[at % payload.length]! ^= 1;
  return payload;
});
/** Octets of the stream to the server with each `from` replaced. */
const replaced = (from: readonly number[], to: readonly number[]): Meddling => (frame) => {
  if (frame.type !== "data") return [frame];
  const octets = [...frame.payload];
  for (let at = 0; at + from.length <= octets.length; at++) if (from.every((octet, index) => octets[at + index] === octet)) octets.splice(at, from.length, ...to);
  return [{ ...frame, payload: Uint8Array.from(octets) }];
};
const ascii = (text: string) => [...new TextEncoder().encode(text)];

describe.skipIf(skipped)(titled("a malicious relay", skipped), () => {
  let server: NtsChronyd;
  let other: NtsChronyd;
  let host: Host;
  let relay: Relay;
  let rough: OwnServer;
  let roughSource: string;
  const ca = () => readFileSync(pki.ca, "utf8");
  beforeAll(async () => {
    [server, other, host] = await Promise.all([chronyNtsServer({ pki }), chronyNtsServer({ pki }), lendHost()]);
    rough = await ownServer(host);
    const places = [server, other].flatMap(({ address, port, kePort }) => [`udp:${address}:${port}`, `tcp:${address}:${kePort}`]);
    const { host: address, port } = rough.entry.addresses[0]!;
    roughSource = `roughtime:${address}:${port}#${Buffer.from(rough.entry.publicKey).toString("base64")}`;
    relay = await startRelay(host, { listen: { address: "127.0.0.1", port: 0 }, allow: [...places, `${address}:${port}`], limits: { rate: 1000, burst: 1000 } });
  });
  afterAll(() => Promise.all([relay?.close(), rough?.[Symbol.asyncDispose](), server?.[Symbol.asyncDispose](), other?.[Symbol.asyncDispose]()]));

  const api = createApi(() => Promise.resolve(host));
  const by = (evil: Evil) => ({ url: `ws://127.0.0.1:${relay.local.port}/`, WebSocket: meddledWith(evil) });
  const ask = (evil: Evil, { timeout = 0.7, source = `nts:${server.address}:${server.kePort}`, pq = "off" as "off" | "require" } = {}) =>
    api.query(source, { relay: by(evil), timeout, nts: { ca: ca(), pq } });

  it("that does nothing brings authenticated time (so that the others fail for what they do)", async () => {
    const sample = await ask({}, { timeout: 30 });
    expect(sample).toMatchObject({ authenticated: true, usable: true });
    expect(Math.abs(sample.offset)).toBeLessThan(sample.rootDistance);
  });

  describe("gets no forged answer accepted under NTS:", () => {
    const reply: { last?: Uint8Array; asked?: Uint8Array } = {};
    const cases: readonly (readonly [string, Evil])[] = [
      ...[0, 1, 2, 5, 9, 12, 17, 24, 33, 40, 47, 50, 60, 90, 120, 150, 200, -1].map((at) => [`octet ${at} altered`, { down: flipped(at < 0 ? 1 << 20 : at) }] as const),
      ["the server's times moved by 1000 s", { down: onReply((payload) => payload.map((octet, at) => (at === 34 || at === 42 ? octet + 4 : octet))) }],
      ["the NTS fields stripped", { down: onReply((payload) => payload.slice(0, 48)) }],
      ["a kiss of its own", { down: onReply((payload) => Uint8Array.of(0xe4, 0, ...payload.slice(2, 12), ...ascii("DENY"), ...payload.slice(16, 48))) }],
      ["a reply cut short", { down: onReply((payload) => payload.slice(0, payload.length - 4)) }],
      ["nothing at all", { down: (frame) => (frame.type === "reply" ? [] : [frame]) }],
      ["the reply of an earlier request", { down: (frame) => (frame.type === "reply" ? [{ ...frame, payload: reply.last! }] : [frame]) }],
      ["the request sent to another server of the same authority", { up: (frame) => (frame.type === "datagram" ? [{ ...frame, host: other.address, port: other.port }] : [frame]) }],
      ["the request itself as its reply", {
        up: (frame) => (frame.type === "datagram" && (reply.asked = frame.payload.slice()), [frame]),
        down: onReply(() => reply.asked!),
      }],
    ];
    beforeAll(async () => {
      await ask({ down: (frame) => (frame.type === "reply" && (reply.last ??= frame.payload.slice()), [frame]) }, { timeout: 30 });
      expect(reply.last).toBeDefined();
    });
    it.each(cases)("%s", async (_, { up = (frame) => [frame], down }) => {
      let asked = 0;
      const counted: Meddling = (frame) => ((asked += frame.type === "datagram" ? 1 : 0), up(frame));
      // Most of these fail when time is up: more of it only where keys were not had in it.
      for (const timeout of [0.4, 2, 8]) {
        const told = await ask({ up: counted, ...(down ? { down } : {}) }, { timeout }).catch((error: unknown) => error);
        expect(told).toMatchObject({ name: "NtpError" });
        if (asked > 0) break;
      }
      // It failed for what was done to the datagrams: keys had been established.
      expect(asked).toBeGreaterThan(0);
    });
  });

  describe("cannot make less of the handshake than was asked:", () => {
    it("another server's key establishment is for another name", async () => {
      const up: Meddling = (frame) => (frame.type === "open" ? [{ ...frame, host: other.address, port: other.kePort }] : [frame]);
      await expect(ask({ up }, { timeout: 30 })).rejects.toMatchObject({ code: "TLS" });
    });
    it("the application protocol is not changed unseen", async () => {
      await expect(ask({ up: replaced(ascii("ntske/1"), ascii("ntske/2")) })).rejects.toMatchObject({ name: "NtpError" });
    });
    it("the protocol version is not lowered", async () => {
      await expect(ask({ up: replaced([0x03, 0x04, 0x00], [0x03, 0x03, 0x00]) })).rejects.toMatchObject({ name: "NtpError" });
    });
    it("the hybrid group is not taken out", async () => {
      await expect(ask({ up: replaced([0x11, 0xec], [0x0a, 0x0a]) }, { pq: "require" })).rejects.toMatchObject({ name: "NtpError" });
    });
    it("octets of the server are not changed", async () => {
      // Of the whole stream, however it comes in pieces: the server's first encrypted record.
      let passed = 0;
      const down: Meddling = (frame) => {
        if (frame.type !== "data") return [frame];
        const at = 150 - passed;
        passed += frame.payload.length;
        return [{ ...frame, payload: frame.payload.map((octet, place) => (place === at ? octet ^ 1 : octet)) }];
      };
      await expect(ask({ down })).rejects.toMatchObject({ name: "NtpError" });
    });
  });

  describe("cannot move the clock beyond its bound", () => {
    const lies = [{ t2: 0n, t3: 0n, out: 0xffff_ffff, back: 0 }, { t2: 2n ** 64n - 1n, t3: 0n, out: 0, back: 0xffff_ffff }, { t2: 0n, t3: 2n ** 64n - 1n, out: 0xffff_ffff, back: 0xffff_ffff }];
    it.each(lies)("by lying about its times: $t2 $t3 $out $back", async (times) => {
      let heldNs = 0n;
      const down: Meddling = (frame) => (frame.type === "reply" ? [{ ...frame, times }] : [frame]);
      const sample = await api.query(`nts:${server.address}:${server.kePort}`, {
        relay: { ...by({ down }), onReply: ({ roundTripNs }) => (heldNs = roundTripNs) }, timeout: 30, nts: { ca: ca(), pq: "off" },
      });
      expect(sample.authenticated).toBe(true);
      // Not one nanosecond of what it says is taken off.
      expect(sample.t4 - sample.t1).toBe(heldNs);
      expect(Math.abs(sample.offset)).toBeLessThan(sample.rootDistance);
    });

    it.each<[string, Evil]>([
      ["requests", { up: (frame) => [frame.type === "datagram" ? { ...frame, holdMs: 300 } : frame] }],
      ["replies", { down: (frame) => [frame.type === "reply" ? { ...frame, holdMs: 300 } : frame] }],
    ])("by holding %s back: the bound grows as the offset does", async (_, evil) => {
      const sample = await ask(evil, { timeout: 30 });
      expect(Math.abs(sample.offset)).toBeGreaterThan(0.1);
      expect(Math.abs(sample.offset)).toBeLessThan(sample.rootDistance);
      expect(sample.rootDistance).toBeGreaterThan(0.149);
    });

    /** How far a clock is off at least, s: it was read at some moment between two readings of this machine's. */
    const offOf = (clock: Clock): number => {
      const before = host.clock.now();
      const told = clock.nowNs();
      const after = host.clock.now();
      return Number(told < before ? before - told : told > after ? told - after : 0n) / 1e9;
    };

    it("not a disciplined one either, by holding every request back", async () => {
      const up: Meddling = (frame) => [frame.type === "datagram" ? { ...frame, holdMs: 100 } : frame];
      await using clock = await api.startClock({ sources: [{ source: `nts:${server.address}:${server.kePort}`, nts: { ca: ca(), pq: "off" } }], relay: by({ up }), timeout: 60 });
      expect(offOf(clock)).toBeLessThan(clock.uncertainty);
      expect(clock.uncertainty).toBeGreaterThan(0.049);
    });

    it("nor by losing some, holding some, and telling old replies again: the disciplined one stays within its bound", async () => {
      const old: Uint8Array[] = [];
      let count = 0;
      const down: Meddling = (frame) => {
        if (frame.type !== "reply") return [frame];
        old.push(frame.payload.slice());
        count += 1;
        const lie = { ...frame.times, t2: 0n, out: 0xffff_ffff, back: 0xffff_ffff };
        const again = { ...frame, payload: old[count % old.length]!, times: lie };
        // Lost, then late after an old one, then at once before an old one.
        return [[], [again, { ...frame, times: lie, holdMs: 60 }], [{ ...frame, times: lie }, again]][count % 3] as (Frame & { holdMs?: number })[];
      };
      const up: Meddling = (frame) => [frame.type === "datagram" && count % 2 === 0 ? { ...frame, holdMs: 40 } : frame];
      await using clock = await api.startClock({ sources: [{ source: `nts:${server.address}:${server.kePort}`, nts: { ca: ca(), pq: "off" } }], relay: by({ up, down }), minPoll: 0, maxPoll: 0, timeout: 60 });
      for (let reads = 0; reads < 20; reads++) {
        expect(offOf(clock)).toBeLessThan(clock.uncertainty);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(count).toBeGreaterThan(5);
      const { authentication, ignored, lastProblems } = clock.state.sources[0]!;
      expect({ authentication, lastProblems }).toEqual({ authentication: "nts", lastProblems: [] });
      expect(ignored).toBeGreaterThan(0);
    });

    it("by swapping the replies of two requests that are under way", async () => {
      // Both replies come before either is told, the later one first, each under the other's number.
      const held: Extract<Frame, { type: "reply" }>[] = [];
      const told: Frame[] = [];
      const down: Meddling = (frame) => {
        if (frame.type !== "reply") return [frame];
        held.push(frame);
        if (held.length < 2) return [];
        const [one, other] = held.splice(0) as [typeof frame, typeof frame];
        const swapped = [{ ...other, id: one.id }, { ...one, id: other.id }];
        told.push(...swapped);
        return swapped;
      };
      const lent = relayHost(host, by({ down }));
      const { survey } = createApi(() => Promise.resolve(lent));
      const nts = { ca: ca(), pq: "off" as const };
      const { entries } = await survey([server, other].map(({ address, kePort }) => `nts:${address}:${kePort}`), { timeout: 30, nts });
      lent.close();
      expect(told.length).toBeGreaterThan(0);
      expect(entries.map(({ sample }) => sample)).toEqual([undefined, undefined]);
    });

    it("by telling replies twice and to the wrong requests", async () => {
      const down: Meddling = (frame) => (frame.type === "reply" ? [{ ...frame, id: frame.id + 1 }, { ...frame, id: 0 }, frame, frame] : [frame]);
      const sample = await ask({ down }, { timeout: 30 });
      expect(sample.authenticated).toBe(true);
      expect(Math.abs(sample.offset)).toBeLessThan(sample.rootDistance);
    });
  });

  it("does forge plain NTP, which says that nobody vouches for it", async () => {
    const down = onReply((payload) => payload.map((octet, at) => (at === 35 || at === 43 ? octet ^ 0x40 : octet)));
    const sample = await ask({ down }, { source: `${server.address}:${server.port}`, timeout: 8 });
    expect(sample.authenticated).toBe(false);
    expect(Math.abs(sample.offset)).toBeGreaterThan(30);
  });

  describe("gets no forged Roughtime accepted:", () => {
    it("untouched it is good", async () => {
      expect(await ask({}, { source: roughSource, timeout: 8 })).toMatchObject({ authenticated: true });
    });
    it.each([10, 40, 100, 200, 300, 400])("octet %i altered", async (at) => {
      // Over TCP, too, which is tried when UDP brings nothing.
      const both: Meddling = (frame) => (frame.type === "data" ? [{ ...frame, payload: frame.payload.map((octet, place) => (place === at ? octet ^ 1 : octet)) }] : flipped(at)(frame));
      const told = await ask({ down: both }, { source: roughSource, timeout: 1 }).catch((error: unknown) => error);
      expect(told).toMatchObject({ name: "NtpError" });
    });
  });
});

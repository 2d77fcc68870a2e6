// SPDX-License-Identifier: MIT OR Apache-2.0
/** The whole way of a datagram: every one counted once, in how it ended; and two servers that never talk to each other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { field, mac, packet, seconds, seededRandom } from "../../tests/support/core.ts";
import { DENY, KISS, LIMITED, TestServer, ipv4, ipv6 } from "../../tests/support/server.ts";

const CLIENT = ipv4(192, 0, 2, 1);
const SERVER = ipv4(192, 0, 2, 2);
/** ntpq asking for the status of the system. */
const CONTROL = Uint8Array.of(0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);

/** With all that a server can do. */
function everything(): TestServer {
  const server = new TestServer();
  const { exports } = server;
  exports.gateLog(1);
  exports.interleaveClients(1);
  server.limit(1, 4, { leak: 2 });
  exports.limitPrefixes(seconds(0.5), 8);
  exports.limitKisses(seconds(4), seconds(0.1), 10);
  server.rules([ipv4(198, 51, 100, 0), 120, DENY], [ipv4(203, 0, 113, 0), 120, KISS], [ipv4(198, 18, 0, 0), 111, LIMITED]);
  exports.gateControl(1);
  exports.accessBegin();
  exports.accessAdd(CLIENT.high, CLIENT.low, 128, 0);
  exports.accessCommit(1, DENY);
  return server;
}

describe("every datagram", () => {
  it("is counted once as received and once in how it ended", () => {
    const server = everything();
    const random = seededRandom(7);
    const tails = [[], [], [], [mac(20)], [field(0x4321, 28)], [field(0x4321, 28, 27)], [mac(4, 0)]];
    const senders = [CLIENT, ipv4(198, 51, 100, 1), ipv4(203, 0, 113, 1), ipv4(198, 18, 0, 1), ipv6(0x20010db8_00000000n), undefined];
    for (let i = 0; i < 20_000; i++) {
      const octets = random() % 10 === 0 ? CONTROL
        : packet({ version: random() % 5 ? 4 : random() & 7, mode: random() % 3 ? 3 : random() & 7, originTime: BigInt(random() & 1), receiveTime: 1n, transmitTime: 2n }, ...tails[random() % tails.length]!);
      server.ask(senders[random() % senders.length], octets.subarray(0, random() % 7 === 0 ? random() % 100 : undefined));
      server.wait(random() / 2 ** 35);
    }
    const { RECEIVED = 0, ANSWERED = 0, MALFORMED = 0, UNANSWERABLE = 0, DENIED = 0, LIMITED: OVER = 0, CONTROL: HANDED = 0 } = server.counters();
    expect(RECEIVED).toBe(20_000);
    expect(ANSWERED + MALFORMED + UNANSWERABLE + DENIED + OVER + HANDED).toBe(20_000);
    for (const part of [ANSWERED, MALFORMED, UNANSWERABLE, DENIED, OVER, HANDED]) expect(part).toBeGreaterThan(10);
    expect(server.counter("KISSES_RATE")).toBeGreaterThan(0);
    expect(server.counter("KISSES_DENY")).toBeGreaterThan(0);
  });

  it("from an unknown sender is answered, though lists and limits are on", () => {
    const server = everything();
    for (let i = 0; i < 20; i++) expect(server.ask(undefined).reply.length).toBe(48);
  });
});

describe("a batch", () => {
  it("of many clients is limited and logged as if each came alone", () => {
    const [batch, single] = [everything(), everything()];
    const { core } = batch;
    const [table, size, stride] = ["SLOT_TABLE", "SLOT_SIZE", "SLOT_STRIDE_OCTETS"].map((name) => core.constant(name)) as [number, number, number];
    const at = (slot: number, field: string) => table + slot * size + core.constant(`SLOT_${field}`);
    const random = seededRandom(3);
    for (let round = 0; round < 200; round++) {
      const senders = Array.from({ length: 64 }, () => ipv4(192, 0, random() & 3, random() & 15));
      senders.forEach(({ high, low }, slot) => {
        core.bytes.set(packet({ transmitTime: 7n }), batch.at + slot * stride);
        core.view.setInt32(at(slot, "LENGTH"), 48, true);
        core.view.setUint8(at(slot, "KNOWN"), 1);
        core.setU64(at(slot, "HIGH"), high);
        core.setU64(at(slot, "LOW"), low);
        core.setU64(at(slot, "RECEIVED"), batch.now);
      });
      batch.exports.answerBatch(64, batch.now, batch.server);
      senders.forEach((from, slot) => {
        const { reply } = single.ask(from, packet({ transmitTime: 7n }), 0n);
        expect(core.view.getInt32(at(slot, "LENGTH"), true), `round ${round}, slot ${slot}`).toBe(reply.length);
      });
      batch.wait(0.7);
      single.wait(0.7);
    }
    expect(batch.counters()).toEqual(single.counters());
    expect(batch.counter("LIMITED")).toBeGreaterThan(100);
    // A slot answered by itself afterwards is not taken for who was in it before.
    expect(batch.ask(ipv4(192, 0, 9, 1)).reply.length).toBe(48);
  });
});

describe("an answer", () => {
  it("is never longer than its request, with everything on", () => {
    const server = everything();
    const octet = fc.integer({ min: 0, max: 255 });
    const tail = fc.array(fc.tuple(octet, fc.integer({ min: 4, max: 64 })), { maxLength: 3 });
    fc.assert(fc.property(fc.array(octet, { minLength: 48, maxLength: 48 }), tail, fc.boolean(), octet, (header, fields, client, host) => {
      const request = Uint8Array.from([...header, ...fields.flatMap(([type, length]) => [...field(type, length)])]);
      if (client) request[0] = 0x23;
      server.wait(0.3);
      expect(server.ask(ipv4(192, 0, 2, host), request).reply.length).toBeLessThanOrEqual(request.length);
    }), { numRuns: 2000 });
  });
});

describe("two servers", () => {
  it("fed each other's answers to anything fall silent after one", () => {
    const servers = [everything(), everything()] as const;
    const anyPacket = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 0, maxLength: 120 });
    fc.assert(fc.property(anyPacket, fc.integer({ min: 0, max: 255 }), fc.boolean(), (octets, flags, fit) => {
      let octetsOnTheWay: Uint8Array = fit ? Uint8Array.from({ length: 48 }, (_, i) => octets[i] ?? 0) : Uint8Array.from(octets);
      if (octetsOnTheWay.length > 0) octetsOnTheWay[0] = flags;
      for (let hop = 0; hop < 3; hop++) {
        const server = servers[hop & 1]!;
        server.wait(2);
        const { reply, control } = server.ask(hop & 1 ? CLIENT : SERVER, octetsOnTheWay);
        if (reply.length === 0) {
          // A control message is answered by a response, which is no request (proto/control.test.ts), so an answer never is one.
          expect(hop > 0 && control !== 0).toBe(false);
          return;
        }
        expect(hop, "an answer was answered").toBe(0);
        octetsOnTheWay = reply;
      }
    }), { numRuns: 5000 });
  });
});

describe("a control message", () => {
  it("is handed to the host from where it is allowed, unchanged, and from nowhere else", () => {
    const server = everything();
    const { reply, control } = server.ask(CLIENT, CONTROL);
    expect([reply.length, control]).toEqual([0, 12]);
    expect(server.core.bytes.slice(server.at, server.at + 12)).toEqual(CONTROL);
    expect(server.ask(SERVER, CONTROL).control).toBe(0);
    expect(server.ask(undefined, CONTROL).control).toBe(0);
  });

  it("is left alone where nothing was said of control", () => {
    expect(new TestServer().ask(CLIENT, CONTROL).control).toBe(0);
    const server = everything();
    server.exports.gateControl(0);
    expect(server.ask(CLIENT, CONTROL).control).toBe(0);
  });

  it("does not linger: the next datagram in the slot is itself", () => {
    const server = everything();
    server.ask(CLIENT, CONTROL);
    expect(server.ask(CLIENT).control).toBe(0);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's sockets over a network card that stamps: the card is a fake, all else is the kernel's. The same on a real interface
 * without a card: tests/server/cards.test.ts.
 */
import { describe, expect, it } from "vitest";
import { Asker, libc, until } from "../../tests/server/built.ts";
import { AHEAD, cardServer } from "../../tests/support/card-server.ts";
import { Card } from "../../tests/support/card.ts";
import { hasIPv6 } from "../../tests/support/peers.ts";
import { packet } from "../../tests/support/core.ts";
import type { CardSays } from "../../tests/support/stamped.ts";
import { Core } from "../common/core/core.ts";
import { CardLines, openServerCards } from "./server-cards.ts";
import { PTP_SYS_OFFSET_PRECISE } from "./hardware.ts";

const UNIX_EPOCH = 2_208_988_800n;
const toNs = (stamp: bigint) => ((stamp >> 32n) - UNIX_EPOCH) * 1_000_000_000n + (((stamp & 0xffff_ffffn) * 1_000_000_000n + (1n << 31n)) >> 32n);
const near = (got: bigint, wanted: bigint) => expect(Math.abs(Number(got - wanted)), `${got} and ${wanted} ns`).toBeLessThanOrEqual(2);

/** A card that is honest: 3 µs before the kernel where a datagram comes in, 2 µs after it where it leaves. */
function honest(): { says: CardSays; seen: Record<"sent" | "received", bigint> } {
  const seen = { sent: 0n, received: 0n };
  return { seen, says: (kernelNs, direction) => ((seen[direction] = kernelNs), kernelNs + AHEAD + (direction === "sent" ? 2000n : -3000n)) };
}

/** Ask and be answered. */
async function ask(asker: Asker, { port, drain }: { port: number; drain(): void }, request: Uint8Array, address = "127.0.0.1") {
  const before = asker.replies.length;
  await asker.send(request, port, address);
  await until("an answer", () => {
    drain();
    return asker.replies.length > before;
  });
  const { data } = asker.replies.at(-1)!;
  return { origin: data.readBigUInt64BE(24), receive: data.readBigUInt64BE(32), transmit: data.readBigUInt64BE(40) };
}

describe.skipIf(!libc)("a server over a card that stamps", () => {
  it.each(["127.0.0.1", "::1"])("tells the card's receive stamps, in terms of the system's clock, at %s", async (address) => {
    if (address === "::1" && !(await hasIPv6())) return console.warn("SKIPPED: needs IPv6");
    const { says, seen } = honest();
    using server = await cardServer(libc!, says, { listen: [address] });
    await using asker = new Asker(address === "::1" ? "udp6" : "udp4");
    for (let i = 1; i < 4; i++) near(toNs((await ask(asker, server, packet({ transmitTime: BigInt(i) }), address)).receive), seen.received - 3000n);
    expect(server.server.counters).toMatchObject({ received: 3, hardwareReceived: 3, hardwareRefused: 0 });
    // Both clocks are read when datagrams come, and not for each of them.
    expect([server.told, server.card.read >= 1 && server.card.read <= 3]).toEqual([[], true]);
  });

  it.each([["one address", ["127.0.0.1"]], ["all addresses", "all"]] as const)("tells interleaved clients the card's transmit stamps, on %s", async (_, listen) => {
    const { says, seen } = honest();
    using server = await cardServer(libc!, says, { interleaved: true, listen });
    await using asker = new Asker();
    const first = await ask(asker, server, packet({ originTime: 1n, receiveTime: 2n, transmitTime: 3n }));
    const left = seen.sent;
    expect(left).toBeGreaterThan(0n);
    const second = await ask(asker, server, packet({ originTime: first.receive, receiveTime: 4n, transmitTime: 5n }));
    expect(second.origin).toBe(4n);
    near(toNs(second.transmit), left + 2000n);
    expect(server.server.counters).toMatchObject({ interleaved: 1, hardwareRefused: 0 });
    expect(server.server.counters.hardwareSent).toBeGreaterThanOrEqual(1);
    expect(server.server.counters.stamps).toBe(server.server.counters.hardwareSent);
  });

  it("has the kernel's where the card's are absurd, and says so once", async () => {
    let receivedNs = 0n;
    const says: CardSays = (kernelNs, direction) => {
      if (direction === "received") receivedNs = kernelNs;
      return kernelNs + AHEAD + 1_000_000n;
    };
    using server = await cardServer(libc!, says);
    await using asker = new Asker();
    // Why is told with the seconds.
    for (const end = performance.now() + 60_000; server.told.length === 0 && performance.now() < end; ) near(toNs((await ask(asker, server, packet({ transmitTime: 1n }))).receive), receivedNs);
    expect(server.told).toEqual(["lo gave a stamp of what was received that does not fit the kernel's"]);
    expect(server.server.counters.hardwareReceived).toBe(0);
  });

  it("goes on with the kernel's where the card's clock cannot be read any more, and says so", async () => {
    const { says, seen } = honest();
    using server = await cardServer(libc!, says);
    await using asker = new Asker();
    (server.card.options as { knows: readonly number[] }).knows = [];
    server.card.clockNs = () => {
      throw new Error("the card was pulled out");
    };
    near(toNs((await ask(asker, server, packet({ transmitTime: 1n }))).receive), seen.received);
    expect(server.told).toEqual(["the clock of lo cannot be read: the card was pulled out"]);
    expect(server.server.counters).toMatchObject({ hardwareReceived: 0, hardwareRefused: 1 });
  });

  it("is one without where the card that was asked for is none", async () => {
    using server = await cardServer(libc!, () => undefined, { card: { phc: -1 } });
    await using asker = new Asker();
    await ask(asker, server, packet({ transmitTime: 1n }));
    expect(server.told).toEqual(["lo has no clock of its own"]);
  });
});

describe("the cards of a server", () => {
  const means = (card: Card, names = ["lo", "eth0"]) => ({ layer: card, names: () => names, indexOf: (name: string) => names.indexOf(name) + 1, nameOf: (index: number) => names[index - 1]!, nowMs: () => 0 });

  it("are switched on, opened, and closed again", () => {
    const card = new Card();
    const told: string[] = [];
    const { cards, close } = openServerCards(means(card), { wanted: ["eth0", "eth9"], tell: (reason) => told.push(reason) });
    expect([cards, card.set, card.open_.size, told]).toEqual([[{ name: "eth0", device: 2, clock: 7 }], 1, 1, ["there is no interface eth9"]]);
    close();
    expect(card.open_.size).toBe(0);
  });

  it("are as many as the core has room for", () => {
    const core = new Core();
    const told: string[] = [];
    const cards = Array.from({ length: 18 }, (_, index) => ({ name: `eth${index}`, device: index + 1, clock: 7 }));
    new CardLines(core, means(new Card()), cards, (reason) => told.push(reason));
    expect(told).toEqual(["eth16 is one card more than the 16 that a server has", "eth17 is one card more than the 16 that a server has"]);
    expect(core.u32(core.fields("CARD_LIMITS", ["COUNT"]).COUNT)).toBe(16);
  });

  it("are read again once what was read is 50 ms old, and tell the core of their clocks and links", () => {
    const core = new Core();
    const card = new Card({ knows: [PTP_SYS_OFFSET_PRECISE], speed: 1000 });
    card.open("/dev/ptp0");
    let nowMs = 0;
    const lines = new CardLines(core, { layer: card, nowMs: () => nowMs }, [{ name: "eth0", device: 2, clock: 7 }], () => {});
    const field = (name: string) => core.constant("CARDS") + core.constant(`CARD_${name}`);
    expect(core.view.getFloat64(field("OCTET"), true) / 2 ** 32).toBeCloseTo(8e-9, 15);
    for (const [ms, read] of [[0, 1], [49, 1], [50, 2], [99, 2], [5000, 3]] as const) {
      nowMs = ms;
      lines.renew();
      expect(card.read, `${ms} ms`).toBe(read);
    }
    expect(core.i64(field("OFFSET"))).toBe(-37n << 32n);
    expect([core.u32(field("DEVICE")), core.u32(field("KNOWN")), core.i64(field("DOUBT"))]).toEqual([2, 1, 0n]);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards that stamp: judged by a fake card's clock, and on sockets whose control messages have its stamps, too. The
 * real kernel underneath is loopback's, which has no card: that fall-back is real.
 */
import { describe, expect, it } from "vitest";
import { AHEAD, exchangeByCard } from "../../tests/native/contract-cards.ts";
import { hasIPv6 } from "../../tests/support/peers.ts";
import { Card, type CardOptions } from "../../tests/support/card.ts";
import type { CardSays } from "../../tests/support/stamped.ts";
import type { SendStamp, StampingCards } from "../common/host.ts";
import { query, lendHost, serve, startClock } from "../node/index.ts";
import { Cards, type CardMeans, type OpenCards } from "./cards.ts";
import { load } from "./ffi-koffi.ts";
import * as hw from "./hardware.ts";
import { bindLibc } from "./libc.ts";

const INDEX = 2;

interface Bench {
  readonly card: Card;
  readonly cards: Cards;
  readonly told: string[];
  readonly open: OpenCards;
  /** Let time pass, ms, on all clocks. */
  pass(ms: number): void;
}

function bench(options: CardOptions = {}, wanted: StampingCards = "eth0", open: OpenCards = new Map()): Bench {
  const card = new Card({ knows: [hw.PTP_SYS_OFFSET_PRECISE], ahead: AHEAD, ...options });
  let nowMs = 1000;
  const names = ["lo", "eth0", "eth1"];
  const means: CardMeans = { layer: card, names: () => names, indexOf: (name) => names.indexOf(name) + 1, nameOf: (index) => names[index - 1] ?? String(index), nowMs: () => nowMs };
  const told: string[] = [];
  const cards = new Cards(means, wanted, { open, tell: (reason) => told.push(reason) });
  const pass = (ms: number) => {
    nowMs += ms;
    card.systemNs += BigInt(Math.round(ms * 1e6));
  };
  return { card, cards, told, open, pass };
}

const kernel = (sentNs: bigint): SendStamp => ({ sentNs, stamp: "kernel" });

describe("a card's stamp", () => {
  it("is told in terms of the system's clock", () => {
    const { card, cards, told } = bench();
    const other = kernel(card.systemNs);
    expect(cards.judge({ device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD - 4000n, other, direction: "received" })).toBe(card.systemNs - 4000n);
    expect(cards.judge({ device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD + 2500n, other, direction: "sent" })).toBe(card.systemNs + 2500n);
    expect([told, cards.any, cards.has(INDEX), cards.has(1)]).toEqual([[], true, true, false]);
  });

  it.each([
    [10_000, 90, 75n],
    [100_000, 90, 8n],
    [1000, 90, 752n],
    [100, 64, 5440n],
    [undefined, 90, 0n],
    [0, 90, 0n],
    [0xffff, 90, 0n],
    [0xffffffff, 90, 0n],
    [1000, 0, 0n],
  ])("of what was received is the end of its frame: at %s Mbit/s, %i octets and four more", (speed, frame, ns) => {
    const { card, cards } = bench(speed === undefined ? {} : { speed });
    const stamp = { device: INDEX, frame, stampNs: card.systemNs + AHEAD, other: kernel(card.systemNs + 20_000n) };
    expect(cards.judge({ ...stamp, direction: "received" })).toBe(card.systemNs + ns);
    expect(cards.judge({ ...stamp, other: kernel(card.systemNs), direction: "sent" })).toBe(card.systemNs);
  });

  it("that comes with no interface is the only card's, and nobody's where there are two", () => {
    const { card, cards } = bench();
    const stamp = { device: 0, frame: 0, stampNs: card.systemNs + AHEAD, other: kernel(card.systemNs), direction: "received" } as const;
    expect(cards.judge(stamp)).toBe(card.systemNs);
    // eth1 is the same card by another name.
    const open: OpenCards = new Map();
    bench({}, "eth0", open);
    bench({ name: "eth1" }, "eth1", open);
    const both = bench({}, ["eth0", "eth1"], open);
    expect([both.told, both.cards.judge(stamp), both.cards.has(0)]).toEqual([[], undefined, false]);
  });

  it("is converted by a reading that is fresh, however the clocks have run since", () => {
    const { card, cards, pass } = bench();
    const judge = () => cards.judge({ device: INDEX, frame: 0, stampNs: card.systemNs + (card.options.ahead), other: kernel(card.systemNs), direction: "received" });
    expect(judge()).toBe(card.systemNs);
    expect(judge()).toBe(card.systemNs);
    expect(card.read).toBe(1);
    // Within a minute the card gains 6 ms; of a reading a minute old nothing would be left.
    (card.options as { ahead: bigint }).ahead += 6_000_000n;
    pass(60_000);
    expect(judge()).toBe(card.systemNs);
    expect(card.read).toBe(2);
  });

  it.each([
    ["received later than the kernel saw it", "received", 200_000n],
    ["received long before the kernel saw it", "received", -60_000_000n],
    ["sent before the kernel handed it over", "sent", -200_000n],
    ["sent long after the kernel handed it over", "sent", 60_000_000n],
  ] as const)("is refused where it would have been %s", (_, direction, off) => {
    const { card, cards, told } = bench();
    const stamp = { device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD + off, other: kernel(card.systemNs), direction };
    expect([cards.judge(stamp), cards.judge(stamp)]).toEqual([undefined, undefined]);
    expect(told).toEqual([`eth0 gave a stamp of what was ${direction} that does not fit the kernel's`]);
    // What fits is taken again.
    expect(cards.judge({ ...stamp, stampNs: card.systemNs + AHEAD })).toBe(card.systemNs);
  });

  it("may lie as far as a second from the process' own, which is late where there is no other", () => {
    const { card, cards, told } = bench();
    const judge = (off: bigint) => cards.judge({ device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD + off, other: { sentNs: card.systemNs, stamp: "user" }, direction: "received" });
    expect([judge(-900_000_000n), judge(-1_100_000_000n)]).toEqual([card.systemNs - 900_000_000n, undefined]);
    expect(told).toEqual(["eth0 gave a stamp of what was received that does not fit the process'"]);
  });

  it("by a clock that was stepped is refused: it is seconds away from the reading", () => {
    const { card, cards, told } = bench();
    const stale = { device: INDEX, frame: 0, stampNs: card.systemNs, other: kernel(card.systemNs), direction: "sent" } as const;
    expect(cards.judge(stale)).toBeUndefined();
    expect(told).toEqual(["eth0 gave a stamp that is more than 2 s away from its clock"]);
  });

  it("is refused while its clock cannot be read, and why is told once", () => {
    const { card, cards, told, pass } = bench();
    const stamp = () => ({ device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD, other: kernel(card.systemNs), direction: "sent" }) as const;
    expect(cards.judge(stamp())).toBe(card.systemNs);
    card.open_.clear();
    pass(60);
    expect([cards.judge(stamp()), cards.judge(stamp())]).toEqual([undefined, undefined]);
    expect(told).toEqual([expect.stringMatching(/^the clock of eth0 cannot be read: ioctl ENOTTY/)]);
  });
});

describe("why software stamps have to do", () => {
  it.each([
    ["a card that cannot", { phc: -1 }, "eth0", "eth0 has no clock of its own"],
    ["one that may not be set", { refuse: 1 }, "eth0", "EPERM"],
    ["one whose clock may not be opened", { phc: 4 }, "eth0", "the clock of eth0 cannot be opened: open ENODEV"],
    ["one that is not there", {}, "eth7", "there is no interface eth7"],
  ] as const)("is told of %s", (_, options, wanted, reason) => {
    const { cards, told } = bench(options, wanted);
    expect([cards.any, told]).toEqual([false, [expect.stringContaining(reason)]]);
  });

  it("is told of each that was named, and of all together where any would do", () => {
    expect(bench({}, ["lo", "eth0"]).told).toEqual([expect.stringContaining("ENODEV")]);
    const any = bench({}, true);
    expect([any.cards.any, any.told]).toEqual([true, []]);
    expect(bench({ phc: -1 }, true).told).toEqual([expect.stringMatching(/^no network card stamps: .*lo.*; eth0 has no clock of its own; /)]);
  });

  it("is told when a card that was switched on stamps nothing, and of datagrams that pass it by", () => {
    const { card, cards, told } = bench();
    for (let i = 0; i < 7; i++) cards.unstamped(INDEX);
    // One stamp, and it counts anew.
    cards.judge({ device: INDEX, frame: 0, stampNs: card.systemNs + AHEAD, other: kernel(card.systemNs), direction: "received" });
    for (let i = 0; i < 7; i++) cards.unstamped(INDEX);
    expect(told).toEqual([]);
    for (let i = 0; i < 20; i++) cards.unstamped(INDEX);
    expect(told).toEqual(["eth0 does not stamp what comes by it, though it was switched on"]);
    for (let i = 0; i < 3; i++) cards.unstamped(3);
    expect(told.slice(1)).toEqual(["datagrams come by eth1, which has no card that was asked for or can stamp"]);
  });

  it("is no reason to open a card twice", () => {
    const { card, open } = bench();
    const again = bench({}, "eth0", open);
    expect([card.set, again.card.set, again.card.open_.size, again.cards.any]).toEqual([1, 0, 0, true]);
  });
});

const real = await load();
const usable = real !== undefined && bindLibc(real) !== undefined;
if (!usable) console.warn("SKIPPED: sockets with a card's stamps need koffi and 64-bit Linux");

describe.skipIf(!usable)("a socket over a card that stamps", () => {
  /** What the kernel stamped, which the card's is made from. */
  const seen = { sent: 0n, received: 0n };
  const honest: CardSays = (kernelNs, direction) => {
    seen[direction] = kernelNs;
    return kernelNs + AHEAD + (direction === "sent" ? 2000n : -3000n);
  };

  it.each([4, 6] as const)("tells the card's stamps in both directions, in terms of the system's clock, over IPv%i", async (family) => {
    if (family === 6 && !(await hasIPv6())) return console.warn("SKIPPED: needs IPv6");
    const { asked, reply, told, leftBy, stamps } = await exchangeByCard(real!, honest, { family });
    expect([told, stamps]).toEqual([[], "hardware"]);
    expect(asked).toEqual({ sentNs: seen.sent + 2000n, stamp: "hardware" });
    expect([reply.receivedNs, reply.stamp]).toEqual([seen.received - 3000n, "hardware"]);
    // The kernel itself tells by which interface it left: ours was not made up.
    expect(leftBy).toEqual([1]);
  });

  it("waits for a card's transmit stamp that comes a little late", async () => {
    let looks = 0;
    const { asked } = await exchangeByCard(real!, honest, { held: () => ++looks < 5 });
    expect(asked.stamp).toBe("hardware");
  });

  it("has the kernel's where the card's never comes", async () => {
    const { asked, reply } = await exchangeByCard(real!, (kernelNs, direction) => (direction === "sent" ? ((seen.sent = kernelNs), undefined) : kernelNs + AHEAD), { wait: 3 });
    expect([asked, reply.stamp]).toEqual([{ sentNs: seen.sent, stamp: "kernel" }, "hardware"]);
  });

  it("has the kernel's where the card's are absurd, and says so", async () => {
    const { asked, reply, told } = await exchangeByCard(real!, (kernelNs, direction) => ((seen[direction] = kernelNs), kernelNs + AHEAD + (direction === "sent" ? -1_000_000n : 1_000_000n)));
    expect(asked).toEqual({ sentNs: seen.sent, stamp: "kernel" });
    expect([reply.receivedNs, reply.stamp]).toEqual([seen.received, "kernel"]);
    expect(told).toEqual([expect.stringContaining("what was sent that does not fit"), expect.stringContaining("what was received that does not fit")]);
  });
});

describe.skipIf(!usable)("a real interface without a card", () => {
  const REASON = "lo has no clock of its own";

  it("leaves the kernel's stamps to a query, and says why", async () => {
    await using server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 3 });
    const told: string[] = [];
    const sample = await query(`127.0.0.1:${server.addresses[0]!.port}`, { hardwareTimestamps: "lo", onSoftwareTimestamps: (reason) => told.push(reason) });
    expect([sample.usable, sample.timestamps, told]).toEqual([true, { t1: "kernel", t4: "kernel" }, [REASON]]);
  });

  it("leaves them to a clock, too", async () => {
    const told: string[] = [];
    const clock = await startClock({ sources: ["127.0.0.1:1"], timeout: 0, hardwareTimestamps: ["lo", "nowhere0"], onSoftwareTimestamps: (reason) => told.push(reason) });
    clock.close();
    expect(told).toEqual([REASON, "there is no interface nowhere0"]);
  });

  it("is told of a host that cannot ask cards, too", async () => {
    const { byCards } = await import("../common/client/cards.ts");
    const { stampByCards: _, ...host } = await lendHost();
    const told: string[] = [];
    expect(byCards(host, { hardwareTimestamps: true, onSoftwareTimestamps: (reason) => told.push(reason) })).toBe(host);
    expect(told).toEqual(["node cannot ask network cards here: that needs 64-bit Linux and a way to call C (FFI)"]);
  });

  it.each([[""], [[]], [["eth0", 7]], [7], [false]])("is asked for by a name, names or true, not %j", async (wanted) => {
    await expect(query("127.0.0.1", { hardwareTimestamps: wanted as never })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("expected hardwareTimestamps") });
  });
});

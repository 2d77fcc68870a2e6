// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards' stamps in a server's batches: read as the kernel writes them, told in terms of the system's clock, held against
 * the kernel's, and refused where they cannot be; and of an answer's two transmit stamps the card's counts, whichever comes first.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { hex, packet, seconds } from "../../tests/support/core.ts";
import { SOCKETS, compileAndRun, memoryOf } from "../../tests/support/headers.ts";
import { BASE, arriveAt, control, join, messageAt, stamp, timespecs, type Arrival } from "../../tests/support/mmsg.ts";

const NOW = 1_900_000_000_000_000_000n;
/** The card's clock less the system's, ns: TAI. */
const AHEAD = 37_000_000_000n;
const DEVICE = 2;
const US = 1000n;
const MS = 1_000_000n;

let core: Core;
let at: Record<"RECEIVE" | "SEND" | "TIME" | "LOOPED", number>;
const server = () => core.constant("SERVER");
const cardField = (name: string, index = 0) => core.constant("CARDS") + index * core.constant("CARD_SIZE") + core.constant(`CARD_${name}`);
const counter = (name: string) => Number(core.u64(core.constant("COUNTERS") + core.constant(`COUNTERS_${name}`)));
const reasons = (index = 0) => core.u32(cardField("REASONS", index));

function addCard(device = DEVICE, index = 0): void {
  core.setI64(cardField("SINCE", index), stamp(0n, NOW + AHEAD));
  core.setI64(cardField("OFFSET", index), seconds(-37));
  core.setU32(cardField("DEVICE", index), device);
  core.setU32(cardField("KNOWN", index), 1);
  core.setU32(core.constant("CARD_LIMITS") + core.constant("CARD_LIMITS_COUNT"), index + 1);
}

beforeEach(() => {
  core = new Core();
  const place = (name: string) => core.constant(`MMSG_${name}`);
  at = { RECEIVE: place("RECEIVE"), SEND: place("SEND"), TIME: place("TIME"), LOOPED: place("LOOPED") };
  core.view.setUint8(core.fields("SERVER", ["STRATUM"]).STRATUM, 2);
  core.exports.mmsgInit(BASE);
  core.exports.interleaveClients(1);
  const limits = core.fields("CARD_LIMITS", ["STALE", "WRONG_SIDE", "RIGHT_SIDE", "PROCESS_SIDE", "PATIENCE"]);
  core.setI64(limits.STALE, seconds(2));
  core.setI64(limits.WRONG_SIDE, seconds(100e-6));
  core.setI64(limits.RIGHT_SIDE, seconds(0.05));
  core.setI64(limits.PROCESS_SIDE, seconds(1));
  core.setU32(limits.PATIENCE, 8);
  setTime(NOW);
});

function setTime(ns: bigint): void {
  core.setI64(at.TIME, ns / 1_000_000_000n);
  core.setI64(at.TIME + 8, ns % 1_000_000_000n);
}

const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const info = (device: number) => control(0, 8, words(device, 0x010200c0, 0x010200c0));
/** What comes beside a datagram: both clocks' stamps (ns; 0: none), and the interface. */
const beside = (kernel: bigint, card: bigint, { device = DEVICE } = {}) =>
  join(control(1, 58, words(device, 0, 0, 0)), control(1, 37, timespecs(kernel, 0n, card)), info(device));

const take = (...arrivals: Arrival[]): number => {
  arriveAt(core, at.RECEIVE, arrivals);
  return core.exports.mmsgTake(arrivals.length, server());
};
const sent = (index = 0) => {
  const out = messageAt(core, at.SEND, index);
  return { ...out, octets: core.bytes.slice(out.payload, out.payload + out.room) };
};
const read64 = (octets: Uint8Array, offset: number) => Buffer.from(octets).readBigUInt64BE(offset);
/** When the answer says that its request came. */
const receivedAt = () => read64(sent().octets, 32);
const near = (got: bigint, wanted: bigint) => expect(Math.abs(Number(got - wanted)), `${got} and ${wanted}`).toBeLessThanOrEqual(8);

/** What a request of `how` is said to have come at. */
function received(how: Uint8Array): bigint {
  expect(take({ octets: packet({ transmitTime: 1n }), control: how })).toBe(1);
  return receivedAt();
}

// --- what C makes of it ---

const printed = compileAndRun(`${SOCKETS}
int main(void) {
  struct scm_timestamping stamps = { .ts = { { 1900000000, 5000 }, { 0, 0 }, { 1900000037, 2000 } } };
  struct scm_ts_pktinfo stamper = { .if_index = 2, .pkt_length = 90 };
  struct in_pktinfo info = { .ipi_ifindex = 7 };
  inet_pton(AF_INET, "192.0.2.1", &info.ipi_spec_dst);
  put(SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, &stamper, sizeof stamper);
  put(SOL_SOCKET, SCM_TIMESTAMPING, &stamps, sizeof stamps);
  put(SOL_IP, IP_PKTINFO, &info, sizeof info);
  told("came4", 0);
  restart();
  struct in6_pktinfo info6 = { .ipi6_ifindex = 2 };
  inet_pton(AF_INET6, "2001:db8::1", &info6.ipi6_addr);
  put(SOL_SOCKET, SCM_TIMESTAMPING, &stamps, sizeof stamps);
  put(SOL_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
  told("came6", 0);
  restart();
  unsigned wanted = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_HARDWARE;
  info.ipi_ifindex = 0, info.ipi_addr.s_addr = 0;
  put(SOL_IP, IP_PKTINFO, &info, sizeof info);
  put(SOL_SOCKET, SO_TIMESTAMPING, &wanted, sizeof wanted);
  told("answer", 1);
  restart();
  struct scm_timestamping left = { .ts = { { 1900000000, 20000 } } };
  struct { struct sock_extended_err error; struct sockaddr_in6 offender; } entry = { .error = { .ee_errno = ENOMSG, .ee_origin = SO_EE_ORIGIN_TIMESTAMPING } };
  info.ipi_ifindex = 2;
  put(SOL_SOCKET, SCM_TIMESTAMPING, &left, sizeof left);
  put(SOL_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
  put(SOL_IP, IP_PKTINFO, &info, sizeof info);
  put(SOL_IPV6, IPV6_RECVERR, &entry, sizeof entry);
  told("kernel", 0);
  left.ts[0] = left.ts[1], left.ts[2] = (struct timespec){ 1900000037, 23000 };
  restart();
  put(SOL_SOCKET, SCM_TIMESTAMPING, &left, sizeof left);
  put(SOL_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
  put(SOL_IP, IP_PKTINFO, &info, sizeof info);
  put(SOL_IPV6, IPV6_RECVERR, &entry, sizeof entry);
  told("card", 0);
}`);
if (printed === undefined) console.warn("SKIPPED: the control messages of cards are compared with C's only on Linux with a cc");
const dumped = (name: string) => new Uint8Array(memoryOf(printed, name).buffer);

describe.skipIf(printed === undefined)("as C has it", () => {
  it("the card under the interface that a request came by says when, at the end of its frame", () => {
    addCard();
    core.view.setFloat64(cardField("OCTET"), 8e-9 * 2 ** 32, true);
    near(received(dumped("came4")), stamp(0n, NOW + 2000n + 752n));
    expect([counter("HARDWARE_RECEIVED"), reasons()]).toEqual([1, 0]);
  });

  it("over IPv6, the interface is that of the address", () => {
    addCard();
    addCard(3, 1);
    near(received(dumped("came6")), stamp(0n, NOW + 2000n));
  });

  it("an answer asks for both transmit stamps; the larger entry of them, of IPv4 on a socket for both, is read whole", () => {
    addCard();
    core.view.setUint8(core.fields("MMSG", ["STAMP_ALL"]).STAMP_ALL, 1);
    take({ octets: packet({ transmitTime: 7n }), control: dumped("came4") });
    const out = sent();
    expect(hex(core.bytes.slice(out.control, out.control + out.controlLength))).toBe(hex(dumped("answer")));
    core.exports.mmsgStamp(server());
    arriveAt(core, at.LOOPED, [{ octets: sent().octets, control: dumped("kernel") }, { octets: sent().octets, control: dumped("card") }]);
    expect(core.exports.mmsgStamps(2, server())).toBe(2);
    const table = core.constant("TRANSMIT_STAMPS");
    near(core.u64(table + 8), stamp(0n, NOW + 20n * US));
    near(core.u64(table + 24), stamp(0n, NOW + 23n * US));
    expect([counter("HARDWARE_SENT"), counter("HARDWARE_REFUSED")]).toEqual([1, 0]);
  });
});

describe("a card's receive stamp", () => {
  it("is moved by the rate of the two clocks as well", () => {
    addCard();
    core.view.setFloat64(cardField("RATE"), 20e-6, true);
    // Half a second after the line by the card, 10 µs more by the system.
    setTime(NOW + 500n * MS);
    near(received(beside(NOW + 500n * MS + 15n * US, NOW + AHEAD + 500n * MS)), stamp(0n, NOW + 500n * MS + 10n * US));
  });

  it("is that of the only card where no interface is told, and nobody's where there are two", () => {
    addCard();
    const nowhere = control(1, 37, timespecs(NOW + 5n * US, 0n, NOW + AHEAD));
    near(received(nowhere), stamp(0n, NOW));
    addCard(3, 1);
    near(received(nowhere), stamp(0n, NOW + 5n * US));
  });

  it.each([
    ["received later than the kernel saw it", 200n * US, 2],
    ["received long before the kernel saw it", -60n * MS, 2],
    ["of another second", -3_000_000_000n, 1],
    ["by a clock that was stepped", 3_000_000_000n, 1],
  ])("that would have been %s is refused, and the kernel's is told", (_, off, reason) => {
    addCard();
    near(received(beside(NOW, NOW + AHEAD + off)), stamp(0n, NOW));
    expect([counter("HARDWARE_RECEIVED"), counter("HARDWARE_REFUSED"), reasons()]).toEqual([0, 1, reason]);
    near(received(beside(NOW, NOW + AHEAD - 4n * US)), stamp(0n, NOW - 4n * US));
  });

  it("may be wrong by what the reading of its clock may be", () => {
    addCard();
    const late = beside(NOW, NOW + AHEAD + 150n * US);
    near(received(late), stamp(0n, NOW));
    core.setI64(cardField("DOUBT"), seconds(60e-6));
    near(received(late), stamp(0n, NOW + 150n * US));
  });

  it("is refused while its clock cannot be read", () => {
    addCard();
    core.setU32(cardField("KNOWN"), 0);
    near(received(beside(NOW + 5n * US, NOW + AHEAD)), stamp(0n, NOW + 5n * US));
    expect(reasons()).toBe(1);
  });

  it("may lie as far as a second from the process' own, which is late where the kernel's is missing", () => {
    addCard();
    near(received(beside(0n, NOW + AHEAD - 900n * MS)), stamp(0n, NOW - 900n * MS));
    near(received(beside(0n, NOW + AHEAD - 1100n * MS)), stamp(0n, NOW));
    expect(reasons()).toBe(4);
  });

  it("of another interface's card is not believed, nor anybody's without cards", () => {
    near(received(beside(NOW, NOW + AHEAD - 4n * US)), stamp(0n, NOW));
    addCard();
    near(received(beside(NOW, NOW + AHEAD - 4n * US, { device: 5 })), stamp(0n, NOW));
    expect([counter("HARDWARE_RECEIVED"), counter("HARDWARE_REFUSED"), reasons()]).toEqual([0, 0, 0]);
  });

  it("that is missing eight times in a row is told", () => {
    addCard();
    for (let i = 0; i < 7; i++) received(beside(NOW, 0n));
    received(beside(NOW, NOW + AHEAD));
    for (let i = 0; i < 7; i++) received(beside(NOW, 0n));
    expect(reasons()).toBe(0);
    received(beside(NOW, 0n));
    expect(reasons()).toBe(32);
  });

  it("is told in terms of a served clock", () => {
    addCard();
    core.setI64(core.fields("CLOCK_LINE", ["OFFSET"]).OFFSET, seconds(-3));
    near(received(beside(NOW, NOW + AHEAD - 4n * US)), stamp(0n, NOW - 3_000_000_000n - 4n * US));
  });

  it("does not make a request older than the kernel's does, where the queue stands", () => {
    addCard();
    core.setI64(core.fields("MMSG", ["SHED_AFTER"]).SHED_AFTER, seconds(0.002));
    const fresh = { octets: packet({ transmitTime: 1n }), control: beside(NOW + 200n * MS, NOW + AHEAD + 160n * MS) };
    for (let ms = 0n; ms <= 200n; ms += 20n) {
      setTime(NOW + ms * MS);
      const old = { ...fresh, control: beside(NOW + ms * MS - 3n * MS, 0n) };
      expect(take(...Array.from({ length: 15 }, () => old), { ...fresh, control: beside(NOW + ms * MS, NOW + AHEAD + ms * MS - 40n * MS) })).toBe(ms > 100n ? 1 : 16);
    }
  });
});

describe("an answer's transmit stamps", () => {
  const error = control(0, 11, words(42, 4, 0, 0));
  const byKernel = (ns: bigint, device = DEVICE) => join(control(1, 37, timespecs(ns, 0n, 0n)), info(device), error);
  const byCard = (ns: bigint) => join(control(1, 37, timespecs(0n, 0n, ns + AHEAD)), info(DEVICE), error);

  /** Be asked, answer, hear these entries of the error queue, one at a time; when the next answer says that the one before left. */
  function left(...entries: Uint8Array[]): bigint {
    setTime(NOW);
    expect(take({ octets: packet({ originTime: 1n, receiveTime: 2n, transmitTime: 3n }), control: beside(NOW, NOW + AHEAD) })).toBe(1);
    core.exports.mmsgStamp(server());
    const octets = sent().octets;
    const told = read64(octets, 32);
    for (const one of entries) {
      arriveAt(core, at.LOOPED, [{ octets: join(new Uint8Array(42), octets), control: one }]);
      core.exports.mmsgStamps(1, server());
    }
    take({ octets: packet({ originTime: told, receiveTime: 4n, transmitTime: 5n }), control: beside(NOW + MS, NOW + MS + AHEAD) });
    expect(read64(sent().octets, 24), "interleaved").toBe(4n);
    return read64(sent().octets, 40);
  }

  const KERNEL = NOW + 20n * US;
  const CARD = NOW + 23n * US;

  it.each([
    ["the kernel's, then the card's", () => [byKernel(KERNEL), byCard(CARD)], CARD, [1, 1, 0]],
    ["the card's, then the kernel's", () => [byCard(CARD), byKernel(KERNEL)], CARD, [1, 1, 0]],
    ["the card's alone", () => [byCard(CARD)], CARD, [1, 1, 0]],
    ["the kernel's alone", () => [byKernel(KERNEL)], KERNEL, [1, 0, 0]],
    ["the kernel's, and a card's from before it", () => [byKernel(KERNEL), byCard(KERNEL - 200n * US)], KERNEL, [1, 0, 1]],
    ["the kernel's, and a card's from long after it", () => [byKernel(KERNEL), byCard(KERNEL + 60n * MS)], KERNEL, [1, 0, 1]],
    ["a card's that cannot be, then the kernel's", () => [byCard(NOW - 200n * US), byKernel(KERNEL)], KERNEL, [1, 0, 1]],
    ["a card's of another second, then the kernel's, then the card's", () => [byCard(NOW - 3_000_000_000n), byKernel(KERNEL), byCard(CARD)], CARD, [1, 1, 1]],
    ["each twice", () => [byKernel(KERNEL), byCard(CARD), byKernel(KERNEL + US), byCard(CARD + US)], CARD, [1, 1, 0]],
    ["the kernel's, by an interface without a card", () => [byKernel(KERNEL, 5), byCard(CARD)], KERNEL, [1, 0, 0]],
  ] as const)("%s: the right one is told, and counted once", (_, entries, wanted, [stamps, hardware, refused]) => {
    addCard();
    // The mark of a pair that was used is the lowest bit.
    near(left(...entries()), stamp(0n, wanted));
    expect([counter("STAMPS"), counter("HARDWARE_SENT"), counter("HARDWARE_REFUSED")]).toEqual([stamps, hardware, refused]);
  });

  it("without cards are the kernel's, which alone is asked for", () => {
    near(left(byKernel(KERNEL), byCard(CARD)), stamp(0n, KERNEL));
    const out = sent();
    expect(core.u32(out.control + out.controlLength - 8)).toBe(2);
  });
});

describe("whatever lies in the buffers", () => {
  const parts = fc.array(
    fc.oneof(
      fc.tuple(fc.constantFrom(0, 1, 41), fc.constantFrom(8, 11, 25, 35, 37, 50, 58), fc.uint8Array({ maxLength: 60 })).map(([level, type, data]) => control(level, type, data)),
      fc.uint8Array({ maxLength: 40 }),
    ),
    { maxLength: 4 },
  );

  it("nothing traps, nothing else is touched, and the answers go", () => {
    const guard = core.bytes.length - 4096;
    core.bytes.fill(0xee, guard);
    const card = fc.uint8Array({ minLength: core.constant("CARD_SIZE"), maxLength: core.constant("CARD_SIZE") });
    fc.assert(
      fc.property(card, fc.integer({ min: 0, max: 0xffff_ffff }), fc.array(parts, { minLength: 1, maxLength: 6 }), (line, count, controls) => {
        core.bytes.set(line, core.constant("CARDS"));
        core.setU32(core.constant("CARD_LIMITS") + core.constant("CARD_LIMITS_COUNT"), count);
        const arrivals = controls.map((one) => ({ octets: packet({ originTime: 1n, receiveTime: 2n, transmitTime: 3n }), control: join(...one).subarray(0, 192) }));
        expect(take(...arrivals)).toBe(arrivals.length);
        core.exports.mmsgStamp(server());
        arriveAt(core, at.LOOPED, arrivals.map(({ control: one }, index) => ({ octets: sent(index).octets, control: one })));
        core.exports.mmsgStamps(arrivals.length, server());
      }),
      { numRuns: 1500 },
    );
    expect(core.bytes.subarray(guard).every((octet) => octet === 0xee)).toBe(true);
  });
});

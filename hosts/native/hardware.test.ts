// SPDX-License-Identifier: MIT OR Apache-2.0
/** A card's stamps and clock, against a fake kernel that fills the kernel's structures. No machine of ours has such a card. */
import { describe, expect, it } from "vitest";
import { Card, EVERYTHING as ALL } from "../../tests/support/card.ts";
import * as hw from "./hardware.ts";
import { SOF_TIMESTAMPING_RAW_HARDWARE, SOF_TIMESTAMPING_RX_HARDWARE } from "./linux.ts";

const EPERM = 1;
const EOPNOTSUPP = 95;

describe("a card", () => {
  it("that stamps everything can be switched on", () => {
    const card = new Card();
    const ability = hw.hardwareAbility(card, "eth0");
    expect(ability).toEqual({ interface: "eth0", receive: true, transmit: true, phc: 0, filter: hw.HWTSTAMP_FILTER_ALL, reason: undefined });
    expect(hw.switchOn(card, ability)).toBeUndefined();
    expect(card.set).toBe(1);
  });

  it("is asked for NTP's datagrams alone where it knows them", () => {
    const filters = (1 << hw.HWTSTAMP_FILTER_ALL) | (1 << hw.HWTSTAMP_FILTER_NTP_ALL);
    expect(hw.hardwareAbility(new Card({ filters }), "eth0").filter).toBe(hw.HWTSTAMP_FILTER_NTP_ALL);
  });

  it("that stamps already is left as others have set it", () => {
    const card = new Card({ inForce: hw.HWTSTAMP_FILTER_ALL });
    expect(hw.switchOn(card, hw.hardwareAbility(card, "eth0"))).toBeUndefined();
    expect(card.set).toBe(0);
  });

  it.each([
    ["without a clock", { phc: -1 }, "no clock of its own"],
    ["that stamps PTP's packets only", { filters: 1 << 12 }, "nothing that NTP receives"],
    ["that cannot stamp what it receives", { can: ALL & ~SOF_TIMESTAMPING_RX_HARDWARE }, "what it receives"],
    ["that cannot stamp what it sends", { txTypes: 1 }, "what it sends"],
    ["whose stamps nobody reports", { can: ALL & ~SOF_TIMESTAMPING_RAW_HARDWARE }, "what it receives"],
    ["whose driver knows nothing of this", { refuse: EOPNOTSUPP }, "EOPNOTSUPP"],
  ])("%s is a reason for software stamps", (_, options, reason) => {
    const card = new Card(options);
    const ability = hw.hardwareAbility(card, "eth0");
    expect(ability.reason).toContain(reason);
    expect(hw.switchOn(card, ability)).toContain(reason);
    expect(card.set).toBe(0);
  });

  it("that is not there is a reason, too", () => {
    expect(hw.hardwareAbility(new Card(), "eth9").reason).toContain("ENODEV");
  });

  it("that may not be changed is a reason", () => {
    const ability = hw.hardwareAbility(new Card(), "eth0");
    expect(hw.switchOn(new Card({ refuse: EPERM }), ability)).toContain("EPERM");
  });

  it("whose driver takes another filter than asked for is a reason", () => {
    const card = new Card({ takes: 12 });
    expect(hw.switchOn(card, hw.hardwareAbility(card, "eth0"))).toContain("took 12");
  });
});

describe("a report", () => {
  it("tells what a card can and how far its clock is ahead, and changes nothing", () => {
    const card = new Card();
    expect(hw.hardwareReport(card, "eth0")).toMatchObject({ receive: true, transmit: true, phc: 0, reason: undefined, clock: { ahead: 37, method: "precise" } });
    expect([card.set, card.open_.size]).toEqual([0, 0]);
  });

  it("tells why the clock of a card cannot be read", () => {
    expect(hw.hardwareReport(new Card({ phc: 4 }), "eth0").reason).toContain("ENODEV");
  });
});

describe("a card's clock", () => {
  it.each([
    ["precise", [hw.PTP_SYS_OFFSET_PRECISE, hw.PTP_SYS_OFFSET], 0],
    ["extended", [hw.PTP_SYS_OFFSET_EXTENDED, hw.PTP_SYS_OFFSET], 1e-6],
    ["plain", [hw.PTP_SYS_OFFSET], 1e-6],
    ["clock", [], 200e-9],
  ] as const)("is read by the best way that the driver knows: %s", (method, knows, window) => {
    const clock = new hw.PtpClock(new Card({ knows }), 0);
    const reading = clock.read();
    expect(reading.method).toBe(method);
    expect(reading.window).toBeCloseTo(window, 12);
    expect(reading.phcNs - reading.systemNs).toBe(37_000_000_000n);
    expect(clock.read().method).toBe(method);
  });

  it("that is ahead gives stamps in terms of the system's clock, its own frequency taken out", () => {
    const card = new Card({ knows: [hw.PTP_SYS_OFFSET_PRECISE] });
    const clock = new hw.PtpClock(card, 0);
    expect(clock.toSystem(card.systemNs)).toBeUndefined();
    clock.read();
    // In a second of the card's the system's clock gains 20 µs on it.
    card.systemNs += 1_000_020_000n;
    (card.options as { ahead: bigint }).ahead -= 20_000n;
    const { phcNs, systemNs } = clock.read();
    expect(clock.toSystem(phcNs)?.systemNs).toBe(systemNs);
    expect(clock.toSystem(phcNs - 500_000_000n)?.systemNs).toBe(systemNs - 500_010_000n);
    expect(clock.toSystem(phcNs - 60_000_000_000n)).toBeUndefined();
  });

  it("that was stepped between two readings has no frequency", () => {
    const card = new Card({ knows: [hw.PTP_SYS_OFFSET_PRECISE] });
    const clock = new hw.PtpClock(card, 0);
    clock.read();
    card.systemNs += 1_500_000_000n;
    (card.options as { ahead: bigint }).ahead -= 500_000_000n;
    const { phcNs, systemNs } = clock.read();
    expect(clock.toSystem(phcNs + 100n)?.systemNs).toBe(systemNs + 100n);
  });

  it("is FD_TO_CLOCKID of its descriptor", () => {
    expect([0, 3, 7].map(hw.clockIdOf)).toEqual([-5, -29, -61]);
  });

  it("that is not there is an error, and leaks nothing", () => {
    expect(() => new hw.PtpClock(new Card(), 3)).toThrow("ENODEV");
    const card = new Card();
    const clock = new hw.PtpClock(card, 0);
    clock.close();
    clock.close();
    expect(card.open_.size).toBe(0);
  });
});

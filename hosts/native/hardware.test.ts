// SPDX-License-Identifier: MIT OR Apache-2.0
/** A card's stamps and clock, against a fake kernel that fills the kernel's structures. No machine of ours has such a card. */
import { describe, expect, it } from "vitest";
import type { DeviceLayer } from "./device.ts";
import { SystemError } from "./errno.ts";
import * as hw from "./hardware.ts";

const EOPNOTSUPP = 95;
const EPERM = 1;
const ENODEV = 19;
const ENOTTY = 25;

interface CardOptions {
  readonly can?: number;
  readonly phc?: number;
  readonly txTypes?: number;
  readonly filters?: number;
  readonly refuse?: number;
  /** The filter that the driver takes instead. */
  readonly takes?: number;
  /** Filter in force before. */
  readonly inForce?: number;
  /** Ioctls that the driver knows. */
  readonly knows?: readonly number[];
  /** The card's clock less the system's, ns, and its rate. */
  readonly ahead?: bigint;
}

const ALL = hw.SOF_TIMESTAMPING_TX_HARDWARE | hw.SOF_TIMESTAMPING_RX_HARDWARE | hw.SOF_TIMESTAMPING_RAW_HARDWARE;

class Card implements DeviceLayer {
  readonly options: Required<Omit<CardOptions, "refuse" | "takes">> & Pick<CardOptions, "refuse" | "takes">;
  systemNs = 1_900_000_000_000_000_000n;
  /** Requests that changed the card. */
  set = 0;
  open_ = new Map<number, string>();

  constructor(options: CardOptions = {}) {
    const knows = [hw.PTP_SYS_OFFSET_PRECISE, hw.PTP_SYS_OFFSET_EXTENDED, hw.PTP_SYS_OFFSET];
    this.options = { can: ALL, phc: 0, txTypes: 1 << hw.HWTSTAMP_TX_ON, filters: 1 << hw.HWTSTAMP_FILTER_ALL, inForce: 0, knows, ahead: 37_000_000_000n, ...options };
  }

  open(path: string): number {
    if (path !== "/dev/ptp0") throw new SystemError("open", ENODEV, path);
    this.open_.set(7, path);
    return 7;
  }
  close(fd: number): void {
    this.open_.delete(fd);
  }
  ioctl(fd: number, request: number, data: Uint8Array): number {
    if (!this.open_.has(fd) || !this.options.knows.includes(request)) throw new SystemError("ioctl", ENOTTY);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (request === hw.PTP_SYS_OFFSET_PRECISE) {
      this.#put(view, hw.SYS_OFFSET_PRECISE.device, this.systemNs + this.options.ahead);
      this.#put(view, hw.SYS_OFFSET_PRECISE.sys_realtime, this.systemNs);
      return 0;
    }
    const stride = request === hw.PTP_SYS_OFFSET_EXTENDED ? 3 : 2;
    const count = view.getUint32(0, true);
    let at = 16;
    for (let i = 0; i < count; i++) {
      // Reading number 4 is the quickest; the others were held up on one side.
      const late = i === 4 ? 0n : 5_000n * BigInt(i + 1);
      this.#put(view, at, this.systemNs);
      this.#put(view, at + 16, this.systemNs + 500n + late + this.options.ahead);
      this.systemNs += 1000n + late;
      if (stride === 3 || i === count - 1) this.#put(view, at + 32, this.systemNs);
      at += stride * 16;
    }
    return 0;
  }
  interfaceIoctl(request: number, name: string, data: Uint8Array): number {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const { can, phc, txTypes, filters, refuse, takes, inForce } = this.options;
    if (name !== "eth0") throw new SystemError("ioctl", ENODEV, name);
    if (refuse !== undefined) throw new SystemError("ioctl", refuse, name);
    if (request === hw.SIOCETHTOOL) {
      expect(view.getUint32(0, true)).toBe(hw.ETHTOOL_GET_TS_INFO);
      view.setUint32(hw.TS_INFO.so_timestamping, can, true);
      view.setInt32(hw.TS_INFO.phc_index, phc, true);
      view.setUint32(hw.TS_INFO.tx_types, txTypes, true);
      view.setUint32(hw.TS_INFO.rx_filters, filters, true);
    } else if (request === hw.SIOCGHWTSTAMP) {
      view.setInt32(hw.CONFIG.tx_type, inForce ? 1 : 0, true);
      view.setInt32(hw.CONFIG.rx_filter, inForce, true);
    } else {
      expect(request).toBe(hw.SIOCSHWTSTAMP);
      this.set += 1;
      if (takes !== undefined) view.setInt32(hw.CONFIG.rx_filter, takes, true);
    }
    return 0;
  }
  clockNs(clockId: number): bigint {
    this.systemNs += 100n;
    if (clockId === 0) return this.systemNs;
    if (clockId !== hw.clockIdOf(7)) throw new SystemError("clock_gettime", ENODEV);
    return this.systemNs + this.options.ahead;
  }
  #put(view: DataView, at: number, ns: bigint): void {
    view.setBigInt64(at, ns / 1_000_000_000n, true);
    view.setUint32(at + 8, Number(ns % 1_000_000_000n), true);
  }
}

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
    ["that cannot stamp what it receives", { can: ALL & ~hw.SOF_TIMESTAMPING_RX_HARDWARE }, "what it receives"],
    ["that cannot stamp what it sends", { txTypes: 1 }, "what it sends"],
    ["whose stamps nobody reports", { can: ALL & ~hw.SOF_TIMESTAMPING_RAW_HARDWARE }, "what it receives"],
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

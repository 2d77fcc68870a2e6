// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Time stamps by the network card: what it can, switching it on, its clock (PHC) against the system's, and its stamps in
 * terms of the system's clock. Linux, by ioctl (Documentation/networking/timestamping.rst, Documentation/driver-api/ptp.rst).
 *
 *   SIOCETHTOOL / ETHTOOL_GET_TS_INFO   what the card and its driver can; the index of its clock
 *   SIOCSHWTSTAMP                       switch stamping on: changes the card for everybody, needs CAP_NET_ADMIN
 *   PTP_SYS_OFFSET_PRECISE, _EXTENDED,  the card's clock and the system's read together, the best one that the driver knows
 *   PTP_SYS_OFFSET
 *   clock_gettime(FD_TO_CLOCKID(fd))    the card's clock alone
 *
 * The layouts, octets of each field:
 *
 *   ethtool_ts_info 44           0 u32 cmd  4 u32 so_timestamping  8 i32 phc_index  12 u32 tx_types  28 u32 rx_filters
 *   ethtool_cmd 44               0 u32 cmd  12 u16 speed  28 u16 its upper half, Mbit/s
 *   hwtstamp_config 12           0 i32 flags  4 i32 tx_type  8 i32 rx_filter
 *   ptp_clock_time 16            0 i64 s  8 u32 ns
 *   ptp_sys_offset 832           0 u32 n  16 times[51]: system, card, system, card, …, system
 *   ptp_sys_offset_extended 1216 0 u32 n  16 times[25][3]: system, card, system
 *   ptp_sys_offset_precise 64    0 card  16 system  32 raw
 *
 * Where something is missing the answer is a reason and software stamps, never an error. Refuses to steer a card's clock.
 * Tested in hardware.test.ts against a fake layer; layouts and numbers in tests/native/device-layout.test.ts. Not yet proven
 * on hardware.
 *
 * @module
 */

import type { HardwareStamping } from "../common/refclock/devices.ts";
import { O_RDONLY, type DeviceLayer } from "./device.ts";
import { CLOCK_REALTIME, SOF_TIMESTAMPING_RAW_HARDWARE, SOF_TIMESTAMPING_RX_HARDWARE, SOF_TIMESTAMPING_TX_HARDWARE } from "./linux.ts";

export const SIOCETHTOOL = 0x8946;
export const SIOCSHWTSTAMP = 0x89b0;
export const SIOCGHWTSTAMP = 0x89b1;
export const ETHTOOL_GSET = 0x1;
export const ETHTOOL_GET_TS_INFO = 0x41;
export const HWTSTAMP_TX_ON = 1;
export const HWTSTAMP_FILTER_ALL = 1;
export const HWTSTAMP_FILTER_NTP_ALL = 15;
export const PTP_SYS_OFFSET = 0x43403d05;
export const PTP_SYS_OFFSET_PRECISE = 0xc0403d08;
export const PTP_SYS_OFFSET_EXTENDED = 0xc4c03d09;
export const TS_INFO = { size: 44, cmd: 0, so_timestamping: 4, phc_index: 8, tx_types: 12, rx_filters: 28 } as const;
export const LINK = { size: 44, cmd: 0, speed: 12, speed_hi: 28 } as const;
export const CONFIG = { size: 12, flags: 0, tx_type: 4, rx_filter: 8 } as const;
export const PTP_TIME = { size: 16, sec: 0, nsec: 8 } as const;
export const SYS_OFFSET = { size: 832, n_samples: 0, ts: 16 } as const;
export const SYS_OFFSET_EXTENDED = { size: 1216, n_samples: 0, ts: 16 } as const;
export const SYS_OFFSET_PRECISE = { size: 64, device: 0, sys_realtime: 16 } as const;

/** Readings at a time: the quickest one counts. */
const READINGS = 9;
/** CLOCKFD of the kernel's posix-timers: the clock behind a descriptor. */
const CLOCKFD = 3;

/** What a card can. */
export interface HardwareAbility {
  readonly interface: string;
  /** Whether NTP's datagrams can be stamped on their way in, and out, by the card. */
  readonly receive: boolean;
  readonly transmit: boolean;
  /** Number of its clock: /dev/ptpN; -1: none. */
  readonly phc: number;
  /** The filter to ask for; undefined where it cannot stamp what NTP receives. */
  readonly filter: number | undefined;
  /** Why software stamps have to do; undefined where they need not. */
  readonly reason: string | undefined;
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.length);
}

/** Ask an interface's driver. Never throws: what it does not know it cannot. */
export function hardwareAbility(layer: DeviceLayer, name: string): HardwareAbility {
  const none = (reason: string): HardwareAbility => ({ interface: name, receive: false, transmit: false, phc: -1, filter: undefined, reason });
  const data = new Uint8Array(TS_INFO.size);
  const view = viewOf(data);
  view.setUint32(TS_INFO.cmd, ETHTOOL_GET_TS_INFO, true);
  try {
    layer.interfaceIoctl(SIOCETHTOOL, name, data);
  } catch (error) {
    return none(`${name}: ${(error as Error).message}`);
  }
  const can = view.getUint32(TS_INFO.so_timestamping, true);
  const phc = view.getInt32(TS_INFO.phc_index, true);
  const filter = bestFilter(view.getUint32(TS_INFO.rx_filters, true));
  const raw = (can & SOF_TIMESTAMPING_RAW_HARDWARE) !== 0;
  const receive = raw && (can & SOF_TIMESTAMPING_RX_HARDWARE) !== 0 && filter !== undefined;
  const transmit = raw && (can & SOF_TIMESTAMPING_TX_HARDWARE) !== 0 && (view.getUint32(TS_INFO.tx_types, true) & (1 << HWTSTAMP_TX_ON)) !== 0;
  return { interface: name, receive, transmit, phc, filter, reason: reasonFor({ name, receive, transmit, phc, filter }) };
}

/** Every datagram, or at least NTP's. Filters for PTP's own are of no use. */
function bestFilter(filters: number): number | undefined {
  return [HWTSTAMP_FILTER_NTP_ALL, HWTSTAMP_FILTER_ALL].find((filter) => (filters & (1 << filter)) !== 0);
}

interface Found {
  readonly name: string;
  readonly receive: boolean;
  readonly transmit: boolean;
  readonly phc: number;
  readonly filter: number | undefined;
}

function reasonFor({ name, receive, transmit, phc, filter }: Found): string | undefined {
  if (phc < 0) return `${name} has no clock of its own`;
  if (filter === undefined) return `${name} stamps nothing that NTP receives`;
  if (!receive) return `${name} does not stamp what it receives`;
  return transmit ? undefined : `${name} does not stamp what it sends`;
}

/**
 * Switch stamping on, if it is not yet: a setting of the card, which others may rely on, and which a driver may widen. The
 * reason why not, or undefined. Never throws.
 */
export function switchOn(layer: DeviceLayer, ability: HardwareAbility): string | undefined {
  const { interface: name, filter, reason } = ability;
  if (reason !== undefined || filter === undefined) return reason ?? `${name} has no filter`;
  try {
    if (stampsAlready(layer, name, filter)) return undefined;
    const data = new Uint8Array(CONFIG.size);
    viewOf(data).setInt32(CONFIG.tx_type, HWTSTAMP_TX_ON, true);
    viewOf(data).setInt32(CONFIG.rx_filter, filter, true);
    layer.interfaceIoctl(SIOCSHWTSTAMP, name, data);
    // The driver says what it really does.
    const got = viewOf(data).getInt32(CONFIG.rx_filter, true);
    return got === filter || got === HWTSTAMP_FILTER_ALL ? undefined : `${name} was asked for filter ${filter} and took ${got}`;
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
}

function stampsAlready(layer: DeviceLayer, name: string, filter: number): boolean {
  const data = new Uint8Array(CONFIG.size);
  try {
    layer.interfaceIoctl(SIOCGHWTSTAMP, name, data);
  } catch {
    return false; // a driver that only knows how to set
  }
  const present = viewOf(data).getInt32(CONFIG.rx_filter, true);
  return viewOf(data).getInt32(CONFIG.tx_type, true) === HWTSTAMP_TX_ON && (present === filter || present === HWTSTAMP_FILTER_ALL);
}

/** Bits a second of an interface's link; undefined where it is not told, or down. Never throws. */
export function linkSpeed(layer: DeviceLayer, name: string): number | undefined {
  const data = new Uint8Array(LINK.size);
  viewOf(data).setUint32(LINK.cmd, ETHTOOL_GSET, true);
  try {
    layer.interfaceIoctl(SIOCETHTOOL, name, data);
  } catch {
    return undefined;
  }
  const [low, high] = [viewOf(data).getUint16(LINK.speed, true), viewOf(data).getUint16(LINK.speed_hi, true)];
  // SPEED_UNKNOWN is -1, in 16 bits of old drivers.
  const unknown = (low === 0 && high === 0) || (low === 0xffff && (high === 0 || high === 0xffff));
  return unknown ? undefined : (high * 0x1_0000 + low) * 1e6;
}

/** What can be told of a card without changing it. Never throws. */
export function hardwareReport(layer: DeviceLayer, name: string): HardwareStamping {
  const { receive, transmit, phc, reason } = hardwareAbility(layer, name);
  const report = { interface: name, receive, transmit, phc, reason };
  if (phc < 0) return report;
  try {
    const clock = new PtpClock(layer, phc);
    try {
      const { phcNs, systemNs, window, method } = clock.read();
      return { ...report, clock: { ahead: Number(phcNs - systemNs) / 1e9, window, method } };
    } finally {
      clock.close();
    }
  } catch (error) {
    return { ...report, reason: reason ?? `the clock of ${name} cannot be read: ${(error as Error).message}` };
  }
}

/** The card's clock and the system's at one moment. */
export interface PhcReading {
  readonly phcNs: bigint;
  readonly systemNs: bigint;
  /** How long the reading took: the true moment lies within half of it, s. */
  readonly window: number;
  readonly method: "precise" | "extended" | "plain" | "clock";
}

type Method = (layer: DeviceLayer, fd: number) => PhcReading;

/** A card's clock, open. */
export class PtpClock {
  readonly #layer: DeviceLayer;
  #fd: number;
  /** Found at the first reading: the best that this driver knows. */
  #method: Method | undefined;
  #last: PhcReading | undefined;
  #before: PhcReading | undefined;

  /** `fd`: where it is open already, by another thread of the process. @throws {SystemError} when there is no /dev/ptp`index`. */
  constructor(layer: DeviceLayer, index: number, fd = layer.open(`/dev/ptp${index}`, O_RDONLY)) {
    this.#layer = layer;
    this.#fd = fd;
  }

  /** For other threads; it stays this one's, which closes it. */
  get descriptor(): number {
    return this.#fd;
  }

  /** Read both clocks. @throws {SystemError} when the driver knows no way at all. */
  read(): PhcReading {
    const reading = this.#method ? this.#method(this.#layer, this.#fd) : this.#first();
    this.#before = this.#last;
    this.#last = reading;
    return reading;
  }

  #first(): PhcReading {
    let failure: unknown;
    for (const method of [readPrecise, readExtended, readPlain, readClock]) {
      try {
        const reading = method(this.#layer, this.#fd);
        this.#method = method;
        return reading;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /**
   * A stamp of the card's in terms of the system's clock, by the last two readings; undefined before the first, or for a stamp
   * more than `limit` s away from the last.
   */
  toSystem(stampNs: bigint, limit = 10): { readonly systemNs: bigint; readonly error: number } | undefined {
    const line = this.line();
    if (!line) return undefined;
    const { phcNs, systemNs, rate, error } = line;
    const since = stampNs - phcNs;
    if (Math.abs(Number(since)) / 1e9 > limit) return undefined;
    // What the two clocks' frequencies differ by beyond the measured rate is small against the window.
    return { systemNs: systemNs + since + BigInt(Math.round(Number(since) * rate)), error };
  }

  /** The system's clock in terms of the card's: the last reading, what the system's gains, and what that may be wrong by, s. */
  line(): { readonly phcNs: bigint; readonly systemNs: bigint; readonly rate: number; readonly error: number } | undefined {
    if (!this.#last) return undefined;
    const { phcNs, systemNs, window } = this.#last;
    return { phcNs, systemNs, rate: this.#rate(), error: window / 2 };
  }

  /** By how much faster the system's clock runs than the card's. 0 where a step lies between the readings. */
  #rate(): number {
    if (!this.#last || !this.#before) return 0;
    const span = Number(this.#last.phcNs - this.#before.phcNs);
    const rate = span > 0 ? (Number(this.#last.systemNs - this.#before.systemNs) - span) / span : 0;
    return Math.abs(rate) < MOST_RATE ? rate : 0;
  }

  close(): void {
    if (this.#fd >= 0) this.#layer.close(this.#fd);
    this.#fd = -1;
  }
}

/** No two clocks differ by more; what does was stepped. */
const MOST_RATE = 1e-3;

function timeAt(view: DataView, at: number): bigint {
  return view.getBigInt64(at + PTP_TIME.sec, true) * 1_000_000_000n + BigInt(view.getUint32(at + PTP_TIME.nsec, true));
}

/** The hardware latched both at once. */
const readPrecise: Method = (layer, fd) => {
  const data = new Uint8Array(SYS_OFFSET_PRECISE.size);
  layer.ioctl(fd, PTP_SYS_OFFSET_PRECISE, data);
  const view = viewOf(data);
  return { phcNs: timeAt(view, SYS_OFFSET_PRECISE.device), systemNs: timeAt(view, SYS_OFFSET_PRECISE.sys_realtime), window: 0, method: "precise" };
};

/** Each reading of the card's between two of the system's, taken next to it. */
const readExtended: Method = (layer, fd) => {
  const data = new Uint8Array(SYS_OFFSET_EXTENDED.size);
  viewOf(data).setUint32(SYS_OFFSET_EXTENDED.n_samples, READINGS, true);
  layer.ioctl(fd, PTP_SYS_OFFSET_EXTENDED, data);
  return quickest(viewOf(data), SYS_OFFSET_EXTENDED.ts, 3, "extended");
};

/** Readings in turn, ending with the system's. */
const readPlain: Method = (layer, fd) => {
  const data = new Uint8Array(SYS_OFFSET.size);
  viewOf(data).setUint32(SYS_OFFSET.n_samples, READINGS, true);
  layer.ioctl(fd, PTP_SYS_OFFSET, data);
  return quickest(viewOf(data), SYS_OFFSET.ts, 2, "plain");
};

/** Of triples (system, card, system), `stride` times apart, the one that took least. */
function quickest(view: DataView, from: number, stride: number, method: PhcReading["method"]): PhcReading {
  const readings = Array.from({ length: READINGS }, (_, i) => {
    const at = (place: number) => timeAt(view, from + (i * stride + place) * PTP_TIME.size);
    return between(at(0), at(1), at(2), method);
  });
  return leastDoubtful(readings);
}

/** One during which the system's clock was stepped back is none. */
function leastDoubtful(readings: readonly PhcReading[]): PhcReading {
  return readings.reduce((best, reading) => (best.window < 0 || (reading.window >= 0 && reading.window < best.window) ? reading : best));
}

/** No ioctl at all: three calls, with the process in between. */
const readClock: Method = (layer, fd) => {
  const readings = Array.from({ length: READINGS }, () => {
    const before = layer.clockNs(CLOCK_REALTIME);
    const phc = layer.clockNs(clockIdOf(fd));
    return between(before, phc, layer.clockNs(CLOCK_REALTIME), "clock");
  });
  return leastDoubtful(readings);
};

function between(before: bigint, phcNs: bigint, after: bigint, method: PhcReading["method"]): PhcReading {
  return { phcNs, systemNs: before + (after - before) / 2n, window: Number(after - before) / 1e9, method };
}

/** FD_TO_CLOCKID of the kernel's documentation: ~fd above the three bits that say which kind of clock. */
export function clockIdOf(fd: number): number {
  return (~fd << 3) | CLOCKFD;
}

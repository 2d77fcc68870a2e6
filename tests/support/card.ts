// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A network card that stamps, as the kernel shows it: a fake layer that fills the kernel's structures. No machine of ours
 * has such a card.
 *
 * @module
 */

import type { DeviceLayer } from "../../hosts/native/device.ts";
import { SystemError } from "../../hosts/native/errno.ts";
import * as hw from "../../hosts/native/hardware.ts";
import { SOF_TIMESTAMPING_RAW_HARDWARE, SOF_TIMESTAMPING_RX_HARDWARE, SOF_TIMESTAMPING_TX_HARDWARE } from "../../hosts/native/linux.ts";

const ENODEV = 19;
const EOPNOTSUPP = 95;
const ENOTTY = 25;

export interface CardOptions {
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
  /** The card's clock less the system's, ns. */
  readonly ahead?: bigint;
  /** Mbit/s of its link; without it nothing is told of that. */
  readonly speed?: number;
  /** The interface. */
  readonly name?: string;
  /** The system's clock; one that stands still where there is none. */
  readonly now?: () => bigint;
}

/** What a card can that stamps in both directions. */
export const EVERYTHING = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;

type Optional = "refuse" | "takes" | "now" | "speed";

export class Card implements DeviceLayer {
  readonly options: Required<Omit<CardOptions, Optional>> & Pick<CardOptions, Optional>;
  systemNs = 1_900_000_000_000_000_000n;
  /** Requests that changed the card. */
  set = 0;
  /** How often its clock was read by an ioctl. */
  read = 0;
  open_ = new Map<number, string>();

  constructor(options: CardOptions = {}) {
    const knows = [hw.PTP_SYS_OFFSET_PRECISE, hw.PTP_SYS_OFFSET_EXTENDED, hw.PTP_SYS_OFFSET];
    this.options = { can: EVERYTHING, phc: 0, txTypes: 1 << hw.HWTSTAMP_TX_ON, filters: 1 << hw.HWTSTAMP_FILTER_ALL, inForce: 0, knows, ahead: 37_000_000_000n, name: "eth0", ...options };
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
    this.systemNs = this.options.now?.() ?? this.systemNs;
    this.read += 1;
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
    if (name !== this.options.name) throw new SystemError("ioctl", ENODEV, name);
    if (refuse !== undefined) throw new SystemError("ioctl", refuse, name);
    if (request === hw.SIOCETHTOOL && view.getUint32(0, true) === hw.ETHTOOL_GSET) {
      const { speed } = this.options;
      if (speed === undefined) throw new SystemError("ioctl", EOPNOTSUPP, name);
      view.setUint16(hw.LINK.speed, speed & 0xffff, true);
      view.setUint16(hw.LINK.speed_hi, speed >>> 16, true);
    } else if (request === hw.SIOCETHTOOL) {
      expected(view.getUint32(0, true), hw.ETHTOOL_GET_TS_INFO);
      view.setUint32(hw.TS_INFO.so_timestamping, can, true);
      view.setInt32(hw.TS_INFO.phc_index, phc, true);
      view.setUint32(hw.TS_INFO.tx_types, txTypes, true);
      view.setUint32(hw.TS_INFO.rx_filters, filters, true);
    } else if (request === hw.SIOCGHWTSTAMP) {
      view.setInt32(hw.CONFIG.tx_type, inForce ? 1 : 0, true);
      view.setInt32(hw.CONFIG.rx_filter, inForce, true);
    } else {
      expected(request, hw.SIOCSHWTSTAMP);
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

/** It runs on every runtime, and so without a test runner. */
function expected(got: number, wanted: number): void {
  if (got !== wanted) throw new Error(`expected request 0x${wanted.toString(16)}, got 0x${got.toString(16)}`);
}

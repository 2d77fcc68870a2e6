// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The kernel with a network card under it that stamps: an FFI whose recvmsg writes a card's stamps beside the kernel's own,
 * octet by octet as Linux does (net/core/scm.c, net/socket.c, net/ipv4/ip_sockglue.c); and the recvmmsg of a server's batches.
 *
 * @module
 */

import type { CFunction, Ffi, Signature } from "../../hosts/native/ffi.ts";
import { MSG_ERRQUEUE, SCM_TIMESTAMPING_PKTINFO, SOL_IP, SOL_SOCKET, SO_TIMESTAMPING, IP_PKTINFO, IP_RECVERR } from "../../hosts/native/linux.ts";
import { readControls } from "../../hosts/native/message.ts";
import type { ServerLibc } from "../../hosts/native/server-libc.ts";

/** What the card says, by its own clock, of a datagram that the kernel stamped at `kernelNs`; undefined: nothing. */
export type CardSays = (kernelNs: bigint, direction: "sent" | "received") => bigint | undefined;

export interface StampedFfi {
  readonly ffi: Ffi;
  /** Interfaces that the kernel itself told of, of what was sent. */
  readonly leftBy: number[];
}

/** `device`: the card's interface. `held`: its transmit stamps do not come yet. */
export function stampedBy(real: Ffi, says: CardSays, { device = 1, held = () => false }: { device?: number; held?: () => boolean } = {}): StampedFfi {
  const blocks = new Map<number, Uint8Array>();
  const leftBy: number[] = [];
  const address = (view: Uint8Array) => {
    const at = real.address(view);
    blocks.set(at, view);
    return at;
  };
  const open = <K extends string>(library: string | null, symbols: Record<K, Signature>): Record<K, CFunction> => {
    const bound: Record<string, CFunction> = real.open(library, symbols);
    const { recvmsg, close } = bound as { recvmsg: CFunction; close: CFunction };
    const waiting: Uint8Array[] = [];
    const stamped: CFunction = (fd, header, flags) => {
      const errors = (Number(flags) & MSG_ERRQUEUE) !== 0;
      const message = new ControlArea(blocks.get(Number(header))!, Number(header));
      const length = recvmsg(fd as number, header as number, flags as number);
      if (length >= 0 && !errors) message.addStamp(says, device);
      if (length >= 0 && errors) waiting.push(...message.transmitStamp(says, device, leftBy));
      if (length >= 0 || !errors) return length;
      const entry = held() ? undefined : waiting.shift();
      // close(-1) fails as recvmsg has failed.
      return entry ? message.fill(entry) : close(-1);
    };
    return { ...bound, recvmsg: stamped } as Record<K, CFunction>;
  };
  return { ffi: { name: real.name, address, open }, leftBy };
}

/** `libc` of a server whose batches lie in `memory`; its recvmmsg gives the stamps of a card on interface `device` as well. */
export function stampedBatches(libc: ServerLibc, memory: Uint8Array, says: CardSays, device: number): ServerLibc {
  const base = libc.ffi.address(memory);
  const messageAt = (array: number, index: number) => memory.subarray(array - base + index * MMSG_BYTES);
  const waiting: { readonly entry: Uint8Array; readonly datagram: Uint8Array }[] = [];
  const recvmmsg: CFunction = (...args) => {
    const [, array, room, flags] = args.map(Number) as [number, number, number, number];
    const errors = (flags & MSG_ERRQUEUE) !== 0;
    const count = libc.recvmmsg(...args);
    for (let index = 0; index < count; index++) {
      const area = new ControlArea(messageAt(array, index), array + index * MMSG_BYTES);
      if (errors) waiting.push(...area.transmitStamp(says, device, []).map((entry) => ({ entry, datagram: area.datagram(memory, base) })));
      else area.addStamp(says, device);
    }
    if (!errors || waiting.length === 0) return count;
    const had = Math.max(0, count);
    const late = waiting.splice(0, room - had);
    late.forEach(({ entry, datagram }, index) => {
      const area = new ControlArea(messageAt(array, had + index), array + (had + index) * MMSG_BYTES);
      area.fill(entry);
      area.setDatagram(memory, base, datagram);
    });
    return had + late.length;
  };
  return { ...libc, recvmmsg };
}

/** Octets of an mmsghdr. */
const MMSG_BYTES = 64;

class ControlArea {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #at: number;

  constructor(block: Uint8Array, address: number) {
    this.#bytes = block;
    this.#view = new DataView(block.buffer, block.byteOffset, block.length);
    this.#at = Number(this.#view.getBigUint64(32, true)) - address;
  }

  get #length(): number {
    return this.#view.getUint32(40, true);
  }

  /** Of an mmsghdr: the datagram that was received. */
  datagram(memory: Uint8Array, base: number): Uint8Array {
    const at = this.#payload(memory, base);
    return memory.slice(at, at + this.#view.getUint32(56, true));
  }

  setDatagram(memory: Uint8Array, base: number, datagram: Uint8Array): void {
    memory.set(datagram, this.#payload(memory, base));
    this.#view.setUint32(56, datagram.length, true);
  }

  #payload(memory: Uint8Array, base: number): number {
    const vector = Number(this.#view.getBigUint64(16, true)) - base;
    return Number(new DataView(memory.buffer, memory.byteOffset).getBigUint64(vector, true)) - base;
  }

  /** ts[2] of the stamp that is there, and SCM_TIMESTAMPING_PKTINFO behind everything. */
  addStamp(says: CardSays, device: number): void {
    const { stampNs } = readControls(this.#view, this.#at, this.#length);
    const cardNs = stampNs === undefined ? undefined : says(stampNs, "received");
    if (cardNs === undefined) return;
    for (let at = this.#at; at < this.#at + this.#length; at += (this.#view.getUint32(at, true) + 7) & ~7) {
      if (this.#view.getInt32(at + 8, true) === SOL_SOCKET && this.#view.getInt32(at + 12, true) === SO_TIMESTAMPING) writeTime(this.#view, at + 16 + 32, cardNs);
    }
    this.#bytes.set(control(SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, words(device, 60, 0, 0)), this.#at + this.#length);
    this.#view.setUint32(40, this.#length + 32, true);
  }

  /** The card's entry for a datagram whose software stamp has just come out of the error queue. */
  transmitStamp(says: CardSays, device: number, leftBy: number[]): Uint8Array[] {
    const { stampNs, error, device: told } = readControls(this.#view, this.#at, this.#length);
    if (stampNs === undefined || error?.stampOf === undefined) return [];
    leftBy.push(told);
    const cardNs = says(stampNs, "sent");
    if (cardNs === undefined) return [];
    const stamp = new Uint8Array(48);
    writeTime(new DataView(stamp.buffer), 32, cardNs);
    const ENOMSG = 42;
    const fromStamps = 4 << 0;
    const parts = [
      control(SOL_SOCKET, SO_TIMESTAMPING, stamp),
      control(SOL_IP, IP_PKTINFO, words(device, 0x0100007f, 0x0100007f)),
      control(SOL_IP, IP_RECVERR, words(ENOMSG, fromStamps, 0, error.stampOf, 0, 0, 0, 0)),
    ];
    return [Uint8Array.from(parts.flatMap((part) => [...part]))];
  }

  fill(entry: Uint8Array): number {
    this.#bytes.set(entry, this.#at);
    this.#view.setUint32(40, entry.length, true);
    this.#view.setUint32(48, MSG_ERRQUEUE, true);
    return 0;
  }
}

function words(...values: number[]): Uint8Array {
  const octets = new Uint8Array(values.length * 4);
  values.forEach((value, index) => new DataView(octets.buffer).setUint32(index * 4, value, true));
  return octets;
}

function writeTime(view: DataView, at: number, ns: bigint): void {
  view.setBigInt64(at, ns / 1_000_000_000n, true);
  view.setBigInt64(at + 8, ns % 1_000_000_000n, true);
}

/** A control message, padded to 8. */
function control(level: number, type: number, data: Uint8Array): Uint8Array {
  const octets = new Uint8Array((16 + data.length + 7) & ~7);
  octets.set(words(16 + data.length, 0, level, type));
  octets.set(data, 16);
  return octets;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The load's end of the wire: requests and replies in whole batches through FFI, from as many addresses of 127.0.0.0/8 as
 * wanted by one socket (each request says by IP_PKTINFO where it comes from).
 *
 * @module
 */

import type { ServerLibc } from "../../hosts/native/server-libc.ts";
import { Block } from "../../hosts/native/memory.ts";
import * as linux from "../../hosts/native/linux.ts";
import { setOption } from "../../hosts/native/open.ts";

export const BATCH = 64;
/** Room for an NTS request with seven placeholders. */
const PACKET = 1280;
const HEADER = 64;
const CONTROL_IN = 128;
const CONTROL_OUT = 32;
const RECEIVE_BUFFER = 8 << 20;
/** 127.1.0.0: below lies what servers listen on. */
const FIRST_SOURCE = 0x7f010000;

/** One side of a batch: headers, vectors, names, control messages, packets, in one block. */
class Side {
  readonly block: Block;
  readonly view: DataView;
  readonly address: number;
  readonly control: number;
  readonly packets: number;

  constructor(libc: ServerLibc, { name, control }: { name: number; control: number }) {
    const vectors = BATCH * HEADER;
    const names = vectors + BATCH * 16;
    this.control = names + BATCH * 16;
    this.packets = this.control + BATCH * control;
    this.block = new Block(libc.ffi, this.packets + BATCH * PACKET);
    this.view = this.block.view;
    this.address = this.block.address;
    for (let i = 0; i < BATCH; i++) {
      const header = i * HEADER;
      this.#pointer(header, name > 0 ? names + i * 16 : 0);
      this.view.setUint32(header + 8, name, true);
      this.#pointer(header + 16, vectors + i * 16);
      this.view.setUint32(header + 24, 1, true);
      this.#pointer(header + 32, this.control + i * control);
      this.view.setUint32(header + 40, control, true);
      this.#pointer(vectors + i * 16, this.packets + i * PACKET);
      this.view.setUint32(vectors + i * 16 + 8, PACKET, true);
    }
  }

  #pointer(at: number, offset: number): void {
    this.view.setBigUint64(at, offset === 0 ? 0n : BigInt(this.address + offset), true);
  }
}

export class Wire {
  readonly #libc: ServerLibc;
  readonly #fd: number;
  readonly #out: Side;
  readonly #in: Side;
  readonly #time: Block;

  constructor(libc: ServerLibc, port: number) {
    this.#libc = libc;
    this.#out = new Side(libc, { name: 16, control: CONTROL_OUT });
    this.#in = new Side(libc, { name: 0, control: CONTROL_IN });
    this.#time = new Block(libc.ffi, 16);
    this.#fd = libc.socket(linux.AF_INET, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
    if (this.#fd < 0) throw libc.failure("socket");
    setOption(libc, this.#fd, [linux.SOL_SOCKET, linux.SO_RCVBUF, RECEIVE_BUFFER]);
    setOption(libc, this.#fd, [linux.SOL_SOCKET, linux.SO_TIMESTAMPING, linux.SOF_TIMESTAMPING_RX_SOFTWARE | linux.SOF_TIMESTAMPING_SOFTWARE]);
    const { view } = this.#out;
    const names = BATCH * HEADER + BATCH * 16;
    for (let i = 0; i < BATCH; i++) {
      view.setUint16(names + i * 16, linux.AF_INET, true);
      view.setUint16(names + i * 16 + 2, port);
      view.setUint32(names + i * 16 + 4, 0x7f000001);
      const control = this.#out.control + i * CONTROL_OUT;
      view.setUint32(control, 28, true);
      view.setInt32(control + 8, linux.SOL_IP, true);
      view.setInt32(control + 12, linux.IP_PKTINFO, true);
      view.setUint32(BATCH * HEADER + i * 16 + 8, 48, true);
      view.setUint8(this.#out.packets + i * PACKET, 0x23);
    }
  }

  /** Where request `index` of the next batch lies, to be filled in. */
  request(index: number): { view: DataView; at: number } {
    return { view: this.#out.view, at: this.#out.packets + index * PACKET };
  }

  /** Fill request `index` of the next batch with a whole packet. */
  put(index: number, packet: Uint8Array): void {
    const { view, packets } = this.#out;
    new Uint8Array(view.buffer, view.byteOffset + packets + index * PACKET, packet.length).set(packet);
    view.setUint32(BATCH * HEADER + index * 16 + 8, packet.length, true);
  }

  setSource(index: number, source: number): void {
    this.#out.view.setUint32(this.#out.control + index * CONTROL_OUT + 20, FIRST_SOURCE + source);
  }

  /** Send the first `count` requests; how many went. */
  send(count: number): number {
    return Math.max(0, this.#libc.sendmmsg(this.#fd, this.#out.address, count, linux.MSG_NOSIGNAL));
  }

  /** Receive what has come, at most a batch; waits for the first up to `waitMs`. */
  receive(waitMs: number): number {
    const { view, address } = this.#in;
    for (let i = 0; i < BATCH; i++) view.setUint32(i * HEADER + 40, CONTROL_IN, true);
    if (waitMs > 0) this.#wait(waitMs);
    return Math.max(0, this.#libc.recvmmsg(this.#fd, address, BATCH, linux.MSG_DONTWAIT, 0));
  }

  #wait(ms: number): void {
    const { view, address } = this.#time;
    view.setInt32(0, this.#fd, true);
    view.setInt32(4, linux.POLLIN, true);
    this.#libc.poll(address, 1, ms);
  }

  reply(index: number): { view: DataView; at: number; length: number } {
    return { view: this.#in.view, at: this.#in.packets + index * PACKET, length: this.#in.view.getUint32(index * HEADER + 56, true) };
  }

  /** When the kernel got it, µs of the hour, or NaN. */
  arrivedUs(index: number): number {
    const { view, control } = this.#in;
    if (view.getUint32(index * HEADER + 40, true) < 64) return Number.NaN;
    const at = control + index * CONTROL_IN + 16;
    return microseconds(view.getUint32(at, true), view.getUint32(at + 8, true) / 1000);
  }

  nowUs(): number {
    const { view, address } = this.#time;
    this.#libc.clock_gettime(linux.CLOCK_REALTIME, address);
    return microseconds(view.getUint32(0, true), view.getUint32(8, true) / 1000);
  }

  close(): void {
    this.#libc.close(this.#fd);
  }
}

/** µs of the hour: a double holds them to a thousandth. */
function microseconds(second: number, rest: number): number {
  return (second % 3600) * 1e6 + rest;
}

/** An NTP timestamp at `at`, µs of the hour. */
export function timestampUs(view: DataView, at: number): number {
  return microseconds(view.getUint32(at) - 2_208_988_800, (view.getUint32(at + 4) / 2 ** 32) * 1e6);
}

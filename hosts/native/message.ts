// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What recvmsg fills in: a datagram or an error, its peer, and the control messages with the kernel's stamps.
 *
 *     msghdr (56 octets)                        iovec (16)            cmsghdr (16, then data, padded to 8)
 *      0  pointer  name                          0  pointer  base      0  usize  length, this header included
 *      8  u32      name length                   8  usize    length    8  i32    level
 *     16  pointer  iovec                                              12  i32    type
 *     24  usize    number of iovecs             scm_timestamping (48)
 *     32  pointer  control                       0  timespec  software (i64 s, i64 ns)
 *     40  usize    control length               16  timespec  (unused)
 *     48  i32      flags                        32  timespec  hardware
 *
 *     scm_ts_pktinfo (16)                       in_pktinfo (12): 0 i32 interface
 *      0  u32  interface, 0: not told            in6_pktinfo (20): 16 u32 interface
 *      4  u32  octets with the link's header
 *
 *     sock_extended_err (16)
 *      0  u32  errno: ENOMSG for a transmit stamp, else what went wrong
 *      4  u8   origin: 1 local, 2 ICMP, 3 ICMPv6, 4 time stamp
 *      5  u8   type    6  u8  code    7  u8  zero
 *      8  u32  info: of a stamp, where it was taken (0: handed to the device)
 *     12  u32  data: of a stamp, the number of the datagram (SOF_TIMESTAMPING_OPT_ID)
 *
 * musl declares some of the sizes as u32 with padding behind; in little-endian that is the same memory.
 *
 * Tested by message.test.ts; the layouts are compared with the system's headers by layout.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import type { Ffi } from "./ffi.ts";
import {
  IP_RECVERR,
  IP_PKTINFO,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  MSG_TRUNC,
  SCM_TIMESTAMPING_PKTINFO,
  SO_EE_ORIGIN_TIMESTAMPING,
  SO_TIMESTAMPING,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from "./linux.ts";
import { Block } from "./memory.ts";
import { readSockaddr, SOCKADDR_BYTES } from "./sockaddr.ts";
import type { Zones } from "./sockaddr.ts";


/** Where the parts lie in a message's block. The control area has room for every message asked for, several times. */
const HEADER = 0;
const IOVEC = 56;
const NAME = 72;
const CONTROL = 104;
const PAYLOAD = 512;

/** An entry of the socket's error queue. */
export interface ExtendedError {
  readonly errno: number;
  /** Set when this is not an error but a transmit stamp: the number of the datagram. */
  readonly stampOf: number | undefined;
}

/** What the control messages of one recvmsg say. */
export interface Controls {
  /** The kernel's software stamp, ns since 1970. */
  readonly stampNs: bigint | undefined;
  /** The network card's, by the card's own clock. */
  readonly hardwareNs: bigint | undefined;
  /** Index of the interface that the datagram passed; 0: not told. */
  readonly device: number;
  /** Octets of the frame that a card stamped, its check sequence left out; 0: not told. */
  readonly frame: number;
  readonly error: ExtendedError | undefined;
}

/** Buffers for one recvmsg at a time. Reused; what was received stays valid until the next {@link prepare}. */
export class Message {
  readonly #block: Block;
  readonly #capacity: number;

  /** @param capacity the longest payload that is taken whole, in octets */
  constructor(ffi: Ffi, capacity: number) {
    this.#block = new Block(ffi, PAYLOAD + capacity);
    this.#capacity = capacity;
    const { view, address } = this.#block;
    view.setBigUint64(HEADER, BigInt(address + NAME), true);
    view.setBigUint64(HEADER + 16, BigInt(address + IOVEC), true);
    view.setBigUint64(HEADER + 24, 1n, true);
    view.setBigUint64(HEADER + 32, BigInt(address + CONTROL), true);
    view.setBigUint64(IOVEC, BigInt(address + PAYLOAD), true);
    view.setBigUint64(IOVEC + 8, BigInt(capacity), true);
  }

  /** The address of a msghdr that is ready to receive. The kernel shortens the lengths, so they are set each time. */
  prepare(): number {
    const { view, address } = this.#block;
    view.setUint16(NAME, 0, true); // no family: a kernel that gives no name leaves none behind
    view.setUint32(HEADER + 8, SOCKADDR_BYTES, true);
    view.setUint32(HEADER + 40, PAYLOAD - CONTROL, true);
    view.setUint32(HEADER + 48, 0, true);
    return address + HEADER;
  }

  /** Whether the datagram was longer than the capacity. */
  get truncated(): boolean {
    return (this.#block.view.getUint32(HEADER + 48, true) & MSG_TRUNC) !== 0;
  }

  peer(zones: Zones): Endpoint | undefined {
    return readSockaddr(this.#block.view, NAME, zones);
  }

  /** A copy: a view would let its holder transfer memory away that the kernel is about to write to. */
  payload(length: number): Uint8Array {
    return this.#block.bytes.slice(PAYLOAD, PAYLOAD + Math.min(length, this.#capacity));
  }

  controls(): Controls {
    const length = this.#block.view.getUint32(HEADER + 40, true);
    return readControls(this.#block.view, CONTROL, Math.min(length, PAYLOAD - CONTROL));
  }
}

/** Walk the control messages in `length` octets at `offset`. Unknown ones are skipped; a broken one ends the walk. */
export function readControls(view: DataView, offset: number, length: number): Controls {
  let stampNs: bigint | undefined;
  let hardwareNs: bigint | undefined;
  let error: ExtendedError | undefined;
  // The second is the one that the socket sees: a bond or a VLAN above the card that took the stamp.
  let stamper = 0;
  let frame = 0;
  let device = 0;
  const end = offset + length;
  for (let at = offset; at + 16 <= end; ) {
    const size = view.getUint32(at, true);
    if (size < 16 || at + size > end) break;
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    if (level === SOL_SOCKET && type === SO_TIMESTAMPING && size >= 16 + 48) {
      stampNs = readTimespec(view, at + 16);
      hardwareNs = readTimespec(view, at + 16 + 32);
    } else if (level === SOL_SOCKET && type === SCM_TIMESTAMPING_PKTINFO && size >= 16 + 16) {
      stamper = view.getUint32(at + 16, true);
      frame = view.getUint32(at + 16 + 4, true);
    } else if (level === SOL_IP && type === IP_PKTINFO && size >= 16 + 12) {
      device = view.getUint32(at + 16, true);
    } else if (level === SOL_IPV6 && type === IPV6_PKTINFO && size >= 16 + 20) {
      device = view.getUint32(at + 16 + 16, true);
    } else if (isReceivedError(level, type) && size >= 16 + 16) {
      error = readExtendedError(view, at + 16);
    }
    at += (size + 7) & ~7;
  }
  return { stampNs, hardwareNs, device: stamper || device, frame, error };
}

function isReceivedError(level: number, type: number): boolean {
  return (level === SOL_IP && type === IP_RECVERR) || (level === SOL_IPV6 && type === IPV6_RECVERR);
}

/** All zero means "not taken", never 1970. */
function readTimespec(view: DataView, offset: number): bigint | undefined {
  const ns = view.getBigInt64(offset, true) * 1_000_000_000n + view.getBigInt64(offset + 8, true);
  return ns === 0n ? undefined : ns;
}

function readExtendedError(view: DataView, offset: number): ExtendedError {
  const stamp = view.getUint8(offset + 4) === SO_EE_ORIGIN_TIMESTAMPING;
  return {
    errno: view.getUint32(offset, true),
    stampOf: stamp ? view.getUint32(offset + 12, true) : undefined,
  };
}

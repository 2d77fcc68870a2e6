// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One datagram from a server's own socket to a broadcast address or a group, with its own limit of networks and its own
 * interface: both are said for this datagram alone, by control messages, so that answers are not touched by them.
 *
 * The layout is message.ts's: msghdr, iovec, name, control messages, payload. Tested in tests/server/broadcast.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import { SystemError } from "./errno.ts";
import * as linux from "./linux.ts";
import { Block } from "./memory.ts";
import { SOCKADDR_BYTES, writeSockaddr } from "./sockaddr.ts";
import type { ServerLibc } from "./server-libc.ts";

const IOVEC = 56;
const NAME = 72;
const CONTROL = 104;
const PAYLOAD = 192;
/** A broadcast, or a fragment for ntpq, which has 480 at most. */
const PAYLOAD_BYTES = 512;

export interface Announcement {
  readonly to: Endpoint;
  readonly ttl: number;
  /** The name of an interface. */
  readonly device: string | undefined;
}

/** Send `packet` through the socket `fd` of `family`. Throws a SystemError. */
export function announceBy(libc: ServerLibc, { fd, family }: { fd: number; family: 4 | 6 }, packet: Uint8Array, { to, ttl, device }: Announcement): void {
  const block = new Block(libc.ffi, PAYLOAD + PAYLOAD_BYTES);
  const { view, bytes, address } = block;
  const index = device === undefined ? 0 : libc.interfaceIndex(device);
  if (device !== undefined && index === 0) throw new SystemError("sendmsg", linux.ENODEV, device);
  bytes.set(packet, PAYLOAD);
  const six = to.address.includes(":");
  view.setBigUint64(0, BigInt(address + NAME), true);
  view.setUint32(8, writeSockaddr(view, NAME, to, family, libc), true);
  view.setBigUint64(16, BigInt(address + IOVEC), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, BigInt(address + CONTROL), true);
  view.setBigUint64(IOVEC, BigInt(address + PAYLOAD), true);
  view.setBigUint64(IOVEC + 8, BigInt(packet.length), true);
  const hops = writeControl(view, CONTROL, six ? [linux.SOL_IPV6, linux.IPV6_HOPLIMIT, 4] : [linux.SOL_IP, linux.IP_TTL, 4]);
  view.setInt32(CONTROL + 16, ttl, true);
  const info = CONTROL + hops;
  // Without an interface to name it MUST NOT be there: its empty address would hide the one that the socket is bound to.
  const length = hops + (index === 0 ? 0 : writeControl(view, info, six ? [linux.SOL_IPV6, linux.IPV6_PKTINFO, 20] : [linux.SOL_IP, linux.IP_PKTINFO, 12]));
  if (index !== 0) view.setInt32(info + (six ? 32 : 16), index, true);
  view.setBigUint64(40, BigInt(length), true);
  if (libc.sendmsg(fd, address, linux.MSG_NOSIGNAL | linux.MSG_DONTWAIT) < 0) throw libc.failure("sendmsg", `to ${to.address}`);
  // The view keeps the block alive until here.
  bytes.fill(0, 0, SOCKADDR_BYTES);
}

/** Header of a control message of so many octets; the room that it takes. */
function writeControl(view: DataView, at: number, [level, type, length]: readonly [number, number, number]): number {
  view.setBigUint64(at, BigInt(16 + length), true);
  view.setInt32(at + 8, level, true);
  view.setInt32(at + 12, type, true);
  return 16 + ((length + 7) & ~7);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Make a UDP socket with kernel time stamps: create, configure, bind, connect.
 *
 * Everything that can fail before there is a socket to give is here, so that one try/catch closes the descriptor.
 *
 * Tested by udp.test.ts and tests/native.
 *
 * @module
 */

import { formatEndpoint } from "../common/address.ts";
import type { Endpoint, UdpOptions } from "../common/host.ts";
import { SystemError } from "./errno.ts";
import type { Libc } from "./libc.ts";
import * as linux from "./linux.ts";
import { parseAddress, readSockaddr, SOCKADDR_BYTES, writeSockaddr } from "./sockaddr.ts";

const STAMPS =
  linux.SOF_TIMESTAMPING_TX_SOFTWARE | linux.SOF_TIMESTAMPING_RX_SOFTWARE | linux.SOF_TIMESTAMPING_SOFTWARE;
const NUMBERED_STAMPS = STAMPS | linux.SOF_TIMESTAMPING_OPT_ID | linux.SOF_TIMESTAMPING_OPT_TSONLY;
/**
 * The kernel's stamps as well, to judge the card's by. A copy of the datagram comes back with each transmit stamp: without
 * one, the kernel does not tell which interface an IPv4 datagram left by.
 */
const CARD_STAMPS =
  STAMPS |
  linux.SOF_TIMESTAMPING_TX_HARDWARE |
  linux.SOF_TIMESTAMPING_RX_HARDWARE |
  linux.SOF_TIMESTAMPING_RAW_HARDWARE |
  linux.SOF_TIMESTAMPING_OPT_TX_SWHW |
  linux.SOF_TIMESTAMPING_OPT_PKTINFO |
  linux.SOF_TIMESTAMPING_OPT_CMSG;
const NUMBERED_CARD_STAMPS = CARD_STAMPS | linux.SOF_TIMESTAMPING_OPT_ID;

/**
 * Open a non-blocking socket as `options` say and return its descriptor; `byCard`: ask for the network card's stamps, too.
 * Throws a SystemError and leaks nothing.
 */
export function openSocket(libc: Libc, options: UdpOptions, byCard = false): number {
  const domain = options.family === 4 ? linux.AF_INET : linux.AF_INET6;
  const fd = libc.socket(domain, linux.SOCK_DGRAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) throw libc.failure("socket");
  try {
    configure(libc, fd, options, byCard);
    const wildcard = options.family === 4 ? "0.0.0.0" : "::";
    const local = { address: options.address ?? wildcard, port: options.port ?? 0 };
    if (options.reuseAddress) setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_REUSEADDR, 1]);
    if (options.broadcast) setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_BROADCAST, 1]);
    if (options.multicastHops !== undefined) limitHops(libc, fd, options.family, options.multicastHops);
    applyAddress(libc, "bind", fd, { family: options.family, endpoint: local });
    if (options.multicast) joinGroup(libc, fd, options.family, options.multicast);
    if (options.connect !== undefined) {
      // Port 0 would be accepted by connect and fail at the first send.
      if (options.connect.port === 0) throw new SystemError("connect", linux.EINVAL, "port 0");
      applyAddress(libc, "connect", fd, { family: options.family, endpoint: options.connect });
    }
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function configure(libc: Libc, fd: number, options: UdpOptions, byCard: boolean): void {
  // Before bind: whatever can arrive is stamped.
  numberFromZero(libc, fd, byCard);
  const { family, connect, ipv6Only = true } = options;
  if (byCard && family === 6) setOption(libc, fd, [linux.SOL_IPV6, linux.IPV6_RECVPKTINFO, 1]);
  if (byCard && (family === 4 || !ipv6Only)) setOption(libc, fd, [linux.SOL_IP, linux.IP_PKTINFO, 1]);
  if (family === 6) setOption(libc, fd, [linux.SOL_IPV6, linux.IPV6_V6ONLY, ipv6Only ? 1 : 0]);
  // ICMP errors only for a socket with one peer. A server's socket would hear of every client that went away, and
  // the next send, to someone else, would fail for it.
  if (connect === undefined) return;
  if (family === 6) setOption(libc, fd, [linux.SOL_IPV6, linux.IPV6_RECVERR, 1]);
  if (family === 4 || !ipv6Only) setOption(libc, fd, [linux.SOL_IP, linux.IP_RECVERR, 1]);
}

/**
 * Ask for receive and transmit stamps and start numbering datagrams at 0.
 *
 * The counter is reset by the kernel only when OPT_ID goes from off to on, hence the two calls.
 */
export function numberFromZero(libc: Libc, fd: number, byCard: boolean): void {
  setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_TIMESTAMPING, byCard ? CARD_STAMPS : STAMPS]);
  setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_TIMESTAMPING, byCard ? NUMBERED_CARD_STAMPS : NUMBERED_STAMPS]);
}

export type Option = [level: number, option: number, value: number];

export function setOption(libc: Libc, fd: number, [level, option, value]: Option): void {
  const { scratch } = libc;
  scratch.view.setInt32(0, value, true);
  if (libc.setsockopt(fd, level, option, scratch.address, 4) !== 0) {
    throw libc.failure("setsockopt", `level ${level} option ${option}`);
  }
}

function limitHops(libc: Libc, fd: number, family: 4 | 6, hops: number): void {
  setOption(libc, fd, family === 4 ? [linux.SOL_IP, linux.IP_MULTICAST_TTL, hops] : [linux.SOL_IPV6, linux.IPV6_MULTICAST_HOPS, hops]);
}

/** struct ip_mreq {group, interface's address} or ipv6_mreq {group, u32 interface's index}. */
function joinGroup(libc: Libc, fd: number, family: 4 | 6, { group, interface: name }: NonNullable<UdpOptions["multicast"]>): void {
  const { view, bytes, address } = libc.scratch;
  const octets = parseAddress(group)?.octets;
  if (octets?.length !== (family === 4 ? 4 : 16)) throw new SystemError("setsockopt", linux.EINVAL, group);
  bytes.fill(0, 0, 20);
  if (family === 6) view.setUint32(16, name ? libc.interfaceIndex(name) : 0, true);
  else if (name) bytes.set(parseAddress(name)?.octets ?? [], 4);
  bytes.set(octets, 0);
  const [level, option] = family === 4 ? [linux.SOL_IP, linux.IP_ADD_MEMBERSHIP] : [linux.SOL_IPV6, linux.IPV6_ADD_MEMBERSHIP];
  if (libc.setsockopt(fd, level, option, address, family === 4 ? 8 : 20) !== 0) throw libc.failure("setsockopt", `to join ${group}`);
}

interface Target {
  readonly family: 4 | 6;
  readonly endpoint: Endpoint;
}

export function applyAddress(libc: Libc, call: "bind" | "connect", fd: number, { family, endpoint }: Target): void {
  const { scratch } = libc;
  const length = writeSockaddr(scratch.view, 0, endpoint, family, libc);
  if (libc[call](fd, scratch.address, length) !== 0) throw libc.failure(call, formatEndpoint(endpoint));
}

/** The address and port that the kernel gave the socket. */
export function localEndpoint(libc: Libc, fd: number): Endpoint {
  const { view, address } = libc.scratch;
  view.setUint32(0, SOCKADDR_BYTES, true);
  if (libc.getsockname(fd, address + 8, address) !== 0) throw libc.failure("getsockname");
  const endpoint = readSockaddr(view, 8, libc);
  if (endpoint === undefined) throw new SystemError("getsockname", linux.EINVAL, "the kernel gave no address");
  return endpoint;
}


// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The constants of Linux that this folder uses, under their C names: asm-generic values, which x64, arm64 and riscv64
 * share.
 *
 * layout.test.ts compiles a C program that prints every name exported here and compares.
 *
 * @module
 */

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
/** A child process must not inherit the socket. */
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SO_REUSEADDR = 2;
export const SO_BROADCAST = 6;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
/** Its value is a timeval (two i64); on 64-bit systems this number is the only one. */
export const SO_RCVTIMEO = 20;
export const SO_BINDTODEVICE = 25;
export const IP_TOS = 1;
export const IP_TTL = 2;
/** Tell, and let choose, which of our addresses and which interface a datagram came to or leaves from. */
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
/** Do not fragment, and do not look at the path's known limits. */
export const IP_PMTUDISC_PROBE = 3;
export const IP_RECVERR = 11;
export const IP_MULTICAST_TTL = 33;
export const IP_ADD_MEMBERSHIP = 35;
export const IPV6_MULTICAST_HOPS = 18;
export const IPV6_ADD_MEMBERSHIP = 20;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_HOPLIMIT = 52;
export const IPV6_TCLASS = 67;

/** The control message of a stamp has the number of the option that asks for it. Software stamps alone, one to a message: */
export const SO_TIMESTAMPNS = 35;
export const SO_TIMESTAMPING = 37;
/** Ask for stamps by the network card. */
export const SOF_TIMESTAMPING_TX_HARDWARE = 1 << 0;
export const SOF_TIMESTAMPING_TX_SOFTWARE = 1 << 1;
export const SOF_TIMESTAMPING_RX_HARDWARE = 1 << 2;
export const SOF_TIMESTAMPING_RX_SOFTWARE = 1 << 3;
/** Report software stamps. */
export const SOF_TIMESTAMPING_SOFTWARE = 1 << 4;
/** Report the card's stamps, by its own clock. */
export const SOF_TIMESTAMPING_RAW_HARDWARE = 1 << 6;
/** Number the datagrams, from 0, and give a transmit stamp the number of its datagram. */
export const SOF_TIMESTAMPING_OPT_ID = 1 << 7;
/** Give an IPv4 transmit stamp the messages that were asked for, the interface it left by among them. */
export const SOF_TIMESTAMPING_OPT_CMSG = 1 << 10;
/** Give a transmit stamp without a copy of the datagram. */
export const SOF_TIMESTAMPING_OPT_TSONLY = 1 << 11;
/** Tell the interface that a card's receive stamp is from. */
export const SOF_TIMESTAMPING_OPT_PKTINFO = 1 << 13;
/** Give both transmit stamps, the kernel's and the card's, as an entry each. */
export const SOF_TIMESTAMPING_OPT_TX_SWHW = 1 << 14;
export const SCM_TIMESTAMPING_PKTINFO = 58;
/** An entry of the error queue that is no error but a transmit stamp. */
export const SO_EE_ORIGIN_TIMESTAMPING = 4;

export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
/** recvmmsg: wait for the first datagram only. */
export const MSG_WAITFORONE = 0x10000;
export const POLLIN = 1;

export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENODEV = 19;
export const EINVAL = 22;
export const EDESTADDRREQ = 89;
export const EMSGSIZE = 90;
export const EAFNOSUPPORT = 97;
export const EISCONN = 106;
export const ECONNREFUSED = 111;

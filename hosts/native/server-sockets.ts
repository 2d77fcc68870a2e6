// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The sockets of a server on Linux: blocking, stamped by the kernel, one set for each thread.
 *
 * - Without addresses one IPv6 socket hears both families; where there is no IPv6, an IPv4 one.
 * - With several threads each set is bound to the same addresses with SO_REUSEPORT. As that would also let a stranger of the
 *   same user in, or us into a stranger's, the port is first bound without it.
 * - A small receive buffer: of a long queue nothing is gained but old answers (docs/server-internals.md).
 * - Where network cards stamp for it (server-cards.ts), both the kernel's stamps and theirs, and by which interface each came or
 *   left; else the kernel's alone, at the least that they cost.
 * - DF is set: an answer is never longer than its request, and what came unfragmented goes unfragmented.
 *
 * Tested in tests/server/native.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import type { OpenedSockets, SocketPlan } from "../common/server/threads.ts";
import { cardMeans } from "./card-means.ts";
import type { CardMeans } from "./cards.ts";
import { SystemError } from "./errno.ts";
import { announceBy } from "./server-announce.ts";
import { openServerCards, type ServerCards } from "./server-cards.ts";
import type { ServerLibc } from "./server-libc.ts";
import * as linux from "./linux.ts";
import { applyAddress, localEndpoint, setOption } from "./open.ts";

/** How long a read waits before it looks whether there is other work, and how long one send may take. */
const WAIT_US = 100_000n;
/** IFNAMSIZ with its NUL. */
const DEVICE_NAME_BYTES = 16;
/** How often a free port is looked for that all addresses can have. */
const PORT_TRIES = 8;

/** Where one socket is bound. */
interface Place {
  readonly family: 4 | 6;
  readonly address: string;
  /** Hears IPv4 as well. */
  readonly dual: boolean;
}

/** How sockets are stamped where cards are. Nothing is asked of transmit stamps: each answer that wants one says so. */
const CARD_STAMPS =
  linux.SOF_TIMESTAMPING_SOFTWARE |
  linux.SOF_TIMESTAMPING_RX_SOFTWARE |
  linux.SOF_TIMESTAMPING_RX_HARDWARE |
  linux.SOF_TIMESTAMPING_RAW_HARDWARE |
  linux.SOF_TIMESTAMPING_OPT_TX_SWHW |
  linux.SOF_TIMESTAMPING_OPT_PKTINFO |
  linux.SOF_TIMESTAMPING_OPT_CMSG;

/** Open all sockets of the plan, or none; cards as far as there are any. Throws a SystemError. */
export function openServerSockets(libc: ServerLibc, plan: SocketPlan, means: CardMeans | undefined = plan.cards && cardMeans(libc.ffi)): OpenedSockets {
  const cards: ServerCards = plan.cards && means ? openServerCards(means, plan.cards) : { cards: [], close() {} };
  try {
    const sockets = openWith(libc, plan, cards.cards.length > 0);
    return { ...sockets, cards: cards.cards, close: () => (sockets.close(), cards.close()) };
  } catch (error) {
    cards.close();
    throw error;
  }
}

type Sockets = Omit<OpenedSockets, "cards">;

function openWith(libc: ServerLibc, plan: SocketPlan, byCard: boolean): Sockets {
  const tries = plan.port === 0 && (plan.listen?.length ?? 1) > 1 ? PORT_TRIES : 1;
  for (let left = tries; ; left--) {
    try {
      return openAll(libc, { ...plan, byCard }, placesOf(libc, plan));
    } catch (error) {
      if (left <= 1 || (error as SystemError).code !== "EADDRINUSE") throw error;
    }
  }
}

function placesOf(libc: ServerLibc, { listen }: SocketPlan): Place[] {
  if (listen) return listen.map((address) => ({ family: address.includes(":") ? 6 : 4, address, dual: false }));
  const six = libc.socket(linux.AF_INET6, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (six < 0) return [{ family: 4, address: "0.0.0.0", dual: false }];
  libc.close(six);
  return [{ family: 6, address: "::", dual: true }];
}

/** A plan, once it is known whether a card stamps. */
interface StampedPlan extends SocketPlan {
  readonly byCard: boolean;
}

function openAll(libc: ServerLibc, plan: StampedPlan, places: readonly Place[]): Sockets {
  const open: number[] = [];
  const closeAll = (descriptors: number[]) => void descriptors.splice(0).forEach((fd) => libc.close(fd));
  try {
    const addresses: Endpoint[] = [];
    const probes: number[] = [];
    const sets: number[][] = [];
    let { port } = plan;
    const bindSet = (into: number[], share: boolean) => {
      for (const place of places) {
        const fd = openOne(libc, plan, place, { port, share });
        open.push(fd);
        into.push(fd);
        port = localEndpoint(libc, fd).port;
      }
    };
    if (plan.sets > 1) {
      bindSet(probes, false);
      for (const fd of probes.splice(0)) libc.close(open.splice(open.indexOf(fd), 1)[0]!);
    }
    for (let index = 0; index < plan.sets; index++) {
      const set: number[] = [];
      bindSet(set, plan.sets > 1);
      sets.push(set);
    }
    for (const { address, dual } of places) {
      if (dual) addresses.push({ address: "0.0.0.0", port });
      addresses.push({ address, port });
    }
    return { addresses, sets, announce: announcer(libc, places, sets[0]!), close: () => closeAll(open) };
  } catch (error) {
    closeAll(open);
    throw error;
  }
}

/** Announcements leave through the first socket of the right family. */
function announcer(libc: ServerLibc, places: readonly Place[], set: readonly number[]): OpenedSockets["announce"] {
  return (packet, { interface: device, ttl, place, ...to }) => {
    const wanted = to.address.includes(":") ? 6 : 4;
    const which = place ?? places.findIndex(({ family, dual }) => family === wanted || dual);
    if (!places[which]) throw new SystemError("sendmsg", linux.EAFNOSUPPORT, to.address);
    announceBy(libc, { fd: set[which]!, family: places[which]!.family }, packet, { to, ttl, device });
  };
}

function openOne(libc: ServerLibc, plan: StampedPlan, place: Place, { port, share }: { port: number; share: boolean }): number {
  const domain = place.family === 4 ? linux.AF_INET : linux.AF_INET6;
  const fd = libc.socket(domain, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) throw libc.failure("socket", place.address);
  try {
    for (const option of optionsOf(plan, place)) setOption(libc, fd, option);
    if (share) setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_REUSEPORT, 1]);
    setTimeouts(libc, fd);
    if (plan.broadcast) setOption(libc, fd, [linux.SOL_SOCKET, linux.SO_BROADCAST, 1]);
    if (plan.device !== undefined) bindToDevice(libc, fd, plan.device);
    applyAddress(libc, "bind", fd, { family: place.family, endpoint: { address: place.address, port } });
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

type Setting = Parameters<typeof setOption>[2];

function optionsOf({ dscp, receiveBuffer, byCard }: StampedPlan, { family, dual, address }: Place): Setting[] {
  // By which interface an answer left tells whose its stamp is.
  const asked = byCard || address === "0.0.0.0" || address === "::";
  const options: Setting[] = [
    [linux.SOL_SOCKET, linux.SO_RCVBUF, receiveBuffer],
    // Never both: with the other option, the kernel puts a made-up stamp of its own beside a card's.
    byCard ? [linux.SOL_SOCKET, linux.SO_TIMESTAMPING, CARD_STAMPS] : [linux.SOL_SOCKET, linux.SO_TIMESTAMPNS, 1],
  ];
  if (family === 6) {
    options.push([linux.SOL_IPV6, linux.IPV6_V6ONLY, dual ? 0 : 1], [linux.SOL_IPV6, linux.IPV6_MTU_DISCOVER, linux.IP_PMTUDISC_PROBE]);
    if (asked) options.push([linux.SOL_IPV6, linux.IPV6_RECVPKTINFO, 1]);
    if (dscp !== undefined) options.push([linux.SOL_IPV6, linux.IPV6_TCLASS, dscp << 2]);
  }
  if (family === 4 || dual) {
    options.push([linux.SOL_IP, linux.IP_MTU_DISCOVER, linux.IP_PMTUDISC_PROBE]);
    if (asked) options.push([linux.SOL_IP, linux.IP_PKTINFO, 1]);
    if (dscp !== undefined) options.push([linux.SOL_IP, linux.IP_TOS, dscp << 2]);
  }
  return options;
}

function setTimeouts(libc: ServerLibc, fd: number): void {
  const { view, address } = libc.scratch;
  view.setBigInt64(0, 0n, true);
  view.setBigInt64(8, WAIT_US, true);
  if (libc.setsockopt(fd, linux.SOL_SOCKET, linux.SO_RCVTIMEO, address, 16) !== 0) throw libc.failure("setsockopt", "SO_RCVTIMEO");
}

function bindToDevice(libc: ServerLibc, fd: number, device: string): void {
  const octets = new TextEncoder().encode(device);
  if (octets.length >= DEVICE_NAME_BYTES || libc.interfaceIndex(device) === 0) throw new SystemError("setsockopt", linux.ENODEV, device);
  libc.scratch.bytes.fill(0, 0, DEVICE_NAME_BYTES).set(octets);
  if (libc.setsockopt(fd, linux.SOL_SOCKET, linux.SO_BINDTODEVICE, libc.scratch.address, octets.length + 1) !== 0) {
    throw libc.failure("setsockopt", `to bind to interface ${device}`);
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The sockets of a server on Linux: blocking, stamped by the kernel, one set for each thread.
 *
 * - Without addresses one IPv6 socket hears both families; where there is no IPv6, an IPv4 one. As its answers have to say where
 *   they leave from, which costs, each address that this machine has then gets a socket of its own beside it, which the kernel
 *   prefers; the first hears what comes to addresses that are added later.
 * - With several threads each set is bound to the same addresses with SO_REUSEPORT; with one, those beside the first with
 *   SO_REUSEADDR, which is taken back at once and costs a datagram less. As either would also let us into a stranger's port, or a
 *   stranger into ours, the port is first bound without.
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
import { ownAddresses } from "./own-addresses.ts";

/** How long a read waits before it looks whether there is other work, and how long one send may take. */
const WAIT_US = 100_000n;
/** IFNAMSIZ with its NUL. */
const DEVICE_NAME_BYTES = 16;
/** How often a free port is looked for that all addresses can have. */
const PORT_TRIES = 8;
/** Addresses that get a socket of their own, at most: each makes the wait for all of them longer. */
const OWN_LIMIT = 16;

/** Where one socket is bound. */
interface Place {
  readonly family: 4 | 6;
  readonly address: string;
  /** Hears IPv4 as well. */
  readonly dual: boolean;
  /** Beside one that would hear it all: it is not told of, and need not be. */
  readonly own?: boolean;
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

/** What this machine has: its network cards, and its addresses by interface. */
export interface Machine {
  readonly means?: CardMeans | undefined;
  readonly own?: typeof ownAddresses;
}

/** Open all sockets of the plan, or none; cards as far as there are any. Throws a SystemError. */
export function openServerSockets(libc: ServerLibc, plan: SocketPlan, { means = plan.cards && cardMeans(libc.ffi), own = ownAddresses }: Machine = {}): OpenedSockets {
  const cards: ServerCards = plan.cards && means ? openServerCards(means, plan.cards) : { cards: [], close() {} };
  try {
    const sockets = openWith(libc, { ...plan, byCard: cards.cards.length > 0 }, own);
    return { ...sockets, cards: cards.cards, close: () => (sockets.close(), cards.close()) };
  } catch (error) {
    cards.close();
    throw error;
  }
}

type Sockets = Omit<OpenedSockets, "cards">;

function openWith(libc: ServerLibc, plan: StampedPlan, own: typeof ownAddresses): Sockets {
  const tries = plan.port === 0 && (plan.listen?.length ?? 1) > 1 ? PORT_TRIES : 1;
  for (let left = tries; ; left--) {
    try {
      return openAll(libc, plan, placesOf(libc, plan, own));
    } catch (error) {
      if (left <= 1 || (error as SystemError).code !== "EADDRINUSE") throw error;
    }
  }
}

function placesOf(libc: ServerLibc, { listen, device, byCard }: StampedPlan, own: typeof ownAddresses): Place[] {
  if (listen) return listen.map((address) => placeAt(address));
  const six = libc.socket(linux.AF_INET6, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (six >= 0) libc.close(six);
  const all: Place = six < 0 ? placeAt("0.0.0.0") : { family: 6, address: "::", dual: true };
  // Cards are told by what every socket has to be asked then.
  const beside = byCard ? [] : own(device).filter((address) => six >= 0 || !address.includes(":"));
  return [all, ...beside.slice(0, OWN_LIMIT).map((address) => ({ ...placeAt(address), own: true }))];
}

const placeAt = (address: string): Place => ({ family: address.includes(":") ? 6 : 4, address, dual: false });

/** A plan, once it is known whether a card stamps. */
interface StampedPlan extends SocketPlan {
  readonly byCard: boolean;
}

function openAll(libc: ServerLibc, plan: StampedPlan, wanted: readonly Place[]): Sockets {
  const sets: number[][] = [];
  let closed = false;
  // Once: the numbers are somebody else's afterwards.
  const closeAll = () => {
    if (!closed) for (const fd of sets.flat()) libc.close(fd);
    closed = true;
  };
  const share = plan.sets > 1 ? linux.SO_REUSEPORT : wanted.some(({ own }) => own) ? linux.SO_REUSEADDR : undefined;
  try {
    const port = share === undefined ? plan.port : probe(libc, plan, wanted);
    const first = openSet(libc, plan, wanted, { port, share });
    sets.push(first.descriptors);
    // Only we were to bind beside the first.
    if (share === linux.SO_REUSEADDR) for (const fd of first.descriptors) setOption(libc, fd, [linux.SOL_SOCKET, share, 0]);
    while (sets.length < plan.sets) sets.push(openSet(libc, plan, first.places, { port, share }).descriptors);
    return { addresses: first.addresses, sets, announce: announcer(libc, first.places, first.descriptors), close: closeAll };
  } catch (error) {
    closeAll();
    throw error;
  }
}

/** Where sockets are bound, and the option by which others may be, too. */
interface Binding {
  readonly port: number;
  readonly share: number | undefined;
}

/** Which port it will be, once it is known that nobody else has it. */
function probe(libc: ServerLibc, plan: StampedPlan, places: readonly Place[]): number {
  const { descriptors, addresses } = openSet(libc, plan, places.filter(({ own }) => !own), { port: plan.port, share: undefined });
  for (const fd of descriptors) libc.close(fd);
  return addresses[0]!.port;
}

interface OpenedSet {
  readonly descriptors: number[];
  readonly places: readonly Place[];
  readonly addresses: readonly Endpoint[];
}

/** A socket at each place, or at none; but it does without those of its own addresses that have just gone. */
function openSet(libc: ServerLibc, plan: StampedPlan, wanted: readonly Place[], { port, share }: Binding): OpenedSet {
  const descriptors: number[] = [];
  const addresses: Endpoint[] = [];
  const places: Place[] = [];
  try {
    for (const place of wanted) {
      const fd = place.own ? tryOne(libc, plan, place, { port, share }) : openOne(libc, plan, place, { port, share });
      if (fd === undefined) continue;
      descriptors.push(fd);
      places.push(place);
      port = localEndpoint(libc, fd).port;
      if (place.dual) addresses.push({ address: "0.0.0.0", port });
      if (!place.own) addresses.push({ address: place.address, port });
    }
    return { descriptors, places, addresses };
  } catch (error) {
    for (const fd of descriptors) libc.close(fd);
    throw error;
  }
}

function tryOne(...[libc, plan, place, binding]: Parameters<typeof openOne>): number | undefined {
  try {
    return openOne(libc, plan, place, binding);
  } catch {
    return undefined;
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

function openOne(libc: ServerLibc, plan: StampedPlan, place: Place, { port, share }: Binding): number {
  const domain = place.family === 4 ? linux.AF_INET : linux.AF_INET6;
  const fd = libc.socket(domain, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) throw libc.failure("socket", place.address);
  try {
    for (const option of optionsOf(plan, place)) setOption(libc, fd, option);
    if (share !== undefined) setOption(libc, fd, [linux.SOL_SOCKET, share, 1]);
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

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * UDP with kernel time stamps on Linux, the same through every FFI.
 *
 * The kernel stamps a datagram as it passes, so it does not matter when it is read. Hence the plainest way to wait
 * that works on every runtime: a timer looks into the socket, right after a send, then every millisecond, and less
 * often the longer nothing comes ({@link PACE}). An event loop's own poll is not used: there is no common one, and
 * libuv's stops watching a descriptor whose error queue holds something, which is where transmit stamps arrive.
 *
 * Transmit stamps are read back from the error queue right after the send; transmit.ts says whose they are. While one
 * is awaited no datagram is delivered, so a reply never overtakes the stamp of its request.
 *
 * Where network cards stamp as well (cards.ts), theirs are used, and the kernel's where a card's is missing or refused.
 *
 * Refuses: datagrams longer than {@link RECEIVE_BYTES} (dropped: the cut-off rest could hold the part that
 * authenticates it). Costs about 60 wake-ups a second when idle for long.
 *
 * Tested by udp.test.ts and tests/native.
 *
 * @module
 */

import { formatEndpoint } from "../common/address.ts";
import { NtpError } from "../common/errors.ts";
import type { Endpoint, SendStamp, StampSource, UdpHandlers, UdpOptions, UdpSocket } from "../common/host.ts";
import type { Cards } from "./cards.ts";
import { nativeClock } from "./clock.ts";
import { SystemError } from "./errno.ts";
import type { Ffi } from "./ffi.ts";
import { bindLibc } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { EAGAIN, EBADF, EDESTADDRREQ, EINTR, EISCONN, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL } from "./linux.ts";
import { Block } from "./memory.ts";
import { Message, type Controls } from "./message.ts";
import { localEndpoint, numberFromZero, openSocket } from "./open.ts";
import { SOCKADDR_BYTES, writeSockaddr } from "./sockaddr.ts";
import { TransmitStamps } from "./transmit.ts";

/** The longest datagram that is received. NTP, NTS and Roughtime stay below 1500 octets. */
export const RECEIVE_BYTES = 4096;

/** How long send() waits for a transmit stamp that is not there at once, ms. */
const STAMP_WAIT_MS = 2;
/** The same for a card's: drivers fetch it in their own time. */
const CARD_WAIT_MS = 5;
/**
 * How often the socket is looked into: in vain so often, then every so many ms. The first covers nearly every answer's
 * time; the last costs next to nothing, and the default receive buffer holds what comes meanwhile (some 250 requests).
 */
const PACE: readonly (readonly [looks: number, delayMs: number])[] = [
  [250, 1],
  [1250, 4],
  [Number.POSITIVE_INFINITY, 16],
];
/** More than the default receive buffer holds of even empty datagrams. */
const DISCARD_AT_MOST = 1024;
/** Messages read before the event loop has its turn again. */
const BATCH = 64;

/** Where the payload begins in the outgoing block: behind the address, aligned. */
const OUTGOING_PAYLOAD = (SOCKADDR_BYTES + 7) & ~7;

/** Run soon, after other pending events have had their turn. */
const soon: (task: () => void) => unknown =
  typeof setImmediate === "function" ? (task) => setImmediate(task) : (task) => setTimeout(task, 0);

/** What tests and unusual links change. */
export interface NativeUdpTuning {
  /** How long send() may wait for a late transmit stamp, ms. Default 2. */
  readonly stampWaitMs?: number;
  /** Network cards that stamp, too. */
  readonly cards?: Cards;
}

/**
 * Open a UDP socket whose datagrams the kernel stamps.
 *
 * @throws {NtpError} `UNSUPPORTED` where libc cannot be bound (ask `bindLibc` first)
 * @throws {SystemError} when the kernel refuses; its `code` is errno's name
 */
export async function openNativeUdp(
  ffi: Ffi,
  options: UdpOptions,
  handlers: UdpHandlers,
  tuning: NativeUdpTuning = {},
): Promise<UdpSocket> {
  const libc = bindLibc(ffi);
  const clock = nativeClock(ffi);
  if (libc === undefined || clock === undefined) {
    throw new NtpError("UNSUPPORTED", "native UDP needs Linux on x64, arm64 or riscv64; use the runtime's own sockets");
  }
  // Without a card there is nothing to be waited for, nor copies of datagrams to be carried.
  const cards = tuning.cards?.any ? tuning.cards : undefined;
  const means = { libc, now: clock.now, cards, stampWaitMs: tuning.stampWaitMs ?? (cards ? CARD_WAIT_MS : STAMP_WAIT_MS) };
  return new NativeUdpSocket(means, options, handlers);
}

/** What a socket works with. */
interface Means {
  readonly libc: Libc;
  /** Wall clock, ns. */
  readonly now: () => bigint;
  readonly stampWaitMs: number;
  readonly cards: Cards | undefined;
}

class NativeUdpSocket implements UdpSocket {
  readonly local: Endpoint;
  readonly stamps: StampSource;
  readonly #libc: Libc;
  readonly #options: UdpOptions;
  readonly #handlers: UdpHandlers;
  readonly #now: () => bigint;
  readonly #cards: Cards | undefined;
  readonly #incoming: Message;
  readonly #errors: Message;
  readonly #transmit: TransmitStamps;
  /** The outgoing datagram: its address, then the payload. Grows when a longer one is sent. */
  #outgoing: Block;
  /** -1 once closed. Checked before every native call: the number may belong to someone else by then. */
  #fd: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking = false;
  #looksInVain = 0;

  constructor({ libc, now, stampWaitMs, cards }: Means, options: UdpOptions, handlers: UdpHandlers) {
    this.#libc = libc;
    this.#cards = cards;
    this.stamps = cards ? "hardware" : "kernel";
    this.#options = options;
    this.#handlers = handlers;
    this.#now = now;
    this.#incoming = new Message(libc.ffi, RECEIVE_BYTES);
    this.#errors = new Message(libc.ffi, 0); // of the datagram in error nothing is wanted
    this.#outgoing = new Block(libc.ffi, OUTGOING_PAYLOAD + RECEIVE_BYTES);
    this.#transmit = new TransmitStamps(stampWaitMs);
    this.#fd = openSocket(libc, options, cards !== undefined);
    try {
      this.local = localEndpoint(libc, this.#fd);
      if (options.connect !== undefined) this.#discardStrangers();
    } catch (error) {
      this.close();
      throw error;
    }
    this.#schedule();
  }

  async send(data: Uint8Array, to?: Endpoint): Promise<SendStamp> {
    if (this.#fd < 0) throw new SystemError("send", EBADF);
    const nameLength = this.#writeOutgoing(data, to);
    const stamp = this.#transmit.sent(this.#sendOutgoing(nameLength, data.length, to), performance.now());
    this.#readErrors();
    this.#transmit.expire(performance.now());
    this.#lookSoon();
    return stamp;
  }

  close(): void {
    if (this.#fd < 0) return;
    clearTimeout(this.#timer);
    this.#libc.close(this.#fd); // even with EINTR the descriptor is gone on Linux
    this.#fd = -1;
    this.#transmit.restart();
  }

  // --- sending ---

  /** Lay out the datagram and return the length of its address: 0 on a connected socket. */
  #writeOutgoing(data: Uint8Array, to: Endpoint | undefined): number {
    if (this.#outgoing.bytes.length < OUTGOING_PAYLOAD + data.length) {
      this.#outgoing = new Block(this.#libc.ffi, OUTGOING_PAYLOAD + data.length);
    }
    this.#outgoing.bytes.set(data, OUTGOING_PAYLOAD);
    const peer = this.#options.connect;
    if (peer !== undefined) {
      if (to === undefined || (to.address === peer.address && to.port === peer.port)) return 0;
      throw new SystemError("send", EISCONN, formatEndpoint(to));
    }
    if (to === undefined) throw new SystemError("send", EDESTADDRREQ);
    return writeSockaddr(this.#outgoing.view, 0, to, this.#options.family, this.#libc);
  }

  /** Hand the datagram to the kernel and return the user stamp taken right before. */
  #sendOutgoing(nameLength: number, length: number, to: Endpoint | undefined): bigint {
    for (let attempt = 0; ; attempt++) {
      const { address } = this.#outgoing;
      const name = nameLength === 0 ? 0 : address;
      const userNs = this.#now();
      const payload = address + OUTGOING_PAYLOAD;
      const taken = this.#libc.sendto(this.#fd, payload, length, MSG_DONTWAIT | MSG_NOSIGNAL, name, nameLength);
      if (taken >= 0) return userNs;
      const failure = this.#libc.failure("send", formatEndpoint(to ?? this.#options.connect ?? this.local));
      // Whether a failed send used up a number depends on the kernel's version: start counting again.
      this.#transmit.restart();
      numberFromZero(this.#libc, this.#fd, this.#cards !== undefined);
      // On a connected socket the failure may be the answer to an *earlier* datagram (an ICMP error that came between
      // two looks). It is reported as such, and this datagram gets its own chance.
      if (attempt > 0 || this.#options.connect === undefined || this.#readErrors() === 0) throw failure;
    }
  }

  // --- receiving ---

  /** Look into the socket at the event loop's next turn. */
  #lookSoon(): void {
    this.#looksInVain = 0;
    if (this.#looking || this.#fd < 0) return;
    this.#looking = true;
    clearTimeout(this.#timer);
    soon(() => this.#look());
  }

  #schedule(): void {
    const [, delayMs] = PACE.find(([looks]) => this.#looksInVain < looks) as (typeof PACE)[number];
    this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    this.#looking = false;
    if (this.#fd < 0) return;
    // While a transmit stamp is awaited (2 ms at most) datagrams wait as well; their own stamps are already taken. The
    // turn in which it comes counts as waiting, because whoever sent must hear of it first.
    const awaiting = this.#transmit.waiting > 0;
    let found = 0;
    try {
      found = this.#readErrors();
      this.#transmit.expire(performance.now());
      if (!awaiting) found += this.#readDatagrams();
    } finally {
      this.#scheduleNext(found, awaiting || found >= BATCH);
    }
  }

  #scheduleNext(found: number, atOnce: boolean): void {
    if (this.#fd < 0 || this.#looking) return;
    this.#looksInVain = found > 0 ? 0 : this.#looksInVain + 1;
    if (atOnce) this.#lookSoon();
    else this.#schedule();
  }

  /** Deliver what has arrived, until the handler closes the socket or sends (its stamp comes first); how many. */
  #readDatagrams(): number {
    let count = 0;
    for (; count < BATCH && this.#fd >= 0 && !this.#looking; count++) {
      const length = this.#libc.recvmsg(this.#fd, this.#incoming.prepare(), MSG_DONTWAIT);
      if (length >= 0) {
        this.#deliver(length);
        continue;
      }
      const errno = this.#libc.errno();
      if (errno === EINTR) continue;
      if (errno !== EAGAIN) this.#pendingError(errno);
      break;
    }
    return count;
  }

  #deliver(length: number): void {
    if (this.#incoming.truncated) return;
    const from = this.#incoming.peer(this.#libc);
    if (from === undefined) return;
    const controls = this.#incoming.controls();
    const { stampNs } = controls;
    const data = this.#incoming.payload(length);
    // The first datagrams after the first such socket of a system can lack the stamp: it is switched on with a delay.
    const other: SendStamp = stampNs === undefined ? { sentNs: this.#now(), stamp: "user" } : { sentNs: stampNs, stamp: "kernel" };
    const byCard = this.#cards && receivedByCard(this.#cards, controls, other);
    this.#handlers.onDatagram({ data, from, receivedNs: byCard ?? other.sentNs, stamp: byCard === undefined ? other.stamp : "hardware" });
  }

  /** An error that recvmsg gave: its details are in the error queue, unless that overflowed. */
  #pendingError(errno: number): void {
    if (this.#readErrors() === 0) this.#report(errno, this.#options.connect);
  }

  /** Empty the error queue: transmit stamps to their datagrams, errors to the owner. How many errors there were. */
  #readErrors(): number {
    let errors = 0;
    for (let reads = 0; reads < BATCH && this.#fd >= 0; reads++) {
      const length = this.#libc.recvmsg(this.#fd, this.#errors.prepare(), MSG_DONTWAIT | MSG_ERRQUEUE);
      if (length < 0) {
        if (this.#libc.errno() === EINTR) continue;
        break;
      }
      const controls = this.#errors.controls();
      const { error } = controls;
      if (error === undefined) continue;
      if (error.stampOf === undefined) {
        errors++;
        this.#report(error.errno, this.#errors.peer(this.#libc));
      } else {
        this.#sentAt(error.stampOf, controls);
      }
    }
    return errors;
  }

  /** A transmit stamp: the kernel's, or the card's. */
  #sentAt(id: number, { stampNs, hardwareNs, device, frame }: Controls): void {
    const cards = this.#cards;
    if (stampNs !== undefined) this.#transmit.arrived(id, stampNs, cards?.has(device));
    if (hardwareNs === undefined || !cards) return;
    this.#transmit.arrivedFromCard(id, (other) => cards.judge({ device, stampNs: hardwareNs, frame, other, direction: "sent" }));
  }

  /** In a microtask: the error may have been found inside send(), which the handler must not enter again. */
  #report(errno: number, peer: Endpoint | undefined): void {
    const error = new SystemError("recvmsg", errno, peer && formatEndpoint(peer));
    queueMicrotask(() => {
      if (this.#fd >= 0) this.#handlers.onError(error);
    });
  }

  /** Between bind and connect anyone could send. Nothing was asked yet, so nothing that lies there is an answer. */
  #discardStrangers(): void {
    for (let i = 0; i < DISCARD_AT_MOST; i++) {
      if (this.#libc.recvmsg(this.#fd, this.#incoming.prepare(), MSG_DONTWAIT) < 0) return;
    }
  }
}

/** When the card says that a datagram came; undefined where it does not, or is not believed. */
function receivedByCard(cards: Cards, { hardwareNs, device, frame }: Controls, other: SendStamp): bigint | undefined {
  if (hardwareNs !== undefined) return cards.judge({ device, stampNs: hardwareNs, frame, other, direction: "received" });
  cards.unstamped(device);
  return undefined;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Sockets on loopback with a network card under it that stamps, which is a fake: its clock by the device layer, its stamps in
 * the control messages. All else is the kernel's.
 *
 * @module
 */

import type { Datagram, SendStamp } from "../../hosts/common/host.ts";
import { Cards, type CardMeans } from "../../hosts/native/cards.ts";
import { nativeClock } from "../../hosts/native/clock.ts";
import { bindDevices, kernelLayer } from "../../hosts/native/device.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { PTP_SYS_OFFSET_PRECISE, hardwareReport } from "../../hosts/native/hardware.ts";
import { bindLibc } from "../../hosts/native/libc.ts";
import { openNativeUdp } from "../../hosts/native/udp.ts";
import { Card } from "../support/card.ts";
import { stampedBy, type CardSays } from "../support/stamped.ts";
import { Inbox, check, expect, openStation, type Result } from "./harness.ts";

/** How far the card's clock is ahead of the system's: TAI. */
export const AHEAD = 37_000_000_000n;

export interface CardExchange {
  /** When the request left, and the reply as it came. */
  readonly asked: SendStamp;
  readonly reply: Datagram;
  /** Why software stamps had to do. */
  readonly told: readonly string[];
  /** Interfaces that the kernel itself told of, of what was sent. */
  readonly leftBy: readonly number[];
  readonly stamps: string;
}

export interface CardExchangeOptions {
  /** Transmit stamps of the card do not come yet. */
  readonly held?: () => boolean;
  /** How long they are waited for, ms; by default longer than any test. */
  readonly wait?: number;
  readonly family?: 4 | 6;
}

/** Ask and be answered on loopback. What its card stamps is said by `says`. */
export async function exchangeByCard(real: Ffi, says: CardSays, { held, wait = 60_000, family = 4 }: CardExchangeOptions = {}): Promise<CardExchange> {
  const libc = expect(bindLibc(real), "libc binds on this platform");
  const { now } = expect(nativeClock(real), "a native clock");
  const layer = new Card({ name: "lo", knows: [PTP_SYS_OFFSET_PRECISE], ahead: AHEAD, now });
  const means: CardMeans = { layer, names: () => ["lo"], indexOf: (name) => libc.interfaceIndex(name), nameOf: (index) => libc.interfaceName(index), nowMs: () => performance.now() };
  const told: string[] = [];
  const cards = new Cards(means, "lo", { open: new Map(), tell: (reason) => told.push(reason) });
  const { ffi, leftBy } = stampedBy(real, says, { device: libc.interfaceIndex("lo"), ...(held && { held }) });
  const replies = new Inbox<Datagram>();
  const handlers = { onDatagram: (datagram: Datagram) => replies.push(datagram), onError() {} };
  const options = { family, address: family === 4 ? "127.0.0.1" : "::1" } as const;
  const socket = await openNativeUdp(ffi, options, handlers, { cards, stampWaitMs: wait });
  const station = await openStation(real, options);
  try {
    const asked = await socket.send(Uint8Array.of(1, 2, 3), station.here);
    const request = await station.datagrams.next("the request");
    await station.socket.send(Uint8Array.of(4), request.from);
    return { asked, reply: await replies.next("the reply"), told, leftBy, stamps: socket.stamps };
  } finally {
    socket.close();
    station.socket.close();
  }
}

export function cardChecks(ffi: Ffi): Promise<Result[]> {
  return check([
    ["a card's stamps are told in terms of the system's clock", async () => {
      const seen = { sent: 0n, received: 0n };
      const { asked, reply, told, leftBy } = await exchangeByCard(ffi, (kernelNs, direction) => ((seen[direction] = kernelNs), kernelNs + AHEAD + (direction === "sent" ? 2000n : -3000n)));
      expect(told.length === 0, `no complaint, got ${told.join()}`);
      expect(asked.stamp === "hardware" && asked.sentNs === seen.sent + 2000n, `sent at ${seen.sent + 2000n} by the card, got ${asked.sentNs} by the ${asked.stamp}`);
      expect(reply.stamp === "hardware" && reply.receivedNs === seen.received - 3000n, `received at ${seen.received - 3000n} by the card, got ${reply.receivedNs} by the ${reply.stamp}`);
      expect(leftBy.join() === "1", `the kernel to tell that it left by interface 1, got ${leftBy.join()}`);
    }],
    ["loopback is known to have no card", () => {
      const libc = expect(bindDevices(ffi), "devices bind on this platform");
      const { reason } = hardwareReport(kernelLayer(libc), "lo");
      expect(reason === "lo has no clock of its own", `a reason, got ${reason}`);
    }],
  ]);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The option `hardwareTimestamps` of the public functions: a host whose sockets have network cards' stamps. Servers have the
 * same, on sockets of their own (../server/crew.ts). Tested in hosts/native/cards.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host, StampingCards } from "../host.ts";

export interface CardOptions {
  /**
   * Let network cards stamp: an interface, several, or true for all that can. It switches stamping on in the card, for
   * everybody on this machine, which needs CAP_NET_ADMIN unless it is on already. Default: the kernel stamps.
   */
  readonly hardwareTimestamps?: StampingCards;
  /** Told why software stamps have to do, once for each reason. */
  readonly onSoftwareTimestamps?: (reason: string) => void;
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkCards({ hardwareTimestamps: cards }: CardOptions): void {
  if (cards === undefined || areCards(cards)) return;
  throw new NtpError("INVALID_ARGUMENT", `expected hardwareTimestamps to be true, the name of an interface, or several, got ${JSON.stringify(cards)}`);
}

/** `host`, with cards' stamps where they were asked for and can be had. @throws {NtpError} `INVALID_ARGUMENT` */
export function byCards(host: Host, options: CardOptions): Host {
  checkCards(options);
  const { hardwareTimestamps: cards, onSoftwareTimestamps: tell = () => {} } = options;
  if (cards === undefined) return host;
  if (host.stampByCards) return { ...host, openUdp: host.stampByCards(cards, tell) };
  tell(`${host.runtime} cannot ask network cards here: that needs 64-bit Linux and a way to call C (FFI)`);
  return host;
}

function areCards(cards: unknown): cards is StampingCards {
  const isName = (name: unknown) => typeof name === "string" && name !== "";
  return cards === true || isName(cards) || (Array.isArray(cards) && cards.length > 0 && cards.every(isName));
}

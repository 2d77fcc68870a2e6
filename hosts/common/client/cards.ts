// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The option `hardwareTimestamps` of the public functions: a host whose sockets have network cards' stamps. Tested in
 * hosts/native/cards.test.ts.
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

/** `host`, with cards' stamps where they were asked for and can be had. @throws {NtpError} `INVALID_ARGUMENT` */
export function byCards(host: Host, { hardwareTimestamps: cards, onSoftwareTimestamps: tell = () => {} }: CardOptions): Host {
  if (cards === undefined) return host;
  if (!areCards(cards)) throw new NtpError("INVALID_ARGUMENT", `expected hardwareTimestamps to be true, the name of an interface, or several, got ${JSON.stringify(cards)}`);
  if (host.stampByCards) return { ...host, openUdp: host.stampByCards(cards, tell) };
  tell(`${host.runtime} cannot ask network cards here: that needs 64-bit Linux and a way to call C (FFI)`);
  return host;
}

function areCards(cards: unknown): cards is StampingCards {
  const isName = (name: unknown) => typeof name === "string" && name !== "";
  return cards === true || isName(cards) || (Array.isArray(cards) && cards.length > 0 && cards.every(isName));
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards that stamp what our sockets send and receive: switched on, their clocks read, each stamp judged.
 *
 * A card stamps by its own clock, which may count TAI, or from when it was switched on. Both clocks are read together right
 * after a stamp came, if they were not just before, so that little has to be extrapolated. The kernel stamps the same
 * datagram: after the card where it comes in, before the card where it goes out. A stamp that is on the wrong side of the
 * kernel's, or far off, is of another datagram or by a clock that was stepped in between, and is refused: the kernel's has
 * to do. Why is told, each reason once.
 *
 * A card stamps the beginning of a frame in both directions, the kernel and everybody who follows it the end of one that was
 * received. So what a frame takes on its link is added where both are told (chrony does the same).
 *
 * Refuses to steer a card's clock, and to use a card that stamps in one direction only: half of the delay's gain would
 * become an error of the offset. Tested in cards.test.ts against a fake card. Not yet proven on hardware.
 *
 * @module
 */

import type { SendStamp, StampingCards } from "../common/host.ts";
import type { DeviceLayer } from "./device.ts";
import { PtpClock, hardwareAbility, linkSpeed, switchOn } from "./hardware.ts";

/** Where cards are found. Index 0 is no interface. */
export interface CardMeans {
  readonly layer: DeviceLayer;
  /** Of all interfaces that are up. */
  readonly names: () => readonly string[];
  readonly indexOf: (name: string) => number;
  readonly nameOf: (index: number) => string;
  /** Monotonic, ms. */
  readonly nowMs: () => number;
}

/** A reading of both clocks is good for stamps around it, ms. */
export const FRESH_MS = 50;
/** s; a stamp further from the reading is not of what was just sent or received. */
export const STALE = 2;
/** ns on the side of the kernel's stamp where a card's cannot be: what reading both clocks may be wrong by. */
export const WRONG_SIDE_NS = 100_000;
/** ns on the side where it is: interrupts are held back, queues stand. */
export const RIGHT_SIDE_NS = 50_000_000;
/** The same where the kernel's stamp is missing and the process' has to do, which may be late. */
export const PROCESS_SIDE_NS = 1_000_000_000;
/** A link that was plugged in again may be another one, ms. */
export const LINK_MS = 10_000;
/** Octets of a frame's check sequence, which is not counted in its length. */
const CHECK_SEQUENCE = 4;
/** Datagrams in a row without a card's stamp until it is told. */
export const PATIENCE = 8;

/** Why software stamps have to do, once the card is there. */
export const REASONS = {
  stale: (name: string) => `${name} gave a stamp that is more than ${STALE} s away from its clock`,
  misfit: (name: string, direction: "sent" | "received", byKernel: boolean) => `${name} gave a stamp of what was ${direction} that does not fit the ${byKernel ? "kernel's" : "process'"}`,
  silent: (name: string) => `${name} does not stamp what comes by it, though it was switched on`,
  unread: (name: string, error: unknown) => `the clock of ${name} cannot be read: ${(error as Error).message}`,
} as const;

/** What a card said of a datagram. */
export interface CardStamp {
  /** Index of the interface; 0: not told. */
  readonly device: number;
  /** By the card's clock. */
  readonly stampNs: bigint;
  /** Octets of the frame, as the kernel counts them; 0: not told. */
  readonly frame: number;
  /** What is known without it. */
  readonly other: SendStamp;
  readonly direction: "sent" | "received";
}

class Card {
  readonly name: string;
  readonly clock: PtpClock;
  readonly #layer: DeviceLayer;
  #speed: number | undefined;
  #speedMs = Number.NEGATIVE_INFINITY;
  /** Datagrams in a row that it did not stamp. */
  missed = 0;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(layer: DeviceLayer, name: string, clock: PtpClock) {
    this.#layer = layer;
    this.name = name;
    this.clock = clock;
  }

  /** What a frame takes on the link, ns; 0 where that is not known. */
  duration(octets: number, nowMs: number): bigint {
    if (octets === 0) return 0n;
    if (nowMs - this.#speedMs > LINK_MS) {
      this.#speed = linkSpeed(this.#layer, this.name);
      this.#speedMs = nowMs;
    }
    return this.#speed === undefined ? 0n : BigInt(Math.round(((octets + CHECK_SEQUENCE) * 8e9) / this.#speed));
  }

  /** In terms of the system's clock, and what that may be wrong by, ns; undefined: stale. @throws {SystemError} */
  toSystem(stampNs: bigint, nowMs: number): { systemNs: bigint; errorNs: number } | undefined {
    if (nowMs - this.#readMs > FRESH_MS) {
      this.clock.read();
      this.#readMs = nowMs;
    }
    const converted = this.clock.toSystem(stampNs, STALE);
    return converted && { systemNs: converted.systemNs, errorNs: converted.error * 1e9 };
  }
}

/** The cards of one process that are switched on, by name: their clocks stay open. */
export type OpenCards = Map<string, Card>;

/** Open a card, or say why software stamps have to do for it. */
function openCard({ layer, nameOf, indexOf }: CardMeans, name: string): Card | string {
  const index = indexOf(name);
  if (index === 0) return `there is no interface ${name}`;
  const ability = hardwareAbility(layer, nameOf(index));
  const reason = switchOn(layer, ability);
  if (reason !== undefined) return reason;
  try {
    return new Card(layer, name, new PtpClock(layer, ability.phc));
  } catch (error) {
    return `the clock of ${name} cannot be opened: ${(error as Error).message}`;
  }
}

/** The wanted cards by the index of their interface, and why there are not more. `open`: those that are open already. Never throws. */
export function openCards(means: CardMeans, wanted: StampingCards, open: OpenCards): { readonly found: ReadonlyMap<number, Card>; readonly reasons: readonly string[] } {
  const names = wanted === true ? means.names() : typeof wanted === "string" ? [wanted] : wanted;
  const found = new Map<number, Card>();
  const reasons: string[] = [];
  for (const name of new Set(names)) {
    const card = open.get(name) ?? openCard(means, name);
    if (typeof card === "string") {
      reasons.push(card);
      continue;
    }
    open.set(name, card);
    found.set(means.indexOf(name), card);
  }
  if (wanted !== true) return { found, reasons };
  // Of all that there are, those that can will do.
  return { found, reasons: found.size > 0 ? [] : [`no network card stamps: ${reasons.join("; ") || "there is none"}`] };
}

export class Cards {
  readonly #means: CardMeans;
  readonly #cards: ReadonlyMap<number, Card>;
  readonly #tell: (reason: string) => void;
  readonly #told = new Set<string>();

  /** `open`: cards that others of this process have opened. Never throws. */
  constructor(means: CardMeans, wanted: StampingCards, { open, tell }: { readonly open: OpenCards; readonly tell: (reason: string) => void }) {
    this.#means = means;
    this.#tell = tell;
    const { found, reasons } = openCards(means, wanted, open);
    this.#cards = found;
    for (const reason of reasons) this.#say(reason);
  }

  /** Whether there is a card at all. */
  get any(): boolean {
    return this.#cards.size > 0;
  }

  /** Whether a card stamps what passes this interface. One that is not told is the only one. */
  has(device: number): boolean {
    return this.#cardOf(device) !== undefined;
  }

  /** The stamp in terms of the system's clock; undefined: it is not to be believed. Never throws. */
  judge({ device, stampNs, frame, other, direction }: CardStamp): bigint | undefined {
    const card = this.#cardOf(device);
    if (!card) return undefined;
    card.missed = 0;
    try {
      const nowMs = this.#means.nowMs();
      const converted = card.toSystem(stampNs + (direction === "received" ? card.duration(frame, nowMs) : 0n), nowMs);
      if (!converted) return this.#refuse(REASONS.stale(card.name));
      const { systemNs, errorNs } = converted;
      const ahead = Number(systemNs - other.sentNs) * (direction === "sent" ? 1 : -1);
      const most = other.stamp === "kernel" ? RIGHT_SIDE_NS : PROCESS_SIDE_NS;
      if (ahead < -WRONG_SIDE_NS - errorNs || ahead > most) {
        return this.#refuse(REASONS.misfit(card.name, direction, other.stamp === "kernel"));
      }
      return systemNs;
    } catch (error) {
      return this.#refuse(REASONS.unread(card.name, error));
    }
  }

  /** A datagram came by this interface with no card's stamp. */
  unstamped(device: number): void {
    const card = this.#cardOf(device);
    if (!card) this.#say(`datagrams come by ${this.#means.nameOf(device)}, which has no card that was asked for or can stamp`);
    else if (++card.missed === PATIENCE) this.#say(REASONS.silent(card.name));
  }

  #cardOf(device: number): Card | undefined {
    if (device !== 0) return this.#cards.get(device);
    return this.#cards.size === 1 ? this.#cards.values().next().value : undefined;
  }

  #refuse(reason: string): undefined {
    this.#say(reason);
  }

  #say(reason: string): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#tell(reason);
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards that stamp for a server's threads: opened by the one who opens the sockets, as it is root then; read by each
 * thread, which tells its core how a card's clock runs against the system's.
 *
 * Both clocks are read after datagrams have come, and not more often than they say something new, as for our own requests
 * (cards.ts): so a stamp is moved by milliseconds of the line at most, and an idle server reads no clock. The core judges
 * (assembly/server/cards.ts); why it refused a stamp is told here, each reason once.
 *
 * Tested in server-cards.test.ts against a fake card over real sockets. Not yet proven on hardware.
 *
 * @module
 */

import type { Core } from "../common/core/core.ts";
import type { CardsPlan, ServerCard } from "../common/server/threads.ts";
import { FRESH_MS, LINK_MS, PATIENCE, PROCESS_SIDE_NS, REASONS, RIGHT_SIDE_NS, STALE, WRONG_SIDE_NS, openCards, type CardMeans } from "./cards.ts";
import { PtpClock, linkSpeed } from "./hardware.ts";

/** The cards of a server, and their clocks' descriptors, which are the process'. */
export interface ServerCards {
  readonly cards: readonly ServerCard[];
  close(): void;
}

/** Switch the wanted cards on and open their clocks; why not all can be had is told. Never throws. */
export function openServerCards(means: CardMeans, { wanted, tell }: CardsPlan): ServerCards {
  const { found, reasons } = openCards(means, wanted, new Map());
  for (const reason of reasons) tell(reason);
  return {
    cards: [...found].map(([device, { name, clock }]) => ({ name, device, clock: clock.descriptor })),
    close: () => found.forEach(({ clock }) => clock.close()),
  };
}

const LINE_FIELDS = ["SINCE", "OFFSET", "RATE", "DOUBT", "OCTET", "DEVICE", "KNOWN", "REASONS"] as const;
const LIMIT_FIELDS = ["STALE", "WRONG_SIDE", "RIGHT_SIDE", "PROCESS_SIDE", "PATIENCE", "COUNT"] as const;
/** The core's reasons for refusing a stamp, in the order of their bits. */
const REFUSALS: readonly ((name: string) => string)[] = [
  REASONS.stale,
  (name) => REASONS.misfit(name, "received", true),
  (name) => REASONS.misfit(name, "received", false),
  (name) => REASONS.misfit(name, "sent", true),
  (name) => REASONS.misfit(name, "sent", false),
  REASONS.silent,
];

interface Line {
  readonly name: string;
  readonly clock: PtpClock;
  readonly at: Record<(typeof LINE_FIELDS)[number], number>;
}

/** The cards of one thread. */
export class CardLines {
  readonly #core: Core;
  readonly #means: Pick<CardMeans, "layer" | "nowMs">;
  readonly #tell: (reason: string) => void;
  readonly #lines: readonly Line[];
  readonly #told = new Set<string>();
  #readMs = Number.NEGATIVE_INFINITY;
  #linkMs = Number.NEGATIVE_INFINITY;

  constructor(core: Core, means: Pick<CardMeans, "layer" | "nowMs">, cards: readonly ServerCard[], tell: (reason: string) => void) {
    this.#core = core;
    this.#means = means;
    this.#tell = tell;
    const most = core.constant("CARD_LIMIT");
    for (const { name } of cards.slice(most)) this.#say(`${name} is one card more than the ${most} that a server has`);
    const first = core.constant("CARDS");
    this.#lines = cards.slice(0, most).map(({ name, device, clock }, index) => {
      const start = first + index * core.constant("CARD_SIZE");
      const at = Object.fromEntries(LINE_FIELDS.map((field) => [field, start + core.constant(`CARD_${field}`)])) as Line["at"];
      core.setU32(at.DEVICE, device);
      return { name, clock: new PtpClock(means.layer, -1, clock), at };
    });
    const limits = core.fields("CARD_LIMITS", LIMIT_FIELDS);
    core.setI64(limits.STALE, core.exports.intervalFromSeconds(STALE));
    core.setI64(limits.WRONG_SIDE, core.exports.intervalFromNs(BigInt(WRONG_SIDE_NS)));
    core.setI64(limits.RIGHT_SIDE, core.exports.intervalFromNs(BigInt(RIGHT_SIDE_NS)));
    core.setI64(limits.PROCESS_SIDE, core.exports.intervalFromNs(BigInt(PROCESS_SIDE_NS)));
    core.setU32(limits.PATIENCE, PATIENCE);
    core.setU32(limits.COUNT, this.#lines.length);
    this.tick();
  }

  /** Stamps have come: read the clocks again, unless they were just before. Never throws. */
  renew(): void {
    const nowMs = this.#means.nowMs();
    if (nowMs - this.#readMs < FRESH_MS) return;
    this.#readMs = nowMs;
    for (const line of this.#lines) this.#read(line);
  }

  /** About once a second: look whether a link has changed, and tell why stamps were refused. Never throws. */
  tick(): void {
    const nowMs = this.#means.nowMs();
    if (nowMs - this.#linkMs > LINK_MS) {
      this.#linkMs = nowMs;
      for (const { name, at } of this.#lines) this.#core.view.setFloat64(at.OCTET, octetTime(linkSpeed(this.#means.layer, name)), true);
    }
    for (const { name, at } of this.#lines) {
      const reasons = this.#core.u32(at.REASONS);
      REFUSALS.forEach((text, bit) => void ((reasons >>> bit) & 1 && this.#say(text(name))));
    }
  }

  #read({ name, clock, at }: Line): void {
    const { exports, view } = this.#core;
    try {
      clock.read();
      const { phcNs, systemNs, rate, error } = clock.line()!;
      const since = exports.timestampFromUnixNs(phcNs);
      this.#core.setI64(at.SINCE, since);
      // Clocks may be further apart than an interval reaches; timestamps wrap.
      this.#core.setI64(at.OFFSET, BigInt.asIntN(64, exports.timestampFromUnixNs(systemNs) - since));
      view.setFloat64(at.RATE, rate, true);
      this.#core.setI64(at.DOUBT, exports.intervalFromSeconds(error));
      this.#core.setU32(at.KNOWN, 1);
    } catch (error) {
      // What a card stamps without a clock to read it by is refused.
      this.#core.setU32(at.KNOWN, 0);
      this.#say(REASONS.unread(name, error));
    }
  }

  #say(reason: string): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#tell(reason);
  }
}

/** What an octet takes on a link of so many bits a second, in units of 2^-32 s; 0 where that is not known. */
function octetTime(speed: number | undefined): number {
  return speed === undefined ? 0 : (8 / speed) * 2 ** 32;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Says once what keeps a source from being asked, and once that it is over: an outage of a day is two lines in a log, not two
 * a minute. Tested in duplicates.test.ts and engine.test.ts.
 *
 * @module
 */

/** Its name does not resolve; its keys cannot be established; another source speaks for the same server. */
export type TroubleKind = "name" | "keys" | "duplicate";

/** `wrong`: it begins; else it is over. */
export type TellTrouble = (message: string, wrong: boolean) => void;

export class Trouble {
  readonly #tell: TellTrouble;
  readonly #present = new Set<TroubleKind>();

  constructor(tell: TellTrouble) {
    this.#tell = tell;
  }

  /** It cannot be asked. */
  begins(kind: TroubleKind, message: string): void {
    if (this.#present.has(kind)) return;
    this.#present.add(kind);
    this.#tell(message, true);
  }

  /** It can again. */
  ends(kind: TroubleKind, message: () => string): void {
    if (this.#present.delete(kind)) this.#tell(message(), false);
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's cookie keys as they change: the ring looks into its store now and then, lets it make what is due, and says which
 * key seals and which open. A store that cannot be reached for a while changes nothing: the keys that are there go on.
 * Keys that are no longer kept are overwritten. Tested in keys.test.ts.
 *
 * @module
 */

import { checkedRotation, currentGeneration, type Generation, type Rotation } from "./generations.ts";
import type { KeyStore } from "./stores.ts";

/** What cookies are sealed and opened with. */
export interface CookieKeys {
  /** Seals. */
  readonly current: Generation;
  /** All open; `current` is among them. */
  readonly all: readonly Generation[];
}

export interface CookieKeyRingOptions {
  readonly rotation?: Partial<Rotation> | undefined;
  /** Wall clock, ms since 1970. */
  readonly now?: (() => number) | undefined;
  /** How often the store is looked into, ms; at most a third of a generation's lead. Default a minute. */
  readonly refreshMs?: number | undefined;
  /** Called when another key seals, or others open. MUST NOT keep the old ones. */
  readonly onChange?: ((keys: CookieKeys) => void) | undefined;
  /** Called when the store could not be used; once for a row of failures. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

const REFRESH_MS = 60_000;

export class CookieKeyRing {
  readonly #store: KeyStore;
  readonly #options: CookieKeyRingOptions;
  readonly #rotation: Rotation;
  #all: readonly Generation[] = [];
  #sealing: Generation | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #troubled = false;
  #closed = false;

  private constructor(store: KeyStore, options: CookieKeyRingOptions) {
    this.#store = store;
    this.#options = options;
    this.#rotation = checkedRotation(options.rotation);
  }

  /** A ring with its first keys. Rejects when the store cannot give them: a server without keys MUST NOT start. */
  static async open(store: KeyStore, options: CookieKeyRingOptions = {}): Promise<CookieKeyRing> {
    const ring = new CookieKeyRing(store, options);
    ring.#adopt(await store.generations(ring.#now(), ring.#rotation));
    ring.#schedule();
    return ring;
  }

  get keys(): CookieKeys {
    if (!this.#sealing) throw new Error("the key ring is closed");
    return { current: this.#sealing, all: this.#all };
  }

  /** Look into the store now. Never rejects. */
  async refresh(): Promise<void> {
    try {
      const generations = await this.#store.generations(this.#now(), this.#rotation);
      if (this.#closed) return;
      this.#adopt(generations);
      this.#troubled = false;
    } catch (error) {
      if (this.#closed) return;
      // The clock goes on, and the next key may be here already.
      this.#adopt(this.#all);
      if (!this.#troubled) this.#options.onTrouble?.(error);
      this.#troubled = true;
    }
  }

  /** Idempotent; the keys are overwritten. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    wipe(this.#all);
    this.#all = [];
    this.#sealing = undefined;
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #schedule(): void {
    const every = Math.min(this.#options.refreshMs ?? REFRESH_MS, Math.max(this.#rotation.leadMs / 3, 10));
    this.#timer = setTimeout(() => {
      void this.refresh().then(() => {
        if (!this.#closed) this.#schedule();
      });
    }, every);
    // Nobody should have to wait for a key's next rotation to end.
    (this.#timer as { unref?(): void }).unref?.();
  }

  #adopt(generations: readonly Generation[]): void {
    const before = this.#all;
    const sealed = this.#sealing;
    // Copies of our own, which can be overwritten; those that are here stay, as others may be reading them.
    const all = generations.map((generation) => before.find(({ id }) => id === generation.id) ?? { ...generation, key: generation.key.slice() });
    const current = currentGeneration(all, this.#now());
    if (!current) throw new Error("the key store has no keys");
    this.#all = all;
    this.#sealing = current;
    if (sealed !== current || before.length !== all.length || before.some((generation, i) => generation !== all[i])) this.#options.onChange?.(this.keys);
    wipe(before.filter((generation) => !all.includes(generation)));
  }
}

function wipe(generations: readonly Generation[]): void {
  for (const { key } of generations) key.fill(0);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the host tells the NTS server: the generations of cookie keys, and 32 random octets to make nonces of.
 *
 * Answers that are laid out but not sealed yet are dropped when a key changes, so that none is sealed with a key that is
 * gone. Tested in nts.test.ts.
 */

import { SEED_LENGTH, randomSeed } from "../crypto/random";
import { COOKIE_KEY_LENGTH, generationChoose, generationClear, generationSet } from "./ntscookies";
import { requestsForget } from "./ntsrequest";

/**
 * Set generation `slot`, 0 to 7, to the 32 octets at `key`, which are then wiped. Returns false for a slot that does not exist
 * and for an identifier that another slot has.
 */
export function cookieKeySet(slot: i32, id: u32, key: usize): bool {
  requestsForget();
  const set = generationSet(slot, id, key);
  memory.fill(key, 0, COOKIE_KEY_LENGTH);
  return set;
}

/** Forget generation `slot`: its cookies now earn NTSN. */
export function cookieKeyClear(slot: i32): void {
  requestsForget();
  generationClear(slot);
}

/** Seal cookies with generation `slot` from now on. Returns false when it is not set. */
export function cookieKeyCurrent(slot: i32): bool {
  requestsForget();
  return generationChoose(slot);
}

/**
 * Start the generator of nonces with the 32 random octets at `seed`, which are then wiped. From then on this is an NTS server;
 * before, NTS' fields are passed over like any that are not known.
 */
export function ntsSeed(seed: usize): void {
  randomSeed(seed);
  memory.fill(seed, 0, SEED_LENGTH);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime requests and their nonces: random for the first, and bound to the response before for each further one
 * (RFC 10049 §8.2). Tested in response.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";
import { NONCE_LENGTH, VERSION_1, VERSION_DRAFT, roughtimeCore } from "./core.ts";

/** What we offer, the RFC's number and the drafts'. */
export const VERSIONS: readonly number[] = [VERSION_1, VERSION_DRAFT];

/** A nonce and, where it is bound to a response, what it was bound with. */
export interface Drawn {
  readonly nonce: Uint8Array;
  readonly rand?: Uint8Array;
}

/** A nonce: bound to `previous`, the packet of the response before, where there is one. */
export function drawNonce(host: Pick<Host, "random">, previous?: Uint8Array): Drawn {
  const rand = host.random(new Uint8Array(NONCE_LENGTH));
  return previous ? { nonce: roughtimeCore().nextNonce(previous, rand), rand } : { nonce: rand };
}

/** A request packet of 1036 octets to the server with this long-term key. */
export function makeRequest(publicKey: Uint8Array, nonce: Uint8Array, versions = VERSIONS): Uint8Array {
  const core = roughtimeCore();
  return core.request(versions, core.serverId(publicKey), nonce);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Roughtime response verified (RFC 10049 §5.4): all that the core checks, then both signatures.
 *
 * Valid means that the server vouches for the time, not that the time is right: that takes several servers (quorum.ts).
 * Tested in response.test.ts with the RFC's own vectors.
 *
 * @module
 */

import { roughtimeCore } from "./core.ts";
import { DELEGATION_CONTEXT, RESPONSE_CONTEXT, verify } from "./ed25519.ts";
import { verdictText } from "./verdicts.ts";

/** What a valid response says. */
export interface RoughtimeAnswer {
  /** 1, or 0x8000000c for the drafts. */
  readonly version: number;
  /** The moment of processing, Unix seconds. */
  readonly midpoint: bigint;
  /** The truth was within midpoint ± radius, s. */
  readonly radius: number;
  /** When the online key may be used, Unix seconds. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  /** Versions the server speaks. */
  readonly versions: readonly number[];
  /** Place and height in the tree of requests that were answered together. */
  readonly index: number;
  readonly height: number;
}

export type Judged = { readonly answer: RoughtimeAnswer; readonly why?: undefined } | { readonly answer?: undefined; readonly why: string };

/** Judge a response packet to a request packet by the server's long-term public key. */
export function verifyResponse(response: Uint8Array, request: Uint8Array, publicKey: Uint8Array): Judged {
  const facts = roughtimeCore().read(response, request);
  if (facts.verdict !== 0) return { why: verdictText(facts.verdict, facts.missing) };
  if (!verify(facts.delegationSignature, DELEGATION_CONTEXT, facts.delegation, publicKey)) {
    return { why: "its delegation is not signed by the server's long-term key" };
  }
  if (!verify(facts.signature, RESPONSE_CONTEXT, facts.signed, facts.onlineKey)) return { why: "it is not signed by the delegated key" };
  const { version, midpoint, radius, notBefore, notAfter, versions, index, height } = facts;
  return { answer: { version, midpoint, radius, notBefore, notAfter, versions, index, height } };
}

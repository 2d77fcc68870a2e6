// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page is told that names no relay. Tested in now.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";

/** A page cannot send a datagram; what it can do instead. */
export function withoutRelay(): NtpError {
  return new NtpError("UNSUPPORTED", 'expected a relay: a page has no UDP; run one ("escapement relay") and give { relay: "wss://…" }');
}

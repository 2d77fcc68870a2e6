// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Names on Bun: the system's resolver (getaddrinfo), as on Node. Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { resolve } from "../node/dns.ts";

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Names on Deno: the system's resolver through `node:dns`, as on Node. `Deno.resolveDns` asks name servers only and would
 * miss /etc/hosts. Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { resolve } from "../node/dns.ts";

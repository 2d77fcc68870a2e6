// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * This machine's own addresses, as far as a socket can be bound to each. Tested in tests/server/own-addresses.test.ts.
 *
 * @module
 */

import { networkInterfaces } from "node:os";

type Interfaces = ReturnType<typeof networkInterfaces>;

/** Whose scope is one link: without its interface such an address says nothing. */
const LINK_LOCAL = /^fe[89ab]/i;

/**
 * The addresses that `interfaces` have, or one of them (`device`); those of one link left out. None where this process may not
 * ask (Deno without --allow-sys). Never throws.
 */
export function ownAddresses(device?: string, interfaces: () => Interfaces = networkInterfaces): string[] {
  try {
    const all = Object.entries(interfaces()).flatMap(([name, addresses = []]) => (device === undefined || name === device ? addresses : []));
    return [...new Set(all.map(({ address }) => address))].filter((address) => !LINK_LOCAL.test(address));
  } catch {
    return [];
  }
}

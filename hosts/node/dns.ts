// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Names on Node: the system's resolver (getaddrinfo), so that /etc/hosts, mDNS and search domains work as everywhere.
 * Tested in udp.test.ts.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import type { ResolvedAddress } from "../common/host.ts";

export async function resolve(name: string): Promise<ResolvedAddress[]> {
  const addresses = await lookup(name, { all: true, verbatim: true });
  return addresses.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

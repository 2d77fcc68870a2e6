// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The `relay` option of the public functions. The client's code is loaded when a relay is asked for.
 * Tested in tests/interop/relay.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";
import type { RelayOptions } from "./client.ts";

/** A relay by its URL, or with all that can be said about it. */
export type RelayChoice = string | URL | RelayOptions;

/** Ask over `relay`, if there is one, and end its connection when that is done. */
export async function byRelay<T>(host: Host, relay: RelayChoice | undefined, ask: (host: Host) => Promise<T>): Promise<T> {
  if (relay === undefined) return ask(host);
  const { relayHost } = await import("./client.ts");
  const lent = relayHost(host, optionsOf(relay));
  try {
    return await ask(lent);
  } finally {
    lent.close();
  }
}

/** A host for as long as somebody holds a socket of it: its connection ends by itself a while after the last. */
export async function hostByRelay(host: Host, relay: RelayChoice | undefined): Promise<Host> {
  if (relay === undefined) return host;
  const { relayHost } = await import("./client.ts");
  return relayHost(host, optionsOf(relay));
}

function optionsOf(relay: RelayChoice): RelayOptions {
  return typeof relay === "string" || relay instanceof URL ? { url: relay } : relay;
}

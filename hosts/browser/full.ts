// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host that a page has through a relay, which it need not trust: for NTP, NTS with our own TLS 1.3, Roughtime. Loaded when
 * first used, with the whole core. Tested, in Chromium, in tests/browser.
 *
 * @module
 */

import { shareCoreModule } from "../common/core/core.ts";
import type { Host } from "../common/host.ts";
import { relayHost, type RelayHost } from "../common/relay/client.ts";
import { runtimeClock } from "./clock.ts";
import { withoutRelay } from "./now.ts";
import { loadWholeCore } from "./wasm.ts";

/** What a page lends: a clock and randomness. Datagrams and streams come by the relay. */
export function pageHost(): Host {
  const { userAgent = "" } = globalThis.navigator ?? {};
  return {
    runtime: "browser",
    version: /(?:Chrome|Firefox|Version)\/([\d.]+)/.exec(userAgent)?.[1] ?? "",
    clock: runtimeClock(),
    random: (bytes) => crypto.getRandomValues(bytes),
  };
}

/** One host for each relay, so that its connection is shared. */
const hosts = new Map<string, RelayHost>();

/** A host by a relay, once the core is there. @throws {NtpError} `UNSUPPORTED` without a relay, or where the core does not load. */
export async function hostBy(relay: string | URL | undefined): Promise<RelayHost> {
  if (!relay) throw withoutRelay();
  shareCoreModule(await wholeCore());
  const url = String(relay);
  const host = hosts.get(url) ?? relayHost(pageHost(), { url });
  hosts.set(url, host);
  return host;
}

let core: Promise<WebAssembly.Module> | undefined;

function wholeCore(): Promise<WebAssembly.Module> {
  return (core ??= loadWholeCore().catch((error: unknown) => {
    // Another call may find the network better.
    core = undefined;
    throw error;
  }));
}

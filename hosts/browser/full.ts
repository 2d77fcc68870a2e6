// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host that a page has through a relay, which it need not trust: for NTP, NTS with our own TLS 1.3, Roughtime. Loaded when
 * first used, with as much of the core as is needed. Tested, in Chromium, in tests/browser.
 *
 * @module
 */

import { replaceCoreModule, shareCoreModule } from "../common/core/core.ts";
import type { Host } from "../common/host.ts";
import { relayHost, type RelayHost } from "../common/relay/client.ts";
import { runtimeClock } from "./clock.ts";
import { withoutRelay } from "./relayless.ts";
import { loadQueryCore, loadWholeCore } from "./wasm.ts";

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

/** How much of the core a call needs: what asks by NTP and NTS, or all of it. */
export type CorePart = "query" | "whole";

/** A host by a relay, once the core is there. @throws {NtpError} `UNSUPPORTED` without a relay, or where the core does not load. */
export async function hostBy(relay: string | URL | undefined, part: CorePart): Promise<RelayHost> {
  if (!relay) throw withoutRelay();
  await (cores.whole ?? loaded(part));
  const url = String(relay);
  const host = hosts.get(url) ?? relayHost(pageHost(), { url });
  hosts.set(url, host);
  return host;
}

const LOADERS = { query: loadQueryCore, whole: loadWholeCore } as const;
const cores: Partial<Record<CorePart, Promise<void>>> = {};

function loaded(part: CorePart): Promise<void> {
  return (cores[part] ??= load(part).catch((error: unknown) => {
    // Another call may find the network better.
    delete cores[part];
    throw error;
  }));
}

/** The whole core takes the place of the small one, whenever it comes; never the other way. */
async function load(part: CorePart): Promise<void> {
  const module = await LOADERS[part]();
  if (part === "whole") replaceCoreModule(module);
  else shareCoreModule(module);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host that a page has through a relay, which it need not trust: for NTP, NTS with our own TLS 1.3, Roughtime. Loaded when
 * first used, with as much of the core as is needed. Tested in full.test.ts and, in Chromium, in tests/browser/relay.test.ts.
 *
 * @module
 */

import { replaceCoreModule } from "../common/core/core.ts";
import type { Host } from "../common/host.ts";
import { relayHost, type RelayHost } from "../common/relay/client.ts";
import { runtimeClock } from "./clock.ts";
import { withoutRelay } from "./relayless.ts";
import { loadFollowCore, loadQueryCore, loadWholeCore } from "./wasm.ts";

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

/** How much of the core a call needs: what asks by NTP and NTS, what follows servers as well, or all of it. */
export type CorePart = "query" | "follow" | "whole";

/** A host by a relay, once the core is there. @throws {NtpError} `UNSUPPORTED` without a relay, or where the core does not load. */
export async function hostBy(relay: string | URL | undefined, part: CorePart): Promise<RelayHost> {
  if (!relay) throw withoutRelay();
  await loaded(part);
  const url = String(relay);
  const host = hosts.get(url) ?? relayHost(pageHost(), { url });
  hosts.set(url, host);
  return host;
}

/** Each can all that those before it can. */
const LOADERS = { query: loadQueryCore, follow: loadFollowCore, whole: loadWholeCore } as const;
const PARTS = Object.keys(LOADERS) as CorePart[];
const cores: Partial<Record<CorePart, Promise<void>>> = {};
/** Which of {@link PARTS} is in use. */
let used = -1;

/** A greater part that is there, or on its way, will do. */
function loaded(part: CorePart): Promise<void> {
  const enough = PARTS.slice(PARTS.indexOf(part)).find((one) => cores[one]) ?? part;
  return (cores[enough] ??= load(part).catch((error: unknown) => {
    // Another call may find the network better.
    delete cores[part];
    throw error;
  }));
}

/** A greater part takes the place of a lesser one, whenever it comes; never the other way. */
async function load(part: CorePart): Promise<void> {
  const module = await LOADERS[part]();
  const rank = PARTS.indexOf(part);
  if (rank < used) return;
  used = rank;
  replaceCoreModule(module);
}

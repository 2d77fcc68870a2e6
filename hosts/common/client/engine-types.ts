// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an engine is told (sources, options) and what it tells (events, states). Tested in engine.test.ts.
 *
 * @module
 */

import type { NtpError } from "../errors.ts";
import type { NtsOptions } from "../nts/options.ts";
import type { ListenOptions } from "./broadcast-runner.ts";
import type { Algorithm, SourceVariables, SystemVariables } from "./discipline.ts";
import type { SymmetricKey } from "./keys.ts";
import type { ManycastOptions } from "./manycast-runner.ts";
import type { RefClock, RefClockTuning } from "../refclock/refclock.ts";
import type { PeeringOptions } from "./peering.ts";
import type { SourceVersion } from "./version.ts";

/** A source to follow. */
export interface SourceOptions {
  readonly source: string | URL;
  /** Follow up to this many addresses of the name as sources of their own (a pool). Default: one address. */
  readonly pool?: number;
  /** Default 4. 5, a draft, and "auto", which is 5 where the server speaks it, are for mode "client" alone. */
  readonly version?: SourceVersion;
  /** Ask in interleaved mode (RFC 9769): better transmit timestamps from servers that have it. Default false. */
  readonly interleaved?: boolean;
  /**
   * With NTPv5: ask network nodes on the way (switches with transparent clocks) how long they held the packets, and take that out of
   * offset and delay. Nobody signs what they say; bounds do not rely on it. Not with `interleaved`. Default false.
   */
  readonly correction?: boolean;
  /**
   * "symmetric": it is a peer, and each of the two tells the other the time (RFC 5905 §3). Both must know the other's address
   * and port: see {@link EngineOptions.peering}. "broadcast": it tells the time to a network. Default "client".
   */
  readonly mode?: "client" | "symmetric" | "broadcast";
  /**
   * For "broadcast": listen to what `source` broadcasts, and ask it only to learn how long its packets take. Whoever can send
   * in its name to this network then has a say in our time: only where nobody can. Default port 123, no group.
   */
  readonly listen?: ListenOptions;
  /** Believe only what this key vouches for; the other side must have it, too. Not for `nts:` sources. */
  readonly key?: SymmetricKey;
  /** How keys are established with an `nts:` source. */
  readonly nts?: NtsOptions;
  /** log2 s, 0..17. Defaults of the engine. */
  readonly minPoll?: number;
  readonly maxPoll?: number;
}

/**
 * A network to find servers in: `source` is a group, or a network's broadcast address, and servers that answer become sources
 * of their own. Whoever is on such a network can answer, under as many addresses as it likes, and then has a say in our time:
 * only where nobody lies.
 */
export interface ManycastSource extends Omit<SourceOptions, "mode" | "pool" | "listen" | "version"> {
  readonly mode: "manycast";
  readonly version?: 3 | 4;
  readonly manycast?: ManycastOptions;
}

/** A reference clock of the caller's own. Those of ours are written as `refclock:…` (hosts/common/refclock/open.ts). */
export interface ReferenceSource {
  readonly mode: "refclock";
  /** What it is called where sources are listed. */
  readonly source: string | URL;
  readonly clock: RefClock;
  readonly tuning?: RefClockTuning;
}

/** Everything that can be followed. */
export type Followed = SourceOptions | ManycastSource | ReferenceSource;

export interface EngineOptions {
  readonly sources: readonly Followed[];
  /** The port that peers know us by, and who may peer with us unasked. */
  readonly peering?: PeeringOptions;
  /** Default "estimator". */
  readonly algorithm?: Algorithm;
  /** We are a server ourselves: with NTPv5, whoever follows us is not followed. Default false. */
  readonly serving?: boolean;
  /** log2 s. Defaults 6 and 10. */
  readonly minPoll?: number;
  readonly maxPoll?: number;
  /** Frequency correction known from before and its standard deviation, relative (the drift file). */
  readonly frequency?: number;
  readonly skew?: number;
  /** Step offsets beyond `least` s among the first `count` corrections; count -1: always, 0: never. Default 0.1 s, 3. */
  readonly makeStep?: { readonly least: number; readonly count: number };
  /** Refuse a greater step, s: a single one, the first one, all together. 0: no limit. Default 1000, 0, 0. */
  readonly stepLimits?: { readonly single: number; readonly startup: number; readonly sum: number };
}

/** What happened, for logs and events. */
export type EngineEvent =
  | { readonly kind: "synchronised" }
  | { readonly kind: "unsynchronised" }
  | { readonly kind: "stepped"; readonly offsetNs: bigint }
  /** The clock was stepped by somebody else, or the machine slept. */
  | { readonly kind: "disturbed"; readonly how: "stepped back" | "stepped ahead or slept" }
  /** The clock could not be steered (code CLOCK); the engine goes on and tries again. */
  | { readonly kind: "clock-refused"; readonly error: NtpError }
  /** A leap second was inserted or deleted. */
  | { readonly kind: "leapt" }
  /** A step beyond the limits was refused; or, once until it is well below again, more than half of one was reached. */
  | { readonly kind: "step-limit"; readonly how: "refused" }
  | { readonly kind: "step-limit"; readonly how: "near"; readonly limit: "single" | "startup" | "sum" }
  /** A server sent DENY or RSTR: it is not asked any more. */
  | { readonly kind: "stopped"; readonly source: string }
  /**
   * A source cannot be asked: its name does not resolve, its keys cannot be established, or another source speaks for the same
   * server ("duplicate of …"). Told once; and when that is over, with `wrong` false.
   */
  | { readonly kind: "source"; readonly source: string; readonly message: string; readonly wrong: boolean }
  /** A reference clock is not heard, or not believed; `message` undefined: it is again. */
  | { readonly kind: "reference"; readonly name: string; readonly message: string | undefined }
  /** `offset`: what the sources' latest sample showed the clock to be off by, s; absent when only the steering's timer fired. */
  | { readonly kind: "updated"; readonly offset?: number };

/** One source as `sources` shows it. */
export interface SourceState extends SourceVariables {
  readonly source: string;
  /** Of a reference clock: what others lock to, "GPS". */
  readonly name?: string;
  /** Of one without a say (noselect): what it told last, and the bound of that, s. Its `samples` are 0. */
  readonly watched?: { readonly offset: number; readonly bound: number };
  readonly address: string | undefined;
  readonly isPeer: boolean;
  /** Another source that asks the same address and port, and speaks for both; this one is not asked. */
  readonly duplicateOf?: string;
  readonly lastError: string | undefined;
  /** Seconds since its last sample; undefined before the first. */
  readonly lastSample: number | undefined;
}

/** The clock as `tracking` shows it. */
export interface TrackingState extends Omit<SystemVariables, "bound"> {
  readonly synchronised: boolean;
  /** Address of the system peer, or a reference clock's identifier ("GPS"). */
  readonly refid: string;
  /** Offset still being slewed away, s; positive: our clock is behind. */
  readonly offset: number;
  /** The bound of the clock's error now, s; Infinity before it is known. */
  readonly uncertainty: number;
  readonly frequencyPpm: number;
  readonly skewPpm: number;
  readonly poll: number;
}

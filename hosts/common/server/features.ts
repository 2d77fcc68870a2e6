// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a server does beyond telling the time: options checked into plain data, and put into a core.
 *
 * A server of several threads gives the same data to each. Everything is off unless asked for, and what is off keeps no state.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import type { Host } from "../host.ts";
import { checkedPrefix, checkedAccess, checkedLimits, setAccess, setLimits, LIST_CONTROL } from "./limits.ts";
import type { AccessRule, CheckedLimits, CheckedRule, RateLimitOptions } from "./limits.ts";
import type { ControlOptions } from "./control.ts";
import type { SymmetricKey } from "../client/keys.ts";
import { checkedKeys, setKeys } from "./secrets.ts";
import { checkedSmear, type SmearOptions } from "./smear.ts";

/** Options of {@link serve} about its clients. */
export interface ServerFeatures {
  /**
   * What is done with whose requests; the longest matching prefix decides, and who matches none is allowed. "0.0.0.0/0" is all
   * of IPv4, "::/0" all of IPv6, "all" both. At most 1024.
   */
  access?: readonly AccessRule[];
  /** Limit how often clients may ask; `true` for the defaults. Default off. */
  rateLimit?: RateLimitOptions | boolean;
  /** Answer in interleaved mode (RFC 9769) those who ask so. Default off. */
  interleaved?: boolean;
  /** Keep a log of clients for `clients()`. A rate limit keeps one anyway. Default off. */
  clientLog?: boolean;
  /** Answer `ntpq` (mode 6, reading only); `true`: to loopback addresses. Default off. */
  control?: ControlOptions | boolean;
  /** Symmetric keys: who asks with one of them is answered with it. At most 256; `parseKeys` reads a key file. Default none. */
  keys?: readonly SymmetricKey[];
  /** Smear leap seconds; `true` for a day from noon to noon, by a cosine. Default off. */
  smear?: SmearOptions | boolean;
}

/** Those that can be changed while the server runs. What is absent stays as it is. */
export type Reconfiguration = Pick<ServerFeatures, "access" | "rateLimit" | "clientLog" | "keys">;

/** Checked: plain data. */
export interface CheckedFeatures {
  readonly access?: readonly CheckedRule[];
  readonly limits?: CheckedLimits;
  readonly clientLog?: boolean;
  readonly keys?: readonly SymmetricKey[];
  readonly interleaved: boolean;
  /** Prefixes whose control messages are answered; absent: none. */
  readonly control?: readonly CheckedRule[];
}

const LOOPBACK = ["127.0.0.0/8", "::1"] as const;

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedFeatures(options: ServerFeatures): CheckedFeatures {
  const { interleaved = false, control } = options;
  checkedSmear(options.smear);
  const from = control === true ? LOOPBACK : control ? (control.allow ?? LOOPBACK) : undefined;
  return { ...checkedReconfiguration(options), interleaved, ...(from && { control: from.map((prefix) => ({ ...checkedPrefix(prefix), action: 0 })) }) };
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedReconfiguration({ access, rateLimit, clientLog, keys }: Reconfiguration): Omit<CheckedFeatures, "interleaved" | "control"> {
  return {
    ...(access && { access: checkedAccess(access) }),
    ...(rateLimit !== undefined && { limits: checkedLimits(rateLimit) }),
    ...(clientLog !== undefined && { clientLog }),
    ...(keys && { keys: checkedKeys(keys) }),
  };
}

/** Put checked features into a new core. */
export function installFeatures(core: Core, features: CheckedFeatures, random: Host["random"]): void {
  const key = new DataView(random(new Uint8Array(16)).buffer);
  core.exports.tableKey(key.getBigInt64(0), key.getBigInt64(8));
  core.exports.interleaveClients(features.interleaved ? 1 : 0);
  if (features.control) {
    setAccess(core, features.control, LIST_CONTROL, "deny");
    core.exports.gateControl(1);
  }
  changeFeatures(core, features, random);
}

/** Change what can be changed in a core at work. */
export function changeFeatures(core: Core, { access, limits, clientLog, keys }: Omit<CheckedFeatures, "interleaved" | "control">, random: Host["random"]): void {
  if (access) setAccess(core, access);
  if (limits) setLimits(core, limits, random);
  if (clientLog !== undefined) core.exports.gateLog(clientLog ? 1 : 0);
  if (keys) setKeys(core, keys);
}

/** Does anything depend on who sends? */
export function needsSender({ access, limits, clientLog, control }: CheckedFeatures): boolean {
  return access !== undefined || limits !== undefined || clientLog === true || control !== undefined;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Options of `escapement serve` about whom it answers and by what proof: access, limits, keys, NTS. Tested in
 * serve-options.test.ts.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { lendHost, type AccessRule, type NtsServeOptions, type RateLimitOptions, type ServeOptions, type SymmetricKey } from "#host";
import { readKeys } from "../daemon/secrets.ts";
import { warn } from "./output.ts";
import { UsageError, fileOption, listenOption, numberOption, type Values } from "./usage.ts";

/** Lines of the help. */
export const FEATURES_HELP = `  --keys FILE        symmetric keys, a line each: ID TYPE SECRET; read anew on SIGHUP
  --nts-cert FILE    serve NTS, too, with this certificate chain (PEM); used anew when the file changes
  --nts-key FILE     and its private key (PEM)
  --nts-listen A:P   where keys are established (default as --listen, port 4460); ":P" for all addresses
  --nts-keys FILE    keep cookie keys in this file, so that clients go on after a restart
  --nts-secret FILE  or derive them from this file of at least 32 random octets, which a fleet shares
  --allow NET        answer only these, a prefix, an address or "all"; may be repeated, the longest prefix decides
  --deny NET         do not answer these; may be repeated
  --rate-limit I,B,L seconds between requests, how many at once, and the leak: one in 2^L of what is over passes; "8,8,2"
  --interleaved      answer in interleaved mode those who ask so
  --client-log       keep a log of clients
  --control          answer ntpq on loopback
  --smear            smear leap seconds over a day
  --ut1-offset S     UT1 − UTC, -1..1 s, for clients of NTPv5 that ask for UT1 (a negative one as --ut1-offset=-0.1)
  --leap-file FILE   leap-seconds.list: announce leap seconds, tell TAI; read anew on SIGHUP and when it changes`;

export const FEATURES = {
  keys: { type: "string" },
  "nts-cert": { type: "string" },
  "nts-key": { type: "string" },
  "nts-listen": { type: "string" },
  "nts-keys": { type: "string" },
  "nts-secret": { type: "string" },
  allow: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  "rate-limit": { type: "string" },
  interleaved: { type: "boolean" },
  "client-log": { type: "boolean" },
  control: { type: "boolean" },
  smear: { type: "boolean" },
  "ut1-offset": { type: "string" },
} as const;

/** What was given. */
type FeatureValues = Values<typeof FEATURES>;

/** A secret longer than this is some other file. */
const SECRET_MOST = 4096;

/** @throws {UsageError} and what reading the files throws */
export async function featureOptions(values: FeatureValues): Promise<Partial<ServeOptions>> {
  const { interleaved, control, smear, "client-log": clientLog, "rate-limit": limit, keys } = values;
  const access = accessRules(values);
  const nts = await ntsOptions(values);
  const ut1Offset = numberOption("ut1-offset", values["ut1-offset"], { min: -1, max: 1 });
  return {
    ...(access && { access }),
    ...(limit !== undefined && { rateLimit: rateLimitOption(limit) }),
    ...(interleaved && { interleaved }),
    ...(clientLog && { clientLog }),
    ...(control && { control }),
    ...(smear && { smear }),
    ...(ut1Offset !== undefined && { ut1Offset }),
    ...(keys !== undefined && { keys: await fileOption("keys", keys, () => keysOf(keys)) }),
    ...(nts && { nts }),
  };
}

export function keysOf(file: string): Promise<SymmetricKey[]> {
  return readKeys(file, warn);
}

/** Whom to answer: all but those denied; only those allowed, where some are. */
export function accessRules({ allow = [], deny = [] }: Pick<FeatureValues, "allow" | "deny">): AccessRule[] | undefined {
  if (allow.length + deny.length === 0) return undefined;
  const rest: AccessRule[] = allow.length > 0 && ![...allow, ...deny].includes("all") ? [{ action: "deny", prefix: "all" }] : [];
  return [...rest, ...allow.map((prefix) => ({ action: "allow" as const, prefix })), ...deny.map((prefix) => ({ action: "deny" as const, prefix }))];
}

/** `INTERVAL[,BURST[,LEAK]]`. @throws {UsageError} */
export function rateLimitOption(text: string): RateLimitOptions {
  const parts = text.split(",");
  if (parts.length > 3) throw new UsageError(`--rate-limit: expected INTERVAL[,BURST[,LEAK]], got "${text}"`);
  const [interval, burst, leak] = parts;
  return {
    interval: numberOption("rate-limit interval", interval, { min: 1e-6, max: 65536 })!,
    ...(burst !== undefined && { burst: numberOption("rate-limit burst", burst, { min: 1, max: 255, integer: true })! }),
    ...(leak !== undefined && { leak: numberOption("rate-limit leak", leak, { min: 0, max: 16, integer: true })! }),
  };
}

async function ntsOptions(values: FeatureValues): Promise<NtsServeOptions | undefined> {
  const { "nts-cert": certificate, "nts-key": key, "nts-listen": listen, "nts-keys": keys, "nts-secret": secret } = values;
  const given = [listen, keys, secret].some((value) => value !== undefined);
  if (certificate === undefined || key === undefined) {
    if (certificate !== undefined || key !== undefined || given) throw new UsageError("serve: expected --nts-cert and --nts-key together, and with any other option of NTS");
    return undefined;
  }
  if (keys !== undefined && secret !== undefined) throw new UsageError("serve: expected --nts-keys or --nts-secret, got both");
  const { address, port } = listen === undefined ? { address: undefined, port: undefined } : listenOption("nts-listen", listen);
  return {
    certificateFiles: { certificate, key },
    ...(address !== undefined && { listen: [address] }),
    ...(port !== undefined && { port }),
    ...(keys !== undefined && { store: keys }),
    ...(secret !== undefined && { store: await secretOf(secret) }),
  };
}

/** The octets of a file that a fleet shares. */
async function secretOf(file: string): Promise<Uint8Array> {
  const { files } = await lendHost();
  const content = await fileOption("nts-secret", file, () => files!.read(file, SECRET_MOST));
  if (!content) throw new UsageError(`--nts-secret: expected a file at ${file}, there is none`);
  const { mode } = await stat(file);
  if (mode & 0o007) warn(`${file} can be read by everybody; who has it can open all cookies: chmod 600 it`);
  return content.data;
}

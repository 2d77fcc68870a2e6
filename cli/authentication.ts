// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The options that say who vouches for an answer: a symmetric key, or how NTS keys are established.
 *
 * @module
 */

import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { listedServers, readKey } from "../daemon/secrets.ts";
import type { QueryOptions } from "../hosts/common/client/query.ts";
import type { NtsOptions } from "../hosts/common/nts/options.ts";
import { UsageError, fileOption } from "./usage.ts";

export const AUTHENTICATION_OPTIONS = {
  key: { type: "string" },
  ca: { type: "string" },
  pin: { type: "string", multiple: true },
  pq: { type: "string" },
  aead: { type: "string", multiple: true },
  "cert-time": { type: "string" },
  "roughtime-server": { type: "string", multiple: true },
  "roughtime-list": { type: "string" },
  "key-log": { type: "string" },
} as const;

interface Values {
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
  readonly pin?: string[] | undefined;
  readonly pq?: string | undefined;
  readonly aead?: string[] | undefined;
  readonly "cert-time"?: string | undefined;
  readonly "roughtime-server"?: string[] | undefined;
  readonly "roughtime-list"?: string | undefined;
  readonly "key-log"?: string | undefined;
}

const AEADS = ["15", "16", "17", "30"];
/** Secrets are for their owner only. */
const OWNER_ONLY = 0o600;

/** @throws {UsageError}, and what reading a file brings. */
export async function authentication(values: Values): Promise<Pick<QueryOptions, "key" | "nts">> {
  const nts = await ntsOptions(values);
  return {
    ...(values.key === undefined ? {} : { key: await keyOption(values.key) }),
    ...(Object.keys(nts).length === 0 ? {} : { nts }),
  };
}

/** `FILE:ID` */
async function keyOption(text: string) {
  const match = /^(.+):(\d+)$/.exec(text);
  if (!match) throw new UsageError(`--key: expected FILE:ID, like /etc/ntp.keys:7, got "${text}"`);
  return fileOption("key", match[1]!, () => readKey(match[1]!, Number(match[2]), (message) => console.error(`escapement: ${message}`)));
}

async function ntsOptions({ ca, pin, pq, aead, "cert-time": certTime, "roughtime-server": servers = [], "roughtime-list": list, "key-log": keyLog }: Values): Promise<NtsOptions> {
  const log = keyLog;
  const roughtime = [...servers, ...(list === undefined ? [] : await fileOption("roughtime-list", list, () => listedServers(list)))];
  if (roughtime.length > 0 && certTime !== "roughtime") throw new UsageError("--roughtime-server and --roughtime-list: expected --cert-time roughtime beside them");
  return {
    ...(ca === undefined ? {} : { ca: await fileOption("ca", ca, () => readFile(ca, "utf8")) }),
    ...(pin === undefined ? {} : { pins: pin.map(pinOption) }),
    ...(pq === undefined ? {} : { pq: choice("pq", pq, ["prefer", "require", "off"]) as NonNullable<NtsOptions["pq"]> }),
    ...(aead === undefined ? {} : { aeads: aead.map((number) => Number(choice("aead", number, AEADS))) }),
    ...(certTime === undefined ? {} : { certTime: choice("cert-time", certTime, ["system", "until-synced", "roughtime"]) as NonNullable<NtsOptions["certTime"]> }),
    ...(roughtime.length === 0 ? {} : { roughtime }),
    ...(log === undefined ? {} : { keyLog: (line: string) => appendFileSync(log, `${line.trimEnd()}\n`, { mode: OWNER_ONLY }) }),
  };
}

/** A SHA-256 in base64, as it is compared. */
function pinOption(text: string): string {
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return text;
  throw new UsageError(`--pin: expected the SHA-256 of a public key in base64 (44 characters), got "${text}"`);
}

function choice(name: string, text: string, of: readonly string[]): string {
  if (of.includes(text)) return text;
  throw new UsageError(`--${name}: expected ${of.slice(0, -1).join(", ")} or ${of.at(-1)}, got "${text}"`);
}

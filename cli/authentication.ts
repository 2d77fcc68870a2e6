// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The options that say who vouches for an answer: a symmetric key, or how NTS keys are established.
 * Tested in tests/interop/keys.test.ts and tests/interop/nts-client.test.ts.
 *
 * @module
 */

import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { listedServers, readKey } from "../daemon/secrets.ts";
import type { QueryOptions } from "../hosts/common/client/query.ts";
import type { NtsOptions } from "../hosts/common/nts/options.ts";
import { warn } from "./output.ts";
import { UsageError, fileOption, type Values } from "./usage.ts";

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

type Given = Values<typeof AUTHENTICATION_OPTIONS>;

const AEADS = ["15", "16", "17", "30"];
/** Secrets are for their owner only. */
const OWNER_ONLY = 0o600;

/** @throws {UsageError}, and what reading a file brings. */
export async function authentication(values: Given): Promise<Pick<QueryOptions, "key" | "nts">> {
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
  return fileOption("key", match[1]!, () => readKey(match[1]!, Number(match[2]), warn));
}

async function ntsOptions({ ca, pin, pq, aead, "cert-time": certTime, "roughtime-server": servers = [], "roughtime-list": list, "key-log": log }: Given): Promise<NtsOptions> {
  const roughtime = [...servers, ...(list === undefined ? [] : await fileOption("roughtime-list", list, () => listedServers(list)))];
  if (roughtime.length > 0 && certTime !== "roughtime") throw new UsageError("--roughtime-server and --roughtime-list: expected --cert-time roughtime beside them");
  return {
    ...(ca === undefined ? {} : { ca: await fileOption("ca", ca, () => readFile(ca, "utf8")) }),
    ...(pin === undefined ? {} : { pins: pin.map(pinOption) }),
    ...(pq === undefined ? {} : { pq: choice("pq", pq, ["prefer", "require", "off"]) }),
    ...(aead === undefined ? {} : { aeads: aead.map((number) => Number(choice("aead", number, AEADS))) }),
    ...(certTime === undefined ? {} : { certTime: choice("cert-time", certTime, ["system", "until-synced", "roughtime"]) }),
    ...(roughtime.length === 0 ? {} : { roughtime }),
    ...(log === undefined ? {} : { keyLog: (line: string) => appendFileSync(log, `${line.trimEnd()}\n`, { mode: OWNER_ONLY }) }),
  };
}

/** A SHA-256 in base64, as it is compared. */
function pinOption(text: string): string {
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return text;
  throw new UsageError(`--pin: expected the SHA-256 of a public key in base64 (44 characters), got "${text}"`);
}

function choice<T extends string>(name: string, text: string, of: readonly T[]): T {
  const chosen = of.find((one) => one === text);
  if (chosen !== undefined) return chosen;
  throw new UsageError(`--${name}: expected ${of.slice(0, -1).join(", ")} or ${of.at(-1)}, got "${text}"`);
}

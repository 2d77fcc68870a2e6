// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Server lists in the common JSON form (RFC 10049 §8.3): who may be asked, under which key, and where to report to.
 *
 * An entry of another key type or of a version that is not spoken here is left out; anything that is not of the form is an
 * error that says where. Tested in list.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import { formatEndpoint } from "../address.ts";
import { decodeKey } from "../client/source.ts";
import { VERSION_1, VERSION_DRAFT } from "./core.ts";
import type { RoughtimeAddress, RoughtimeServerEntry } from "./client.ts";

/** A list as far as it can be used here. */
export interface RoughtimeServerList {
  readonly servers: readonly RoughtimeServerEntry[];
  /** Where newer lists are to be had. */
  readonly sources: readonly string[];
  /** Where malfeasance is reported to. */
  readonly reports?: string;
}

export const SERVER_LIST_TYPE = "application/roughtime-server+json";
/** A list longer than this is no list of trusted servers. */
const MOST_SERVERS = 1000;

/** @throws {NtpError} `INVALID_ARGUMENT` with the place of what is wrong. */
export function parseServerList(json: string): RoughtimeServerList {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch (cause) {
    throw new NtpError("INVALID_ARGUMENT", `expected a Roughtime server list in JSON, got ${(cause as Error).message}`, { cause });
  }
  const { servers, sources = [], reports } = object(list, "the list");
  if (!Array.isArray(servers) || servers.length > MOST_SERVERS) throw wrong("servers", `a list of at most ${MOST_SERVERS} servers`, servers);
  if (!Array.isArray(sources)) throw wrong("sources", "a list of URLs", sources);
  return {
    servers: servers.flatMap((server, i) => entry(object(server, `servers[${i}]`), `servers[${i}]`)),
    sources: sources.map((source, i) => httpsUrl(source, `sources[${i}]`)),
    ...(reports === undefined ? {} : { reports: httpsUrl(reports, "reports") }),
  };
}

function entry({ name, version, publicKeyType, publicKey, addresses }: Record<string, unknown>, where: string): RoughtimeServerEntry[] {
  if (typeof name !== "string") throw wrong(`${where}.name`, "a text", name);
  if (!Number.isInteger(version)) throw wrong(`${where}.version`, "a whole number", version);
  if (!Array.isArray(addresses) || addresses.length === 0) throw wrong(`${where}.addresses`, "a list of addresses", addresses);
  // `version` is the highest that the server speaks: those of older drafts and Google's first one are of no use here.
  if (publicKeyType !== "ed25519" || !(version === VERSION_DRAFT || (Number(version) >= VERSION_1 && Number(version) < 0x80000000))) return [];
  const key = typeof publicKey === "string" ? decodeKey(publicKey) : undefined;
  if (!key) throw wrong(`${where}.publicKey`, "32 octets in base64", publicKey);
  return [{ name, publicKey: key, addresses: addresses.map((address, i) => addressOf(address, `${where}.addresses[${i}]`)) }];
}

function addressOf(value: unknown, where: string): RoughtimeAddress {
  const { protocol, address } = object(value, where);
  if (protocol !== "udp" && protocol !== "tcp") throw wrong(`${where}.protocol`, '"udp" or "tcp"', protocol);
  // §8.3: no zones.
  const match = typeof address === "string" ? /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/?#@%\s]+)):(\d{1,5})$/.exec(address) : null;
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3] ?? NaN)];
  if (!host || !(port >= 1 && port <= 65535)) throw wrong(`${where}.address`, '"HOST:PORT" or "[IPV6]:PORT"', address);
  return { protocol, host, port };
}

function httpsUrl(value: unknown, where: string): string {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== "https:") throw wrong(where, "an https: URL", value);
  return url.href;
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(where, "an object", value);
}

function wrong(where: string, expected: string, got: unknown): NtpError {
  return new NtpError("INVALID_ARGUMENT", `Roughtime server list: expected ${expected} at ${where}, got ${String(JSON.stringify(got)).slice(0, 80)}`);
}

/** `count` of the servers, chosen at random (§8.2). All of them when there are no more. */
export function chooseServers(host: Pick<Host, "random">, servers: readonly RoughtimeServerEntry[], count: number): RoughtimeServerEntry[] {
  const left = [...servers];
  const chosen: RoughtimeServerEntry[] = [];
  while (left.length > 0 && chosen.length < count) chosen.push(...left.splice(below(host, left.length), 1));
  return chosen;
}

/** A random whole number below `limit`, each as likely as any other: what would favour the small ones is drawn again. */
function below(host: Pick<Host, "random">, limit: number): number {
  for (;;) {
    const drawn = new DataView(host.random(new Uint8Array(4)).buffer).getUint32(0);
    if (drawn < 2 ** 32 - (2 ** 32 % limit)) return drawn % limit;
  }
}

/** "roughtime:HOST:PORT#KEY" of an entry, by its first address. */
export function sourceText({ addresses, publicKey }: RoughtimeServerEntry): string {
  const { host, port } = addresses[0]!;
  return `roughtime:${formatEndpoint({ address: host, port })}#${base64(publicKey)}`;
}

export function base64(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets));
}

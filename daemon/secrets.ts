// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reads the files that the configuration names: symmetric keys, trusted roots, Roughtime's server lists and keys. Errors name file and line, never a secret.
 * Tested in serving.test.ts and roughtime.test.ts.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import type { SourceOptions } from "../hosts/common/client/engine.ts";
import { parseKeys, type SymmetricKey } from "../hosts/common/client/keys.ts";
import { NtpError } from "../hosts/common/errors.ts";
import type { Host } from "../hosts/common/host.ts";
import type { ServerKeys } from "../hosts/common/roughtime/keys.ts";
import type { ConfiguredSource } from "./config.ts";

/** Of a file that others than its owner and group may read. */
export type Warn = (message: string) => void;

/** What the engine takes. @throws {NtpError} `INVALID_ARGUMENT`; the runtime's error where a file cannot be read. */
export function withSecrets(sources: readonly ConfiguredSource[], warn: Warn): Promise<(SourceOptions & { minPoll: number; maxPoll: number })[]> {
  return Promise.all(sources.map(async ({ keyFile, nts, ...source }) => {
    const { caFile, roughtimeList, savedFile, ...options } = nts ?? {};
    const saved = savedFile === undefined ? undefined : await savedMs(savedFile);
    return {
      ...source,
      ...(keyFile ? { key: await readKey(keyFile.file, keyFile.id, warn) } : {}),
      ...(nts ? { nts: {
        ...options,
        ...(caFile ? { ca: await readFile(caFile, "utf8") } : {}),
        ...(roughtimeList ? { roughtime: [...(options.roughtime ?? []), ...(await listedServers(roughtimeList))] } : {}),
        ...(saved === undefined ? {} : { savedMs: saved }),
      } } : {}),
    };
  }));
}

/** When the drift file was written last: it was that late already. */
async function savedMs(file: string): Promise<number | undefined> {
  return stat(file).then(({ mtimeMs }) => mtimeMs, () => undefined);
}

/** The Roughtime servers of a list in RFC 10049's form. @throws {NtpError} `INVALID_ARGUMENT` */
export async function listedServers(file: string) {
  const [{ parseServerList }, text] = await Promise.all([import("../hosts/common/roughtime/list.ts"), readFile(file, "utf8")]);
  try {
    return parseServerList(text).servers;
  } catch (error) {
    throw new NtpError("INVALID_ARGUMENT", `${file}: ${(error as Error).message}`);
  }
}

/** A Roughtime server's keys from a file of delegations, or of a long-term key: then with delegations for two days, made on the spot. */
export async function readServerKeys(file: string, host: Pick<Host, "random">, warn: Warn): Promise<ServerKeys> {
  const { delegations, readKeyFile } = await import("../hosts/common/roughtime/keys.ts");
  const [text, { mode }] = await Promise.all([readFile(file, "utf8"), stat(file)]);
  if (mode & 0o077) warn(`${file} can be read by others; its keys are secret (chmod 600)`);
  const read = readKeyFile(text);
  return "keys" in read ? read.keys : delegations(host, read.key, { start: BigInt(Math.floor(Date.now() / 1000)), days: 1, count: 2 });
}

/** Key `id` of a key file. @throws {NtpError} `INVALID_ARGUMENT` */
export async function readKey(file: string, id: number, warn: Warn): Promise<SymmetricKey> {
  const key = (await readKeys(file, warn)).find((candidate) => candidate.id === id);
  if (!key) throw new NtpError("INVALID_ARGUMENT", `${file}: expected a key ${id}, got none of that number`);
  return key;
}

/** All keys of a key file. @throws {NtpError} `INVALID_ARGUMENT` */
export async function readKeys(file: string, warn: Warn): Promise<SymmetricKey[]> {
  const text = await readFile(file, "utf8");
  const { mode } = await stat(file);
  if (mode & 0o007) warn(`${file} can be read by everybody; its keys are then nobody's proof: chmod 600 it`);
  try {
    return parseKeys(text);
  } catch (error) {
    throw new NtpError("INVALID_ARGUMENT", `${file}: ${(error as Error).message}`);
  }
}

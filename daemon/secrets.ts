// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reads the files that sources name: symmetric keys and trusted roots. Errors name file and line, never a secret.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import type { SourceOptions } from "../hosts/common/client/engine.ts";
import { parseKeys, type SymmetricKey } from "../hosts/common/client/keys.ts";
import { NtpError } from "../hosts/common/errors.ts";
import type { ConfiguredSource } from "./config.ts";

/** Of a file that others than its owner and group may read. */
export type Warn = (message: string) => void;

/** What the engine takes. @throws {NtpError} `INVALID_ARGUMENT`; the runtime's error where a file cannot be read. */
export function withSecrets(sources: readonly ConfiguredSource[], warn: Warn): Promise<(SourceOptions & { minPoll: number; maxPoll: number })[]> {
  return Promise.all(sources.map(async ({ keyFile, nts, ...source }) => {
    const { caFile, ...options } = nts ?? {};
    return {
      ...source,
      ...(keyFile ? { key: await readKey(keyFile.file, keyFile.id, warn) } : {}),
      ...(nts ? { nts: { ...options, ...(caFile ? { ca: await readFile(caFile, "utf8") } : {}) } } : {}),
    };
  }));
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

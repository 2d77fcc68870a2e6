// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The section [server] of the configuration: as it is written, what contradicts itself in it, and what `serve()` takes.
 *
 * Files are read in the service thread when it starts: errors name file and line, never a secret. Tested in serving.test.ts.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { ServeOptions } from "../hosts/common/server/serve.ts";
import type { NtsServeOptions } from "../hosts/common/server/establish.ts";
import { LeapFile } from "./leaps.ts";
import type { Fault } from "./schema.ts";
import { readKeys, type Warn } from "./secrets.ts";

/** As it is written, once schema.ts has found no fault in it. */
export interface ServerSection {
  readonly listen?: readonly string[];
  readonly port?: number;
  readonly workers?: number;
  readonly access?: readonly string[];
  readonly "rate-limit"?: { readonly interval?: number; readonly burst?: number; readonly leak?: number };
  readonly interleaved?: boolean;
  readonly "client-log"?: boolean;
  readonly control?: boolean;
  readonly smear?: boolean;
  readonly "leap-file"?: string;
  readonly "ut1-offset"?: number;
  readonly keys?: string;
  readonly user?: string;
  readonly metrics?: { readonly address?: string; readonly port: number };
  readonly nts?: {
    readonly certificate: string;
    readonly key: string;
    readonly listen?: readonly string[];
    readonly port?: number;
    readonly aead?: readonly number[];
    readonly "cookie-keys"?: string;
    readonly secret?: string;
  };
  readonly roughtime?: { readonly key: string; readonly listen?: readonly string[]; readonly port?: number; readonly grease?: number };
}

/** What its keys mean together. */
export function serverContradictions({ server }: { readonly server?: ServerSection }, mode: string): Fault[] {
  const faults: Fault[] = [];
  const needs = (table: object | undefined, path: Fault["path"], names: readonly string[]) => {
    if (!table) return;
    for (const name of names) if (!Object.hasOwn(table, name)) faults.push({ path, about: "key", message: `expected a key "${name}" here, got none` });
  };
  needs(server?.nts, ["server", "nts"], ["certificate", "key"]);
  needs(server?.metrics, ["server", "metrics"], ["port"]);
  needs(server?.roughtime, ["server", "roughtime"], ["key"]);
  if (server?.nts?.["cookie-keys"] !== undefined && server.nts.secret !== undefined) {
    faults.push({ path: ["server", "nts", "secret"], about: "key", message: 'expected "cookie-keys" or "secret", got both' });
  }
  // The right to set the clock would go with root's others.
  if (server?.user !== undefined && mode === "system") {
    faults.push({ path: ["server", "user"], about: "key", message: 'expected "user" only with clock.mode "virtual" or "observe", as another user may not steer the system clock' });
  }
  return faults;
}

/** What the server is to do, its files read. @throws {NtpError} `INVALID_ARGUMENT`; the runtime's error where one cannot be read */
export async function serveOptions(section: ServerSection, warn: Warn): Promise<ServeOptions> {
  const { listen, port, workers, access, "rate-limit": rateLimit, "client-log": clientLog, interleaved, control, smear, keys, user, metrics, nts } = section;
  const given = { listen, port, workers, access, rateLimit, clientLog, interleaved, control, smear, user, metrics };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as ServeOptions),
    ...(keys !== undefined && { keys: await readKeys(keys, warn) }),
    ...(nts && { nts: await ntsOptions(nts) }),
  };
}

async function ntsOptions({ certificate, key, listen, port, aead, "cookie-keys": cookieKeys, secret }: NonNullable<ServerSection["nts"]>): Promise<NtsServeOptions> {
  return {
    certificateFiles: { certificate, key },
    ...(listen && { listen }),
    ...(port !== undefined && { port }),
    ...(aead && { aeads: aead }),
    ...(cookieKeys !== undefined && { store: cookieKeys }),
    ...(secret !== undefined && { store: Uint8Array.from(await readFile(secret)) }),
  };
}

/** The leap seconds that are known. @throws {NtpError} `INVALID_ARGUMENT`, naming the file */
export async function leapSeconds({ "leap-file": file }: ServerSection, warn: Warn): Promise<LeapFile | undefined> {
  return file === undefined ? undefined : LeapFile.open(file, warn);
}

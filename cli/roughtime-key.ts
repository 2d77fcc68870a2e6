// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement roughtime-key`: makes a Roughtime server's long-term key, and delegations from it for the server to use.
 * Tested in roughtime.test.ts.
 *
 * @module
 */

import { open, readFile } from "node:fs/promises";
import { lendHost } from "#host";
import { base64 } from "../hosts/common/roughtime/list.ts";
import { delegationFile, delegations, generateKey, keyFile, readKeyFile } from "../hosts/common/roughtime/keys.ts";
import { UsageError, command, numberOption } from "./usage.ts";

const HELP = `usage: escapement roughtime-key generate KEYFILE
       escapement roughtime-key delegate KEYFILE FILE [OPTION...]
       escapement roughtime-key show FILE

generate makes a long-term key and prints its public half, which clients need. Keep KEYFILE offline.
delegate makes online keys, each with the long-term key's word for a span of time, for
  "escapement serve --roughtime-key FILE". Copy FILE to the server; the long-term key need not be there.
show prints the public key of either file, and when its delegations hold.

  --days D           days that each delegation holds (default 30)
  --count N          delegations in FILE, one after the other, 1..1000 (default 12)
  --start TIME       when the first begins, as in 2030-01-31T00:00:00Z (default now)
  --force            write over FILE
  --help             this text

Both files are secret and made readable by their owner only.`;

const OPTIONS = { days: { type: "string" }, count: { type: "string" }, start: { type: "string" }, force: { type: "boolean" } } as const;

export const run = command(HELP, OPTIONS, async ({ values, positionals }) => {
  const [verb, ...files] = positionals;
  if (verb === "generate" && files.length === 1) return generate(files[0]!);
  if (verb === "show" && files.length === 1) return show(files[0]!);
  if (verb !== "delegate" || files.length !== 2) throw new UsageError(`roughtime-key: expected generate KEYFILE, delegate KEYFILE FILE or show FILE\n\n${HELP}`);
  const days = numberOption("days", values.days, { min: 0.01, max: 3660 }) ?? 30;
  const count = numberOption("count", values.count, { min: 1, max: 1000, integer: true }) ?? 12;
  const start = values.start === undefined ? Date.now() : Date.parse(values.start);
  if (!(start >= 0)) throw new UsageError(`--start: expected a time like 2030-01-31T00:00:00Z, got "${values.start}"`);
  const host = await lendHost();
  const file = readKeyFile(await readFile(files[0]!, "utf8"));
  if (!("key" in file)) throw new UsageError(`roughtime-key delegate: expected a long-term key in ${files[0]}, found delegations`);
  const keys = delegations(host, file.key, { start: BigInt(Math.floor(start / 1000)), days, count });
  await writeSecret(files[1]!, delegationFile(keys), values.force ?? false);
  console.log(`${count} delegations of ${base64(keys.publicKey)}, until ${isoSeconds(keys.delegations.at(-1)!.notAfter)}`);
  return 0;
});

/** Never over another key: it could not be got back. */
async function generate(path: string): Promise<number> {
  const key = generateKey(await lendHost());
  await writeSecret(path, keyFile(key), false);
  console.log(base64(key.publicKey));
  return 0;
}

async function show(path: string): Promise<number> {
  const file = readKeyFile(await readFile(path, "utf8"));
  console.log(base64("key" in file ? file.key.publicKey : file.keys.publicKey));
  if ("keys" in file) for (const { notBefore, notAfter } of file.keys.delegations) console.log(`${isoSeconds(notBefore)} to ${isoSeconds(notAfter)}`);
  return 0;
}

function isoSeconds(unix: bigint): string {
  return new Date(Number(unix) * 1000).toISOString().replace(".000Z", "Z");
}

async function writeSecret(path: string, text: string, replace: boolean): Promise<void> {
  try {
    const file = await open(path, replace ? "w" : "wx", 0o600);
    try {
      // MUST be closed to others before the secret is in it, also where the file was there before.
      await file.chmod(0o600);
      await file.writeFile(text);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") throw new UsageError(`${path}: expected a new file, but it is there already`);
    throw error;
  }
}

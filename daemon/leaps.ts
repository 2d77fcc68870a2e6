// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The file of leap seconds that a server was given: what it says of now, and again when it was replaced.
 *
 * At the start a file that is missing or damaged is an error. Later it is a warning, and what was known before goes on. A file
 * that has expired says nothing any more, and that is told once. Tested in leaps.test.ts.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import { NtpError } from "../hosts/common/errors.ts";
import { parseLeapFile, type LeapTable } from "../hosts/common/server/leapfile.ts";
import type { ServerUpdate } from "../hosts/common/server/serve.ts";
import type { Warn } from "./secrets.ts";

/** What a server says of leap seconds: the next one, and TAI − UTC. */
export type LeapState = Pick<ServerUpdate, "leap" | "leapAtNs" | "taiOffset">;

export class LeapFile {
  readonly #path: string;
  readonly #warn: Warn;
  #table: LeapTable;
  #modifiedMs: number;
  /** The table whose end was told. */
  #expired: LeapTable | undefined;
  #complaint = "";

  private constructor(path: string, warn: Warn, { table, modifiedMs }: Read) {
    this.#path = path;
    this.#warn = warn;
    this.#table = table;
    this.#modifiedMs = modifiedMs;
  }

  /** @throws {NtpError} `INVALID_ARGUMENT`, naming the file */
  static async open(path: string, warn: Warn): Promise<LeapFile> {
    return new LeapFile(path, warn, await read(path));
  }

  /** What is known at a moment; nothing of what comes after the file's end. */
  known(nowNs: bigint): LeapState {
    const table = this.#table;
    if (table.expired(nowNs)) {
      if (this.#expired !== table) this.#warn(`${this.#path} has expired, and says nothing of leap seconds to come: fetch a newer one`);
      this.#expired = table;
      return {};
    }
    const taiOffset = table.offsetAt(nowNs);
    return { ...table.next(nowNs), ...(taiOffset !== undefined && { taiOffset }) };
  }

  /** Read it anew; a fault in it is told, once, and the old one goes on. */
  async renew(): Promise<void> {
    try {
      const { table, modifiedMs } = await read(this.#path);
      this.#table = table;
      this.#modifiedMs = modifiedMs;
      this.#complaint = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#complaint) this.#warn(`the leap seconds could not be renewed, what was known goes on: ${message}`);
      this.#complaint = message;
    }
  }

  /** Read it anew where it has changed. */
  async look(): Promise<void> {
    const modifiedMs = await stat(this.#path).then(({ mtimeMs }) => mtimeMs, () => undefined);
    if (modifiedMs !== this.#modifiedMs) await this.renew();
  }
}

interface Read {
  readonly table: LeapTable;
  readonly modifiedMs: number;
}

async function read(path: string): Promise<Read> {
  try {
    const { mtimeMs } = await stat(path);
    return { table: await parseLeapFile(await readFile(path, "utf8")), modifiedMs: mtimeMs };
  } catch (error) {
    if (error instanceof NtpError) throw new NtpError("INVALID_ARGUMENT", `${path}: ${error.message}`);
    const { code, message } = error as { code?: string; message: string };
    const why = code === "ENOENT" ? "there is none" : message;
    throw new NtpError("INVALID_ARGUMENT", `expected a leap-seconds.list at ${path}: ${why}; your system may have one at /usr/share/zoneinfo/leap-seconds.list, the IERS publishes it`);
  }
}

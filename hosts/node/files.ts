// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Files on Node. What is replaced is first written to a new file beside it, with the mode from its first moment, then synced
 * and renamed, and the directory synced: a crash at any point leaves a whole file. Tested in files.test.ts, which crashes it.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { open, rename, stat, unlink } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { FileContent, HostFiles } from "../common/files.ts";

/** What the file system is asked for; replaced in tests to crash half-way. */
export interface FileSystem {
  open: typeof open;
  rename: typeof rename;
  unlink: typeof unlink;
  stat: typeof stat;
}

/** Windows has no permission bits: all files seem to have the same. */
const hasModes = process.platform !== "win32";
const PERMISSIONS = 0o777;

/** The files capability over a file system. */
export function filesOver(system: FileSystem): HostFiles {
  return {
    read: (file, limit) => readFile(system, file, limit),
    replace: (file, data, mode) => replaceFile(system, file, data, mode),
    modified: async (file) => (await orAbsent(system.stat(file)))?.mtimeMs,
  };
}

async function readFile(system: FileSystem, file: string, limit: number): Promise<FileContent | undefined> {
  const handle = await orAbsent(system.open(file, "r"));
  if (!handle) return undefined;
  try {
    // What was opened is judged and read, whatever has its name by now.
    const { mode, size } = await handle.stat();
    if (size > limit) throw new Error(`expected at most ${limit} octets in ${file}, it has ${size}`);
    return { data: await readUpTo(handle, file, limit), mode: hasModes ? mode & PERMISSIONS : undefined };
  } finally {
    await handle.close();
  }
}

async function replaceFile(system: FileSystem, file: string, data: Uint8Array, mode: number): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  // "wx": neither a link that somebody has put there is followed, nor a file of theirs written to.
  const handle = await system.open(temporary, "wx", mode);
  try {
    try {
      await handle.writeFile(data);
      // The mode given to open() is cut by the umask.
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await system.rename(temporary, file);
  } catch (error) {
    await system.unlink(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(system, path.dirname(file));
}

async function orAbsent<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Files that have no size (pipes, devices) are held to the limit, too. */
async function readUpTo(handle: Awaited<ReturnType<typeof open>>, file: string, limit: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(limit + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
    length += bytesRead;
    if (length > limit) throw new Error(`expected at most ${limit} octets in ${file}, it has more`);
    if (bytesRead === 0) return buffer.slice(0, length);
  }
}

/** Without this, a power cut may bring the old name back. Some systems cannot; the file itself is whole all the same. */
async function syncDirectory(system: FileSystem, directory: string): Promise<void> {
  try {
    const handle = await system.open(directory, "r");
    await handle.sync().finally(() => handle.close());
  } catch {
    // The rename has happened.
  }
}

export const files: HostFiles = filesOver({ open, rename, unlink, stat });

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a runtime lends of files: whole small ones, read with a limit and replaced so that a crash leaves the old or the new
 * one and never a mixture. Each hosts/X/files.ts implements it; tested in hosts/node/files.test.ts.
 *
 * @module
 */

/** A file as it was read. */
export interface FileContent {
  readonly data: Uint8Array;
  /** Permission bits, 0o600; undefined where the system has none (Windows). */
  readonly mode: number | undefined;
}

export interface HostFiles {
  /** A whole file, or undefined when there is none. Rejects when it has more than `limit` octets, or cannot be read. */
  read(path: string, limit: number): Promise<FileContent | undefined>;
  /**
   * Replace a file, or make it: written beside it, brought to the disk, and put in its place. Nobody but this user can open
   * it at any time when `mode` says so. Rejects, and leaves the old file, when any of this fails.
   */
  replace(path: string, data: Uint8Array, mode: number): Promise<void>;
  /** When it was last changed, ms since 1970, or undefined when there is none. */
  modified(path: string): Promise<number | undefined>;
}

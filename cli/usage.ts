// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Arguments of a subcommand: parsed by `node:util`, numbers checked, every complaint a {@link UsageError}.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";

/** Wrong usage: exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Options and positionals. @throws {UsageError} */
export function parse<T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options: { ...options, help: { type: "boolean", short: "h" } } as T & { help: { type: "boolean" } }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A number in a range, or undefined when the option was not given. @throws {UsageError} */
export function numberOption(name: string, text: string | undefined, range: { min: number; max: number; integer?: boolean }): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (value >= range.min && value <= range.max && (!range.integer || Number.isInteger(value))) return value;
  throw new UsageError(`--${name}: expected ${range.integer ? "a whole number" : "a number"} of ${range.min}..${range.max}, got "${text}"`);
}

/** `ADDRESS:PORT`, `[ADDRESS]:PORT` or `:PORT` taken apart. @throws {UsageError} */
export function listenOption(name: string, text: string): { address: string | undefined; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(text);
  const port = Number(match?.[3] ?? NaN);
  if (!match || !(port <= 65535)) throw new UsageError(`--${name}: expected ADDRESS:PORT, [IPV6]:PORT or :PORT, got "${text}"`);
  return { address: (match[1] ?? match[2]) || undefined, port };
}

/** Which family of addresses to ask over. */
export const FAMILY_OPTIONS = { "4": { type: "boolean", short: "4" }, "6": { type: "boolean", short: "6" } } as const;

/** `-4` or `-6`; any family when neither was given. @throws {UsageError} */
export function familyOption({ "4": four, "6": six }: { "4"?: boolean | undefined; "6"?: boolean | undefined }): { family?: 4 | 6 } {
  if (four && six) throw new UsageError("-4, -6: expected one of them, got both");
  if (four) return { family: 4 };
  return six ? { family: 6 } : {};
}

/** What `read` makes of the file that an option names. @throws {UsageError} where it cannot be read; of what is in it, an NtpError */
export async function fileOption<T>(name: string, file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "INVALID_ARGUMENT") throw error;
    throw new UsageError(`--${name}: expected a file that can be read, got "${file}": ${message}`);
  }
}

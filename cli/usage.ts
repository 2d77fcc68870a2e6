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

/** A subcommand: its arguments in, its exit status out. */
export type Command = (args: string[]) => Promise<number>;

/** What arguments with these options come to. */
export type Parsed<T extends Options> = ReturnType<typeof parse<T>>;
export type Values<T extends Options> = Parsed<T>["values"];

/** A subcommand that does `act`, or tells of itself when it is asked for `--help`. */
export function command<T extends Options>(help: string, options: T, act: (parsed: Parsed<T>) => Promise<number>): Command {
  return async (args) => {
    const parsed = parse(args, options);
    if (!(parsed.values as { help?: boolean }).help) return act(parsed);
    console.log(help);
    return 0;
  };
}

/** Options and positionals. @throws {UsageError} */
export function parse<T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options: { ...options, help: { type: "boolean", short: "h" } } as T & { help: { type: "boolean" } }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** For a command that takes nothing else. @throws {UsageError} */
export function onlyOptions(name: string, [argument]: readonly string[]): void {
  if (argument !== undefined) throw new UsageError(`${name}: expected only options, got "${argument}"`);
}

/** Only the members that have a value: an option not given must leave the default alone. */
export function defined<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };
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

/** `ADDRESS:PORT` where the address may be left to the callee. @throws {UsageError} */
export function metricsOption(text: string): { address?: string; port: number } {
  const { address, port } = listenOption("metrics", text);
  return { port, ...(address !== undefined && { address }) };
}

/** Without a stratum the answers say "not synchronised", and nobody heeds what else is said of the clock. @throws {UsageError} */
export function needStratum(name: string, { stratum, ...values }: { stratum?: string | undefined } & Record<string, unknown>): void {
  const useless = ["refid", "root-delay", "root-dispersion"].find((option) => values[option] !== undefined);
  if (stratum === undefined && useless) throw new UsageError(`${name}: expected --stratum with --${useless}, which tells of a clock that is synchronised`);
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

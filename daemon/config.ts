// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's configuration: TOML in, checked values and defaults out. Unknown keys are errors, all errors are told at
 * once, each with its place. docs/daemon.md is its reference. Tested in config.test.ts.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { TomlError, parse } from "smol-toml";
import type { Algorithm } from "../hosts/common/client/discipline.ts";
import type { SourceOptions } from "../hosts/common/client/engine.ts";
import { Locator, type Place } from "./locate.ts";
import { faultsOf, KEYS, shown, type Fault } from "./schema.ts";

export type ClockMode = "system" | "virtual" | "observe";
export type LogLevel = "error" | "warning" | "info" | "debug";

export interface DaemonConfig {
  readonly sources: readonly (SourceOptions & { readonly minPoll: number; readonly maxPoll: number })[];
  readonly clock: {
    readonly mode: ClockMode;
    readonly algorithm: Algorithm;
    /** Where the frequency is remembered; nowhere when absent. */
    readonly driftFile?: string;
    readonly makeStep: { readonly least: number; readonly count: number };
    readonly stepLimits: { readonly single: number; readonly startup: number; readonly sum: number };
  };
  readonly observe: { readonly enabled: boolean; readonly socket: string };
  /** Absent: nobody is served. */
  readonly server?: { readonly listen?: readonly string[]; readonly port: number };
  readonly log: { readonly level: LogLevel };
}

/** Where `tracking` and its like look, unless told otherwise. */
export const DEFAULT_SOCKET = "/run/escapement/observe.sock";
const DEFAULTS = { mode: "system", algorithm: "estimator", threshold: 0.1, limit: 3, single: 1000, startup: 0, sum: 0, port: 123, minPoll: 6, maxPoll: 10 } as const;
/** One instance of the core follows as many. */
const SOURCE_LIMIT = 64;

/** One thing that is wrong with a configuration, and where. */
export interface ConfigProblem extends Place {
  /** "clock.mode", "source[1].address"; "" for the whole. */
  readonly key: string;
  readonly message: string;
}

/** A configuration that cannot be used. Its message has a line `FILE:LINE:COLUMN: KEY: MESSAGE` for each problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super(problems.map(({ line, column, key, message }) => `${file}:${line}:${column}: ${key && `${key}: `}${message}`).join("\n"));
    this.problems = problems;
  }
}

/** Read and check a file. @throws {ConfigError} for what it says; the runtime's error when it cannot be read. */
export async function loadConfig(file: string): Promise<DaemonConfig> {
  const octets = await readFile(file);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    throw new ConfigError(file, [{ line: 1, column: 1, key: "", message: "expected UTF-8, got octets that are not" }]);
  }
  return readConfig(text, file);
}

/** Check a configuration's text; `file` names it in errors. @throws {ConfigError} */
export function readConfig(text: string, file: string): DaemonConfig {
  const raw = parsed(text, file);
  const locator = new Locator(text);
  const faults = faultsOf(raw, KEYS);
  // What keys mean together is only asked once each is right by itself.
  const all = faults.length > 0 ? faults : contradictions(raw as Raw);
  const problems = all.map(({ path, about, message }) => ({ ...locator[about](path), key: keyText(path), message }));
  if (problems.length > 0) throw new ConfigError(file, problems.sort((a, b) => a.line - b.line || a.column - b.column));
  return complete(raw as Raw);
}

function parsed(text: string, file: string): object {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n");
    const { line, column } = error;
    throw new ConfigError(file, [{ line, column, key: "", message: `expected TOML: ${first.replace(/^Invalid TOML document: /, "")}` }]);
  }
}

/** The text's values once schema.ts has found no fault in them. */
interface Raw {
  readonly source?: readonly RawSource[];
  readonly clock?: {
    readonly mode?: ClockMode;
    readonly algorithm?: Algorithm;
    readonly "drift-file"?: string;
    readonly "make-step"?: { readonly threshold?: number; readonly limit?: number };
    readonly "step-limits"?: { readonly single?: number; readonly startup?: number; readonly sum?: number };
  };
  readonly observe?: { readonly enabled?: boolean; readonly socket?: string };
  readonly server?: { readonly listen?: readonly string[]; readonly port?: number };
  readonly log?: { readonly level?: LogLevel };
}

interface RawSource {
  readonly address: string;
  readonly pool?: number;
  readonly version?: 3 | 4;
  readonly "min-poll"?: number;
  readonly "max-poll"?: number;
}

function contradictions({ source = [] }: Raw): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: Fault["path"], message: string) => faults.push({ path, about: "value", message });
  const seen = new Map<string, number>();
  let count = 0;
  source.forEach(({ address, pool = 1, "min-poll": least, "max-poll": most }, index) => {
    const first = seen.get(address.toLowerCase());
    // Twice the same word is no second opinion, but would count as one in the majority.
    if (first !== undefined) fault(["source", index, "address"], `expected every source once, got ${shown(address)} again (it is source[${first}]); remove one, or say pool`);
    seen.set(address.toLowerCase(), index);
    if (least !== undefined && most !== undefined && least > most) fault(["source", index, "max-poll"], `expected at least min-poll, which is ${least}, got ${most}`);
    if (count <= SOURCE_LIMIT && count + pool > SOURCE_LIMIT) fault(["source", index], `expected at most ${SOURCE_LIMIT} sources, pools counted with all their addresses, got more from here on`);
    count += pool;
  });
  if (source.length === 0) faults.push({ path: [], about: "key", message: 'expected at least one [[source]] with an address, got none; for instance: [[source]] address = "pool.ntp.org", pool = 4' });
  return faults;
}

function complete({ source = [], clock = {}, observe = {}, server, log = {} }: Raw): DaemonConfig {
  const { "make-step": step = {}, "step-limits": limits = {}, "drift-file": driftFile } = clock;
  return {
    sources: source.map(sourceOptions),
    clock: {
      mode: clock.mode ?? DEFAULTS.mode,
      algorithm: clock.algorithm ?? DEFAULTS.algorithm,
      ...(driftFile === undefined ? {} : { driftFile }),
      makeStep: { least: step.threshold ?? DEFAULTS.threshold, count: step.limit ?? DEFAULTS.limit },
      stepLimits: { single: limits.single ?? DEFAULTS.single, startup: limits.startup ?? DEFAULTS.startup, sum: limits.sum ?? DEFAULTS.sum },
    },
    observe: { enabled: observe.enabled ?? true, socket: observe.socket ?? DEFAULT_SOCKET },
    ...(server ? { server: { ...(server.listen ? { listen: server.listen } : {}), port: server.port ?? DEFAULTS.port } } : {}),
    log: { level: log.level ?? "info" },
  };
}

/** A limit given alone moves the other's default out of its way. */
function sourceOptions({ address, pool, version, "min-poll": least, "max-poll": most }: RawSource): DaemonConfig["sources"][number] {
  return {
    source: address,
    ...(pool === undefined ? {} : { pool }),
    ...(version === undefined ? {} : { version }),
    minPoll: least ?? Math.min(DEFAULTS.minPoll, most ?? DEFAULTS.minPoll),
    maxPoll: most ?? Math.max(DEFAULTS.maxPoll, least ?? DEFAULTS.maxPoll),
  };
}

function keyText(path: Fault["path"]): string {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index > 0 ? "." : ""}${part}`)).join("");
}

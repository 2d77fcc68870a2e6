// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's configuration: TOML in, checked values and defaults out. Unknown keys are errors, all errors are told at
 * once, each with its place. docs/daemon.md is its reference. Tested in config.test.ts.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { TomlError, parse } from "smol-toml";
import type { ListenOptions } from "../hosts/common/client/broadcast-runner.ts";
import type { Algorithm } from "../hosts/common/client/discipline.ts";
import type { SourceOptions } from "../hosts/common/client/engine.ts";
import type { PeeringOptions } from "../hosts/common/client/peering.ts";
import { NTP_PORT, parseSource } from "../hosts/common/client/source.ts";
import type { Endpoint, StampingCards } from "../hosts/common/host.ts";
import type { SourceVersion } from "../hosts/common/client/version.ts";
import type { NtsOptions } from "../hosts/common/nts/options.ts";
import { Locator, type Place } from "./locate.ts";
import { refClockContradictions, refClockText, type RawRefClock } from "./refclocks.ts";
import { faultsOf, KEYS, shown, type Fault } from "./schema.ts";
import { serverContradictions, type ServerSection } from "./serving.ts";

export type ClockMode = "system" | "virtual" | "observe";
/** How a source tells us the time. */
export type SourceMode = NonNullable<SourceOptions["mode"]>;
export type LogLevel = "error" | "warning" | "info" | "debug";

/** A source, with the files that secrets.ts reads for it. */
export interface ConfiguredSource extends Omit<SourceOptions, "key" | "nts"> {
  readonly minPoll: number;
  readonly maxPoll: number;
  readonly keyFile?: { readonly file: string; readonly id: number };
  readonly nts?: Omit<NtsOptions, "ca" | "keyLog" | "savedMs"> & { readonly caFile?: string; readonly roughtimeList?: string; readonly savedFile?: string };
}

export interface DaemonConfig {
  readonly sources: readonly ConfiguredSource[];
  /** Texts of reference clocks (hosts/common/refclock/open.ts). */
  readonly refclocks: readonly string[];
  readonly clock: {
    readonly mode: ClockMode;
    readonly algorithm: Algorithm;
    /** Where the frequency is remembered; nowhere when absent. */
    readonly driftFile?: string;
    /** Network cards that are to stamp. */
    readonly cards?: StampingCards;
    readonly makeStep: { readonly least: number; readonly count: number };
    readonly stepLimits: { readonly single: number; readonly startup: number; readonly sum: number };
  };
  /** The port that symmetric peers know us by; absent: 123, and nobody may come unasked. */
  readonly peering?: PeeringOptions;
  /** `dashboard`: where the page is served; nowhere when absent. */
  readonly observe: { readonly enabled: boolean; readonly socket: string; readonly dashboard?: Endpoint };
  /** Absent: nobody is served. */
  readonly server?: ServerSection & { readonly port: number };
  readonly log: { readonly level: LogLevel };
}

/** Where `tracking` and its like look, unless told otherwise. */
export const DEFAULT_SOCKET = "/run/escapement/observe.sock";
/** Who is not told where to show itself does so to this machine only. */
const LOOPBACK = "127.0.0.1";
/** What stands for every network card that can stamp. */
const ALL_CARDS = "*";
const DEFAULTS = { mode: "system", algorithm: "estimator", threshold: 0.1, limit: 3, single: 1000, startup: 0, sum: 0, port: NTP_PORT, minPoll: 6, maxPoll: 10 } as const;
/** One instance of the core follows as many. */
const SOURCE_LIMIT = 64;
/** Fewer Roughtime servers cannot tell who lies. */
const LEAST_ROUGHTIME = 3;

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
  readonly refclock?: readonly RawRefClock[];
  readonly clock?: {
    readonly mode?: ClockMode;
    readonly algorithm?: Algorithm;
    readonly "drift-file"?: string;
    readonly "hardware-timestamps"?: readonly string[];
    readonly "make-step"?: { readonly threshold?: number; readonly limit?: number };
    readonly "step-limits"?: { readonly single?: number; readonly startup?: number; readonly sum?: number };
  };
  readonly peering?: PeeringOptions;
  readonly observe?: { readonly enabled?: boolean; readonly socket?: string; readonly dashboard?: { readonly address?: string; readonly port: number } };
  readonly server?: ServerSection;
  readonly roughtime?: RawRoughtime;
  readonly log?: { readonly level?: LogLevel };
}

/** Whose word certificates are judged by. */
interface RawRoughtime {
  readonly servers?: readonly string[];
  readonly list?: string;
}

interface RawSource {
  readonly address: string;
  readonly pool?: number;
  readonly version?: SourceVersion;
  readonly "min-poll"?: number;
  readonly "max-poll"?: number;
  readonly mode?: SourceMode;
  readonly interleaved?: boolean;
  readonly correction?: boolean;
  readonly listen?: ListenOptions;
  readonly key?: string;
  readonly nts?: {
    readonly ca?: string;
    readonly pins?: readonly string[];
    readonly pq?: NtsOptions["pq"];
    readonly "cert-time"?: NtsOptions["certTime"];
    readonly aead?: readonly number[];
  };
}

function contradictions(raw: Raw): Fault[] {
  return [...sourceContradictions(raw), ...raw.source?.flatMap(modeContradictions) ?? [], ...refClockContradictions(raw.refclock ?? []), ...certTimeContradictions(raw), ...portContradictions(raw), ...dashboardContradictions(raw), ...serverContradictions(raw, raw.clock?.mode ?? DEFAULTS.mode)];
}

function sourceContradictions({ source = [], refclock = [] }: Raw): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: Fault["path"], message: string) => faults.push({ path, about: "value", message });
  const seen = new Map<string, number>();
  let count = refclock.length;
  source.forEach(({ address, pool = 1, "min-poll": least, "max-poll": most }, index) => {
    const first = seen.get(address.toLowerCase());
    // Twice the same word is no second opinion, but would count as one in the majority.
    if (first !== undefined) fault(["source", index, "address"], `expected every source once, got ${shown(address)} again (it is source[${first}]); remove one, or say pool`);
    seen.set(address.toLowerCase(), index);
    if (least !== undefined && most !== undefined && least > most) fault(["source", index, "max-poll"], `expected at least min-poll, which is ${least}, got ${most}`);
    if (count <= SOURCE_LIMIT && count + pool > SOURCE_LIMIT) fault(["source", index], `expected at most ${SOURCE_LIMIT} sources, pools counted with all their addresses, got more from here on`);
    count += pool;
  });
  if (source.length === 0 && refclock.length === 0) faults.push({ path: [], about: "key", message: 'expected at least one [[source]] with an address, got none; for instance: [[source]] address = "pool.ntp.org", pool = 4' });
  return faults;
}

/** Keys of one mode in another, where they would do nothing. */
function modeContradictions(source: RawSource, index: number): Fault[] {
  const { mode = "client", listen } = source;
  const useless: Record<SourceMode, readonly (keyof RawSource)[]> = {
    client: ["listen"],
    symmetric: ["pool", "interleaved", "correction", "listen"],
    broadcast: ["pool", "interleaved", "correction", "min-poll", "max-poll"],
  };
  const faults: Fault[] = useless[mode]
    .filter((key) => Object.hasOwn(source, key))
    .map((key) => ({ path: ["source", index, key], about: "key", message: `expected no ${shown(key)} with mode ${shown(mode)}, got one` }));
  if (mode === "client" && source.correction === true) {
    const wrong = (message: string) => faults.push({ path: ["source", index, "correction"], about: "key", message });
    if (source.version !== 5 && source.version !== "auto") wrong('expected "correction" only with version 5 or "auto", which alone have it');
    if (source.interleaved === true) wrong('expected "correction" or "interleaved", got both; a correction is about one exchange, an interleaved reply about two');
  }
  if (source.nts && !isNts(source)) {
    faults.push({ path: ["source", index, "nts"], about: "key", message: `expected "nts" only with an address of nts:, got it with ${shown(source.address)}` });
  }
  if (mode !== "client" && (source.version === 5 || source.version === "auto")) {
    faults.push({ path: ["source", index, "version"], about: "value", message: `expected version 3 or 4 with mode ${shown(mode)}, got ${shown(source.version)}` });
  }
  if (isNts(source)) {
    const barred = (["pool", "key"] as const).filter((key) => source[key] !== undefined);
    if (mode !== "client") faults.push({ path: ["source", index, "mode"], about: "value", message: `expected mode "client" with an address of nts:, got ${shown(mode)}` });
    if (source.version === 3) faults.push({ path: ["source", index, "version"], about: "value", message: 'expected version 4, 5 or "auto" with an address of nts:, got 3' });
    for (const key of barred) faults.push({ path: ["source", index, key], about: "key", message: `expected no ${shown(key)} with an address of nts:, got one` });
  }
  if (listen?.interface !== undefined && listen.group === undefined) {
    faults.push({ path: ["source", index, "listen", "interface"], about: "key", message: 'expected "interface" only beside "group", got it alone' });
  }
  return faults;
}

/** By what certificates are to be judged must be known. */
function certTimeContradictions({ source = [], clock, roughtime }: Raw): Fault[] {
  const faults: Fault[] = [];
  source.forEach(({ nts }, index) => {
    const fault = (message: string) => faults.push({ path: ["source", index, "nts", "cert-time"], about: "value", message });
    if (nts?.["cert-time"] === "roughtime" && !roughtime) fault('expected a section [roughtime] with three servers or more beside cert-time = "roughtime", got none');
    if (nts?.["cert-time"] === "saved" && clock?.["drift-file"] === undefined) fault('expected clock.drift-file beside cert-time = "saved", as that is when the time was saved, got none');
  });
  const { servers = [], list } = roughtime ?? {};
  if (roughtime && list === undefined && servers.length < LEAST_ROUGHTIME) {
    const path = roughtime.servers ? ["roughtime", "servers"] : ["roughtime"];
    faults.push({ path, about: roughtime.servers ? "value" : "key", message: `expected ${LEAST_ROUGHTIME} Roughtime servers or more, or a list, as fewer cannot tell who lies, got ${servers.length}` });
  }
  return faults;
}

function isNts({ address }: RawSource): boolean {
  return parseSource(address).scheme === "nts";
}

/** Each port has one owner: who answers clients, who exchanges packets with peers, who hears broadcasts. */
function portContradictions({ source = [], peering, server }: Raw): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: Fault["path"], message: string) => faults.push({ path, about: path.length === 1 ? "key" : "value", message });
  const peers = peering !== undefined || source.some(({ mode }) => mode === "symmetric");
  const peerPort = peering?.port ?? NTP_PORT;
  const serverPort = server?.port ?? DEFAULTS.port;
  const portOf = (section: "peering" | "server", given: number | undefined): Fault["path"] => (given === undefined ? [section] : [section, "port"]);
  if (server && peers && serverPort === peerPort) {
    fault(portOf("server", server.port), `expected another port than that of [peering], got ${serverPort} for both; peers need a port of their own, so give one of the two another`);
  }
  source.forEach(({ mode, listen }, index) => {
    const port = listen?.port ?? NTP_PORT;
    const taken = server && port === serverPort ? "[server]" : peers && port === peerPort ? "[peering]" : undefined;
    if (mode !== "broadcast" || taken === undefined) return;
    const message = `expected broadcasts to come to another port than that of ${taken}, got ${port} for both`;
    faults.push(listen?.port === undefined ? { path: ["source", index], about: "key", message } : { path: ["source", index, "listen", "port"], about: "value", message });
  });
  const families = (peering?.addresses ?? []).map((address) => isIP(address));
  families.forEach((family, index) => {
    if (families.indexOf(family) < index) fault(["peering", "addresses", index], `expected one address of IPv4 and one of IPv6 at most, got a second of IPv${family}`);
  });
  return faults;
}

function dashboardContradictions({ observe }: Raw): Fault[] {
  if (!observe?.dashboard || Object.hasOwn(observe.dashboard, "port")) return [];
  return [{ path: ["observe", "dashboard"], about: "key", message: 'expected a key "port" here, got none' }];
}

function complete({ source = [], refclock = [], clock = {}, peering, observe = {}, server, roughtime, log = {} }: Raw): DaemonConfig {
  const { "make-step": step = {}, "step-limits": limits = {}, "drift-file": driftFile, "hardware-timestamps": cards } = clock;
  return {
    sources: source.map((one) => sourceOptions(one, { ...(roughtime ? { roughtime } : {}), ...(driftFile === undefined ? {} : { driftFile }) })),
    refclocks: refclock.map(refClockText),
    clock: {
      mode: clock.mode ?? DEFAULTS.mode,
      algorithm: clock.algorithm ?? DEFAULTS.algorithm,
      ...(driftFile === undefined ? {} : { driftFile }),
      ...(cards === undefined ? {} : { cards: cards.includes(ALL_CARDS) || cards }),
      makeStep: { least: step.threshold ?? DEFAULTS.threshold, count: step.limit ?? DEFAULTS.limit },
      stepLimits: { single: limits.single ?? DEFAULTS.single, startup: limits.startup ?? DEFAULTS.startup, sum: limits.sum ?? DEFAULTS.sum },
    },
    ...(peering ? { peering } : {}),
    observe: {
      enabled: observe.enabled ?? true,
      socket: observe.socket ?? DEFAULT_SOCKET,
      ...(observe.dashboard ? { dashboard: { address: observe.dashboard.address ?? LOOPBACK, port: observe.dashboard.port } } : {}),
    },
    ...(server ? { server: { ...server, port: server.port ?? DEFAULTS.port } } : {}),
    log: { level: log.level ?? "info" },
  };
}

/** A limit given alone moves the other's default out of its way. */
function sourceOptions({ address, pool, version, "min-poll": least, "max-poll": most, mode, interleaved, correction, listen, key, nts }: RawSource, times: CertificateTimes): ConfiguredSource {
  return {
    ...(key === undefined ? {} : { keyFile: keyFile(key) }),
    ...(nts === undefined ? {} : { nts: ntsOptions(nts, times) }),
    source: address,
    ...(pool === undefined ? {} : { pool }),
    ...(version === undefined ? {} : { version }),
    ...(mode === undefined ? {} : { mode }),
    ...(interleaved === undefined ? {} : { interleaved }),
    ...(correction === undefined ? {} : { correction }),
    ...(listen === undefined ? {} : { listen }),
    minPoll: least ?? Math.min(DEFAULTS.minPoll, most ?? DEFAULTS.minPoll),
    maxPoll: most ?? Math.max(DEFAULTS.maxPoll, least ?? DEFAULTS.maxPoll),
  };
}

function keyFile(text: string): { file: string; id: number } {
  const colon = text.lastIndexOf(":");
  return { file: text.slice(0, colon), id: Number(text.slice(colon + 1)) };
}

/** What certificates may be judged by. */
interface CertificateTimes {
  readonly roughtime?: RawRoughtime;
  readonly driftFile?: string;
}

function ntsOptions({ ca, pins, pq, "cert-time": certTime, aead }: NonNullable<RawSource["nts"]>, { roughtime: { servers, list } = {}, driftFile }: CertificateTimes): NonNullable<ConfiguredSource["nts"]> {
  return {
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(pins === undefined ? {} : { pins }),
    ...(pq === undefined ? {} : { pq }),
    ...(certTime === undefined ? {} : { certTime }),
    ...(certTime === "roughtime" && servers ? { roughtime: servers } : {}),
    ...(certTime === "roughtime" && list !== undefined ? { roughtimeList: list } : {}),
    ...(certTime === "saved" && driftFile !== undefined ? { savedFile: driftFile } : {}),
    ...(aead === undefined ? {} : { aeads: aead }),
  };
}

function keyText(path: Fault["path"]): string {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index > 0 ? "." : ""}${part}`)).join("");
}

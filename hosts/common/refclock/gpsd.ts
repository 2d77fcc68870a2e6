// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * gpsd as a reference clock: its JSON over TCP (gpsd_json(5)).
 *
 *   ?WATCH={"enable":true,"json":true,"pps":true}
 *   TOFF  what a receiver's sentences said, and when they began by gpsd's clock
 *   PPS   the second that a pulse began, and when it came by gpsd's clock
 *   TPV   the fix: without one nothing counts. Its time alone is used where there is no TOFF
 *
 * gpsd's clock is ours only on the same machine: from another one's TPV alone is used, by when it came here.
 * Where pulses come, sentences are only watched. Refuses lines that do not end. Tested in gpsd.test.ts and, with a real
 * gpsd, in tests/interop/refclock.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint } from "../host.ts";
import type { ByteStream, HostStreams } from "../stream.ts";
import type { Device } from "./devices.ts";
import { Driver } from "./driver.ts";

export const GPSD_PORT = 2947;
const WATCH = `?WATCH={"enable":true,"json":true,"pps":true};\n`;
/** gpsd's own limit of a response is 10240. */
const LONGEST_LINE = 65536;
const CONNECT_MS = 5000;
/** After so long without a pulse sentences count again; without a fix for so long nothing does. */
const PULSES_GONE_NS = 10_000_000_000n;
const FIX_GONE_NS = 5_000_000_000n;

export interface GpsdOptions {
  readonly endpoint: Endpoint;
  /** Only this device of gpsd's: "/dev/ttyS0". */
  readonly device?: string | undefined;
  /** What is not known of when sentences come, and pulses, s. */
  readonly dispersion: number;
  readonly pulseDispersion?: number | undefined;
}

interface Means {
  readonly connectTcp: HostStreams["connectTcp"];
  readonly now: () => bigint;
}

/** One report of gpsd's: fields as they come. */
type Report = Readonly<Record<string, unknown>>;

export class GpsdClock extends Driver {
  readonly #means: Means;
  readonly #options: GpsdOptions;
  readonly #near: boolean;
  #pulseAt: bigint | undefined;
  #offsetAt: bigint | undefined;
  #fixAt: bigint | undefined;

  constructor(means: Means, options: GpsdOptions) {
    const { address, port } = options.endpoint;
    super({ refid: "GPS", precision: 1e-6, description: `gpsd at ${address}:${port}` });
    this.#means = means;
    this.#options = options;
    this.#near = /^(127\.|::1$|localhost$)/.test(address);
  }

  protected async open(gone: (error?: Error) => void): Promise<Device> {
    const { connectTcp } = this.#means;
    if (!connectTcp) throw new NtpError("UNSUPPORTED", "expected a host with TCP to reach gpsd, got one without");
    const stream = await connectTcp(this.#options.endpoint, AbortSignal.timeout(CONNECT_MS));
    void this.#read(stream).then(() => gone(new Error("gpsd has closed the connection")), gone);
    return stream;
  }

  async #read(stream: ByteStream): Promise<void> {
    await stream.write(new TextEncoder().encode(WATCH));
    const decoder = new TextDecoder();
    let rest = "";
    for (let data = await stream.read(); data; data = await stream.read()) {
      const cameNs = this.#means.now();
      const lines = (rest + decoder.decode(data, { stream: true })).split("\n");
      rest = lines.pop()!;
      if (rest.length > LONGEST_LINE) throw new Error(`expected a line of at most ${LONGEST_LINE} characters from gpsd, got a longer one`);
      for (const line of lines) this.take(line, cameNs);
    }
  }

  /** One line, which came at `cameNs`. Public for tests. */
  take(line: string, cameNs: bigint): void {
    let report: Report;
    try {
      report = JSON.parse(line) as Report;
    } catch {
      return;
    }
    if (typeof report !== "object" || report === null) return;
    const { device } = this.#options;
    if (device !== undefined && report["device"] !== undefined && report["device"] !== device) return;
    if (report["class"] === "TPV") this.#takeFix(report, cameNs);
    else if (report["class"] === "PPS" && this.#near) this.#takePair(report, cameNs, true);
    else if (report["class"] === "TOFF" && this.#near) this.#takePair(report, cameNs, false);
  }

  #takeFix(report: Report, cameNs: bigint): void {
    const mode = report["mode"];
    this.alive();
    if (typeof mode !== "number" || mode < 2) {
      this.#fixAt = undefined;
      return this.tellBad("gpsd's receiver has no fix");
    }
    this.#fixAt = cameNs;
    if (recent(this.#offsetAt, cameNs) || recent(this.#pulseAt, cameNs)) return;
    const timeNs = typeof report["time"] === "string" ? isoNs(report["time"]) : undefined;
    if (timeNs !== undefined) this.tell({ timeNs, receivedNs: cameNs, dispersion: this.#options.dispersion });
  }

  #takePair(report: Report, cameNs: bigint, pulse: boolean): void {
    const timeNs = secondsNs(report["real_sec"], report["real_nsec"]);
    const receivedNs = secondsNs(report["clock_sec"], report["clock_nsec"]);
    if (timeNs === undefined || receivedNs === undefined) return;
    if (pulse) this.#pulseAt = cameNs;
    else this.#offsetAt = cameNs;
    // Numbered pulses know all that sentences know, and better.
    if (!pulse && recent(this.#pulseAt, cameNs)) return;
    if (this.#fixAt === undefined || cameNs - this.#fixAt > FIX_GONE_NS) return;
    const { dispersion, pulseDispersion = 1e-6 } = this.#options;
    this.tell({ timeNs, receivedNs, dispersion: pulse ? pulseDispersion : dispersion });
  }
}

function recent(at: bigint | undefined, nowNs: bigint): boolean {
  return at !== undefined && nowNs - at < PULSES_GONE_NS;
}

function secondsNs(seconds: unknown, nanoseconds: unknown): bigint | undefined {
  if (!Number.isSafeInteger(seconds) || !Number.isSafeInteger(nanoseconds)) return undefined;
  const [whole, part] = [seconds as number, nanoseconds as number];
  return whole < 0 || whole > 9.2e9 || part < 0 || part >= 1e9 ? undefined : BigInt(whole) * 1_000_000_000n + BigInt(part);
}

/** "2026-11-22T16:00:00.000Z" to ns since 1970. */
function isoNs(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  const ms = match ? Date.parse(`${match[1]}Z`) : NaN;
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt((match![2] ?? "").padEnd(9, "0"));
}

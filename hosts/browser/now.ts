// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time at once, without the core: a few questions, the answer with the shortest way.
 *
 * For pages that want to know how wrong the computer's clock is and nothing more: no WebAssembly is loaded. The formulas are
 * RFC 5905 §8's, in doubles, which is exact enough for what a page's timer can tell. One source is believed; of several, what
 * most agree with. For time that stays right, use startClock. Tested in now.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import { withoutRelay } from "./relayless.ts";
import { timerStep } from "./timer.ts";
import { openTimeSource } from "./timesource.ts";

export { NtpError };

export interface MeasureOptions {
  /** A relay, which is asked for its own time: `wss://relay.example.org/`. */
  readonly relay?: string | URL;
  /** Relays (`wss:`) and servers of HTTP time (`https:`) to ask; default the relay. */
  readonly sources?: readonly (string | URL)[];
  /** Questions to each. Default 4. */
  readonly samples?: number;
  readonly signal?: AbortSignal;
}

/** How far this computer's clock is off. */
export interface Measurement {
  readonly source: string;
  /** To be added to `Date.now()`, s: positive when the computer's clock is behind. */
  readonly offset: number;
  /** How far {@link offset} may be off, s, if the source tells the truth. */
  readonly bound: number;
  /** Round trip of the best answer, s. */
  readonly delay: number;
  readonly date: Date;
}

/** PHI (RFC 5905 §7.2). */
const DRIFT = 15e-6;
const UNIX_EPOCH = 2_208_988_800;

/** @throws {NtpError} `UNSUPPORTED`, `INVALID_ARGUMENT`, `UNREACHABLE`, `TIMEOUT`, `NO_AGREEMENT`, `ABORTED` */
export async function measure({ relay, sources = relay ? [String(relay).replace(/^http/i, "ws")] : [], samples = 4, signal }: MeasureOptions = {}): Promise<Measurement> {
  if (sources.length === 0) throw withoutRelay();
  const all = await Promise.allSettled(sources.map((source) => best(String(source), samples, signal)));
  const told = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])).sort((a, b) => a.bound - b.bound);
  if (told.length === 0) throw (all[0] as PromiseRejectedResult).reason;
  const agrees = (a: Measurement) => told.filter((b) => Math.abs(a.offset - b.offset) <= a.bound + b.bound).length * 2 > told.length;
  const choice = told.find(agrees);
  if (!choice) throw new NtpError("NO_AGREEMENT", `expected sources that agree, got ${told.map((one) => `${one.source}: ${one.offset} ± ${one.bound} s`).join("; ")}`);
  return choice;
}

/** The time, in milliseconds. For scripts that want nothing else: `escapement/browser/now` is one file of 2 KB. */
export async function now(options?: MeasureOptions): Promise<Date> {
  return (await measure(options)).date;
}

async function best(url: string, samples: number, signal?: AbortSignal): Promise<Measurement> {
  const source = openTimeSource(url);
  const stop = () => source.close();
  signal?.addEventListener("abort", stop);
  try {
    let least: Measurement | undefined;
    const step = timerStep();
    for (let i = 0; i < samples; i++) {
      if (signal?.aborted) throw new NtpError("ABORTED", "aborted by its caller", { cause: signal.reason });
      const one = await once(url, step, source);
      if (!least || one.bound < least.bound) least = one;
    }
    return least!;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

async function once(url: string, step: number, source: ReturnType<typeof openTimeSource>): Promise<Measurement> {
  const request = crypto.getRandomValues(new Uint8Array(48)).fill(0, 1, 40);
  request[0] = 0x23;
  const { packet, sent, came } = await source.ask(request, () => performance.now() / 1000);
  const view = new DataView(packet.buffer, packet.byteOffset);
  const seconds = (at: number) => {
    const whole = view.getUint32(at);
    // Era 1 begins in 2036 (RFC 5905 §6).
    return whole + (whole < UNIX_EPOCH ? 2 ** 32 : 0) - UNIX_EPOCH + view.getUint32(at + 4) / 2 ** 32;
  };
  const short = (at: number) => view.getUint32(at) / 65536;
  const stratum = packet[1]!;
  if ((packet[0]! & 7) !== 4 || packet[0]! >> 6 === 3 || stratum < 1 || stratum > 15 || request.some((octet, i) => i >= 40 && octet !== packet[i - 16])) {
    throw new NtpError("NO_AGREEMENT", `expected a synchronised clock at ${url}, got stratum ${stratum}`, { source: url });
  }
  const [t2, t3] = [seconds(32), seconds(40)];
  const delay = Math.max(step, came - sent - (t3 - t2));
  const wall = Date.now() / 1000 + 0.0005;
  const passed = performance.now() / 1000 - came;
  const time = t3 + delay / 2 + passed;
  const bound = delay / 2 + short(4) / 2 + short(8) + step + (came - sent) * DRIFT + 0.0005;
  return { source: url, offset: time - wall, bound, delay, date: new Date(time * 1000) };
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The system's clock as programs have it: read, stepped, slewed, its frequency set; and put back as it was found. `startClock()`
 * can borrow it, and then steers it as the daemon does.
 *
 * It checks what it is asked for and obeys; the system's calls are an actuator's (hosts/native/steer*.ts), which is the daemon's
 * as well. Tested in system.test.ts, over fake kernels, and in tests/native/steering-real.test.ts.
 *
 * @module
 */

import type { Engine } from "../client/engine.ts";
import { NtpError } from "../errors.ts";
import type { Host, HostClock } from "../host.ts";
import type { ClockStatus, HostSystemClock, SteeringRefusal, SystemActuator, SystemClockStatus } from "../steering.ts";
import { Slewer } from "./slewer.ts";
import { StatusTeller } from "./status.ts";
import { frequencyFound, steeredSystem, type SteeredClock } from "./steered.ts";

export interface SystemClockOptions {
  /** Only read it: that needs no privilege, and nothing can be changed. Default false. */
  readonly readOnly?: boolean;
  /** Leave the frequency, and the status, as they are at the end. Default false: they are put back as they were found. */
  readonly keepFrequency?: boolean;
}

export interface SlewOptions {
  /** The fastest that the slew may be, ppm. Default 500, as adjtime(3) has it, or as much as there is room for. */
  readonly ratePpm?: number;
  /** End the slew when it fires. */
  readonly signal?: AbortSignal;
}

/** The system's clock, lent to who disciplines it. */
export interface LentClock {
  readonly clock: SteeredClock;
  /** Relative, as it was found. */
  readonly frequency: number;
  /**
   * Keep the system told how good the clock is, and allow nobody else to steer. `close` is called when the system's clock is
   * closed before. Returns how to give it back.
   */
  follow(engine: Pick<Engine, "tracking" | "listen">, close: () => void): () => void;
}

const USUAL_SLEW = 500e-6;
const TELL_MS = 1000;
const NS_PER_SECOND = 1_000_000_000n;
/** Kernels take no time before 1970, and Linux none after 2232, whose nanoseconds would soon not fit into 63 bits. */
const LATEST_NS = BigInt(Date.UTC(2232, 0)) * 1_000_000n;

/** What a {@link SystemClock} is made of. */
interface Parts {
  readonly clock: HostClock;
  readonly lent: HostSystemClock;
  readonly read: () => SystemClockStatus;
  /** Absent: it is only read. */
  readonly actuator: SystemActuator | undefined;
  readonly keepFrequency: boolean;
}

/** See {@link Escapement.openSystemClock}. */
export class SystemClock implements AsyncDisposable {
  readonly #parts: Parts;
  #slewer: Slewer | undefined;
  /** Who steers it in our place. */
  #borrower: { readonly close: () => void } | undefined;
  /** Of the restoration at the process's end; from the first change on. */
  #takeBack: (() => void) | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    if (parts.actuator) this.#slewer = slewerOf(parts.actuator, parts.clock);
  }

  /** How it is steered, for people: "clock_adjtime (koffi)", "read only". */
  get description(): string {
    return this.#parts.actuator?.description ?? "read only";
  }

  /** The largest lasting frequency, ppm; and the fastest the clock can be made to run, frequency and slew together. 0 when only read. */
  get limits(): { readonly frequencyPpm: number; readonly slewPpm: number } {
    const { maximumFrequency = 0, maximumSlew = 0 } = this.#parts.actuator ?? {};
    return { frequencyPpm: inPpm(maximumFrequency), slewPpm: inPpm(maximumSlew) };
  }

  /** What the system says of its clock now. */
  status(): SystemClockStatus {
    return this.#parts.read();
  }

  /** The lasting correction of the clock's rate, ppm, without what a slew adds: what was found, or set. */
  get frequencyPpm(): number {
    return this.#slewer && !this.#borrower ? inPpm(this.#slewer.frequency) : this.status().ratePpm;
  }

  /** What the slew in progress has still to do, s. */
  get remaining(): number {
    return this.#slewer?.remaining ?? 0;
  }

  /**
   * Set the lasting frequency, ppm: 20 makes the clock gain 20 µs each second. A slew in progress goes on.
   *
   * @throws {NtpError} `INVALID_ARGUMENT` beyond {@link limits}, `CLOCK` when the system refuses
   */
  setFrequencyPpm(frequencyPpm: number): void {
    const { slewer } = this.#begin("its frequency set", () => {
      const most = this.limits.frequencyPpm;
      if (isNumber(frequencyPpm) && Math.abs(frequencyPpm) <= most) return;
      throw new NtpError("INVALID_ARGUMENT", `expected a frequency of ${-most} to ${most} ppm, got ${String(frequencyPpm)}`);
    });
    slewer.setFrequency(frequencyPpm * 1e-6);
  }

  /**
   * Add to the clock at once, s. Everybody on this machine sees time jump, back as well; prefer {@link slew} where a program
   * could mind. Frequency and a slew in progress go on. Linux forgets its status with it.
   *
   * @throws {NtpError} `INVALID_ARGUMENT` when it is no number, or leads before 1970 or beyond 2231, `CLOCK` when the system refuses
   */
  step(offset: number): void {
    const { actuator } = this.#begin("stepped", () => {
      if (!isNumber(offset)) throw new NtpError("INVALID_ARGUMENT", `expected a step in seconds, for instance -0.25, got ${String(offset)}`);
      const target = this.#parts.clock.now() + nanoseconds(offset);
      if (target >= 0n && target < LATEST_NS) return;
      throw new NtpError("INVALID_ARGUMENT", `expected a step that ends between 1970 and 2231, got one of ${offset} s, which does not`);
    });
    actuator.step(nanoseconds(offset));
  }

  /**
   * Add to the clock little by little, s: it runs faster or slower for as long as that takes (with the usual 500 ppm 2000 s for
   * each second), and never goes back. It takes the place of the one in progress; 0 ends that. Not the kernel's loop does it but
   * this process, so that it ends with it.
   *
   * @returns a promise of what was slewed by, s: all of it, or as much as had been done when another one, or {@link close}, ended it
   * @throws {NtpError} `INVALID_ARGUMENT`, `CLOCK` when the system refuses or somebody else steers, `ABORTED`
   */
  async slew(offset: number, { ratePpm, signal }: SlewOptions = {}): Promise<number> {
    const { slewer } = this.#begin("slewed", ({ slewer }) => checkSlew(offset, ratePpm, slewer));
    if (signal?.aborted) throw aborted(signal);
    const { finished, end } = slewer.slew(offset, ratePpm === undefined ? USUAL_SLEW : ratePpm * 1e-6);
    const onAbort = () => end(aborted(signal));
    signal?.addEventListener("abort", onAbort, { once: true });
    return finished.finally(() => signal?.removeEventListener("abort", onAbort));
  }

  /**
   * Tell the system how good its clock is, for all who ask it; to be renewed, as its idea of the error grows by 500 µs each
   * second. A leap second comes at the end of the UTC day, whichever it is.
   *
   * @throws {NtpError} `INVALID_ARGUMENT`; `UNSUPPORTED` where the system keeps no status (Windows) or makes no leap seconds
   * (macOS); `CLOCK` when it refuses
   */
  setStatus(status: ClockStatus): void {
    const { actuator } = this.#begin("told of", ({ actuator }) => checkStatus(status, actuator));
    actuator.setStatus(status);
  }

  /** For {@link startClock}. @throws {NtpError} `CLOCK` when it is only read, closed, or lent already */
  lend(): LentClock {
    const { actuator, slewer } = this.#begin("disciplined", () => {});
    slewer.end();
    const clock = steeredSystem(this.#parts.clock, actuator);
    return {
      clock,
      frequency: slewer.frequency,
      follow: (engine, close) => {
        const borrower = { close };
        this.#borrower = borrower;
        const stop = keepTold(clock, engine);
        return () => {
          if (this.#borrower !== borrower) return;
          stop();
          this.#borrower = undefined;
          this.#slewer = slewerOf(actuator, this.#parts.clock);
        };
      },
    };
  }

  /**
   * End a slew, and the clock of {@link startClock} that steers this one; put frequency and status back as they were found,
   * unless they are to be kept. Idempotent.
   *
   * @throws {NtpError} `CLOCK` when the system refuses
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#borrower?.close();
    this.#slewer?.end();
    this.#takeBack?.();
    if (!this.#parts.keepFrequency) this.#parts.actuator?.restore();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Whether it may be changed: `check` looks at what is asked for. From the first change on the process's end puts it back. */
  #begin(what: string, check: (means: { actuator: SystemActuator; slewer: Slewer }) => void): { actuator: SystemActuator; slewer: Slewer } {
    const { actuator, lent } = this.#parts;
    const slewer = this.#slewer;
    const refuse = (why: string) => new NtpError("CLOCK", `expected a system clock that can be ${what}, got one that ${why}`);
    if (this.#closed) throw refuse("is closed: open it again");
    if (!actuator || !slewer) throw refuse("is only read: open it without readOnly");
    if (this.#borrower) throw refuse("startClock() steers: close that clock first");
    check({ actuator, slewer });
    this.#takeBack ??= lent.restoreOnExit({ restore: () => this.close() });
    return { actuator, slewer };
  }
}

/** See {@link Escapement.openSystemClock}. */
export async function openSystemClock(host: Host, { readOnly = false, keepFrequency = false }: SystemClockOptions = {}): Promise<SystemClock> {
  const lent = await host.systemClock?.();
  const unsupported = { code: "UNSUPPORTED", reason: `${host.runtime} gives no way to it` } as const;
  if (!lent) throw refused(unsupported);
  const opened = lent.open();
  if (!opened.read || (!readOnly && "reason" in opened)) throw refused("reason" in opened ? opened : unsupported);
  const actuator = readOnly || "reason" in opened ? undefined : opened;
  return new SystemClock({ clock: host.clock, lent, read: () => opened.read!(), actuator, keepFrequency });
}

function refused({ code, reason, read }: SteeringRefusal): NtpError {
  const instead = read ? "; without, openSystemClock({ readOnly: true }) reads it, and startClock() keeps a clock of its own" : "";
  return new NtpError(code, `expected a system clock that can be steered, but ${reason}${instead}`);
}

function slewerOf(actuator: SystemActuator, clock: HostClock): Slewer {
  return new Slewer(actuator, () => clock.monotonic(), frequencyFound(actuator));
}

/** Once a second, as the daemon does it. Returns how to stop. */
function keepTold(clock: SteeredClock, engine: Pick<Engine, "tracking" | "listen">): () => void {
  const teller = new StatusTeller(clock.actuator);
  const deafen = engine.listen(({ kind }) => {
    if (kind === "stepped") teller.forget();
  });
  const tell = () => {
    try {
      teller.tick(engine.tracking(), clock.now());
    } catch (error) {
      // The engine is refused as well, and tells of it.
      if (!(error instanceof NtpError)) throw error;
    }
  };
  const timer = setInterval(tell, TELL_MS);
  return () => {
    clearInterval(timer);
    deafen();
  };
}

function checkSlew(offset: number, ratePpm: number | undefined, slewer: Slewer): void {
  if (!isNumber(offset)) throw new NtpError("INVALID_ARGUMENT", `expected a slew in seconds, for instance -0.25, got ${String(offset)}`);
  const most = inPpm(slewer.room(Math.sign(offset)));
  if (most <= 0 && offset !== 0) throw new NtpError("INVALID_ARGUMENT", "expected room for a slew, got a clock whose frequency is as far as it goes already: step it, or lower the frequency");
  if (ratePpm === undefined || (isNumber(ratePpm) && ratePpm > 0 && ratePpm <= most)) return;
  throw new NtpError("INVALID_ARGUMENT", `expected a ratePpm above 0 and up to ${most}, got ${String(ratePpm)}`);
}

function checkStatus({ synchronised, estimatedError, maximumError, leap }: ClockStatus, actuator: SystemActuator): void {
  const wrong = (expected: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${expected}, got ${String(got)}`);
  if (typeof synchronised !== "boolean") throw wrong("synchronised to be true or false", synchronised);
  for (const [name, error] of Object.entries({ estimatedError, maximumError })) {
    if (typeof error !== "number" || !(error >= 0)) throw wrong(`${name} to be 0 s or more, Infinity when it is not known`, error);
  }
  if (![0, 1, 2].includes(leap)) throw wrong("leap to be 0 (none), 1 (insert) or 2 (delete)", leap);
  if (!actuator.keepsStatus) throw new NtpError("UNSUPPORTED", `expected a system that keeps a status of its clock; ${actuator.description} has nobody to tell`);
  if (leap === 0 || actuator.insertsLeapSeconds) return;
  throw new NtpError("UNSUPPORTED", `expected a system that makes leap seconds; ${actuator.description} makes none: step the clock when it is due`);
}

/** To a millionth, finer than any system's and coarser than what doubles make of it. */
function inPpm(rate: number): number {
  return Math.round(rate * 1e12) / 1e6;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Whole seconds apart, so that a double's error stays in the part that has one. */
function nanoseconds(offset: number): bigint {
  const whole = Math.trunc(offset);
  return BigInt(whole) * NS_PER_SECOND + BigInt(Math.round((offset - whole) * 1e9));
}

function aborted(signal: AbortSignal | undefined): NtpError {
  return new NtpError("ABORTED", "slew was aborted by its caller", { cause: signal?.reason });
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When the drift file is read and written: at start, each hour, at stop. What goes wrong is said once. Tested in drift.test.ts.
 *
 * @module
 */

import { access, constants } from "node:fs/promises";
import path from "node:path";
import type { TrackingState } from "../hosts/common/client/engine.ts";
import { readDrift, writeDrift, type Drift } from "./drift.ts";
import type { Log } from "./log.ts";

const WRITE_EVERY_S = 3600;
/** A correction less certain than this is no help to the next start. */
const WORST_SKEW = 100e-6;
/** Since the file was written a machine may have been switched off and become colder: 1 ppm is what that costs a quartz. */
const LEAST_SKEW = 1e-6;

type Known = Pick<TrackingState, "synchronised" | "frequencyPpm" | "skewPpm">;

export class DriftKeeper {
  readonly #file: string;
  readonly #log: Log;
  #seconds = 0;
  #warned = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** What the file says, made as doubtful as its age may make it; undefined when it says nothing. */
  async read(): Promise<Drift | undefined> {
    const { drift, trouble } = await readDrift(this.#file);
    if (trouble !== undefined) this.#log("warning", trouble);
    await this.#mayWrite();
    return drift && { frequency: drift.frequency, skew: Math.max(drift.skew, LEAST_SKEW) };
  }

  /** Now, and not at the end of the first hour, is when somebody reads the log. It is written by replacing it. */
  async #mayWrite(): Promise<void> {
    const directory = path.dirname(this.#file);
    await access(directory, constants.W_OK).catch((error: Error) => {
      this.#log("warning", `drift file ${this.#file} will not be written: ${error.message}; let this user write to ${directory}, or have clock.drift-file elsewhere`);
      this.#warned = true;
    });
  }

  /** Call once a second. */
  tick(known: Known): void {
    this.#seconds += 1;
    if (this.#seconds % WRITE_EVERY_S === 0) void this.keep(known);
  }

  /** Write it now, if there is something to write. Never rejects. */
  keep({ synchronised, frequencyPpm, skewPpm }: Known): Promise<void> {
    const drift = { frequency: frequencyPpm / 1e6, skew: skewPpm / 1e6 };
    if (!synchronised || !Number.isFinite(drift.frequency) || !(drift.skew <= WORST_SKEW)) return this.#writing;
    // One after the other: both would write to the same temporary file.
    this.#writing = this.#writing.then(() => writeDrift(this.#file, drift)).catch((error: Error) => {
      if (!this.#warned) this.#log("warning", `drift file ${this.#file} could not be written: ${error.message}`);
      this.#warned = true;
    });
    return this.#writing;
  }
}

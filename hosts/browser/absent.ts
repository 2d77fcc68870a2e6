// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a clock over servers never makes: build/bundle.mjs puts this in the place of peers, broadcasts, manycast and reference
 * clocks where follow.ts has made sure that nobody asks for them. Their names are those of the files they stand for.
 * Tested in tests/browser/relay.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";

const missing = (): NtpError => new NtpError("UNSUPPORTED", "expected servers alone, got another kind of source: this build of the clock has no other");

/** Nobody is one: `instanceof` says so. */
class Absent {
  constructor() {
    throw missing();
  }
}

export { Absent as BroadcastRunner, Absent as ManycastRunner, Absent as PeerRunner, Absent as RefclockRunner };

/** A clock makes one of each, whatever it follows. */
export class PeerPort {
  close(): void {}
}

class Unused {}

export { Unused as BroadcastCore, Unused as ManycastCore, Unused as RefclockCore, Unused as SymmetricCore };

export const MANYCAST_SERVERS = 0;

export const isRefClock = (): boolean => false;

export const parseRefClock = (): never => {
  throw missing();
};

export const openRefClock = parseRefClock;
export const referenceState = parseRefClock;

/** There are none to lock. */
export const lockPulses = (): void => {};

// SPDX-License-Identifier: MIT OR Apache-2.0
/** With a bundler: one clock for the whole program, started when it is first asked for. */

import { startClock } from "escapement/browser";

let started;

/** The clock; the same for everybody who asks. */
export function theClock(relay = "wss://relay.example.org/") {
  return (started ??= startClock({ relay }));
}

/** For logs and requests: when it happened, and how sure that is. */
export async function stamp(relay) {
  const clock = await theClock(relay);
  return { time: clock.now().toISOString(), uncertainty: clock.uncertainty };
}

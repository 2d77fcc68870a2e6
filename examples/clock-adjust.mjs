// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system's clock: what the system says of it, and a step, a slew or a frequency for it.
 *
 *     node examples/clock-adjust.mjs [--step=S] [--slew=S] [--frequency=PPM] [--apply]
 *
 * Without --apply nothing is changed: it says what it would do. With it, it needs root or CAP_SYS_TIME, and that nobody else
 * steers (chronyd, ntpd, systemd-timesyncd). A slew takes 2000 s for each second; Ctrl-C ends it. The frequency stays as it was
 * set; without keepFrequency it would be put back at the end.
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { openSystemClock } from "escapement";

const number = { type: "string" };
const wanted = () => parseArgs({ options: { step: number, slew: number, frequency: number, apply: { type: "boolean", default: false } } }).values;

function show({ ratePpm, synchronised, maximumError, estimatedError, taiOffset, leap, flags = [] }) {
  console.log(`rate ${ratePpm.toFixed(3)} ppm, ${synchronised ? "synchronised" : "not synchronised"}, flags ${flags.join(" ") || "none"}`);
  if (maximumError !== undefined) console.log(`error at most ${maximumError} s (16: unknown), estimated ${estimatedError} s`);
  if (taiOffset !== undefined) console.log(`TAI - UTC ${taiOffset} s, leap ${leap}`);
}

try {
  const { step, slew, frequency, apply } = wanted();
  const clock = await openSystemClock({ readOnly: !apply, keepFrequency: true });
  try {
    show(clock.status());
    if (frequency !== undefined) {
      console.log(`${apply ? "setting" : "would set"} the frequency to ${frequency} ppm`);
      if (apply) clock.setFrequencyPpm(Number(frequency));
    }
    if (step !== undefined) {
      console.log(`${apply ? "stepping" : "would step"} by ${step} s`);
      if (apply) clock.step(Number(step));
    }
    if (slew !== undefined) {
      console.log(`${apply ? "slewing" : "would slew"} by ${slew} s, for ${Math.round(Math.abs(Number(slew)) / 500e-6)} s`);
      if (apply) console.log(`slewed by ${await clock.slew(Number(slew))} s`);
    }
  } finally {
    clock.close();
  }
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}

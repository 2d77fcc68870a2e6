// SPDX-License-Identifier: MIT OR Apache-2.0
/** A process that steers and then ends in the way its argument says; for steering-exit.test.ts. @module */

import { restoreOnExit } from "../../hosts/native/steer.ts";

let steering = true;
const undo = restoreOnExit({
  restore() {
    if (steering) console.log("restored");
    steering = false;
  },
});
/** A second clock, which fails, keeps neither the first from being restored nor the process from ending. */
const undoOther = restoreOnExit({
  restore() {
    throw new Error("a clock that cannot be restored");
  },
});

const endings: Record<string, () => void> = {
  return() {},
  exit: () => process.exit(3),
  throw() {
    throw new Error("nobody catches this");
  },
  reject: () => void Promise.reject(new Error("nobody catches this")),
  SIGINT: () => process.kill(process.pid, "SIGINT"),
  SIGTERM: () => process.kill(process.pid, "SIGTERM"),
  SIGHUP: () => process.kill(process.pid, "SIGHUP"),
  heard() {
    process.on("SIGTERM", () => {
      console.log(steering ? "still steering" : "restored too early");
      setTimeout(() => process.exit(4), 20);
    });
    process.kill(process.pid, "SIGTERM");
  },
  undone() {
    undo();
    undoOther();
    process.exit(5);
  },
};

const ending = process.argv[2] as string;
const hold = setTimeout(() => process.exit(99), 10_000);
setTimeout(() => {
  if (ending === "return") clearTimeout(hold);
  endings[ending]?.();
}, 20);

// SPDX-License-Identifier: MIT OR Apache-2.0
/** The process that gives its privileges up and says what is left, thread by thread. Arguments: user, "keep" or "none". @module */

import { readFileSync, readdirSync } from "node:fs";
import process from "node:process";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { dropPrivileges } from "../../hosts/native/privileges.ts";

const [user = "", keep] = process.argv.slice(2);
const ffi = await load();
const field = (text: string, name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1];
try {
  dropPrivileges(ffi!, { user, keepClock: keep === "keep" });
  const threads = readdirSync("/proc/self/task").map((task) => {
    const text = readFileSync(`/proc/self/task/${task}/status`, "utf8");
    const wanted = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "NoNewPrivs"].map((name) => [name, field(text, name)?.trim()]);
    return { main: Number(task) === process.pid, ...Object.fromEntries(wanted) };
  });
  console.log(JSON.stringify({ threads }));
} catch (error) {
  console.log(JSON.stringify({ failed: (error as { code?: unknown }).code }));
}

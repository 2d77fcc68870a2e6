// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Runs the contract suite on the runtime that runs this file, and prints one line of JSON.
 *
 * Arguments: `kernel` or `user`, the stamps expected; `user` also leaves the native parts out when `portable` follows.
 */

import process from "node:process";
import { createApi, lendHost } from "escapement";
import { reportOf } from "./all.ts";
import { coreHash } from "./core.ts";
import { startServer } from "./servers.ts";

const [stamps = "user", portable, refusals = "refusals"] = process.argv.slice(2);
const host = await lendHost({ native: portable !== "portable" });
const api = createApi(async () => host);
const report = await reportOf({
  host,
  api,
  createApi,
  asked: (name) => startServer(host, api.serve, name),
  stamps: stamps === "kernel" ? "kernel" : "user",
  reportsRefusal: refusals === "refusals",
}, await coreHash());
console.log(JSON.stringify(report));

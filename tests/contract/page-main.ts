// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Runs the contract suite in a page or a worker of Chromium, over escapement as it is served there. Part of tests/browser/page.ts.
 *
 * @module
 */

import { lendHost, now, query, startClock, survey, watch, type Clock } from "escapement/browser";
import { createApi } from "../../hosts/common/api.ts";
import { shareCoreModule } from "../../hosts/common/core/core.ts";
import { reportOf, type Report } from "./all.ts";
import { sha256 } from "./replay.ts";
import { askedElsewhere, type Elsewhere } from "./servers.ts";
import { BY_RELAY } from "./suite.ts";

export interface PageContract {
  readonly relay: string;
  readonly servers: Elsewhere;
}

export async function pageReport({ relay, servers }: PageContract): Promise<Report> {
  const wasm = new Uint8Array(await (await fetch("/core.wasm")).arrayBuffer());
  // The contracts have the typed face of the core inside, as a bundler would put it; the served files have another.
  shareCoreModule(await WebAssembly.compile(wasm));
  const host = await lendHost({ relay });
  return reportOf({
    host,
    api: {
      now: (options) => now({ ...options, relay }),
      query: (source, options) => query(source, { ...options, relay }),
      survey: (sources, options) => survey(sources, { ...options, relay }),
      startClock: (options) => startClock({ ...options, relay }) as Promise<Clock>,
      watch: (options) => watch({ ...options, relay }),
    },
    createApi,
    asked: askedElsewhere(servers),
    stamps: "user",
    reportsRefusal: false,
    lacks: BY_RELAY,
  }, await sha256(wasm));
}

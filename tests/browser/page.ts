// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the tests of this folder run inside Chromium, in a page or in a worker: a task by its name, an argument and a result of
 * plain data. Bundled by stage.ts; escapement comes from the server, as it is shipped.
 *
 * @module
 */

import { lendHost, measure, now, query, startClock, type PageClock } from "escapement/browser";
import { Core } from "../../hosts/common/core/core.ts";
import type { PageContract } from "../contract/page-main.ts";
import type { Report } from "../contract/all.ts";
import { faceSession, smallFace } from "../contract/page-face.ts";
import { pageSessionHash } from "../contract/page-session.ts";

const message = (promise: Promise<unknown>): Promise<string> =>
  promise.then((value) => `no error, but ${String(value)}`, (error: { code?: string; message: string }) => `${error.code}: ${error.message}`);

/** How a clock reads, against this computer's own. */
interface Reading {
  /** Clock minus this computer, s. */
  readonly errors: number[];
  readonly uncertainty: number;
  readonly step: number;
  readonly settled: number;
  readonly backwards: number;
}

async function readClock({ relay, reads = 200 }: { relay: string; reads?: number }): Promise<Reading> {
  const began = performance.now();
  const clock = await startClock({ relay });
  const settled = (performance.now() - began) / 1000;
  const errors: number[] = [];
  let backwards = 0;
  let last = 0n;
  let step = Infinity;
  for (let i = 0; i < reads; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const before = performance.now();
    const time = clock.nowNs();
    const after = performance.now();
    if (time <= last) backwards += 1;
    last = time;
    errors.push(Number(time - BigInt(Math.round(performance.timeOrigin * 1e6))) / 1e9 - (before + after) / 2000);
    for (let from = performance.now(), next = from, end = from + 1; next < end; from = next) {
      next = performance.now();
      if (next > from) step = Math.min(step, (next - from) / 1000);
    }
  }
  const { uncertainty } = clock;
  clock.close();
  return { errors, uncertainty, step, settled, backwards };
}

/** Served by stage.ts. */
const CONTRACT: string = "/contract.js";

let kept: PageClock | undefined;
/** What the computer's clock was set ahead by, ms. */
let setAhead = 0;
const trueNow = Date.now;

export const tasks = {
  /** Start a clock that lives on. */
  async keepClock({ relay }: { relay: string }) {
    kept = await startClock({ relay, sources: [relay] });
    kept.addEventListener("change", () => {});
    return kept.uncertainty;
  },
  /** What it says now, against this computer's clock as it was before anybody set it, s. */
  readKept: async (_: null) => ({ error: kept!.now().getTime() / 1000 - trueNow() / 1000, uncertainty: kept!.uncertainty, synchronised: kept!.synchronised }),
  /** Somebody sets the computer's clock. */
  async setClock({ aheadMs }: { aheadMs: number }) {
    setAhead += aheadMs;
    Date.now = () => trueNow() + setAhead;
  },
  async measure({ relay, sources }: { relay?: string; sources?: string[] }) {
    const { offset, bound, source } = await measure({ ...(relay ? { relay } : {}), ...(sources ? { sources } : {}) });
    return { offset, bound, source };
  },
  async now({ relay }: { relay: string }) {
    return (await now({ relay })).getTime() - Date.now();
  },
  async withoutRelay(_: null) {
    return [await message(now()), await message(query("time.example.org")), await message(startClock({}))];
  },
  readClock,
  async query({ relay, source, nts = {} }: { relay: string; source: string; nts?: object }) {
    const began = performance.now();
    const sample = await query(source, { relay, nts, timeout: 10 });
    const { offset, delay, rootDistance, authenticated, stratum } = sample;
    return { offset, delay, rootDistance, authenticated, stratum, problems: sample.problems().length, took: performance.now() - began };
  },
  /** In a browser whose WebCrypto has not this algorithm. */
  async queryWithout({ algorithm, ...asked }: { algorithm: string; relay: string; source: string; nts?: object }) {
    const { subtle } = crypto;
    const { importKey } = subtle;
    const lacking = (format: string, data: unknown, how: { name: string }, ...rest: unknown[]) =>
      how.name === algorithm ? Promise.reject(new DOMException("Unrecognized name", "NotSupportedError")) : (importKey as (...all: unknown[]) => Promise<unknown>).call(subtle, format, data, how, ...rest);
    Object.defineProperty(subtle, "importKey", { value: lacking, configurable: true });
    try {
      return await tasks.query(asked);
    } finally {
      delete (subtle as { importKey?: unknown }).importKey;
    }
  },
  failure: ({ relay, source, nts = {} }: { relay: string; source: string; nts?: object }) => message(query(source, { relay, nts, timeout: 5 })),
  /** The contract suite: in a file of its own, as it loads nearly all there is. */
  async suite(argument: PageContract): Promise<Report> {
    const { pageReport } = (await import(CONTRACT)) as typeof import("../contract/page-main.ts");
    return pageReport(argument);
  },
  /** What the small builds of the core say of the same packets. */
  async smallCores(_: null) {
    const built = async (name: string) => WebAssembly.compile(await (await fetch(name)).arrayBuffer());
    return [(await faceSession(smallFace(await built("/page.wasm")))).hash, await pageSessionHash(new Core(await built("/query.wasm")))];
  },
  async lent({ relay }: { relay: string }) {
    const { runtime, clock } = await lendHost({ relay });
    return { runtime, precision: clock.precision, description: clock.description };
  },
};

type Task = [keyof typeof tasks, never, "page" | "worker"];

function runTask([name, argument, where]: Task): Promise<unknown> {
  if (where === "page") return (tasks[name] as (argument: never) => Promise<unknown>)(argument);
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.url, { type: "module" });
    worker.onerror = (event) => reject(new Error(`the worker failed: ${event.message}`));
    worker.onmessage = ({ data }: MessageEvent<{ result?: unknown; error?: string }>) => {
      worker.terminate();
      if (data.error === undefined) resolve(data.result);
      else reject(new Error(data.error));
    };
    worker.postMessage([name, argument]);
  });
}

if ("document" in globalThis) {
  Object.assign(globalThis, { runTask });
} else {
  globalThis.onmessage = ({ data: [name, argument] }: MessageEvent<Task>) => {
    runTask([name, argument, "page"]).then((result) => postMessage({ result }), (error: Error) => postMessage({ error: error.message }));
  };
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the tests of this folder run inside Chromium, in a page or in a worker: a task by its name, an argument and a result of
 * plain data. Bundled by stage.ts; escapement comes from the server, as it is shipped.
 *
 * @module
 */

import { lendHost, measure, now, query, startClock, watch, type ClockOptions, type PageClock } from "escapement/browser";
import { Core } from "../../hosts/common/core/core.ts";
import type { PageContract } from "../contract/page-main.ts";
import type { Report } from "../contract/all.ts";
import { faceSession, smallFace, wholeFace } from "../contract/page-face.ts";
import { pageSessionHash } from "../contract/page-session.ts";

type Followed = NonNullable<ClockOptions["sources"]>[number];

const message = (promise: Promise<unknown>): Promise<string> =>
  promise.then((value) => `no error, but ${String(value)}`, (error: { code?: string; message: string }) => `${error.code}: ${error.message}`);

/** How a clock reads, against this computer's own. */
interface Reading {
  /** Clock minus this computer, and what the clock said just then that it may be off by; s. */
  readonly readings: { readonly error: number; readonly bound: number }[];
  readonly step: number;
  readonly settled: number;
  readonly backwards: number;
}

/** The least step of the page's timer, s. */
function timerStep(): number {
  let step = Infinity;
  for (let from = performance.now(), end = from + 20, next = from; next < end; from = next) {
    next = performance.now();
    if (next > from) step = Math.min(step, (next - from) / 1000);
  }
  return step;
}

/** Longer between two looks, ms, and somebody else had the processor: what was read then is not compared. */
const UNDISTURBED_MS = 0.15;

/** What the clock says when `Date.now()` moves on, and what that then says; undefined when something came between. */
function readAtMillisecond(clock: PageClock): { millisecond: number; time: bigint; bound: number } | undefined {
  const from = Date.now();
  // Before the last look that still showed the old one.
  let before = Infinity;
  for (let next = performance.now(), millisecond = Date.now(); ; before = next, next = performance.now(), millisecond = Date.now()) {
    if (millisecond === from) continue;
    const time = clock.nowNs();
    const undisturbed = performance.now() - before <= UNDISTURBED_MS;
    return undisturbed ? { millisecond, time, bound: clock.uncertainty } : undefined;
  }
}

/**
 * The computer's clock as a page knows it best: `performance.timeOrigin` is told in steps, and wrong by up to one of them for as
 * long as the page lives. When `Date.now()` moves on can be seen again and again; the browser rounds at random to a step before or
 * after, and so shows each millisecond half a step early on average.
 */
async function readClock({ relay, reads = 200 }: { relay: string; reads?: number }): Promise<Reading> {
  const began = performance.now();
  const clock = await startClock({ relay });
  const settled = (performance.now() - began) / 1000;
  const step = timerStep();
  const readings: Reading["readings"] = [];
  let backwards = 0;
  let last = 0n;
  while (readings.length < reads) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const read = readAtMillisecond(clock);
    if (!read) continue;
    const { millisecond, time, bound } = read;
    if (time <= last) backwards += 1;
    last = time;
    readings.push({ error: Number(time - BigInt(millisecond) * 1_000_000n) / 1e9 - step / 2, bound });
  }
  clock.close();
  return { readings, step, settled, backwards };
}

/** Follow these sources through the relay until they agree, and read the clock. */
async function followServers({ relay, sources }: { relay: string; sources: Followed[] }) {
  const clock = await startClock({ relay, sources, timeout: 60 });
  const before = performance.now();
  const time = clock.nowNs();
  const after = performance.now();
  const { uncertainty } = clock;
  const error = Number(time - BigInt(Math.round(performance.timeOrigin * 1e6))) / 1e9 - (before + after) / 2000;
  const told = clock.state.sources.map(({ authentication, used, selection }) => ({ authentication, used, selection }));
  const identifiers = clock.referenceIds().reduce((bits, octet) => bits + (octet ? 1 : 0), 0);
  clock.close();
  return { error, uncertainty, told, identifiers, went: clock.nowNs() > time };
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
  /** What it says now, against this computer's clock as it was before anybody set it, s; of some tries the one least interrupted. */
  async readKept(_: null) {
    let [took, error] = [Infinity, NaN];
    for (let tries = 0; tries < 10; tries++) {
      const before = performance.now();
      const [truth, told] = [trueNow(), kept!.now().getTime()];
      const after = performance.now();
      if (after - before < took) [took, error] = [after - before, (told - truth) / 1000];
    }
    return { error, uncertainty: kept!.uncertainty, synchronised: kept!.synchronised };
  },
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
  followServers,
  /** What is told of a clock over these sources until they agree. */
  async watched({ relay, sources }: { relay: string; sources: Followed[] }) {
    const events: string[] = [];
    for await (const { event, synchronised } of watch({ relay, sources })) {
      events.push(event);
      if (synchronised) break;
    }
    return events;
  },
  async query({ relay, source, nts = {} }: { relay: string; source: string; nts?: object }) {
    const began = performance.now();
    const sample = await query(source, { relay, nts, timeout: 60 });
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
    const follow = await built("/follow.wasm");
    const clocks = [smallFace(await built("/page.wasm")), wholeFace(new Core(follow))];
    const asking = [new Core(await built("/query.wasm")), new Core(follow)];
    return { clocks: await Promise.all(clocks.map(async (face) => (await faceSession(face)).hash)), asking: await Promise.all(asking.map(pageSessionHash)) };
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

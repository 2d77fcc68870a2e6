// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an answer costs: servers in alternating turns on one core under a load on the other, and the median of the turns.
 *
 *   npm run bench -- server                     all parts, some minutes
 *   --parts=plain,interleaved,nts,portable,open,offset,memory,workers   some of them
 *   --turns=N --seconds=S                       so many turns, each as long as that where the machine has nothing else to do
 *   --requests=N --sources=N                    of the part "memory"
 *
 * Measured is processor time and not wall time, so that a machine that does other things as well does not decide. All features
 * are on, on both sides: an access list, rate limits, the log of clients, interleaved mode.
 */

import process from "node:process";
import { available, certify, chronyd, cpuSeconds, memoryMiB, ours, runLoad, type Contender } from "./server/contenders.ts";
import { loadMain, type LoadPlan, type LoadResult } from "./server/load.ts";
import { shareAmong } from "./server/workers.ts";

const given = new Map(process.argv.slice(2).map((word) => /^--([a-z]+)=(.*)$/s.exec(word)).filter((match) => match !== null).map(([, name, value]) => [name!, value!]));
const number = (name: string, otherwise: number) => Number(given.get(name) ?? otherwise);
const TURNS = number("turns", 7);
const SECONDS = number("seconds", 1);
/** Requests in flight: enough for full batches. */
const WINDOW = 128;
const SOURCES = 1000;
/** Closed loops are measured by requests: on a busy machine a turn takes longer, but is as many of them, and as well compiled. */
const PER_SECOND = 150_000;
const WARMING = 100_000;
/** And end, whatever happens, after so many times their seconds. */
const PATIENCE = 60;
const PARTS = ["plain", "interleaved", "nts", "portable", "open", "offset", "memory", "workers"] as const;

interface Turn extends LoadResult {
  /** Answers for each second of processor time. */
  readonly perCpuSecond: number;
}

async function turn({ pid, port, kePort = 0 }: Contender, plan: Omit<LoadPlan, "port">): Promise<Turn> {
  const before = cpuSeconds(pid);
  const result = await runLoad({ port, ...plan, ...(plan.nts ? { nts: { ...plan.nts, kePort } } : {}) });
  return { ...result, perCpuSecond: result.answered / (cpuSeconds(pid) - before) };
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const us = (values: readonly number[]) => values.map((value) => value.toFixed(1)).join(" / ");

/** Alternate the contenders and tell what an answer costs each, and the median of the ratios of adjacent turns. */
async function compare(title: string, contenders: readonly Contender[], plan: Omit<LoadPlan, "port">): Promise<void> {
  const turns = contenders.map(() => [] as Turn[]);
  const measured = { ...plan, seconds: PATIENCE * plan.seconds, requests: PER_SECOND * plan.seconds };
  for (const contender of contenders) await turn(contender, { ...measured, requests: WARMING });
  for (let round = 0; round < TURNS; round++) {
    for (const [index, contender] of contenders.entries()) turns[index]!.push(await turn(contender, measured));
  }
  console.log(`\n${title} (${TURNS} alternating turns of ${measured.requests} requests; medians)`);
  contenders.forEach(({ name }, index) => {
    const all = turns[index]!;
    const rate = median(all.map(({ perCpuSecond }) => perCpuSecond));
    const ratio = median(all.map(({ perCpuSecond }, at) => perCpuSecond / turns[0]![at]!.perCpuSecond));
    const loss = median(all.map(({ sent, answered }) => 1 - answered / sent));
    const last = all.at(-1)!;
    const wrong = all.reduce((sum, one) => sum + one.wrong, 0);
    console.log(`  ${name.padEnd(26)} ${(1e5 / rate).toFixed(3)} CPU-s per 100k   ${(rate / 1e3).toFixed(1)}k answers per CPU-s   ${ratio.toFixed(2)} × ${contenders[0]!.name}` +
      `\n  ${"".padEnd(26)} loss ${(loss * 100).toFixed(2)} %, wrong ${wrong}, interleaved ${((100 * last.interleaved) / last.answered).toFixed(0)} %, latency p50/p99/p99.9 ${us(last.latency)} µs, T3 early by p1/p50/p99 ${us(last.sendError)} µs`);
  });
}

const RATES = [10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 240, 280, 320].map((thousands) => thousands * 1000);
/** A load that could not send as much as it should proves nothing. */
const LEAST_SENT = 0.9;

/** Loss at each rate, the contenders in alternating turns; the held rate is the last below a hundredth. Until all are overloaded. */
async function openLoop(contenders: readonly Contender[]): Promise<void> {
  console.log("\nOpen loop: loss at each rate (median of three turns); what is held with less than 1 %");
  const held = contenders.map(() => 0);
  for (const rate of RATES) {
    const losses = contenders.map(() => [] as number[]);
    for (let tries = 0; tries < 3; tries++) {
      for (const [index, contender] of contenders.entries()) {
        const { sent, answered, seconds } = await turn(contender, { seconds: Math.min(SECONDS, 0.5), sources: SOURCES, rate });
        losses[index]!.push(sent / seconds < rate * LEAST_SENT ? Number.NaN : 1 - answered / sent);
      }
    }
    const told = losses.map((all) => (all.some(Number.isNaN) ? Number.NaN : median(all)));
    console.log(`  ${String(rate / 1000).padStart(4)}k requests/s   ${contenders.map(({ name }, index) => `${name} ${Number.isNaN(told[index]!) ? "(the load could not send so much)" : `${(told[index]! * 100).toFixed(2)} %`}`).join("   ")}`);
    told.forEach((loss, index) => loss < 0.01 && (held[index] = rate));
    if (told.every((loss) => loss > 0.1)) break;
  }
  console.log(`  held: ${contenders.map(({ name }, index) => `${name} ${held[index]! / 1000}k`).join(", ")}`);
}

/** Requests a second of a load that leaves a server time, and how often its latency is measured. */
const CALM = 20_000;
const CALM_TURNS = 9;
/** The flood is told in so many steps. */
const STEPS = 5;

/** Latency under a calm load from few addresses, µs: medians of p50, p99. */
async function calm(contender: Contender): Promise<string> {
  const all: (readonly number[])[] = [];
  for (let round = 0; round < CALM_TURNS; round++) all.push((await turn(contender, { seconds: 0.3, sources: SOURCES, rate: CALM })).latency);
  return us([0, 1].map((index) => median(all.map((latency) => latency[index]!))));
}

async function memory(contender: Contender): Promise<void> {
  const [requests, sources] = [number("requests", 1e6), number("sources", 1e6)];
  await turn(contender, { seconds: 1, sources: 1, window: WINDOW });
  console.log(`\nMemory and latency of ${contender.name}: ${requests} requests from ${sources} addresses`);
  console.log(`  before ${memoryMiB(contender.pid).toFixed(1)} MiB; latency at ${CALM / 1000}k requests/s, p50/p99 ${await calm(contender)} µs`);
  let [answered, wrong] = [0, 0];
  for (let step = 1; step <= STEPS; step++) {
    const result = await turn(contender, { seconds: 600, sources, window: WINDOW, requests: requests / STEPS });
    answered += result.answered;
    wrong += result.wrong;
    console.log(`  after ${answered} answers (wrong ${wrong}) ${memoryMiB(contender.pid).toFixed(1)} MiB; ${(result.perCpuSecond / 1e3).toFixed(1)}k answers per CPU-s`);
  }
  console.log(`  after it, latency at ${CALM / 1000}k requests/s, p50/p99 ${await calm(contender)} µs`);
}

/** The same two servers listening in one way. */
interface Pair {
  readonly fast: Contender;
  readonly reference: Contender | undefined;
}

const all = ({ fast, reference }: Pair) => (reference ? [reference, fast] : [fast]);

async function part(name: (typeof PARTS)[number], one: Pair, wildcard: Pair): Promise<void> {
  const plan = { seconds: SECONDS, sources: SOURCES, window: WINDOW };
  if (name === "plain" || name === "interleaved") {
    const [title, how] = name === "plain" ? ["Plain", plan] : ["Interleaved", { ...plan, interleaved: true, sources: WINDOW }];
    await compare(`${title} requests, closed loop, listening on one address`, all(one), how);
    return compare(`${title} requests, closed loop, listening on all addresses`, all(wildcard), how);
  }
  if (name === "nts") {
    for (const placeholders of [0, 7]) await compare(`NTS requests (AEAD 15), ${placeholders} placeholders, closed loop`, all(one), { ...plan, sources: 1, nts: { kePort: 0, ca: files.ca, placeholders } });
    return;
  }
  if (name === "offset") return offsets(all(one));
  if (name === "memory") return memory(one.fast);
  if (name === "open") return openLoop(all(one));
  if (name === "workers") return shareAmong(2, { ...plan, seconds: PATIENCE * SECONDS, requests: PER_SECOND * SECONDS });
  const portable = await ours("escapement, portable", "127.0.0.1", ["--portable"]);
  try {
    await compare("Portable path, closed loop", all({ fast: portable, reference: one.reference }), plan);
  } finally {
    await portable.stop();
  }
}

async function offsets(contenders: readonly Contender[]): Promise<void> {
  console.log("\nOffset that a client sees, one request in flight; the truth is 0 (p1/p50/p99)");
  for (const contender of contenders) {
    const { offset, latency } = await turn(contender, { seconds: SECONDS, sources: 1, window: 1 });
    console.log(`  ${contender.name.padEnd(26)} ${us(offset)} µs, latency p50/p99/p99.9 ${us(latency)} µs`);
  }
}

const plan = given.get("load");
const files = plan === undefined ? certify() : { ca: "", certificate: "", key: "", remove() {} };
if (plan !== undefined) await loadMain(plan);
else {
  const wanted = (given.get("parts")?.split(",") ?? PARTS) as (typeof PARTS)[number][];
  const peer = available("chronyd");
  if (!peer) console.log("left out: chronyd is not installed (npm run peers)");
  const nts = ["--nts-cert", files.certificate, "--nts-key", files.key, "--nts-listen", "127.0.0.1:0"];
  const started: Contender[] = [];
  const pair = async (address: string): Promise<Pair> => {
    const reference = peer ? await chronyd("chronyd", address, files) : undefined;
    if (reference) started.push(reference);
    const fast = await ours("escapement", address, nts);
    started.push(fast);
    return { fast, reference };
  };
  try {
    const [one, wildcard] = [await pair("127.0.0.1"), await pair("")];
    for (const name of wanted) await part(name, one, wildcard);
  } finally {
    for (const contender of started) await contender.stop();
    files.remove();
  }
}

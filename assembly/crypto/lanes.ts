// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Many CMAC chains side by side. Within a chain each block waits for the one before, and a vector unit is idle most of that
 * time; so four chains, of any messages and keys, are run at once, and a lane that is done takes the next job.
 *
 * Tested through the NTS server in assembly/server/ntsbatch.test.ts; measured in bench/nts-core.ts.
 */

import { lastBlock } from "./cmac";
import { Round, aesChain, aesRounds } from "./aes";

/** A chain: `x` is where it starts, and in the end its result. First `blocks` blocks at `data`, then `last` if `hasLast`. */
@unmanaged
export class Job {
  context: usize;
  data: usize;
  blocks: i32;
  hasLast: i32;
}

/** Vectors behind the fields of a job. */
export const JOB_X: usize = 16;
export const JOB_LAST: usize = 32;
const JOB_SIZE: usize = 48;
/** Sealing 64 NTS answers with eight cookies each takes 23 jobs an answer. */
const JOBS_MAXIMUM: i32 = 1536;

const jobs: usize = memory.data(JOBS_MAXIMUM * <i32>JOB_SIZE, 16);
/** The jobs in the lanes, by address; and what a lane without a job is given to do. */
const lanes: usize = memory.data(4 * 8, 8);
const idle: usize = memory.data(<i32>JOB_SIZE, 16);
let count: i32 = 0;
/** Those before have run. */
let ran: i32 = 0;

/** Forget all jobs. Their numbers start from 0. */
export function jobsStart(): void {
  count = 0;
  ran = 0;
}

function jobAt(index: i32): usize {
  return jobs + <usize>index * JOB_SIZE;
}

/** Where the chain of job `index` ended. */
export function jobResult(index: i32): v128 {
  return v128.load(jobAt(index), JOB_X);
}

/** Chain `blocks` blocks at `data` onto `x`. Returns the job's number. */
export function jobChain(context: usize, x: v128, data: usize, blocks: i32): i32 {
  const job = changetype<Job>(jobAt(count));
  job.context = context;
  job.data = data;
  job.blocks = blocks;
  job.hasLast = 0;
  v128.store(changetype<usize>(job), x, JOB_X);
  return step();
}

/** The same, and then the block `last`, subkey and all. */
export function jobChainLast(context: usize, x: v128, data: usize, blocks: i32, last: v128): i32 {
  const job = changetype<Job>(jobAt(count));
  job.context = context;
  job.data = data;
  job.blocks = blocks;
  job.hasLast = 1;
  v128.store(changetype<usize>(job), x, JOB_X);
  v128.store(changetype<usize>(job), last, JOB_LAST);
  return step();
}

/** The whole CMAC of `length` octets at `data`, under a context of cmac.ts. */
export function jobCmac(context: usize, data: usize, length: i32): i32 {
  const before = length > 0 ? (length - 1) >> 4 : 0;
  const last = lastBlock(context, data + (<usize>before << 4), length - (before << 4));
  return jobChainLast(context, i64x2.splat(0), data, before, last);
}

/** The table cannot overflow by what a batch asks for; if it could, the last entry would be lost, not memory. */
function step(): i32 {
  const index = count;
  if (count < JOBS_MAXIMUM - 1) count += 1;
  return index;
}

/** Turn a job whose blocks are done into its last block; false when there is none. */
function nextPart(job: Job): bool {
  if (job.hasLast == 0) return false;
  job.hasLast = 0;
  job.data = changetype<usize>(job) + JOB_LAST;
  job.blocks = 1;
  return true;
}

/** The first job from `index` on that has something to do in so many rounds; `count` when none has. */
function nextJob(index: i32, rounds: i32): i32 {
  while (index < count) {
    const job = changetype<Job>(jobAt(index));
    if ((job.blocks > 0 || job.hasLast != 0) && aesRounds(job.context) == rounds) break;
    index += 1;
  }
  return index;
}

/** Run all jobs that were added since the last time. Keys of different sizes differ in rounds, and cannot go side by side. */
export function jobsRun(): void {
  for (let rounds = 10; rounds <= 14; rounds += 2) runRounds(rounds);
  ran = count;
}

function laneAt(lane: i32): Job {
  return changetype<Job>(load<usize>(lanes + (<usize>lane << 3)));
}

function runRounds(rounds: i32): void {
  let active = 0;
  let next = ran;
  while (true) {
    for (; active < 4; active++) {
      next = nextJob(next, rounds);
      if (next >= count) break;
      const job = changetype<Job>(jobAt(next));
      if (job.blocks == 0) nextPart(job);
      store<usize>(lanes + (<usize>active << 3), changetype<usize>(job));
      next += 1;
    }
    if (active == 0) return;
    runLanes(active, rounds);
    for (let lane = active - 1; lane >= 0; lane--) {
      const job = laneAt(lane);
      if (job.blocks > 0 || nextPart(job)) continue;
      active -= 1;
      store<usize>(lanes + (<usize>lane << 3), changetype<usize>(laneAt(active)));
    }
  }
}

/** As many blocks as the shortest job in the first `active` lanes has. */
function runLanes(active: i32, rounds: i32): void {
  let blocks = laneAt(0).blocks;
  for (let lane = 1; lane < active; lane++) blocks = min(blocks, laneAt(lane).blocks);
  if (active == 1) {
    runAlone(laneAt(0));
    return;
  }
  for (let lane = active; lane < 4; lane++) {
    memory.copy(idle, changetype<usize>(laneAt(0)), JOB_SIZE);
    store<usize>(lanes + (<usize>lane << 3), idle);
  }
  runFour(blocks, <usize>rounds << 4);
  for (let lane = 0; lane < active; lane++) {
    const job = laneAt(lane);
    job.data += <usize>blocks << 4;
    job.blocks -= blocks;
  }
}

function runAlone(job: Job): void {
  const at = changetype<usize>(job);
  v128.store(at, aesChain(job.context, v128.load(at, JOB_X), job.data, job.blocks), JOB_X);
  job.blocks = 0;
}

/** `blocks` blocks in each lane; `end` is where in a context the last round key lies. */
function runFour(blocks: i32, end: usize): void {
  const a = laneAt(0);
  const b = laneAt(1);
  const c = laneAt(2);
  const d = laneAt(3);
  const keys = a.context;
  const toB = b.context - keys;
  const toC = c.context - keys;
  const toD = d.context - keys;
  let w = v128.load(changetype<usize>(a), JOB_X);
  let x = v128.load(changetype<usize>(b), JOB_X);
  let y = v128.load(changetype<usize>(c), JOB_X);
  let z = v128.load(changetype<usize>(d), JOB_X);
  for (let at: usize = 0; at < <usize>blocks << 4; at += 16) {
    w = v128.xor(Round.into(v128.xor(w, v128.load(a.data + at))), v128.load(keys));
    x = v128.xor(Round.into(v128.xor(x, v128.load(b.data + at))), v128.load(keys + toB));
    y = v128.xor(Round.into(v128.xor(y, v128.load(c.data + at))), v128.load(keys + toC));
    z = v128.xor(Round.into(v128.xor(z, v128.load(d.data + at))), v128.load(keys + toD));
    for (let key = keys + 16; key < keys + end; key += 16) {
      w = Round.middle(w, v128.load(key));
      x = Round.middle(x, v128.load(key + toB));
      y = Round.middle(y, v128.load(key + toC));
      z = Round.middle(z, v128.load(key + toD));
    }
    w = Round.last(w, v128.load(keys + end));
    x = Round.last(x, v128.load(keys + end + toB));
    y = Round.last(y, v128.load(keys + end + toC));
    z = Round.last(z, v128.load(keys + end + toD));
  }
  v128.store(changetype<usize>(a), w, JOB_X);
  v128.store(changetype<usize>(b), x, JOB_X);
  v128.store(changetype<usize>(c), y, JOB_X);
  v128.store(changetype<usize>(d), z, JOB_X);
}

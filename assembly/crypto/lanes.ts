// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Many CMAC chains side by side. Within a chain each block waits for the one before, and a vector unit is idle half of that
 * time; so two chains, of any messages and keys, are run at once, and a lane that is done takes the next job.
 *
 * Tested through the NTS server in assembly/server/nts.test.ts; measured in bench/nts-core.ts.
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

const jobs: usize = memory.data(1536 * 48, 16);
let count: i32 = 0;
/** Those before have run. */
let ran: i32 = 0;

/** Forget all jobs. Their numbers start from 0. */
export function jobsStart(): void {
  count = 0;
  ran = 0;
}

export function jobAt(index: i32): usize {
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

/** The first job from `index` on that has something to do; `count` when none has. */
function nextJob(index: i32): i32 {
  while (index < count) {
    const job = changetype<Job>(jobAt(index));
    if (job.blocks > 0 || nextPart(job)) break;
    index += 1;
  }
  return index;
}

/** Run all jobs that were added since the last time. */
export function jobsRun(): void {
  let next = nextJob(ran);
  ran = count;
  let one = next;
  next = nextJob(next + 1);
  let other = next;
  while (one < count && other < count) {
    const a = changetype<Job>(jobAt(one));
    const b = changetype<Job>(jobAt(other));
    // Keys of different sizes have different numbers of rounds; such a pair is rare and takes its turns.
    if (aesRounds(a.context) != aesRounds(b.context)) runAlone(a);
    else runPair(a, b, min(a.blocks, b.blocks));
    if (a.blocks == 0 && !nextPart(a)) {
      next = nextJob(next + 1);
      one = next;
    }
    if (b.blocks == 0 && !nextPart(b)) {
      next = nextJob(next + 1);
      other = next;
    }
  }
  const rest = one < count ? one : other;
  if (rest >= count) return;
  const job = changetype<Job>(jobAt(rest));
  do runAlone(job); while (nextPart(job));
}

function runAlone(job: Job): void {
  const at = changetype<usize>(job);
  v128.store(at, aesChain(job.context, v128.load(at, JOB_X), job.data, job.blocks), JOB_X);
  job.blocks = 0;
}

/** `blocks` blocks of each. */
function runPair(a: Job, b: Job, blocks: i32): void {
  const keysA = a.context;
  const apart = b.context - keysA;
  const end = keysA + (<usize>aesRounds(keysA) << 4);
  let x = v128.load(changetype<usize>(a), JOB_X);
  let y = v128.load(changetype<usize>(b), JOB_X);
  let dataA = a.data;
  let dataB = b.data;
  for (let left = blocks; left > 0; left--) {
    x = v128.xor(Round.into(v128.xor(x, v128.load(dataA))), v128.load(keysA));
    y = v128.xor(Round.into(v128.xor(y, v128.load(dataB))), v128.load(keysA + apart));
    for (let key = keysA + 16; key < end; key += 16) {
      x = Round.middle(x, v128.load(key));
      y = Round.middle(y, v128.load(key + apart));
    }
    x = Round.last(x, v128.load(end));
    y = Round.last(y, v128.load(end + apart));
    dataA += 16;
    dataB += 16;
  }
  v128.store(changetype<usize>(a), x, JOB_X);
  v128.store(changetype<usize>(b), y, JOB_X);
  a.data = dataA;
  b.data = dataB;
  a.blocks -= blocks;
  b.blocks -= blocks;
}

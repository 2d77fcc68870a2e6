// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * exp and log, the same bits in every build of the core and on every engine.
 *
 * Neither the host's (engines differ by an ulp) nor the compiler's own will do: that one is another function when it compiles
 * for size, so that the core for pages would say other bits than the whole one; and its tables cost 6 KB. Both are good to a
 * few ulps, which likelihoods never notice. Nothing traps: NaN stays NaN. Tested in maths.test.ts through the exports.
 */

const LN2_HIGH: f64 = 6.93147180369123816490e-1;
/** ln 2 − LN2_HIGH, whose last 21 bits are zero, so that k · LN2_HIGH is exact. */
const LN2_LOW: f64 = 1.90821492927058770002e-10;
const SQRT_HALF: f64 = 0.70710678118654752440;
/** |r| ≤ ln 2 / 2: r^14 / 14! is below 2^-57. */
const EXP_TERMS: i32 = 13;
/** s² ≤ 0.0295: s²^12 / 25 is below 2^-65. */
const LOG_TERMS: i32 = 23;
/** Beyond these e^x is Infinity or 0. */
const EXP_MOST: f64 = 709.782712893384;
const EXP_LEAST: f64 = -745.2;

/** 2^k, for k of −1022 to 1023. */
function powerOf2(k: i32): f64 {
  return reinterpret<f64>(<u64>(k + 1023) << 52);
}

/** e^x. */
export function exponential(x: f64): f64 {
  if (x != x) return x;
  if (x > EXP_MOST) return Infinity;
  if (x < EXP_LEAST) return 0;
  const k = nearest(x / (LN2_HIGH + LN2_LOW));
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum: f64 = 1;
  for (let n = EXP_TERMS; n > 0; n--) sum = 1 + (sum * r) / <f64>n;
  // In two steps, as neither the least nor the greatest results fit one.
  const half = <i32>k >> 1;
  return sum * powerOf2(half) * powerOf2(<i32>k - half);
}

/** ln x: −Infinity of 0, NaN of less. */
export function logarithm(x: f64): f64 {
  if (x != x || x == Infinity) return x;
  if (x <= 0) return x == 0 ? -Infinity : NaN;
  let shift = 0;
  // A subnormal is made normal first.
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984;
    shift = 54;
  }
  const bits = reinterpret<u64>(x);
  let k = <i32>(bits >> 52) - 1022 - shift;
  // From 1/2 to 1; moved to √½ to √2, where the series is shortest.
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3fe0000000000000);
  if (m < SQRT_HALF) {
    m *= 2;
    k -= 1;
  }
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum: f64 = 0;
  for (let n = LOG_TERMS; n > 1; n -= 2) sum = (sum + 1 / <f64>n) * square;
  return <f64>k * LN2_HIGH + (2 * s * (1 + sum) + <f64>k * LN2_LOW);
}

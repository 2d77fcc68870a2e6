// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Why a Roughtime response is not valid: the core's verdicts (assembly/proto/roughtime-response.ts) in words.
 * Tested in response.test.ts and tests/mirrors.test.ts.
 *
 * @module
 */

/** By the core's number; 0 is "valid if both signatures hold". */
const VERDICTS: readonly string[] = [
  "valid",
  "malformed: expected a Roughtime packet with one well-formed message",
  "the request that it should answer is none",
  "a mandatory tag is missing or has a wrong length",
  "not a response: its TYPE is not 1",
  "its nonce is not our request's",
  "its version was not offered",
  "its list of versions is out of order, or lacks the one it uses",
  "its radius is zero",
  "its midpoint is outside the delegation's MINT..MAXT",
  "its path is no multiple of 32 octets, or higher than 32",
  "its index has bits left over above its path",
  "our request is not in the tree whose root was signed",
];

export function verdictText(verdict: number, missing: number): string {
  const words = VERDICTS[verdict] ?? `verdict ${verdict}`;
  return verdict === 3 ? `${words}: ${tagName(missing)}` : words;
}

/** "SREP" */
function tagName(tag: number): string {
  return [0, 8, 16, 24].map((shift) => String.fromCharCode((tag >>> shift) & 0xff)).join("").replaceAll("\0", "");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Why a reply is unfit to set a clock by: the core's test bits (assembly/association/check.ts) under their names.
 * Tested in sample.test.ts and tests/mirrors.test.ts.
 *
 * @module
 */

import { kissMeaning } from "../core/cold.ts";

/** The packet tests: RFC 5905 §9.2 by number, RFC 4330 §5 and ours by letter. */
export type TestName =
  | "test1" | "test2" | "test3" | "test4" | "test5" | "test6" | "test7"
  | "testA" | "testB" | "testC" | "testD" | "testE" | "testF" | "testG" | "testH";

/** One reason against a sample. */
export interface Problem {
  readonly test: TestName;
  /** What was expected and what came, for people. */
  readonly message: string;
}

/** By bit, from the least significant. */
const TESTS: readonly (readonly [TestName, string])[] = [
  ["test1", "duplicate: the transmit timestamp is that of the reply before"],
  ["test2", "bogus: the origin is not the transmit timestamp of our request"],
  ["test3", "invalid: an origin, receive or transmit timestamp is zero"],
  ["test4", "access denied by the server"],
  ["test5", "authentication failed"],
  ["test6", "the server is not synchronised"],
  ["test7", "invalid header: root distance of 16 s or more, or a reference time after the transmit time"],
  ["testA", "kiss-o'-death"],
  ["testB", "root delay or dispersion of one second or more"],
  ["testC", "negative delay: the server claims to have spent longer than the whole round trip"],
  ["testD", "malformed: no NTP header, or what follows it is neither extension field nor MAC"],
  ["testE", "not a reply to our mode and version"],
  ["testF", "from another address or port than the one asked"],
  ["testG", "a loop: the peer is synchronised to us"],
  ["testH", "another time scale, or another era, than was asked for"],
];

/** The names of the tests whose bits are set, in order. */
export function testNames(bits: number): TestName[] {
  return TESTS.filter((_, index) => bits & (1 << index)).map(([name]) => name);
}

/** The facts that a message about a sample may mention. */
export interface ProblemFacts {
  readonly leap: number;
  readonly stratum: number;
  readonly refid: string;
}

/** The problems whose bits are set, with what came. */
export function problemsOf(bits: number, facts: ProblemFacts): Problem[] {
  return TESTS.flatMap(([test, message], index) => (bits & (1 << index) ? [{ test, message: `${message}${detail(test, facts)}` }] : []));
}

function detail(test: TestName, { leap, stratum, refid }: ProblemFacts): string {
  if (test === "test6") return ` (leap ${leap}, stratum ${stratum})`;
  if (test !== "testA") return "";
  const meaning = kissMeaning(refid);
  return ` ${refid}${meaning ? `: ${meaning}` : ""}`;
}

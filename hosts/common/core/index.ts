// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/core`: the protocol by itself, without sockets or clocks: for simulators, analysers and other hosts.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

export { Core, coreBytes, coreModule, unsigned } from "./core.ts";
export type { CoreExports } from "./core.ts";
export { explainPacket, kissMeaning, leapText, modeText, referenceMeaning, refidFromText, refidText } from "./cold.ts";

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/roughtime`: Roughtime (RFC 10049), as client, as judge, and as server. Bring a host: `lendHost()` of
 * "escapement". Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

export { askServer } from "./client.ts";
export type { AskOptions, RoughtimeAddress, RoughtimeServerEntry } from "./client.ts";
export type { RoughtimeExchange, Transport } from "./attempt.ts";
export { verifyResponse } from "./response.ts";
export type { Judged, RoughtimeAnswer } from "./response.ts";
export { drawNonce, makeRequest, VERSIONS } from "./request.ts";
export { chooseServers, parseServerList, SERVER_LIST_TYPE, sourceText } from "./list.ts";
export type { RoughtimeServerList } from "./list.ts";
export { measure } from "./quorum.ts";
export type { Measurement, MeasureOptions } from "./quorum.ts";
export { contradictions, judgeReport, makeReport, REPORT_TYPE, sendReport } from "./report.ts";
export type { Contradiction, JudgedReport, MalfeasanceReport, SendReportOptions } from "./report.ts";
export { bootstrapTime, boundsOf, judgeValidity } from "./bootstrap.ts";
export type { Bootstrap, TimeBounds } from "./bootstrap.ts";
export { delegate, delegationFile, delegations, generateKey, keyFile, readKeyFile } from "./keys.ts";
export type { Delegation, LongTermKey, ServerKeys } from "./keys.ts";
export { serveRoughtime } from "./server.ts";
export type { RoughtimeServeOptions, RoughtimeServer, RoughtimeServerStats } from "./server.ts";
export type { RoughtimeFacts } from "../client/sample.ts";

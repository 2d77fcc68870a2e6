// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/relay`: a relay for runtimes without UDP, as its client and as its server. Bring a host: `lendHost()` of
 * "escapement". docs/relay.md tells the protocol and what may be believed. Tested in tests/edge/worker.test.ts.
 *
 * @module
 */

export { relayHost, RELAY_ITSELF } from "./client.ts";
export type { RelayHost, RelayOptions, RelayReport } from "./client.ts";
export { startRelay } from "./server.ts";
export type { Relay, RelayServerOptions } from "./server.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { RelayLimits, RelayStats } from "./limits.ts";
export { LAST_LEAP } from "./web.ts";
export type { LeapEvent } from "./web.ts";
export type { TimeOptions } from "./time.ts";
export { FRAME, readFrame, RELAY_ERROR, SUBPROTOCOL, writeFrame } from "./protocol.ts";
export type { Frame, RelayErrorCode, RelayTimes } from "./protocol.ts";
export type { WebSocketConstructor, WebSocketLike } from "../websocket.ts";

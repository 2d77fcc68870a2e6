// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What every runtime's entry exports beside the bound functions. Tested in tests/documents.test.ts.
 *
 * @module
 */

export { NtpError } from "./errors.ts";
export type { NtpErrorCode, NtpErrorOptions } from "./errors.ts";
export { createApi } from "./api.ts";
export type { Escapement } from "./api.ts";
export type { Datagram, Endpoint, Host, HostClock, OpenUdp, SendStamp, StampSource, StampingCards, UdpHandlers, UdpOptions, UdpSocket } from "./host.ts";
export type { CardOptions } from "./client/cards.ts";
export type { QueryOptions } from "./client/query.ts";
export { Sample } from "./client/sample.ts";
export type { Ntpv5Facts, RoughtimeFacts, SampleFields, SampleJson } from "./client/sample.ts";
export type { Problem, TestName } from "./client/problems.ts";
export { DEFAULT_SOURCES } from "./client/survey.ts";
export type { Consensus, Survey, SurveyEntry, SurveyOptions } from "./client/survey.ts";
export type { Reconfiguration, ServerFeatures } from "./server/features.ts";
export type { AccessAction, AccessRule, RateLimitOptions } from "./server/limits.ts";
export type { ClientState, ServerCounters } from "./server/clients.ts";
export type { ControlOptions, ControlReport, ControlSelection, ControlSource } from "./server/control.ts";
export type { SmearOptions } from "./server/smear.ts";
export type { NtsServeOptions, ServedNts } from "./server/establish.ts";
export type { Generation, Rotation } from "./nts/generations.ts";
export { redisKeys } from "./nts/redis.ts";
export type { RedisClient, RedisKeyOptions } from "./nts/redis.ts";
export type { KeyStore } from "./nts/stores.ts";
export { parseKeys } from "./client/keys.ts";
export type { KeyType, SymmetricKey } from "./client/keys.ts";
export type { BroadcastOptions, ServedClock, ServeOptions, Server, ServerEvent, ServerStats, ServerUpdate } from "./server/serve.ts";
export type { ClockReading } from "./server/reading.ts";
export type { ServeThread, ServeThreads } from "./server/threads.ts";
export type { Algorithm } from "./client/discipline.ts";
export type { EngineEvent, ManycastSource, ReferenceSource, SourceOptions, SourceState, TrackingState } from "./client/engine.ts";
export type { RefClock, RefClockHealth, RefClockSample, RefClockTuning } from "./refclock/refclock.ts";
export { Clock } from "./client/start.ts";
export type { ClockOptions, ClockState } from "./client/start.ts";
export type { SlewOptions, SystemClock, SystemClockOptions } from "./clock/system.ts";
export type { ClockStatus, SystemClockStatus } from "./steering.ts";
export type { RelayChoice } from "./relay/by.ts";
export type { RelayOptions, RelayReport } from "./relay/client.ts";

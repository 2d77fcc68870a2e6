// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Every export of the core, grouped by room. No logic.
 *
 * Hot surface: numbers and addresses in linear memory; hosts call it directly (hosts/common/core/core.ts).
 * Cold surface: strings and typed arrays through as-bind (hosts/common/core/cold.ts). Its functions stand last.
 * Tested in tests/build.test.ts.
 */

import { Candidate, candidates } from "./discipline/intersection";
import { Exchange } from "./association/exchange";
import { Sample } from "./association/sample";
import { RoughtimeResponse } from "./proto/roughtime-response";
import { Action, Association } from "./association/state";
import { Listener } from "./association/broadcast";
import { Session, ntsRandom } from "./association/nts";
import { Refclock } from "./association/refclock";
import { System } from "./association/system";
import { Header } from "./proto/header";
import { Nmea } from "./proto/nmea";
import { slotTable } from "./server/batch";
import { SLOT_STRIDE, slotPackets } from "./server/slots";
import { Client } from "./server/clients";
import { Counters, countersAt } from "./server/counters";
import { Incoming } from "./server/incoming";
import { Control } from "./proto/control";
import { Server } from "./server/respond";
import { CARD_COUNT, Card, CardLimits, cardLimits, cards } from "./server/cards";
import { ClockLine, clockLine } from "./server/clockline";
import { LOOPED_BATCH, mmsgLooped, transmitStamps } from "./server/looped";
import { MMSG_BATCH, MMSG_FULL, Mmsg, mmsg, mmsgReceive, mmsgSend, mmsgTime } from "./server/mmsg";
import { Details, details } from "./association/v5fields";
import { referenceIds } from "./proto/v5ids";

// --- proto: time ---
export {
  elapsed,
  timestampFromUnixNs,
  timestampToUnixNs,
  intervalToNs,
  intervalFromNs,
  intervalToSeconds,
  intervalFromSeconds,
  shortToInterval,
  shortFromInterval,
  intervalFromLog2,
} from "./proto/timestamp";
export { dateWrite, dateToUnixNs, dateToTimestamp } from "./proto/date";

// --- proto: packets ---
export { readHeader, writeHeader } from "./proto/header";
export { readTrailer, writeField } from "./proto/extension";
export { refidOfIPv6 } from "./proto/refid";
export { keySet, keyClear } from "./proto/keys";
export { referenceIdChoose, referenceIdsReset, idOfAddress, filterAdd, filterHoldsUs, filterJoin } from "./proto/v5ids";

// --- proto: Roughtime ---
export { roughtimePacketLength } from "./proto/roughtime";
export { roughtimeServerId, roughtimeNextNonce } from "./proto/roughtime-merkle";
export { roughtimeRequestNonce, roughtimeRequestWrite } from "./proto/roughtime-request";
export { roughtimeResponseRead } from "./proto/roughtime-response";
export { nmeaOut, nmeaStart, nmeaBreak, nmeaPush } from "./proto/nmea";

// --- association ---
export { requestWrite, replyRead } from "./association/exchange";
export { offsetOf, delayOf, driftOver } from "./association/sample";
export {
  associationOpen,
  associationClose,
  associationSetAside,
  associationInterleave,
  associationKey,
  associationNts,
  associationTimer,
  associationSent,
  associationCame,
  associationReply,
  associationPrecision,
  associationsDrop,
  associationsRestart,
} from "./association/association";
export { associationOut, actionOut } from "./association/state";
export { symmetricOpen, symmetricTimer, symmetricSent, symmetricPacket } from "./association/symmetric";
export { broadcastOpen, broadcastPacket, broadcastTimer, broadcastReply, listenerOut } from "./association/broadcast";
export { manycastOpen, manycastClose, manycastTimer, manycastSent, manycastReply, manycastFollow, manycastLost } from "./association/manycast";
export { associationVersion5, associationCorrect, associationVersion4, associationDraft, associationAddress, referenceIdsUpdate } from "./association/v5";
export { ntsOpen, ntsClose, ntsCookie, ntsOut } from "./association/nts";
export {
  refclockOpen,
  refclockTune,
  refclockLock,
  refclockClose,
  refclockQuality,
  refclockSample,
  refclockTimer,
  refclockOut,
  REFCLOCKS,
} from "./association/refclock";
export { refclockPulse } from "./association/refclock-number";
export { sourceRefid } from "./association/speak";
export { systemLocal, systemOut, systemUpdate } from "./association/system";
export { clockWatch, clockWatchLeap, clockWatchReset } from "./association/clockwatch";

// --- discipline ---
export * from "./discipline/index";
export { exponential, logarithm } from "./discipline/maths";
export { intersect, intersectionLow, intersectionHigh, intersectionOffset } from "./discipline/intersection";

// --- server ---
export { respond, respondKiss, stampTransmit } from "./server/respond";
export { answerBatch, answerSlot, finishSlot } from "./server/batch";
export { stampTransmitted } from "./server/answer";
export { accessBegin, accessAdd, accessCommit, accessClear } from "./server/access";
export { gateLog, gateControl } from "./server/gate";
export { limitAddresses, limitPrefixes, limitLeak, limitKisses } from "./server/ratelimit";
export { interleaveClients } from "./server/interleaved";
export { clientNext, clientOut, clientsForget } from "./server/clients";
export { readControl, writeControl } from "./proto/control";
export { smearAt } from "./server/leap";
export { cookieKeySet, cookieKeyClear, cookieKeyCurrent, ntsSeed } from "./server/nts";
export { cookieLength, cookieSeal, cookieOpen } from "./server/ntscookies";

export {
  roughtimeIdentity,
  roughtimeCertificate,
  roughtimeSealed,
  roughtimeSignature,
  roughtimeDelegationWrite,
  roughtimeCertificateWrite,
  roughtimeTake,
  roughtimeDrop,
  roughtimeSeal,
  roughtimeAnswer,
} from "./server/roughtime";
export { mmsgInit, mmsgTake, mmsgStamp, mmsgProved, mmsgSent } from "./server/mmsg";
export { mmsgStamps } from "./server/looped";
export { announce } from "./server/announce";

// --- crypto ---
export { sha512Start, sha512Update, sha512Finish } from "./crypto/sha512";
export { md5Start, md5Update, md5Finish } from "./crypto/md5";
export { sha1Start, sha1Update, sha1Finish } from "./crypto/sha1";
export { sha256Start, sha256Update, sha256Finish } from "./crypto/sha256";
export { aesExpand, aesEncrypt } from "./crypto/aes";
export { cmacKey, cmac } from "./crypto/cmac";
export { aeadKeyLength, aeadNonceLength, aeadKey, aeadSeal, aeadOpen } from "./crypto/aead";
export { macLength, macKeyFits, macWrite, macVerify } from "./crypto/mac";
export { tableKey, hashWords } from "./crypto/siphash";
export { mlkemKey, mlkemOpen, MLKEM_SEED, MLKEM_KEY, MLKEM_CIPHERTEXT, MLKEM_SECRET } from "./crypto/mlkem";

// --- memory: where things lie ---
const exchange: usize = memory.data(offsetof<Exchange>(), 8);
const sample: usize = memory.data(offsetof<Sample>(), 8);
const server: usize = memory.data(offsetof<Server>(), 8);
/** Octets for the host's own use: a packet to look at, a value to hash. */
const SCRATCH_SIZE: i32 = 4096;
const control: usize = memory.data(offsetof<Control>(), 8);
const scratch: usize = memory.data(SCRATCH_SIZE, 8);

export const EXCHANGE: usize = exchange;
export const SAMPLE: usize = sample;
export const SERVER: usize = server;
export const SCRATCH: usize = scratch;
export const COUNTERS: usize = countersAt;
export const CONTROL: usize = control;
export const CANDIDATES: usize = candidates;
export const DETAILS: usize = changetype<usize>(details);
export const REFERENCE_IDS: usize = referenceIds;
export const NTS_RANDOM: usize = ntsRandom;
export const SLOTS: usize = slotPackets;
export const SLOT_TABLE: usize = slotTable;
export const SLOT_STRIDE_OCTETS: i32 = SLOT_STRIDE;
export const MMSG: usize = changetype<usize>(mmsg);
export const MMSG_RECEIVE: usize = mmsgReceive;
export const MMSG_SEND: usize = mmsgSend;
export const MMSG_TIME: usize = mmsgTime;
export const MMSG_LIMIT: i32 = MMSG_BATCH;
export const MMSG_ASK: i32 = MMSG_FULL;
export const MMSG_LOOPED: usize = mmsgLooped;
export const MMSG_LOOPED_LIMIT: i32 = LOOPED_BATCH;
export const TRANSMIT_STAMPS: usize = transmitStamps;
export const CLOCK_LINE: usize = changetype<usize>(clockLine);
export const CARDS: usize = cards;
export const CARD_LIMIT: i32 = CARD_COUNT;
export const CARD_LIMITS: usize = changetype<usize>(cardLimits);

// --- memory: field offsets ---
export const HEADER_LEAP: usize = offsetof<Header>("leap");
export const HEADER_VERSION: usize = offsetof<Header>("version");
export const HEADER_MODE: usize = offsetof<Header>("mode");
export const HEADER_STRATUM: usize = offsetof<Header>("stratum");
export const HEADER_POLL: usize = offsetof<Header>("poll");
export const HEADER_PRECISION: usize = offsetof<Header>("precision");
export const HEADER_ROOT_DELAY_SHORT: usize = offsetof<Header>("rootDelayShort");
export const HEADER_ROOT_DISPERSION_SHORT: usize = offsetof<Header>("rootDispersionShort");
export const HEADER_REFID: usize = offsetof<Header>("refid");
export const HEADER_REFERENCE_TIME: usize = offsetof<Header>("referenceTime");
export const HEADER_ORIGIN_TIME: usize = offsetof<Header>("originTime");
export const HEADER_RECEIVE_TIME: usize = offsetof<Header>("receiveTime");
export const HEADER_TRANSMIT_TIME: usize = offsetof<Header>("transmitTime");
export const HEADER_SIZE: usize = offsetof<Header>();
export const EXCHANGE_AUTH: usize = offsetof<Exchange>("auth");
export const EXCHANGE_AUTH_INDEX: usize = offsetof<Exchange>("authIndex");
export const EXCHANGE_VERSION: usize = offsetof<Exchange>("version");
export const EXCHANGE_MODE: usize = offsetof<Exchange>("mode");
export const EXCHANGE_POLL: usize = offsetof<Exchange>("poll");
export const EXCHANGE_WANTS: usize = offsetof<Exchange>("wants");
export const EXCHANGE_ORIGIN: usize = offsetof<Exchange>("origin");
export const EXCHANGE_T1: usize = offsetof<Exchange>("t1");
export const EXCHANGE_T4: usize = offsetof<Exchange>("t4");
export const EXCHANGE_PREVIOUS_TRANSMIT: usize = offsetof<Exchange>("previousTransmit");
export const EXCHANGE_PRECISION: usize = offsetof<Exchange>("precision");
export const EXCHANGE_ECHO: usize = offsetof<Exchange>("echo");
export const EXCHANGE_SAVED_T1: usize = offsetof<Exchange>("savedT1");
export const EXCHANGE_SAVED_T2: usize = offsetof<Exchange>("savedT2");
export const EXCHANGE_SAVED_T4: usize = offsetof<Exchange>("savedT4");
export const EXCHANGE_DRAFT: usize = offsetof<Exchange>("draft");
export const EXCHANGE_WANTS_INTERLEAVED: usize = offsetof<Exchange>("wantsInterleaved");
export const EXCHANGE_SAVED_COOKIE: usize = offsetof<Exchange>("savedCookie");
export const EXCHANGE_SIZE: usize = offsetof<Exchange>();
export const SAMPLE_T1: usize = offsetof<Sample>("t1");
export const SAMPLE_T2: usize = offsetof<Sample>("t2");
export const SAMPLE_T3: usize = offsetof<Sample>("t3");
export const SAMPLE_T4: usize = offsetof<Sample>("t4");
export const SAMPLE_OFFSET: usize = offsetof<Sample>("offset");
export const SAMPLE_DELAY: usize = offsetof<Sample>("delay");
export const SAMPLE_DISPERSION: usize = offsetof<Sample>("dispersion");
export const SAMPLE_ROOT_DELAY: usize = offsetof<Sample>("rootDelay");
export const SAMPLE_ROOT_DISPERSION: usize = offsetof<Sample>("rootDispersion");
export const SAMPLE_ROOT_DISTANCE: usize = offsetof<Sample>("rootDistance");
export const SAMPLE_PROBLEMS: usize = offsetof<Sample>("problems");
export const SAMPLE_MONO_EPOCH: usize = offsetof<Sample>("monoEpoch");
export const SAMPLE_MONO_RECEIVE: usize = offsetof<Sample>("monoReceive");
export const SAMPLE_INTERLEAVED: usize = offsetof<Sample>("interleaved");
export const SAMPLE_AUTHENTICATED: usize = offsetof<Sample>("authenticated");
export const SAMPLE_SERVER_COOKIE: usize = offsetof<Sample>("serverCookie");
export const SAMPLE_CORRECTED: usize = offsetof<Sample>("corrected");
export const SAMPLE_SIZE: usize = offsetof<Sample>();
export const DETAILS_VERSIONS: usize = offsetof<Details>("versions");
export const DETAILS_SCALES: usize = offsetof<Details>("scales");
export const DETAILS_CORRECTION: usize = offsetof<Details>("correction");
export const DETAILS_MONO_EPOCH: usize = offsetof<Details>("monoEpoch");
export const DETAILS_REFERENCE_TIME: usize = offsetof<Details>("referenceTime");
export const DETAILS_MONO_RECEIVE: usize = offsetof<Details>("monoReceive");
export const DETAILS_TAI: usize = offsetof<Details>("tai");
export const DETAILS_UT1: usize = offsetof<Details>("ut1");
export const DETAILS_SMEARED: usize = offsetof<Details>("smeared");
export const DETAILS_ORIGIN: usize = offsetof<Details>("origin");
export const DETAILS_DELAY: usize = offsetof<Details>("delay");
export const CANDIDATE_MID: usize = offsetof<Candidate>("mid");
export const CANDIDATE_DISTANCE: usize = offsetof<Candidate>("distance");
export const CANDIDATE_TRUECHIMER: usize = offsetof<Candidate>("truechimer");
export const CANDIDATE_SIZE: usize = offsetof<Candidate>();
export const SERVER_LEAP: usize = offsetof<Server>("leap");
export const SERVER_STRATUM: usize = offsetof<Server>("stratum");
export const SERVER_PRECISION: usize = offsetof<Server>("precision");
export const SERVER_REFID: usize = offsetof<Server>("refid");
export const SERVER_ROOT_DELAY: usize = offsetof<Server>("rootDelay");
export const SERVER_ROOT_DISPERSION: usize = offsetof<Server>("rootDispersion");
export const SERVER_REFERENCE_TIME: usize = offsetof<Server>("referenceTime");
export const SERVER_MONO_EPOCH: usize = offsetof<Server>("monoEpoch");
export const SERVER_MONO_OFFSET: usize = offsetof<Server>("monoOffset");
export const SERVER_UPDATED: usize = offsetof<Server>("updated");
export const SERVER_GROWTH: usize = offsetof<Server>("growth");
export const SERVER_MAXIMUM_DISTANCE: usize = offsetof<Server>("maximumDistance");
export const SERVER_LEAP_AT: usize = offsetof<Server>("leapAt");
export const SERVER_LEAP_WINDOW: usize = offsetof<Server>("leapWindow");
export const SERVER_SMEAR_LENGTH: usize = offsetof<Server>("smearLength");
export const SERVER_SMEAR_SHAPE: usize = offsetof<Server>("smearShape");
export const SERVER_SMEAR_LEAP: usize = offsetof<Server>("smearLeap");
export const SERVER_TAI_OFFSET: usize = offsetof<Server>("taiOffset");
export const SERVER_UT1_KNOWN: usize = offsetof<Server>("ut1Known");
export const SERVER_UT1_OFFSET: usize = offsetof<Server>("ut1Offset");
export const SERVER_SIZE: usize = offsetof<Server>();
export const SLOT_LENGTH: usize = offsetof<Incoming>("length");
export const SLOT_RECEIVED: usize = offsetof<Incoming>("received");
export const SLOT_HIGH: usize = offsetof<Incoming>("high");
export const SLOT_LOW: usize = offsetof<Incoming>("low");
export const SLOT_PORT: usize = offsetof<Incoming>("port");
export const SLOT_KNOWN: usize = offsetof<Incoming>("known");
export const SLOT_STAMP_WANTED: usize = offsetof<Incoming>("stampWanted");
export const SLOT_CONTROL: usize = offsetof<Incoming>("control");
export const SLOT_STAMPED: usize = offsetof<Incoming>("stamped");
export const SLOT_SIZE: usize = offsetof<Incoming>();
export const COUNTERS_RECEIVED: usize = offsetof<Counters>("received");
export const COUNTERS_ANSWERED: usize = offsetof<Counters>("answered");
export const COUNTERS_MALFORMED: usize = offsetof<Counters>("malformed");
export const COUNTERS_UNANSWERABLE: usize = offsetof<Counters>("unanswerable");
export const COUNTERS_DENIED: usize = offsetof<Counters>("denied");
export const COUNTERS_LIMITED: usize = offsetof<Counters>("limited");
export const COUNTERS_HUSHED: usize = offsetof<Counters>("hushed");
export const COUNTERS_CONTROL: usize = offsetof<Counters>("control");
export const COUNTERS_KISSES_RATE: usize = offsetof<Counters>("kissesRate");
export const COUNTERS_KISSES_DENY: usize = offsetof<Counters>("kissesDeny");
export const COUNTERS_LEAKED: usize = offsetof<Counters>("leaked");
export const COUNTERS_INTERLEAVED: usize = offsetof<Counters>("interleaved");
export const COUNTERS_AUTHENTICATED: usize = offsetof<Counters>("authenticated");
export const COUNTERS_NTS: usize = offsetof<Counters>("nts");
export const COUNTERS_STAMPS: usize = offsetof<Counters>("stamps");
export const COUNTERS_EVICTED: usize = offsetof<Counters>("evicted");
export const COUNTERS_HARDWARE_RECEIVED: usize = offsetof<Counters>("hardwareReceived");
export const COUNTERS_HARDWARE_SENT: usize = offsetof<Counters>("hardwareSent");
export const COUNTERS_HARDWARE_REFUSED: usize = offsetof<Counters>("hardwareRefused");
export const CLIENT_HIGH: usize = offsetof<Client>("high");
export const CLIENT_LOW: usize = offsetof<Client>("low");
export const CLIENT_LAST: usize = offsetof<Client>("last");
export const CLIENT_REQUESTS: usize = offsetof<Client>("requests");
export const CLIENT_DROPPED: usize = offsetof<Client>("dropped");
export const CLIENT_AUTHENTICATED: usize = offsetof<Client>("authenticated");
export const CLIENT_INTERLEAVED: usize = offsetof<Client>("interleaved");
export const CLIENT_INTERVAL: usize = offsetof<Client>("interval");
export const CONTROL_VERSION: usize = offsetof<Control>("version");
export const CONTROL_OPCODE: usize = offsetof<Control>("opcode");
export const CONTROL_SEQUENCE: usize = offsetof<Control>("sequence");
export const CONTROL_ASSOCIATION: usize = offsetof<Control>("association");
export const CONTROL_COUNT: usize = offsetof<Control>("count");
export const CONTROL_STATUS: usize = offsetof<Control>("status");
export const CONTROL_OFFSET: usize = offsetof<Control>("offset");
export const CONTROL_MORE: usize = offsetof<Control>("more");
export const CONTROL_ERROR: usize = offsetof<Control>("error");
export const MMSG_RECEIVED: usize = offsetof<Mmsg>("received");
export const MMSG_ANSWERED: usize = offsetof<Mmsg>("answered");
export const MMSG_DROPPED: usize = offsetof<Mmsg>("dropped");
export const MMSG_SHED: usize = offsetof<Mmsg>("shed");
export const MMSG_SHED_AFTER: usize = offsetof<Mmsg>("shedAfter");
export const MMSG_SEND_COST: usize = offsetof<Mmsg>("sendCost");
export const MMSG_PROOF_COST: usize = offsetof<Mmsg>("proofCost");
export const MMSG_ASKED: usize = offsetof<Mmsg>("asked");
export const MMSG_CONTROLS: usize = offsetof<Mmsg>("controls");
export const MMSG_STAMP_ALL: usize = offsetof<Mmsg>("stampAll");
export const CLOCK_LINE_SINCE: usize = offsetof<ClockLine>("since");
export const CLOCK_LINE_OFFSET: usize = offsetof<ClockLine>("offset");
export const CLOCK_LINE_RATE: usize = offsetof<ClockLine>("rate");
export const CARD_SINCE: usize = offsetof<Card>("since");
export const CARD_OFFSET: usize = offsetof<Card>("offset");
export const CARD_RATE: usize = offsetof<Card>("rate");
export const CARD_DOUBT: usize = offsetof<Card>("doubt");
export const CARD_OCTET: usize = offsetof<Card>("octet");
export const CARD_DEVICE: usize = offsetof<Card>("device");
export const CARD_KNOWN: usize = offsetof<Card>("known");
export const CARD_MISSED: usize = offsetof<Card>("missed");
export const CARD_REASONS: usize = offsetof<Card>("reasons");
export const CARD_SIZE: usize = offsetof<Card>();
export const CARD_LIMITS_STALE: usize = offsetof<CardLimits>("stale");
export const CARD_LIMITS_WRONG_SIDE: usize = offsetof<CardLimits>("wrongSide");
export const CARD_LIMITS_RIGHT_SIDE: usize = offsetof<CardLimits>("rightSide");
export const CARD_LIMITS_PROCESS_SIDE: usize = offsetof<CardLimits>("processSide");
export const CARD_LIMITS_PATIENCE: usize = offsetof<CardLimits>("patience");
export const CARD_LIMITS_COUNT: usize = offsetof<CardLimits>("count");
export const ASSOCIATION_ACTIVE: usize = offsetof<Association>("active");
export const ASSOCIATION_AWAITING: usize = offsetof<Association>("awaiting");
export const ASSOCIATION_REACH: usize = offsetof<Association>("reach");
export const ASSOCIATION_POLL_FLOOR: usize = offsetof<Association>("pollFloor");
export const ASSOCIATION_HOST_POLL: usize = offsetof<Association>("hostPoll");
export const ASSOCIATION_SILENT: usize = offsetof<Association>("silent");
export const ASSOCIATION_SENT: usize = offsetof<Association>("sent");
export const ASSOCIATION_USED: usize = offsetof<Association>("used");
export const ASSOCIATION_UNFIT: usize = offsetof<Association>("unfit");
export const ASSOCIATION_IGNORED: usize = offsetof<Association>("ignored");
export const ASSOCIATION_KISSES: usize = offsetof<Association>("kisses");
export const ASSOCIATION_CAME: usize = offsetof<Association>("came");
export const ASSOCIATION_INTERLEAVED: usize = offsetof<Association>("interleaved");
export const ASSOCIATION_LAST_PROBLEMS: usize = offsetof<Association>("lastProblems");
export const ASSOCIATION_VERSION: usize = offsetof<Association>("version");
export const ASSOCIATION_DRAFT: usize = offsetof<Association>("draft");
export const ASSOCIATION_LOOPED: usize = offsetof<Association>("looped");
export const ASSOCIATION_LAST_KISS: usize = offsetof<Association>("lastKiss");
export const ASSOCIATION_REFID: usize = offsetof<Association>("refid");
export const ASSOCIATION_WANTS: usize = offsetof<Association>("wants");
export const ASSOCIATION_AUTH: usize = offsetof<Association>("auth");
export const ASSOCIATION_SIZE: usize = offsetof<Association>();
export const NTS_AEAD: usize = offsetof<Session>("aead");
export const NTS_COOKIES: usize = offsetof<Session>("cookies");
export const NTS_REFUSED: usize = offsetof<Session>("refused");
export const NTS_NAKS: usize = offsetof<Session>("naks");
export const NTS_FORGED: usize = offsetof<Session>("forged");
export const LISTENER_PHASE: usize = offsetof<Listener>("phase");
export const NMEA_AT_VERDICT: usize = offsetof<Nmea>("verdict");
export const NMEA_AT_SENTENCE: usize = offsetof<Nmea>("sentence");
export const NMEA_AT_BEGUN: usize = offsetof<Nmea>("begun");
export const NMEA_AT_UNIX_NS: usize = offsetof<Nmea>("unixNs");
export const REFCLOCK_VERDICT: usize = offsetof<Refclock>("verdict");
export const REFCLOCK_NOISE: usize = offsetof<Refclock>("noise");
export const REFCLOCK_MEASURED: usize = offsetof<Refclock>("measured");
export const REFCLOCK_LAST: usize = offsetof<Refclock>("last");
export const REFCLOCK_BOUND: usize = offsetof<Refclock>("bound");
export const REFCLOCK_HEARD: usize = offsetof<Refclock>("heard");
export const ACTION_LENGTH: usize = offsetof<Action>("length");
export const ACTION_TIMER: usize = offsetof<Action>("timer");
export const SYSTEM_PEER: usize = offsetof<System>("peer");
export const SYSTEM_STRATUM: usize = offsetof<System>("stratum");
export const SYSTEM_LEAP: usize = offsetof<System>("leap");
export const SYSTEM_SURVIVORS: usize = offsetof<System>("survivors");
export const SYSTEM_ROOT_DELAY: usize = offsetof<System>("rootDelay");
export const SYSTEM_ROOT_DISPERSION: usize = offsetof<System>("rootDispersion");
export const SYSTEM_BOUND: usize = offsetof<System>("bound");
export const ROUGHTIME_RESPONSE_MIDPOINT: usize = offsetof<RoughtimeResponse>("midpoint");
export const ROUGHTIME_RESPONSE_NOT_BEFORE: usize = offsetof<RoughtimeResponse>("notBefore");
export const ROUGHTIME_RESPONSE_NOT_AFTER: usize = offsetof<RoughtimeResponse>("notAfter");
export const ROUGHTIME_RESPONSE_RADIUS: usize = offsetof<RoughtimeResponse>("radius");
export const ROUGHTIME_RESPONSE_VERSION: usize = offsetof<RoughtimeResponse>("version");
export const ROUGHTIME_RESPONSE_INDEX: usize = offsetof<RoughtimeResponse>("index");
export const ROUGHTIME_RESPONSE_MISSING: usize = offsetof<RoughtimeResponse>("missing");
export const ROUGHTIME_RESPONSE_HEIGHT: usize = offsetof<RoughtimeResponse>("height");
export const ROUGHTIME_RESPONSE_SIGNED: usize = offsetof<RoughtimeResponse>("signed");
export const ROUGHTIME_RESPONSE_SIGNED_LENGTH: usize = offsetof<RoughtimeResponse>("signedLength");
export const ROUGHTIME_RESPONSE_SIGNATURE: usize = offsetof<RoughtimeResponse>("signature");
export const ROUGHTIME_RESPONSE_DELEGATION: usize = offsetof<RoughtimeResponse>("delegation");
export const ROUGHTIME_RESPONSE_DELEGATION_LENGTH: usize = offsetof<RoughtimeResponse>("delegationLength");
export const ROUGHTIME_RESPONSE_DELEGATION_SIGNATURE: usize = offsetof<RoughtimeResponse>("delegationSignature");
export const ROUGHTIME_RESPONSE_ONLINE_KEY: usize = offsetof<RoughtimeResponse>("onlineKey");
export const ROUGHTIME_RESPONSE_VERSIONS: usize = offsetof<RoughtimeResponse>("versions");
export const ROUGHTIME_RESPONSE_VERSION_COUNT: usize = offsetof<RoughtimeResponse>("versionCount");
export const SYSTEM_LOCAL: usize = offsetof<System>("local");

// --- cold surface (as-bind) ---
export { explainPacket, leapText, modeText } from "./proto/explain";
export { refidText, refidFromText, referenceMeaning, kissMeaning } from "./proto/refid";
export { draftName } from "./proto/v5draft";
export { keRead, keWrite, keFaultText, keRecordText, keErrorText } from "./proto/ke";

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's hot surface: one compiled module, as many instances as wanted, raw exports.
 *
 * 64-bit values cross as BigInt and come back signed: use {@link unsigned} where a timestamp is meant. The memory never
 * grows, so that views made once stay valid. Tested in tests/build.test.ts.
 *
 * @module
 */

import wasm from "#wasm";

/** What assembly/index.ts exports, as far as hosts call it. Addresses and lengths are Numbers. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  elapsed(from: bigint, to: bigint): bigint;
  timestampFromUnixNs(unixNs: bigint): bigint;
  timestampToUnixNs(timestamp: bigint, pivotNs: bigint): bigint;
  intervalToNs(interval: bigint): bigint;
  intervalFromNs(ns: bigint): bigint;
  intervalToSeconds(interval: bigint): number;
  intervalFromSeconds(seconds: number): bigint;
  shortToInterval(short: number): bigint;
  shortFromInterval(interval: bigint): number;
  intervalFromLog2(exponent: number): bigint;
  dateWrite(at: number, unixNs: bigint): void;
  dateToUnixNs(at: number): bigint;
  dateToTimestamp(at: number): bigint;
  readHeader(packet: number, header: number): void;
  writeHeader(packet: number, header: number): void;
  readTrailer(packet: number, length: number, version: number, trailer: number): number;
  writeField(at: number, type: number, valueLength: number, last: number): number;
  refidOfIPv6(address: number): number;
  keySet(index: number, id: number, type: number, secret: number, length: number): number;
  keyClear(index: number): void;
  referenceIdChoose(random: number): void;
  referenceIdsReset(): void;
  idOfAddress(address: number, length: number, id: number): void;
  filterAdd(filter: number, id: number): void;
  filterHoldsUs(filter: number): number;
  filterJoin(filter: number, other: number): void;
  associationVersion5(index: number, auto: number, serving: number): void;
  associationVersion4(index: number): void;
  associationCorrect(index: number): void;
  associationDraft(index: number, draft: number): void;
  associationAddress(index: number, address: number, length: number): void;
  referenceIdsUpdate(): void;
  ntsOpen(session: number, aead: number, clientKey: number, serverKey: number, wanted: number): number;
  ntsClose(session: number): void;
  ntsCookie(session: number, cookie: number, length: number): number;
  ntsOut(session: number): number;
  requestWrite(packet: number, exchange: number): number;
  replyRead(packet: number, length: number, exchange: number, sample: number): number;
  offsetOf(t1: bigint, t2: bigint, t3: bigint, t4: bigint): bigint;
  delayOf(t1: bigint, t2: bigint, t3: bigint, t4: bigint): bigint;
  driftOver(span: bigint): bigint;
  intersect(count: number): number;
  intersectionLow(): bigint;
  intersectionHigh(): bigint;
  intersectionOffset(count: number): bigint;
  respond(packet: number, length: number, received: bigint, server: number): number;
  respondKiss(packet: number, length: number, code: number): number;
  stampTransmit(packet: number, transmit: bigint): void;
  answerBatch(count: number, transmit: bigint, server: number): number;
  answerSlot(index: number, server: number): number;
  finishSlot(index: number, transmit: bigint, server: number): void;
  stampTransmitted(receive: bigint, transmit: bigint, server: number): number;
  smearAt(server: number, at: bigint): bigint;
  accessBegin(): void;
  accessAdd(high: bigint, low: bigint, length: number, action: number): number;
  accessCommit(list: number, fallback: number): void;
  accessClear(list: number): void;
  gateLog(on: number): void;
  gateControl(on: number): void;
  limitAddresses(interval: bigint, burst: number, everybody: number): void;
  limitPrefixes(interval: bigint, burst: number): void;
  limitLeak(exponent: number, seed: number): void;
  limitKisses(one: bigint, all: bigint, burst: number): void;
  interleaveClients(on: number): void;
  clientNext(from: number): number;
  clientOut(index: number): number;
  clientsForget(): void;
  readControl(packet: number, length: number, control: number): number;
  writeControl(packet: number, control: number): number;
  tableKey(first: bigint, second: bigint): void;
  hashWords(first: bigint, second: bigint): bigint;
  cookieKeySet(slot: number, id: number, key: number): number;
  cookieKeyClear(slot: number): void;
  cookieKeyCurrent(slot: number): number;
  ntsSeed(seed: number): void;
  cookieLength(aead: number): number;
  cookieSeal(aead: number, c2s: number, s2c: number, out: number, random: number): number;
  cookieOpen(cookie: number, length: number, out: number): number;
  mmsgInit(base: bigint): void;
  mmsgTake(count: number, server: number): number;
  mmsgStamp(server: number): number;
  mmsgProved(): void;
  mmsgSent(sent: number): void;
  mmsgStamps(count: number, server: number): number;
  announce(packet: number, poll: number, transmit: bigint, server: number): number;
  associationOpen(index: number, version: number, minPoll: number, maxPoll: number): void;
  associationClose(index: number): void;
  associationSetAside(index: number): void;
  associationInterleave(index: number): void;
  associationKey(index: number): void;
  associationNts(index: number): void;
  symmetricOpen(index: number, version: number, minPoll: number, maxPoll: number, passive: number, ourRefid: number): void;
  symmetricTimer(index: number, now: bigint, random: bigint, wall: bigint): number;
  symmetricSent(index: number, t1: bigint): void;
  symmetricPacket(index: number, length: number, now: bigint, random: bigint, wall: bigint): number;
  broadcastOpen(index: number, version: number): void;
  broadcastPacket(index: number, length: number, now: bigint, random: bigint): number;
  broadcastTimer(index: number, now: bigint, random: bigint): number;
  broadcastReply(index: number, length: number, now: bigint): number;
  listenerOut(index: number): number;
  manycastOpen(which: number, version: number, limit: number): void;
  manycastClose(which: number): void;
  manycastTimer(which: number, now: bigint, random: bigint): number;
  manycastSent(which: number, t1: bigint): void;
  manycastReply(which: number, length: number, t4: bigint, now: bigint): number;
  manycastFollow(which: number, index: number): void;
  manycastLost(which: number): number;
  refclockOpen(index: number, poll: number, stratum: number, options: number): number;
  refclockTune(index: number, offset: bigint, delay: bigint, holdover: bigint): void;
  refclockLock(index: number, lock: number): void;
  refclockClose(index: number): void;
  refclockQuality(index: number, error: bigint, leap: number): void;
  refclockSample(index: number, reference: bigint, received: bigint, taken: bigint, now: bigint): number;
  refclockPulse(index: number, received: bigint, taken: bigint, now: bigint): number;
  refclockTimer(index: number, now: bigint): number;
  refclockOut(index: number): number;
  systemLocal(stratum: number): void;
  nmeaOut(): number;
  nmeaStart(wanted: number, floor: number): void;
  nmeaBreak(): void;
  nmeaPush(at: number, count: number): number;
  sourceRefid(index: number, refid: number): void;
  associationTimer(index: number, now: bigint, random: bigint): number;
  associationSent(index: number, t1: bigint): void;
  associationCame(index: number, t4: bigint, came: bigint): void;
  associationReply(index: number, length: number, now: bigint): number;
  associationPrecision(precision: bigint): void;
  associationsDrop(): void;
  associationsRestart(): void;
  associationOut(index: number): number;
  actionOut(): number;
  systemOut(): number;
  systemUpdate(now: bigint): void;
  clockWatch(wall: bigint, monotonic: bigint): number;
  clockWatchLeap(leap: number, at: bigint): void;
  clockWatchReset(): void;
  disciplineAlgorithm(choice: number): void;
  disciplineReset(frequency: number, doubt: number): void;
  disciplineLimits(slewRate: number, frequency: number, minPoll: number, maxPoll: number): void;
  disciplineStepPolicy(least: number, count: number): void;
  disciplineStepLimits(single: number, startup: number, sum: number): void;
  disciplineTimer(now: bigint): void;
  disciplineBound(now: bigint): number;
  exponential(x: number): number;
  logarithm(x: number): number;
  steeringOut(): number;
  sourceOut(index: number): number;
  md5Start(): void;
  md5Update(data: number, length: number): void;
  md5Finish(out: number): void;
  sha1Start(): void;
  sha1Update(data: number, length: number): void;
  sha1Finish(out: number): void;
  sha256Start(): void;
  sha256Update(data: number, length: number): void;
  sha256Finish(out: number): void;
  aesExpand(key: number, keyLength: number, context: number): number;
  aesEncrypt(context: number, input: number, out: number): void;
  cmacKey(key: number, keyLength: number, context: number): number;
  cmac(context: number, data: number, length: number, out: number): void;
  aeadKeyLength(id: number): number;
  aeadNonceLength(id: number): number;
  aeadKey(id: number, key: number, context: number): number;
  aeadSeal(context: number, ad: number, adLength: number, nonce: number, nonceLength: number, text: number, textLength: number, out: number): number;
  aeadOpen(context: number, ad: number, adLength: number, nonce: number, nonceLength: number, sealed: number, sealedLength: number, out: number): number;
  macLength(type: number): number;
  macKeyFits(type: number, keyLength: number): number;
  macWrite(type: number, key: number, keyLength: number, data: number, dataLength: number, out: number): number;
  macVerify(type: number, key: number, keyLength: number, data: number, dataLength: number, mac: number, length: number): number;
  sha512Start(): void;
  sha512Update(data: number, length: number): void;
  sha512Finish(out: number): void;
  mlkemKey(seed: number, out: number): void;
  mlkemOpen(seed: number, ciphertext: number, out: number): void;
  roughtimePacketLength(packet: number, available: number, most: number): number;
  roughtimeServerId(key: number, out: number): void;
  roughtimeNextNonce(response: number, length: number, rand: number, out: number): void;
  roughtimeRequestWrite(packet: number, versions: number, server: number, nonce: number): number;
  roughtimeRequestNonce(packet: number, length: number): number;
  roughtimeResponseRead(packet: number, length: number, asked: number, askedLength: number, response: number): number;
  roughtimeIdentity(): number;
  roughtimeCertificate(): number;
  roughtimeSealed(): number;
  roughtimeSignature(): number;
  roughtimeDelegationWrite(out: number, key: number, notBefore: bigint, notAfter: bigint): number;
  roughtimeCertificateWrite(out: number, delegation: number, seal: number): number;
  roughtimeTake(slot: number, length: number, least: number): number;
  roughtimeDrop(slot: number): void;
  roughtimeSeal(version: number, midpoint: bigint, radius: number): number;
  roughtimeAnswer(slot: number, version: number): number;
}

let shared: WebAssembly.Module | undefined;

/** The core's module, compiled once. */
export function coreModule(): WebAssembly.Module {
  shared ??= typeof wasm === "string" ? new WebAssembly.Module(decodeBase64(wasm)) : wasm;
  return shared;
}

/** Use this module, compiled by another thread of the process. */
export function shareCoreModule(module: WebAssembly.Module): void {
  shared ??= module;
}

/**
 * From now on use this module, which can all that the one before can: a page that began with a small build. Instances that are
 * there go on.
 */
export function replaceCoreModule(module: WebAssembly.Module): void {
  shared = module;
}

/** The wasm itself; for a hash that tells which core runs. Undefined where the runtime only lends the compiled module. */
export function coreBytes(): Uint8Array<ArrayBuffer> | undefined {
  return typeof wasm === "string" ? decodeBase64(wasm) : undefined;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** A wasm i64 read as u64. */
export function unsigned(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

/** One instance of the core. */
export class Core {
  readonly exports: CoreExports;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly #constants: WebAssembly.Exports;

  constructor(module: WebAssembly.Module = coreModule()) {
    const instance = new WebAssembly.Instance(module, {});
    this.#constants = instance.exports;
    this.exports = instance.exports as unknown as CoreExports;
    const memory = this.exports.memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
  }

  /** An exported constant: an address, a size or a field's offset. */
  constant(name: string): number {
    const value = this.#constants[name];
    if (!(value instanceof WebAssembly.Global)) throw new TypeError(`the core exports no constant ${name}`);
    return value.value as number;
  }

  /** Addresses of the named fields of a structure: `at("SAMPLE", ["T1"])` is SAMPLE + SAMPLE_T1. */
  fields<K extends string>(base: string, names: readonly K[], structure = base): Record<K, number> {
    const start = this.constant(base);
    return Object.fromEntries(names.map((name) => [name, start + this.constant(`${structure}_${name}`)])) as Record<K, number>;
  }

  u64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }

  i64(at: number): bigint {
    return this.view.getBigInt64(at, true);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  setU64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }

  setI64(at: number, value: bigint): void {
    this.view.setBigInt64(at, value, true);
  }

  setU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }
}

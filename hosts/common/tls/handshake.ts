// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's side of a TLS 1.3 handshake (RFC 8446 §2, §A.1), without resumption and early data.
 *
 *     ClientHello              ─▶
 *                              ◀─  [HelloRetryRequest], then a second ClientHello
 *                              ◀─  ServerHello                              ── keys: handshake traffic
 *                              ◀─  EncryptedExtensions [CertificateRequest] Certificate CertificateVerify Finished
 *     [Certificate] Finished   ─▶                                           ── keys: application traffic
 *
 * The order is the order of the code: what comes at another time is refused with unexpected_message. Tested in
 * client.test.ts with a server that does everything wrong in turn, and live in tests/interop/tls.test.ts.
 *
 * @module
 */

import { hex, same } from "../octets.ts";
import type { PostQuantum } from "../stream.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { PathOptions } from "../x509/path.ts";
import { fail } from "./alert.ts";
import { checkCertificateVerify, judge, readCertificateMessage } from "./authenticate.ts";
import { number, Reader, vector } from "./codec.ts";
import { CONTENT, EXTENSION, MESSAGE } from "./constants.ts";
import { firstShares, type GroupName, type KeyShare, offeredGroups, type Random, retryShare } from "./groups.ts";
import { clientHello, handshake, offeredExtensions, readExtensions, readServerHello } from "./hello.ts";
import type { Offer, RetryRequest, ServerHello } from "./hello.ts";
import { type Message, MessageStream } from "./messages.ts";
import { Protection, type RecordStream } from "./record.ts";
import { finishedMac, KeySchedule, Transcript, type TrafficSecrets } from "./schedule.ts";
import type { Suite } from "./suites.ts";

export interface HandshakeOptions extends PathOptions {
  readonly alpn: readonly string[];
  readonly pq: PostQuantum;
  readonly random: Random;
  readonly keyLog?: ((line: string) => void) | undefined;
}

/** What both sides agreed on. */
export interface Agreed {
  readonly suite: Suite;
  readonly group: GroupName;
  readonly alpn: string | undefined;
  readonly schedule: KeySchedule;
  readonly messages: MessageStream;
}

/** Shake hands over `records`; afterwards they carry application data. */
export async function shakeHands(records: RecordStream, options: HandshakeOptions): Promise<Agreed> {
  return new ClientHandshake(records, options, await firstShares(options.pq, options.random)).run();
}

class ClientHandshake {
  readonly #records: RecordStream;
  readonly #messages: MessageStream;
  readonly #options: HandshakeOptions;
  readonly #transcript = new Transcript();
  #offer: Offer;
  #schedule: KeySchedule | undefined;
  #compatible = false;

  constructor(records: RecordStream, options: HandshakeOptions, shares: readonly KeyShare[]) {
    const { random, name, alpn, pq } = options;
    this.#records = records;
    this.#messages = new MessageStream(records);
    this.#options = options;
    this.#offer = {
      random: random(new Uint8Array(32)),
      sessionId: random(new Uint8Array(32)),
      name,
      alpn,
      groups: offeredGroups(pq),
      shares,
    };
  }

  async run(): Promise<Agreed> {
    try {
      return await this.#shake();
    } catch (error) {
      this.#schedule?.forget();
      throw error;
    } finally {
      this.#forgetShares();
    }
  }

  async #shake(): Promise<Agreed> {
    await this.#sendHello();
    const { suite, share } = await this.#hello();
    const ours = this.#offer.shares.find(({ group }) => group === share.group) as KeyShare;
    const schedule = (this.#schedule = new KeySchedule(suite.hash));
    const [shared, hashed] = await Promise.all([ours.agree(share.data), this.#transcript.digest()]);
    const keys = await schedule.handshake(shared, hashed);
    this.#protect(suite, keys, "HANDSHAKE_TRAFFIC_SECRET");
    const alpn = await this.#encryptedExtensions();
    const requested = await this.#authenticate(suite, keys);
    const application = await schedule.application(await this.#transcript.digest());
    await this.#answer(suite, keys, requested);
    this.#protect(suite, application, "TRAFFIC_SECRET_0");
    this.#log("EXPORTER_SECRET", schedule.exporterSecret);
    this.#records.endHandshake();
    return { suite, group: share.group, alpn, schedule, messages: this.#messages };
  }

  /** ServerHello, with a second ClientHello in between where the server wants one. */
  async #hello(): Promise<ServerHello> {
    const first = await this.#messages.read(MESSAGE.server_hello);
    const answer = readServerHello(first.body, this.#offer);
    if ("share" in answer) return this.#accept(first, answer);
    await this.#transcript.retry(answer.suite.hash);
    this.#transcript.add(first.raw);
    await this.#helloAgain(answer);
    const second = await this.#messages.read(MESSAGE.server_hello);
    return this.#accept(second, readServerHello(second.body, this.#offer, answer) as ServerHello);
  }

  #accept({ raw }: Message, hello: ServerHello): ServerHello {
    this.#messages.boundary();
    this.#transcript.use(hello.suite.hash);
    this.#transcript.add(raw);
    return hello;
  }

  async #helloAgain({ group, cookie }: RetryRequest): Promise<void> {
    if (group !== undefined) this.#forgetShares();
    const shares = group === undefined ? this.#offer.shares : [await retryShare(group, this.#options.random)];
    this.#offer = { ...this.#offer, shares, cookie };
    await this.#changeCipherSpec();
    await this.#sendHello();
  }

  #forgetShares(): void {
    for (const share of this.#offer.shares) share.forget();
  }

  async #sendHello(): Promise<void> {
    const hello = clientHello(this.#offer);
    this.#transcript.add(hello);
    await this.#records.write(CONTENT.handshake, hello);
  }

  /** Once, before the second flight (§D.4). */
  async #changeCipherSpec(): Promise<void> {
    if (this.#compatible) return;
    this.#compatible = true;
    await this.#records.writeChangeCipherSpec();
  }

  /** The application protocol. */
  async #encryptedExtensions(): Promise<string | undefined> {
    const message = await this.#read(MESSAGE.encrypted_extensions);
    const reader = new Reader(message.body, "EncryptedExtensions");
    const { server_name, supported_groups, alpn } = EXTENSION;
    const extensions = readExtensions(reader, "EncryptedExtensions", [server_name, supported_groups, alpn], offeredExtensions(this.#offer));
    reader.end();
    if ((extensions.get(server_name)?.length ?? 0) > 0) fail("decode_error", "EncryptedExtensions: expected an empty server_name");
    return chosenProtocol(extensions.get(alpn), this.#offer.alpn);
  }

  /** Certificate through Finished. The context of a CertificateRequest, if there was one. */
  async #authenticate(suite: Suite, keys: TrafficSecrets): Promise<boolean> {
    let message = await this.#read(MESSAGE.certificate_request, MESSAGE.certificate);
    const requested = message.type === MESSAGE.certificate_request;
    if (requested) {
      readCertificateRequest(message.body);
      message = await this.#read(MESSAGE.certificate);
    }
    const leaf: Certificate = await judge(readCertificateMessage(message.body), this.#options);
    const signed = await this.#transcript.digest();
    await checkCertificateVerify((await this.#read(MESSAGE.certificate_verify)).body, leaf, signed);
    const expected = await finishedMac(suite.hash, keys.server, await this.#transcript.digest());
    const { body } = await this.#read(MESSAGE.finished);
    if (body.length !== expected.length) fail("decode_error", `Finished: expected ${expected.length} octets, got ${body.length}`);
    if (!same(body, expected)) fail("decrypt_error", "Finished: the two sides have not seen the same handshake");
    this.#messages.boundary();
    return requested;
  }

  /** Our second flight. We have no certificate, and say so when asked for one. */
  async #answer(suite: Suite, keys: TrafficSecrets, requested: boolean): Promise<void> {
    if (requested) await this.#send(handshake(MESSAGE.certificate, vector(1), vector(3)));
    await this.#send(handshake(MESSAGE.finished, await finishedMac(suite.hash, keys.client, await this.#transcript.digest())));
  }

  async #send(message: Uint8Array): Promise<void> {
    this.#transcript.add(message);
    await this.#records.write(CONTENT.handshake, message);
  }

  async #read(...types: readonly number[]): Promise<Message> {
    const message = await this.#messages.read(...types);
    this.#transcript.add(message.raw);
    return message;
  }

  #protect(suite: Suite, { client, server }: TrafficSecrets, label: string): void {
    // §D.4: our change_cipher_spec goes out before our first protected record, in the clear.
    void this.#changeCipherSpec().catch(() => {});
    this.#records.readWith(new Protection(suite, server));
    this.#records.writeWith(new Protection(suite, client));
    this.#log(`CLIENT_${label}`, client);
    this.#log(`SERVER_${label}`, server);
  }

  /** NSS key log format. */
  #log(label: string, secret: Uint8Array): void {
    this.#options.keyLog?.(`${label} ${hex(this.#offer.random)} ${hex(secret)}`);
  }
}

/** ALPN (RFC 7301 §3.1): a list <2..> of exactly one name <1..255>. Without it there is no telling what would be spoken. */
function chosenProtocol(data: Uint8Array | undefined, offered: readonly string[]): string | undefined {
  const names = offered.join(", ");
  if (!data && offered.length === 0) return undefined;
  if (!data) return fail("no_application_protocol", `expected the server to choose one of the protocols ${names}, but it chose none`);
  const reader = new Reader(data, "ALPN");
  const list = reader.enter(2, 2);
  reader.end();
  const chosen = String.fromCharCode(...list.vector(1, 1));
  list.end();
  if (!offered.includes(chosen)) fail("illegal_parameter", `ALPN: expected one of ${names}, got ${JSON.stringify(chosen)}`);
  return chosen;
}

/** CertificateRequest (§4.3.2): context <0..255>, empty in a handshake; extensions <2..>, signature_algorithms among them. */
function readCertificateRequest(body: Uint8Array): void {
  const reader = new Reader(body, "CertificateRequest");
  if (reader.vector(1).length > 0) fail("illegal_parameter", "CertificateRequest: expected no context during a handshake");
  const list = reader.enter(2);
  reader.end();
  const seen = new Set<number>();
  while (list.more) {
    const type = list.number(2);
    list.vector(2);
    if (seen.has(type)) fail("illegal_parameter", `CertificateRequest: extension ${type} is there twice`);
    seen.add(type);
  }
  if (!seen.has(EXTENSION.signature_algorithms)) fail("missing_extension", "CertificateRequest: expected signature_algorithms");
}

/** KeyUpdate: request_update (1). */
export function keyUpdate(requested: boolean): Uint8Array {
  return handshake(MESSAGE.key_update, number(1, requested ? 1 : 0));
}

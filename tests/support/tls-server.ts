// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TLS 1.3 server in memory that can be told to do anything wrong, made of the client's own primitives: key schedule, record
 * layer, messages. That those are right is shown elsewhere, by RFC 8448 and by real servers.
 *
 * A script edits handshake messages (`edit`) or records (`wire`) on their way out. Edited messages enter the server's transcript
 * as they were sent, so that the edit itself is what the client sees wrong, and not a Finished that differs.
 *
 * @module
 */

import { constants, createECDH, sign } from "node:crypto";
import { x25519 } from "@noble/curves/ed25519.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { ALERT, type AlertName } from "../../hosts/common/tls/alert.ts";
import { signedContent } from "../../hosts/common/tls/authenticate.ts";
import { ascii, concat, number, Reader, vector } from "../../hosts/common/tls/codec.ts";
import { CONTENT, EXTENSION, MESSAGE, RETRY_RANDOM, TLS_1_2, TLS_1_3 } from "../../hosts/common/tls/constants.ts";
import { GROUP, type GroupName } from "../../hosts/common/tls/groups.ts";
import { handshake } from "../../hosts/common/tls/hello.ts";
import { MessageStream } from "../../hosts/common/tls/messages.ts";
import { Protection, RecordStream } from "../../hosts/common/tls/record.ts";
import { finishedMac, KeySchedule, Transcript, type TrafficSecrets } from "../../hosts/common/tls/schedule.ts";
import { type Suite, SUITES } from "../../hosts/common/tls/suites.ts";
import type { Issued } from "./pki.ts";
import { PipeEnd } from "./pipe.ts";

export type Step =
  | "hello_retry_request"
  | "server_hello"
  | "encrypted_extensions"
  | "certificate_request"
  | "certificate"
  | "certificate_verify"
  | "finished";

export interface Script {
  /** The leaf first. */
  readonly chain: readonly Issued[];
  readonly suite?: number;
  readonly group?: GroupName;
  /** Ask for another hello: for this group, or with a cookie, or both. */
  readonly retry?: { readonly group?: GroupName | number; readonly cookie?: Uint8Array };
  /** The application protocol it chooses; false: none. */
  readonly protocol?: string | false;
  readonly requestCertificate?: boolean;
  /** Signature scheme of CertificateVerify; by the key when absent. */
  readonly scheme?: number;
  /** What is sent in place of a message: none, one or several. */
  readonly edit?: (step: Step, message: Uint8Array) => readonly Uint8Array[] | Uint8Array;
  /** What is sent in place of a record (with its header). */
  readonly wire?: (step: Step, record: Uint8Array) => readonly Uint8Array[] | Uint8Array;
  /** Octets of handshake messages in a record. Default: a record for each message. */
  readonly fragment?: number;
  /** Octets of the stream that are delivered at a time. */
  readonly piece?: number;
}

/** What the client's hello said. */
export interface ClientOffer {
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly extensions: ReadonlyMap<number, Uint8Array>;
  readonly shares: ReadonlyMap<number, Uint8Array>;
}

const NAME = "a test server";
const u16 = (value: number) => number(2, value);
export const extension = (type: number, ...data: readonly Uint8Array[]) => concat(u16(type), vector(2, ...data));

export class TestServer {
  /** The client's end of the connection. */
  readonly client: PipeEnd;
  readonly end: PipeEnd;
  readonly records: RecordStream;
  readonly messages: MessageStream;
  readonly hellos: ClientOffer[] = [];
  readonly schedule: KeySchedule;
  /** Of the client's Certificate, if it was asked for one. */
  clientCertificate: Uint8Array | undefined;
  readonly suite: Suite;
  readonly #script: Script;
  readonly #transcript = new Transcript();
  readonly #keys: TrafficSecrets[] = [];

  constructor(script: Script) {
    [this.client, this.end] = PipeEnd.pair(script.piece);
    this.#script = script;
    this.records = new RecordStream(this.end);
    this.messages = new MessageStream(this.records);
    this.suite = SUITES.find(({ id }) => id === (script.suite ?? 0x1301)) as Suite;
    this.schedule = new KeySchedule(this.suite.hash);
  }

  /** The whole handshake. Rejects when the client gives up. */
  async run(): Promise<void> {
    this.#transcript.use(this.suite.hash);
    let offer = await this.#readHello();
    if (this.#script.retry) offer = await this.#retry(offer);
    const group = this.#script.group ?? "X25519";
    const { share, secret } = answer(group, offer.shares.get(GROUP[group]));
    await this.#send("server_hello", serverHello(offer, this.suite.id, extension(EXTENSION.key_share, u16(GROUP[group]), vector(2, share))));
    const keys = await this.schedule.handshake(secret, await this.#transcript.digest());
    this.#protect(keys);
    await this.#flight(keys);
    const application = await this.schedule.application(await this.#transcript.digest());
    await this.#readFinished(keys);
    this.#protect(application);
    this.records.endHandshake();
  }

  /** The alert that the client sent last, in the clear or under any of its keys. */
  async alert(): Promise<AlertName | undefined> {
    const records = recordsIn(concat(...this.client.written));
    const last = records.at(-1);
    if (!last) return undefined;
    const plain = last[0] === CONTENT.alert ? last.subarray(5) : await this.#openAlert(last);
    return (Object.keys(ALERT) as AlertName[]).find((name) => plain && ALERT[name] === plain[1]);
  }

  async #openAlert(record: Uint8Array): Promise<Uint8Array | undefined> {
    for (const { client } of this.#keys) {
      for (let sequence = 0; sequence < 8; sequence++) {
        const opened = await new Protection(this.suite, client, sequence).open(record.subarray(0, 5), record.subarray(5)).catch(() => undefined);
        if (opened?.type === CONTENT.alert) return opened.data;
      }
    }
    return undefined;
  }

  async #readHello(): Promise<ClientOffer> {
    const message = await this.messages.read(MESSAGE.client_hello);
    this.#transcript.add(message.raw);
    const offer = readClientHello(message.body);
    this.hellos.push(offer);
    return offer;
  }

  async #retry(offer: ClientOffer): Promise<ClientOffer> {
    const { group, cookie } = this.#script.retry ?? {};
    await this.#transcript.retry(this.suite.hash);
    const id = typeof group === "string" ? GROUP[group] : group;
    const extensions = [...(id === undefined ? [] : [extension(EXTENSION.key_share, u16(id))]), ...(cookie ? [extension(EXTENSION.cookie, vector(2, cookie))] : [])];
    await this.#send("hello_retry_request", serverHello({ ...offer, random: RETRY_RANDOM }, this.suite.id, ...extensions));
    return this.#readHello();
  }

  async #flight(keys: TrafficSecrets): Promise<void> {
    const { protocol = "ntske/1", requestCertificate, chain, scheme } = this.#script;
    const protocols = protocol === false ? [] : [extension(EXTENSION.alpn, vector(2, vector(1, ascii(protocol))))];
    await this.#send("encrypted_extensions", handshake(MESSAGE.encrypted_extensions, vector(2, ...protocols)));
    if (requestCertificate) {
      const schemes = extension(EXTENSION.signature_algorithms, vector(2, u16(0x0403)));
      await this.#send("certificate_request", handshake(MESSAGE.certificate_request, vector(1), vector(2, schemes)));
    }
    await this.#send("certificate", certificateMessage(chain));
    await this.#send("certificate_verify", certificateVerify(chain[0] as Issued, await this.#transcript.digest(), scheme));
    await this.#send("finished", handshake(MESSAGE.finished, await finishedMac(this.suite.hash, keys.server, await this.#transcript.digest())));
  }

  async #readFinished(keys: TrafficSecrets): Promise<void> {
    if (this.#script.requestCertificate) {
      const { body, raw } = await this.messages.read(MESSAGE.certificate);
      this.clientCertificate = body;
      this.#transcript.add(raw);
    }
    const expected = await finishedMac(this.suite.hash, keys.client, await this.#transcript.digest());
    const { body } = await this.messages.read(MESSAGE.finished);
    if (Buffer.compare(body, expected) !== 0) throw new Error(`${NAME}: the client's Finished is wrong`);
  }

  async #send(step: Step, message: Uint8Array): Promise<void> {
    const edited = this.#script.edit?.(step, message) ?? message;
    for (const part of edited instanceof Uint8Array ? [edited] : edited) {
      this.#transcript.add(part);
      const size = this.#script.fragment ?? part.length;
      for (let at = 0; at < part.length; at += size) await this.#write(step, part.subarray(at, at + size));
    }
  }

  /** One record, past the record layer's queue when the script wants to touch it. */
  async #write(step: Step, data: Uint8Array): Promise<void> {
    const { wire } = this.#script;
    if (!wire) return this.records.write(CONTENT.handshake, data);
    const record = this.#sealing ? await this.#sealing.seal(CONTENT.handshake, data) : concat(Uint8Array.of(CONTENT.handshake), u16(TLS_1_2), vector(2, data));
    const edited = wire(step, record);
    for (const part of edited instanceof Uint8Array ? [edited] : edited) await this.end.write(part);
  }

  #sealing: Protection | undefined;

  /** The keys under which records are written now: a script's `wire` may seal records of its own. */
  get sealing(): Protection | undefined {
    return this.#sealing;
  }

  #protect(keys: TrafficSecrets): void {
    // Copies: who protects with secrets wipes them.
    this.#keys.push({ client: keys.client.slice(), server: keys.server.slice() });
    this.records.readWith(new Protection(this.suite, keys.client));
    this.#sealing = new Protection(this.suite, keys.server);
    this.records.writeWith(this.#sealing);
  }
}

export function certificateMessage(chain: readonly { readonly der: Uint8Array }[]): Uint8Array {
  return handshake(MESSAGE.certificate, vector(1), vector(3, ...chain.map(({ der }) => concat(vector(3, der), vector(2)))));
}

export function certificateVerify({ keys }: Issued, transcript: Uint8Array, scheme?: number, who: "server" | "client" = "server"): Uint8Array {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = keys.privateKey;
  const byKey = type === "ed25519" ? 0x0807 : type === "ec" ? (details?.namedCurve === "secp384r1" ? 0x0503 : 0x0403) : 0x0804;
  const id = scheme ?? byKey;
  const hash = `sha${{ 4: 256, 5: 384, 6: 512 }[type === "ec" || id < 0x0800 ? id >> 8 : id & 7] ?? 256}`;
  const padding = id >= 0x0804 && id <= 0x0806 ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  const signature = sign(type === "ed25519" ? null : hash, signedContent(transcript, who), { key: keys.privateKey, ...padding });
  return handshake(MESSAGE.certificate_verify, u16(id), vector(2, signature));
}

export function serverHello(offer: Pick<ClientOffer, "random" | "sessionId">, suite: number, ...extensions: readonly Uint8Array[]): Uint8Array {
  const random = offer.random === RETRY_RANDOM ? RETRY_RANDOM : crypto.getRandomValues(new Uint8Array(32));
  const list = vector(2, extension(EXTENSION.supported_versions, u16(TLS_1_3)), ...extensions);
  return handshake(MESSAGE.server_hello, u16(TLS_1_2), random, vector(1, offer.sessionId), u16(suite), number(1, 0), list);
}

export function readClientHello(body: Uint8Array): ClientOffer {
  const reader = new Reader(body, "ClientHello");
  reader.bytes(2);
  const random = reader.bytes(32);
  const sessionId = reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  const extensions = new Map<number, Uint8Array>();
  const list = reader.enter(2);
  while (list.more) extensions.set(list.number(2), list.vector(2));
  const shares = new Map<number, Uint8Array>();
  const share = new Reader(extensions.get(EXTENSION.key_share) ?? vector(2), "key_share").enter(2);
  while (share.more) shares.set(share.number(2), share.vector(2));
  return { random, sessionId, extensions, shares };
}

/** The server's half of a key exchange. Without a share of the client it makes one up, which the client refuses. */
function answer(group: GroupName, theirs: Uint8Array | undefined): { share: Uint8Array; secret: Uint8Array } {
  if (group === "P-256") {
    const own = createECDH("prime256v1");
    const share = own.generateKeys();
    return { share, secret: theirs ? own.computeSecret(theirs) : new Uint8Array(32) };
  }
  const own = crypto.getRandomValues(new Uint8Array(32));
  const point = x25519.getPublicKey(own);
  if (group === "X25519") return { share: point, secret: theirs ? x25519.getSharedSecret(own, theirs) : new Uint8Array(32) };
  if (!theirs) return { share: new Uint8Array(1120), secret: new Uint8Array(64) };
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(theirs.subarray(0, 1184));
  return { share: concat(cipherText, point), secret: concat(sharedSecret, x25519.getSharedSecret(own, theirs.subarray(1184))) };
}

/** Whole records in a stream. */
export function recordsIn(stream: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = 0; at + 5 <= stream.length; ) {
    const length = 5 + (stream[at + 3] ?? 0) * 256 + (stream[at + 4] ?? 0);
    records.push(stream.subarray(at, at + length));
    at += length;
  }
  return records;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/** Each ServerHello and HelloRetryRequest that must be refused, and the alert for it. */
import { describe, expect, test } from "vitest";
import { refusal, refused, type Trial } from "../../../tests/support/tls-trial.ts";
import { extension, type Step } from "../../../tests/support/tls-server.ts";
import { ascii, concat, number, Reader, vector } from "./codec.ts";
import { EXTENSION, MESSAGE, RETRY_RANDOM } from "./constants.ts";
import { handshake } from "./hello.ts";

/** A ServerHello in parts, to be put together wrongly. */
interface Hello {
  version: number;
  random: Uint8Array;
  sessionId: Uint8Array;
  suite: number;
  compression: number;
  /** undefined: no extensions at all, as old servers may. */
  extensions: [number, Uint8Array][] | undefined;
  rest: Uint8Array;
}

function taken(message: Uint8Array): Hello {
  const reader = new Reader(message.subarray(4), "ServerHello");
  const head = { version: reader.number(2), random: reader.bytes(32), sessionId: reader.vector(1), suite: reader.number(2), compression: reader.number(1) };
  const extensions: [number, Uint8Array][] = [];
  for (const list = reader.enter(2); list.more; ) extensions.push([list.number(2), list.vector(2)]);
  return { ...head, extensions, rest: new Uint8Array() };
}

function made({ version, random, sessionId, suite, compression, extensions, rest }: Hello): Uint8Array {
  const list = extensions ? [vector(2, ...extensions.map(([type, data]) => extension(type, data)))] : [];
  return handshake(MESSAGE.server_hello, number(2, version), random, vector(1, sessionId), number(2, suite), number(1, compression), ...list, rest);
}

/** A trial whose ServerHello (or HelloRetryRequest) is changed. */
function changed(change: (hello: Hello) => Partial<Hello>, step: Step = "server_hello", trial: Trial = {}): Trial {
  return {
    ...trial,
    edit: (at, message) => {
      if (at !== step) return message;
      const hello = taken(message);
      return made({ ...hello, ...change(hello) });
    },
  };
}

type Change = (hello: Hello) => Partial<Hello>;
const replaced =
  (type: number, data: Uint8Array): Change =>
  ({ extensions = [] }) => ({ extensions: extensions.map(([known, old]) => [known, known === type ? data : old]) });
const without =
  (type: number): Change =>
  ({ extensions = [] }) => ({ extensions: extensions.filter(([known]) => known !== type) });
const withExtra =
  (type: number, data: Uint8Array): Change =>
  ({ extensions = [] }) => ({ extensions: [...extensions, [type, data]] });
const share = (group: number, data: Uint8Array) => concat(number(2, group), vector(2, data));
const { supported_versions, key_share, cookie, alpn } = EXTENSION;

describe("a ServerHello is refused", () => {
  test.each<[string, string, Change, string]>([
    ["protocol_version", "of TLS 1.2", without(supported_versions), "expected TLS 1.3, got version 0x303"],
    ["protocol_version", "of TLS 1.0, without extensions", () => ({ version: 0x0301, extensions: undefined }), "got version 0x301"],
    ["illegal_parameter", "of a downgrade to TLS 1.2", (hello) => ({ ...without(supported_versions)(hello), random: concat(new Uint8Array(24), ascii("DOWNGRD\x01")) }), "meddles"],
    ["illegal_parameter", "of a downgrade to TLS 1.1", (hello) => ({ ...without(supported_versions)(hello), random: concat(new Uint8Array(24), ascii("DOWNGRD\x00")) }), "meddles"],
    ["illegal_parameter", "of a version to come", replaced(supported_versions, number(2, 0x0305)), "got version 0x305"],
    ["illegal_parameter", "of a draft", replaced(supported_versions, number(2, 0x7f1c)), "got version 0x7f1c"],
    ["illegal_parameter", "whose old version is not TLS 1.2", () => ({ version: 0x0304 }), "over 0x304"],
    ["decode_error", "with two versions", replaced(supported_versions, number(4, 0x0304_0303)), "supported_versions"],
    ["illegal_parameter", "with another session id", () => ({ sessionId: new Uint8Array(32) }), "session id to come back"],
    ["illegal_parameter", "without our session id", () => ({ sessionId: new Uint8Array() }), "session id to come back"],
    ["decode_error", "with a session id too long", () => ({ sessionId: new Uint8Array(33) }), "vector of 0 to 32"],
    ["illegal_parameter", "with a suite not offered", () => ({ suite: 0x1304 }), "cipher suite 0x1304"],
    ["illegal_parameter", "with a suite of TLS 1.2", () => ({ suite: 0xc02b }), "cipher suite 0xc02b"],
    ["illegal_parameter", "with compression", () => ({ compression: 1 }), "expected no compression, got method 1"],
    ["unsupported_extension", "with a pre-shared key, which was not offered", withExtra(41, number(2, 0)), "extension 41, which was not asked for"],
    ["unsupported_extension", "with an extension nobody knows", withExtra(0xfafa, new Uint8Array()), "which was not asked for"],
    ["illegal_parameter", "with ALPN, which belongs into EncryptedExtensions", withExtra(alpn, new Uint8Array()), "no place here"],
    ["illegal_parameter", "with a share twice", withExtra(key_share, share(0x1d, new Uint8Array(32))), "is there twice"],
    ["missing_extension", "without a share", without(key_share), "expected a key share"],
    ["illegal_parameter", "with a share of a group not offered", replaced(key_share, share(0x18, new Uint8Array(97))), "group 0x18, which was not offered"],
    ["illegal_parameter", "with a share of a group without our share", replaced(key_share, share(0x17, new Uint8Array(65))), "of which we sent none"],
    ["illegal_parameter", "with a hybrid share when that is off", replaced(key_share, share(0x11ec, new Uint8Array(1120))), "group 0x11ec, which was not offered"],
    ["illegal_parameter", "with a short share", replaced(key_share, share(0x1d, new Uint8Array(31))), "of 32 octets, got 31"],
    ["illegal_parameter", "with a share of zeros", replaced(key_share, share(0x1d, new Uint8Array(32))), "secret of zeros"],
    ["illegal_parameter", "with a share of order 8", replaced(key_share, share(0x1d, Uint8Array.from({ length: 32 }, (_o, i) => (i === 0 ? 1 : 0)))), "secret of zeros"],
    ["decode_error", "with an empty share", replaced(key_share, share(0x1d, new Uint8Array())), "key_share"],
    ["decode_error", "with octets behind the share", replaced(key_share, concat(share(0x1d, new Uint8Array(32)), number(1, 0))), "1 more octets"],
    ["decode_error", "with octets behind it", () => ({ rest: number(1, 0) }), "1 more octets"],
  ])("%s: one %s", (alert, _name, change, message) => refused(alert, message, changed(change)));

  test("illegal_parameter: a hybrid share of the wrong length, or whose X25519 half is of zeros", async () => {
    const hybrid: Trial = { pq: "require", group: "X25519MLKEM768" };
    await refused("illegal_parameter", "share of 1120 octets, got 1119", changed(replaced(key_share, share(0x11ec, new Uint8Array(1119))), "server_hello", hybrid));
    await refused("illegal_parameter", "secret of zeros", changed(replaced(key_share, share(0x11ec, new Uint8Array(1120))), "server_hello", hybrid));
  });

  test("at a changed ciphertext of ML-KEM: the keys differ, and nothing opens", async () => {
    const spoilt: Change = (hello) => {
      const data = Uint8Array.from(hello.extensions?.find(([type]) => type === key_share)?.[1] ?? []);
      data[10]! ^= 1;
      return replaced(key_share, data)(hello);
    };
    // What the server is told comes under keys that it has not.
    const { error } = await refusal(changed(spoilt, "server_hello", { pq: "require", group: "X25519MLKEM768" }));
    expect(error).toMatchObject({ code: "TLS", message: expect.stringContaining("not authentic") });
  });

  test("when hybrid is required and the server chose less", async () => {
    await refused("illegal_parameter", "group 0x1d, which was not offered", { pq: "require", group: "X25519" });
  });

  test("at every truncation, whether its length says so or not", async () => {
    let length = 0;
    await refusal({ edit: (step, message) => (step === "server_hello" && (length = message.length - 4), Uint8Array.of(99, 0, 0, 0)) });
    expect(length).toBeGreaterThan(80);
    for (let cut = 0; cut < length; cut++) {
      const { error, alert } = await refusal({ edit: (_step, message) => handshake(MESSAGE.server_hello, message.subarray(4, 4 + cut)) });
      expect(error, `${cut} octets`).toMatchObject({ code: "TLS" });
      expect(["decode_error", "protocol_version"], `${cut} octets`).toContain(alert);
    }
  });
});

describe("a HelloRetryRequest is refused", () => {
  const forP256: Trial = { group: "P-256", retry: { group: "P-256" } };
  test.each<[string, string, Trial, string]>([
    ["illegal_parameter", "that asks for no change", { retry: {} }, "asks for no change"],
    ["illegal_parameter", "for a group that it has a share of", { retry: { group: "X25519" } }, "of which it has a share"],
    ["illegal_parameter", "for a group not offered", { retry: { group: 0x18 } }, "group 0x18, which was not offered"],
    ["illegal_parameter", "for a hybrid when that is off", { retry: { group: "X25519MLKEM768" } }, "which was not offered"],
    ["illegal_parameter", "for less when hybrid is required", { pq: "require", retry: { group: "X25519" } }, "which was not offered"],
    ["decode_error", "with an empty cookie", { retry: { cookie: new Uint8Array() } }, "vector of 1 to"],
    ["unsupported_extension", "with an extension not asked for", changed(withExtra(41, number(2, 0)), "hello_retry_request", forP256), "not asked for"],
    ["illegal_parameter", "with ALPN", changed(withExtra(alpn, new Uint8Array()), "hello_retry_request", forP256), "no place here"],
    ["illegal_parameter", "with another session id", changed(() => ({ sessionId: new Uint8Array(32) }), "hello_retry_request", forP256), "session id"],
    ["illegal_parameter", "with a suite not offered", changed(() => ({ suite: 0x1305 }), "hello_retry_request", forP256), "cipher suite 0x1305"],
    ["protocol_version", "of TLS 1.2", changed(without(supported_versions), "hello_retry_request", forP256), "expected TLS 1.3"],
  ])("%s: one %s", (alert, _name, trial, message) => refused(alert, message, trial));

  test("unexpected_message: a second one", () => refused("unexpected_message", "a second HelloRetryRequest", changed(() => ({ random: RETRY_RANDOM }), "server_hello", forP256)));

  test("illegal_parameter: a ServerHello after it with another suite", async () => {
    await refused("illegal_parameter", "expected TLS_AES_128_GCM_SHA256 as in the HelloRetryRequest", changed(() => ({ suite: 0x1303 }), "server_hello", forP256));
  });

  test("illegal_parameter: a ServerHello after it with a share of the first group", async () => {
    await refused("illegal_parameter", "of which we sent none", { group: "X25519", retry: { group: "P-256" } });
  });

  test("illegal_parameter: a ServerHello after it that gives the cookie back", async () => {
    await refused("illegal_parameter", "no place here", changed(withExtra(cookie, vector(2, number(1, 1))), "server_hello", { retry: { cookie: number(1, 1) } }));
  });

  test("illegal_parameter: a point after it that is not on the curve", async () => {
    const off = concat(Uint8Array.of(4), new Uint8Array(64).fill(1));
    await refused("illegal_parameter", "a point on P-256", changed(replaced(key_share, share(0x17, off)), "server_hello", forP256));
  });
});

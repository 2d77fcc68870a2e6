// SPDX-License-Identifier: MIT OR Apache-2.0
/** A connection after its handshake: data, tickets, new keys, and how it ends. */
import { describe, expect, test } from "vitest";
import { shake } from "../../../tests/support/tls-trial.ts";
import { recordsIn, type TestServer } from "../../../tests/support/tls-server.ts";
import type { TlsStream } from "../stream.ts";
import { concat, number, vector } from "./codec.ts";
import { CONTENT, MESSAGE } from "./constants.ts";
import { keyUpdate } from "./handshake.ts";
import { handshake } from "./hello.ts";
import { readAlert } from "./messages.ts";

const DATA = Uint8Array.of(1, 2, 3);
const ticket = handshake(MESSAGE.new_session_ticket, number(4, 7200), number(4, 1), vector(1, DATA), vector(2, DATA), vector(2));
const send = (server: TestServer, data = DATA) => server.records.write(CONTENT.application_data, data);
const message = (server: TestServer, data: Uint8Array) => server.records.write(CONTENT.handshake, data);

/** The read fails, and the server is told why. */
async function failsWith(alert: string, text: string, { stream, server }: { stream: TlsStream; server: TestServer }): Promise<void> {
  await expect(stream.read()).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining(text) });
  expect(await server.alert()).toBe(alert);
  expect(server.client.closed).toBe(true);
  await expect(stream.read()).rejects.toMatchObject({ message: expect.stringContaining(text) });
  await expect(stream.write(DATA)).rejects.toMatchObject({ code: "TLS" });
}

describe("data", () => {
  test("comes in order and in full, however it was cut", async () => {
    const { stream, server } = await shake({ piece: 7 });
    const large = Uint8Array.from({ length: 50_000 }, (_octet, i) => i % 251);
    await send(server, large);
    const got: Uint8Array[] = [];
    for (let length = 0; length < large.length; ) {
      const part = (await stream.read()) as Uint8Array;
      got.push(part);
      length += part.length;
    }
    expect(concat(...got)).toEqual(large);
    await Promise.all([stream.write(large), stream.write(DATA), stream.write(new Uint8Array())]);
    for (const length of [16_384, 16_384, 16_384, 50_000 - 3 * 16_384, 3]) expect((await server.records.read())?.data).toHaveLength(length);
  });

  test("empty records and tickets are passed over", async () => {
    const { stream, server } = await shake();
    await server.records.write(CONTENT.handshake, concat(ticket, ticket));
    await send(server, new Uint8Array());
    await message(server, ticket.subarray(0, 9));
    await message(server, ticket.subarray(9));
    await send(server);
    expect(await stream.read()).toEqual(DATA);
  });

  test("a server that sends nothing but tickets is left", async () => {
    const trial = await shake();
    for (let i = 0; i < 32; i++) await message(trial.server, ticket);
    await failsWith("unexpected_message", "32 records without any", trial);
  });
});

describe("new keys", () => {
  test("of the server, several times over", async () => {
    const { stream, server } = await shake();
    for (let i = 0; i < 3; i++) {
      await server.records.renew(keyUpdate(false), true);
      await send(server);
      expect(await stream.read()).toEqual(DATA);
    }
  });

  test("of both sides, when the server asks for ours", async () => {
    const { stream, server } = await shake();
    await server.records.renew(keyUpdate(true), true);
    await send(server);
    expect(await stream.read()).toEqual(DATA);
    expect(await server.records.read()).toEqual({ type: CONTENT.handshake, data: keyUpdate(false) });
    server.records.readNext();
    await stream.write(DATA);
    expect(await server.records.read()).toEqual({ type: CONTENT.application_data, data: DATA });
  });

  test.each<[string, string, Uint8Array, string]>([
    ["illegal_parameter", "with a request that is neither", handshake(MESSAGE.key_update, number(1, 2)), "expected 0 or 1, got 2"],
    ["decode_error", "cut", handshake(MESSAGE.key_update), "KeyUpdate: expected 1 octets"],
    ["decode_error", "too long", handshake(MESSAGE.key_update, number(2, 0)), "more octets"],
    ["unexpected_message", "with a message behind it, under the old keys", concat(keyUpdate(false), ticket), "across a change of keys"],
  ])("%s: %s", async (alert, _name, data, text) => {
    const trial = await shake();
    await message(trial.server, data);
    await failsWith(alert, text, trial);
  });

  test("bad_record_mac: announced, but not used", async () => {
    const trial = await shake();
    await message(trial.server, keyUpdate(false));
    await send(trial.server);
    await failsWith("bad_record_mac", "not authentic", trial);
  });
});

describe("what has no place after the handshake", () => {
  test.each<[string, string, Uint8Array, string]>([
    ["unexpected_message", "a CertificateRequest, which we did not offer to answer", handshake(MESSAGE.certificate_request, vector(1, DATA), vector(2)), "no certificate_request"],
    ["unexpected_message", "a ServerHello", handshake(MESSAGE.server_hello, new Uint8Array(80)), "no server_hello"],
    ["unexpected_message", "a Finished", handshake(MESSAGE.finished, new Uint8Array(32)), "no finished"],
    ["unexpected_message", "a HelloRequest: renegotiation is gone", Uint8Array.of(0, 0, 0, 0), "no handshake message 0"],
    ["decode_error", "a ticket that is cut", handshake(MESSAGE.new_session_ticket, number(4, 1)), "NewSessionTicket"],
    ["illegal_parameter", "a message of 16 MiB to come", Uint8Array.of(4, 0xff, 0xff, 0xff), "at most 65536 octets"],
  ])("%s: %s", async (alert, _name, data, text) => {
    const trial = await shake();
    await message(trial.server, data);
    await failsWith(alert, text, trial);
  });

  test("unexpected_message: data in the middle of a message", async () => {
    const trial = await shake();
    await message(trial.server, ticket.subarray(0, 5));
    await send(trial.server);
    await failsWith("unexpected_message", "interrupted", trial);
  });

  test("unexpected_message: change_cipher_spec", async () => {
    const trial = await shake();
    await trial.server.records.writeChangeCipherSpec();
    await failsWith("unexpected_message", "change_cipher_spec", trial);
  });
});

describe("the end", () => {
  test("by close_notify is an end, and may still be answered", async () => {
    const { stream, server } = await shake();
    await send(server);
    await server.records.write(CONTENT.alert, Uint8Array.of(1, 0));
    expect(await stream.read()).toEqual(DATA);
    expect(await stream.read()).toBeUndefined();
    expect(await stream.read()).toBeUndefined();
    await stream.write(DATA);
    expect((await server.records.read())?.data).toEqual(DATA);
  });

  test("without close_notify is an error: somebody may have cut it", async () => {
    const { stream, server } = await shake();
    server.end.close();
    await expect(stream.read()).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("without close_notify") });
  });

  test("in the middle of a record is one, too", async () => {
    const { stream, server } = await shake();
    await server.end.write(Uint8Array.of(23, 3, 3, 0, 50, 1, 2));
    server.end.close();
    await expect(stream.read()).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("middle of a record") });
  });

  test("by a network error has it as its cause", async () => {
    const { stream, server } = await shake();
    const reset = new Error("ECONNRESET");
    server.client.fail(reset);
    await expect(stream.read()).rejects.toMatchObject({ code: "UNREACHABLE", cause: reset });
  });

  test("by an alert says which; user_canceled is none yet", async () => {
    const { stream, server } = await shake();
    await server.records.write(CONTENT.alert, Uint8Array.of(1, 90));
    await server.records.write(CONTENT.alert, Uint8Array.of(1, 80));
    await expect(stream.read()).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("internal_error") });
  });

  test("by us: close_notify is sent once, a pending read ends, nothing can be written", async () => {
    const { stream, server } = await shake();
    const pending = stream.read();
    stream.close();
    stream.close();
    expect(await pending).toBeUndefined();
    expect(await stream.read()).toBeUndefined();
    const record = await server.records.read();
    expect([record?.type, readAlert(record?.data ?? new Uint8Array())]).toEqual([CONTENT.alert, 0]);
    expect(await server.records.read()).toBeUndefined();
    expect(server.client.closed).toBe(true);
    await expect(stream.write(DATA)).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("was closed") });
    expect(recordsIn(concat(...server.client.written)).length).toBe(4);
  });
});

// SPDX-License-Identifier: MIT OR Apache-2.0
/** One message off a stream: at every split, with limits that hold whatever comes. */
import { describe, expect, it } from "vitest";
import { streamPair } from "../../../tests/support/tls-pair.ts";
import { writeKeMessage } from "../core/cold.ts";
import { receiveKeMessage } from "./receive.ts";
import { RECORD, endRecord, numbersRecord } from "./records.ts";

const LIMITS = { octets: 4096, records: 32 };
const cookie = { type: RECORD.cookie, critical: false, body: new Uint8Array(100).fill(9) };
const RECORDS = [numbersRecord(RECORD.nextProtocol, true, [0]), numbersRecord(RECORD.aead, true, [15]), cookie, cookie, endRecord];
const MESSAGE = writeKeMessage(RECORDS);

async function receiveAfter(pieces: readonly Uint8Array[], limits = LIMITS) {
  const [here, there] = streamPair();
  for (const piece of pieces) await there.write(piece);
  there.close();
  return receiveKeMessage(here, limits);
}

describe("a message off a stream", () => {
  it("is the same in pieces of any size", async () => {
    for (let piece = 1; piece <= MESSAGE.length; piece++) {
      const [here, there] = streamPair({ piece });
      await there.write(MESSAGE);
      expect(await receiveKeMessage(here, LIMITS)).toEqual({ records: RECORDS });
    }
  });

  it("is the same split in two at any octet", async () => {
    for (let at = 0; at <= MESSAGE.length; at++) {
      expect(await receiveAfter([MESSAGE.subarray(0, at), MESSAGE.subarray(at)])).toEqual({ records: RECORDS });
    }
  });

  it("that ends early is told by how far it came, at every length", async () => {
    for (let length = 0; length < MESSAGE.length; length++) expect(await receiveAfter([MESSAGE.subarray(0, length)])).toEqual({ ended: length });
  });

  it("is refused with what comes behind its end in one piece", async () => {
    expect(await receiveAfter([Uint8Array.of(...MESSAGE, 1)])).toMatchObject({ refused: expect.stringContaining("after the end"), unknownCritical: false });
  });

  it("is refused at the limit however much more there is, and no more of it is kept", async () => {
    const flood = new Uint8Array(1_000_000).fill(0x55);
    expect(await receiveAfter([flood])).toMatchObject({ refused: expect.stringContaining("more octets") });
    const many = writeKeMessage([...new Array(40).fill({ type: 0x3000, critical: false, body: new Uint8Array(0) }), endRecord]);
    expect(await receiveAfter([many])).toMatchObject({ refused: expect.stringContaining("more records") });
  });

  it("is taken up to the limit exactly", async () => {
    const exactly = { octets: MESSAGE.length, records: RECORDS.length };
    expect(await receiveAfter([MESSAGE], exactly)).toEqual({ records: RECORDS });
    expect(await receiveAfter([MESSAGE], { ...exactly, octets: MESSAGE.length - 1 })).toHaveProperty("refused");
    expect(await receiveAfter([MESSAGE], { ...exactly, records: RECORDS.length - 1 })).toHaveProperty("refused");
  });

  it("tells a critical record that is not known apart", async () => {
    const unknown = { type: 0x2222, critical: true, body: new Uint8Array(0) };
    expect(await receiveAfter([writeKeMessage([unknown, endRecord])])).toMatchObject({ unknownCritical: true });
  });
});

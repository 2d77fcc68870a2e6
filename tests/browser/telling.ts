// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A relay that only tells its own time, and may tell it late, wrong or not at all: for what no honest relay does.
 *
 * @module
 */

import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";

export interface Telling extends AsyncDisposable {
  readonly url: string;
  /** Times asked. */
  asked: number;
  /** To add to the true time, s. */
  wrong: number;
  /** To hold requests and replies, ms. */
  holdRequest: number;
  holdReply: number;
  /** Makes something else of a reply; undefined for none. */
  change: (frame: Buffer) => Buffer | undefined;
  /** Cuts all connections. */
  cut(): void;
}

/** A client for Node: a browser's WebSocket tells of errors by events alone. */
export class Quiet extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.on("error", () => {});
  }
}

const UNIX_EPOCH = 2_208_988_800;
const pause = (ms: number): Promise<void> => (ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve());

export async function openTelling(): Promise<Telling> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const sockets = new Set<WebSocket>();
  const telling: Telling = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: 0, wrong: 0, holdRequest: 0, holdReply: 0,
    change: (frame) => frame,
    cut() {
      for (const socket of sockets) socket.terminate();
    },
    async [Symbol.asyncDispose]() {
      telling.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("message", (data: Buffer) => void answer(telling, socket, data));
  });
  return telling;
}

async function answer(telling: Telling, socket: WebSocket, asked: Buffer): Promise<void> {
  if (asked[0] !== 0x14) return;
  telling.asked += 1;
  await pause(telling.holdRequest);
  const frame = Buffer.alloc(8 + 48);
  frame[0] = 0x24;
  asked.copy(frame, 4, 4, 8);
  frame.set([0x24, 1, 0, 0xec], 8);
  frame.write("GPS\0", 8 + 12, "latin1");
  asked.copy(frame, 8 + 24, 8 + 40, 8 + 48);
  const time = (performance.timeOrigin + performance.now()) / 1000 + telling.wrong;
  for (const at of [16, 32, 40]) {
    frame.writeUInt32BE((Math.floor(time) + UNIX_EPOCH) >>> 0, 8 + at);
    frame.writeUInt32BE(Math.floor((time % 1) * 2 ** 32), 8 + at + 4);
  }
  await pause(telling.holdReply);
  const changed = telling.change(frame);
  if (changed) socket.send(changed);
}

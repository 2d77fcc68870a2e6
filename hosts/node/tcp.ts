// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TCP on `node:net`: a stream that is read when it is wanted. What came and was not read holds the sender back.
 *
 * @module
 */

import net from "node:net";
import { NtpError } from "../common/errors.ts";
import type { Endpoint } from "../common/host.ts";
import type { ByteStream } from "../common/stream.ts";
import { stoppedBy, unreachable } from "../common/tcp.ts";
import { SocketStream } from "./stream.ts";

export function connectTcp(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stoppedBy(signal, endpoint));
    const socket = net.connect({ host: endpoint.address, port: endpoint.port, noDelay: true });
    const settle = (error?: NtpError) => {
      signal.removeEventListener("abort", stop);
      socket.off("error", refused).off("connect", connected);
      if (!error) return resolve(new SocketStream(socket));
      socket.on("error", () => {}).destroy();
      reject(error);
    };
    const stop = () => settle(stoppedBy(signal, endpoint));
    const refused = (cause: Error) => settle(unreachable(endpoint, cause));
    const connected = () => settle();
    signal.addEventListener("abort", stop, { once: true });
    socket.once("error", refused).once("connect", connected);
  });
}

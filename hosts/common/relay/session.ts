// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One client of a relay: its frames in, datagrams and streams out, replies back. docs/relay.md has the frames.
 *
 * It refuses all that its limits and the operator's targets do not let through, sends nothing that was not asked for, and at
 * most one reply to a request. With the connection everything on it ends. Tested in server.test.ts.
 *
 * @module
 */

import type { Host, UdpSocket } from "../host.ts";
import { sameAddress } from "../address.ts";
import { NtpError } from "../errors.ts";
import type { WebSocketHandlers, WebSocketPeer } from "../websocket.ts";
import type { RelayLimits, RelayStats } from "./limits.ts";
import { isReplyTo, isTimeRequest } from "./payload.ts";
import { RELAY_ERROR, readFrame, writeFrame, type Frame, type RelayErrorCode } from "./protocol.ts";
import { RelayedConnection } from "./tunnel.ts";
import type { Targets } from "./targets.ts";
import type { ToldTime } from "./time.ts";
import { timeJson, type LeapEvent } from "./web.ts";

/** What all sessions of a relay share. */
export interface SessionContext {
  readonly host: Host;
  readonly targets: Targets;
  readonly limits: RelayLimits;
  readonly stats: RelayStats;
  readonly time: ToldTime;
  readonly id: string;
  readonly leap: LeapEvent;
  /** Whether this address may ask for one thing more. */
  take(address: string): boolean;
  /** The session is over. */
  ended(session: RelaySession): void;
}

type Of<T extends Frame["type"]> = Extract<Frame, { type: T }>;

/** WebSocket close codes (RFC 6455 §7.4.1). */
const GOING_AWAY = 1001;
const PROTOCOL_ERROR = 1002;
const POLICY = 1008;
/** What may wait for a client that does not read, octets. */
const MOST_BUFFERED = 262_144;

export class RelaySession implements WebSocketHandlers {
  readonly address: string;
  readonly #context: SessionContext;
  readonly #peer: WebSocketPeer;
  readonly #speaksFrames: boolean;
  readonly #datagrams = new Map<number, UdpSocket | undefined>();
  readonly #streams = new Map<number, RelayedConnection>();
  readonly #lifetime: ReturnType<typeof setTimeout>;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  /** `speaksFrames`: the subprotocol was agreed on; else the client may only ask for the time itself. */
  constructor(context: SessionContext, peer: WebSocketPeer, { address, speaksFrames }: { address: string; speaksFrames: boolean }) {
    this.address = address;
    this.#context = context;
    this.#peer = peer;
    this.#speaksFrames = speaksFrames;
    this.#lifetime = setTimeout(() => this.close(GOING_AWAY, "time is up; connect again"), context.limits.connectionTime * 1000);
    this.#heard();
  }

  onMessage(data: Uint8Array | string): void {
    // T2: MUST be the first thing.
    const receivedNs = this.#context.host.clock.now();
    if (this.#over) return;
    this.#heard();
    if (typeof data === "string") return this.#onText(data);
    if (!this.#speaksFrames) return this.#onPacket(data, receivedNs);
    const frame = readFrame(data);
    switch (frame?.type) {
      case "datagram": return void this.#onDatagram(frame, receivedNs);
      case "open": return void this.#onOpen(frame);
      case "data": return this.#streams.get(frame.id)?.write(frame.payload.slice());
      case "close": return this.#streams.get(frame.id)?.close();
      case "time": return this.#onTime(frame, receivedNs);
      default: return this.#malformed();
    }
  }

  onClose(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#lifetime);
    for (const socket of this.#datagrams.values()) socket?.close();
    this.#datagrams.clear();
    for (const stream of [...this.#streams.values()]) stream.close();
    this.#context.ended(this);
  }

  /** End the connection. Idempotent. */
  close(code: number, reason: string): void {
    if (this.#over) return;
    this.#peer.close(code, reason);
    this.onClose();
  }

  #heard(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(GOING_AWAY, "nothing was asked for a while"), this.#context.limits.connectionIdle * 1000);
  }

  // --- the time itself ---

  #onText(text: string): void {
    const context = this.#context;
    if (!this.#taken()) return this.close(POLICY, "too many requests");
    const answer = text.length > 32 ? undefined : timeJson(text, context.id, context.time.told(), context.leap);
    if (answer === undefined) return this.#malformed();
    context.stats.times += 1;
    this.#peer.send(answer);
  }

  #onPacket(packet: Uint8Array, receivedNs: bigint): void {
    if (!this.#taken()) return this.close(POLICY, "too many requests");
    const reply = this.#told(packet, receivedNs);
    if (!reply) return this.#malformed();
    this.#peer.send(reply);
  }

  #onTime({ id, payload }: Of<"time">, receivedNs: bigint): void {
    if (!this.#taken()) return this.#refuse(id, RELAY_ERROR.limit, "too many requests");
    const reply = this.#told(payload, receivedNs);
    if (!reply) return this.#refuse(id, RELAY_ERROR.payload, "no NTP request");
    this.#send({ type: "timed", id, payload: reply });
  }

  #told(packet: Uint8Array, receivedNs: bigint): Uint8Array<ArrayBuffer> | undefined {
    const reply = isTimeRequest(packet) ? this.#context.time.answer(packet, receivedNs) : undefined;
    if (reply) this.#context.stats.times += 1;
    return reply;
  }

  // --- datagrams ---

  async #onDatagram({ id, host, port, payload }: Of<"datagram">, t2: bigint): Promise<void> {
    const { targets, limits, stats } = this.#context;
    if (this.#datagrams.has(id) || this.#streams.has(id)) return this.#malformed();
    if (!this.#taken() || this.#datagrams.size >= limits.datagrams) return this.#refuse(id, RELAY_ERROR.limit, "too many requests");
    if (!isTimeRequest(payload)) return this.#refuse(id, RELAY_ERROR.payload, "neither an NTP nor a Roughtime request");
    if (!targets.allows("udp", host, port)) return this.#refuse(id, RELAY_ERROR.forbidden);
    stats.datagrams += 1;
    this.#datagrams.set(id, undefined);
    // The message is the runtime's; what follows waits.
    const request = payload.slice();
    try {
      const address = await targets.address(host);
      const outcome = await this.#exchange(id, request, { address, port }, t2);
      if (outcome === "timeout") {
        stats.timeouts += 1;
        await targets.failed(host, address);
        this.#refuse(id, RELAY_ERROR.timeout);
      }
    } catch (error) {
      stats.failed += 1;
      this.#refuse(id, codeOf(error));
    }
  }

  /** Send, and wait for the one reply. Resolves when that was sent on, when time was up, or when the connection ended. */
  async #exchange(id: number, request: Uint8Array, to: { address: string; port: number }, t2: bigint): Promise<"done" | "timeout"> {
    const { host, limits, stats } = this.#context;
    if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets`);
    let settle!: (outcome: "done" | "timeout") => void;
    let fail!: (error: Error) => void;
    const outcome = new Promise<"done" | "timeout">((resolve, reject) => ((settle = resolve), (fail = reject)));
    outcome.catch(() => {});
    let sentNs = t2;
    const socket = await host.openUdp({ family: to.address.includes(":") ? 6 : 4, connect: to }, {
      onDatagram: ({ data, from, receivedNs }) => {
        // MUST hold even where the kernel filters for us: not every runtime can connect a UDP socket.
        const fits = from.port === to.port && sameAddress(from.address, to.address) && isReplyTo(request, data);
        if (!fits) return void (stats.passedOver += 1);
        if (!this.#datagrams.delete(id)) return;
        stats.replies += 1;
        const payload = data.slice();
        const t3 = host.clock.now();
        this.#send({ type: "reply", id, times: { t2, t3, out: Number(sentNs - t2), back: Number(t3 - receivedNs) }, payload });
        settle("done");
      },
      onError: fail,
    });
    const timer = setTimeout(() => settle("timeout"), limits.replyTime * 1000);
    try {
      // The connection may have ended while the socket was opened.
      if (!this.#datagrams.has(id)) return "done";
      this.#datagrams.set(id, { local: socket.local, stamps: socket.stamps, send: (data, target) => socket.send(data, target), close: () => settle("done") });
      sentNs = host.clock.now();
      await socket.send(request, to);
      return await outcome;
    } finally {
      clearTimeout(timer);
      socket.close();
    }
  }

  // --- streams ---

  async #onOpen({ id, host, port }: Of<"open">): Promise<void> {
    const { targets, limits, stats } = this.#context;
    if (this.#datagrams.has(id) || this.#streams.has(id)) return this.#malformed();
    if (!this.#taken() || this.#streams.size >= limits.streams) return this.#refuse(id, RELAY_ERROR.limit, "too many streams");
    if (!targets.allows("tcp", host, port)) return this.#refuse(id, RELAY_ERROR.forbidden);
    stats.streams += 1;
    stats.openStreams += 1;
    const stream = new RelayedConnection(this.#context.host, limits, {
      onOpened: () => this.#send({ type: "opened", id }),
      onData: (payload) => {
        stats.streamOctets += payload.length;
        this.#send({ type: "data", id, payload });
      },
      onEnd: (error) => {
        this.#streams.delete(id);
        stats.openStreams -= 1;
        if (!error) return this.#send({ type: "close", id });
        stats.failed += 1;
        this.#refuse(id, codeOf(error));
      },
    });
    this.#streams.set(id, stream);
    await stream.run(async () => {
      const address = await targets.address(host);
      return { endpoint: { address, port }, failed: () => targets.failed(host, address) };
    });
  }

  // --- what all of them need ---

  #taken(): boolean {
    const granted = this.#context.take(this.address);
    if (!granted) this.#context.stats.limited += 1;
    return granted;
  }

  #refuse(id: number, code: RelayErrorCode, text = ""): void {
    const { stats } = this.#context;
    if (code === RELAY_ERROR.forbidden) stats.forbidden += 1;
    if (code === RELAY_ERROR.payload) stats.unfit += 1;
    this.#datagrams.delete(id);
    this.#send({ type: "error", id, code, text });
  }

  #malformed(): void {
    this.#context.stats.malformed += 1;
    if (this.#speaksFrames) this.#send({ type: "error", id: 0, code: RELAY_ERROR.malformed, text: "" });
    this.close(PROTOCOL_ERROR, "this cannot be read");
  }

  #send(frame: Frame): void {
    if (this.#over) return;
    if (this.#peer.buffered > MOST_BUFFERED) return this.close(POLICY, "the client does not read");
    this.#peer.send(writeFrame(frame));
  }
}

function codeOf(error: unknown): RelayErrorCode {
  const code = error instanceof NtpError ? error.code : undefined;
  return code === "DNS" ? RELAY_ERROR.dns : code === "TIMEOUT" ? RELAY_ERROR.timeout : RELAY_ERROR.unreachable;
}

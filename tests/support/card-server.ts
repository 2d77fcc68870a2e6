// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's loop of batches in this process, over real sockets on loopback with a network card under them, which is a fake: its
 * clock by the device layer, its stamps in the control messages. All else is the kernel's.
 *
 * @module
 */

import { lendHost, type ServeOptions } from "../../hosts/node/index.ts";
import { checkedState, extrasOf } from "../../hosts/common/server/serve.ts";
import { ServerCore } from "../../hosts/common/server/state.ts";
import { countersOf, sharedMemory } from "../../hosts/common/server/threads.ts";
import type { CardMeans } from "../../hosts/native/cards.ts";
import { PTP_SYS_OFFSET_PRECISE } from "../../hosts/native/hardware.ts";
import { CardLines } from "../../hosts/native/server-cards.ts";
import type { ServerLibc } from "../../hosts/native/server-libc.ts";
import { BatchLoop } from "../../hosts/native/server-loop.ts";
import { openServerSockets } from "../../hosts/native/server-sockets.ts";
import { startStamping } from "../../hosts/native/stamping.ts";
import { Card, type CardOptions } from "./card.ts";
import { stampedBatches, type CardSays } from "./stamped.ts";

/** How far the card's clock is ahead of the system's, ns: TAI. */
export const AHEAD = 37_000_000_000n;
const PUMP_MS = 1;

export interface CardServerOptions extends Omit<ServeOptions, "listen"> {
  /** "all": one socket for both families, where there are two. */
  readonly listen?: readonly string[] | "all";
  readonly card?: CardOptions;
  readonly wanted?: string;
}

export interface CardServer extends Disposable {
  readonly port: number;
  readonly server: ServerCore;
  readonly card: Card;
  readonly told: readonly string[];
  /** Answer what has come. */
  drain(): void;
  /** Answer what comes, until the end. */
  pump(): void;
}

/** What its card stamps is said by `says`. */
export async function cardServer(libc: ServerLibc, says: CardSays, { card: about, wanted = "lo", listen = ["127.0.0.1"], ...options }: CardServerOptions = {}): Promise<CardServer> {
  const host = await lendHost();
  // What the kernel does not stamp yet, its card does not either.
  await startStamping(libc.ffi);
  const card = new Card({ name: "lo", knows: [PTP_SYS_OFFSET_PRECISE], ahead: AHEAD, now: () => host.clock.now(), ...about });
  const means: CardMeans = { layer: card, names: () => ["lo"], indexOf: (name) => libc.interfaceIndex(name), nameOf: (index) => libc.interfaceName(index), nowMs: () => performance.now() };
  const told: string[] = [];
  const tell = (reason: string) => void told.push(reason);
  const plan = { listen: listen === "all" ? undefined : listen, port: 0, sets: 1, device: undefined, dscp: undefined, receiveBuffer: 262_144, broadcast: false, cards: { wanted, tell } };
  const sockets = openServerSockets(libc, plan, { means });
  const server = new ServerCore(checkedState({ stratum: 1, refid: "CARD", ...options }, host), () => host.clock.now(), extrasOf(options, host));
  const lines = sockets.cards!.length > 0 ? new CardLines(server.core, means, sockets.cards!, tell) : undefined;
  const stamped = stampedBatches(libc, server.core.bytes, says, libc.interfaceIndex("lo"));
  const loop = new BatchLoop(stamped, server, { descriptors: sockets.sets[0]!, counters: countersOf(sharedMemory()), control() {} }, lines);
  let pumping: ReturnType<typeof setInterval> | undefined;
  return {
    port: sockets.addresses[0]!.port, server, card, told,
    drain: () => loop.drain(),
    pump: () => (pumping = setInterval(() => loop.drain(), PUMP_MS)),
    [Symbol.dispose]() {
      clearInterval(pumping);
      sockets.close();
    },
  };
}

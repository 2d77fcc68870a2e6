// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server with what stands beside it: key establishment and metrics, started after it, each ended with it.
 *
 * Whatever cannot start ends what has started already. Tested in tests/server/features.test.ts and metrics.test.ts.
 *
 * @module
 */

import type { Endpoint, Host } from "../host.ts";
import type { KeServerStats } from "../nts/server.ts";
import type { NtsKeeper, ServedNts } from "./establish.ts";
import { startMetrics } from "./metrics.ts";
import type { NtpServing, ServeOptions, Server, ServerStats } from "./serve.ts";

/** What {@link whole} puts together. */
export interface Parts {
  readonly server: NtpServing;
  readonly keeper: NtsKeeper | undefined;
}

/** Start what is asked for beside `server`. @throws {NtpError} `SOCKET`, `UNSUPPORTED`, `INVALID_ARGUMENT` */
export async function whole(host: Host, { server, keeper }: Parts, options: ServeOptions): Promise<Server> {
  if (!keeper && !options.metrics) return server;
  const together = new Whole(server, keeper);
  try {
    await together.start(host, options);
  } catch (error) {
    await together.close();
    throw error;
  }
  return together;
}

class Whole implements Server {
  readonly #server: NtpServing;
  readonly #keeper: NtsKeeper | undefined;
  #nts: ServedNts | undefined;
  #metrics: { local: Endpoint; close(): Promise<void> } | undefined;

  constructor(server: NtpServing, keeper: NtsKeeper | undefined) {
    this.#server = server;
    this.#keeper = keeper;
  }

  async start(host: Host, { metrics, listen }: ServeOptions): Promise<void> {
    const server = this.#server;
    this.#nts = await this.#keeper?.start({ port: server.addresses[0]!.port, listen, hold: (keys) => server.holdCookieKeys(keys) });
    this.#metrics = metrics && (await startMetrics(host, this, metrics));
  }

  get addresses(): readonly Endpoint[] {
    return this.#server.addresses;
  }

  get stats(): ServerStats {
    const ke: KeServerStats | undefined = this.#nts?.stats;
    return ke ? { ...this.#server.stats, ke } : this.#server.stats;
  }

  get counters() {
    return this.#server.counters;
  }

  get metrics(): Endpoint | undefined {
    return this.#metrics?.local;
  }

  get nts(): ServedNts | undefined {
    return this.#nts;
  }

  clients: Server["clients"] = () => this.#server.clients();
  configure: Server["configure"] = (changes) => this.#server.configure(changes);
  update: Server["update"] = (update) => this.#server.update(update);

  async close(): Promise<void> {
    await Promise.all([this.#metrics?.close(), this.#keeper?.close(), this.#server.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Two networks of their own with a cable between them, called `cable` at both ends: for programs that insist on port 123, that ask
 * nobody on loopback, or that speak to everybody. Needs root, and ip, nsenter and unshare.
 *
 * @module
 */

import { afterAll, beforeAll } from "vitest";
import { Namespace, run } from "./peers.ts";

export interface CableOptions {
  /** Addresses that our end has beside its first. */
  readonly more?: readonly string[];
  /** The broadcast address of both ends: addresses have none until they are told. */
  readonly everybody?: string;
  /** IPv6 addresses of our end and the other. */
  readonly six?: readonly [here: string, there: string];
  /** Which ends find the way to groups by themselves. Default none. */
  readonly groups?: readonly ("here" | "there")[];
}

export class Cable {
  readonly here: Namespace;
  readonly there: Namespace;

  private constructor(here: Namespace, there: Namespace) {
    this.here = here;
    this.there = there;
  }

  /** An address at either end, and what else is wanted. */
  static async lay([here, there]: readonly [here: string, there: string], { more = [], everybody, six, groups = [] }: CableOptions = {}): Promise<Cable> {
    const cable = new Cable(await Namespace.open(), await Namespace.open());
    await Namespace.connect(cable.here, cable.there, [here, there]);
    if (everybody !== undefined) {
      // An address that is there already keeps the broadcast address that it has, for programs that look for it.
      for (const [end, address] of [["here", here], ["there", there]] as const) {
        await cable.#ip(end, "address", "delete", `${address}/24`, "dev", "cable");
        await cable.#ip(end, "address", "add", `${address}/24`, "broadcast", everybody, "dev", "cable");
      }
    }
    // Behind the above: who takes an end's first address away takes all others of its network along.
    for (const address of more) await cable.#ip("here", "address", "add", `${address}/24`, "dev", "cable");
    if (six) for (const [end, address] of [["here", six[0]], ["there", six[1]]] as const) await cable.#ip(end, "address", "add", `${address}/64`, "dev", "cable", "nodad");
    for (const end of groups) await cable.#ip(end, "route", "add", "224.0.0.0/4", "dev", "cable");
    return cable;
  }

  async #ip(end: "here" | "there", ...args: string[]): Promise<void> {
    const { status, stderr } = await run("ip", args, { namespace: this[end] });
    if (status !== 0) throw new Error(`expected "ip ${args.join(" ")}" to succeed: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.here, this.there].map((end) => end[Symbol.asyncDispose]()));
  }
}

/** A cable that lies while the tests of a `describe` run; what they start over it MUST be stopped before. */
export function cableOfTests(addresses: readonly [here: string, there: string], options?: CableOptions): Pick<Cable, "here" | "there"> {
  let cable: Cable | undefined;
  const laid = (): Cable => {
    if (!cable) throw new Error("expected a test or a hook after beforeAll to ask for the cable: it is not laid yet");
    return cable;
  };
  beforeAll(async () => {
    cable = await Cable.lay(addresses, options);
  });
  afterAll(() => cable?.[Symbol.asyncDispose]());
  return {
    get here() {
      return laid().here;
    },
    get there() {
      return laid().there;
    },
  };
}

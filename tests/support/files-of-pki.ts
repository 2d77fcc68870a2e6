// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An authority and its certificates as files, as real programs want them: the authority is trusted by clients, each server
 * gets a P-256 leaf for "localhost" and its addresses. The files are gone when the test file ends.
 *
 * @module
 */

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { freshDirectory } from "./peers.ts";
import { issue, makeCa } from "./pki.ts";

/** A server's certificate and key, PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

export class PkiFiles {
  readonly directory = freshDirectory();
  /** The authority's certificate, PEM. */
  readonly ca = join(this.directory, "ca.pem");
  readonly #authority = makeCa();
  #count = 0;

  constructor() {
    writeFileSync(this.ca, this.#authority.certificate);
    afterAll(() => rmSync(this.directory, { recursive: true, force: true }));
  }

  /** A certificate for localhost and `addresses`. */
  issue(...addresses: string[]): Credentials {
    const { certificate, key } = issue(this.#authority, { name: "localhost", dns: ["localhost"], ips: addresses });
    const base = join(this.directory, String(this.#count++));
    writeFileSync(`${base}.pem`, certificate);
    writeFileSync(`${base}.key`, key, { mode: 0o600 });
    return { certificate: `${base}.pem`, key: `${base}.key` };
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's certificate and key from files, and again when they have changed: certificates are renewed every few weeks by
 * other programs, and no client should notice.
 *
 * The two files change one after the other. A pair that does not fit together is passed over and looked at again; the server
 * keeps the old one meanwhile. Tested in certfiles.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { HostFiles } from "../files.ts";

export interface CertificateFiles {
  /** PEM: the chain, leaf first; the private key. They may be one file. */
  readonly certificate: string;
  readonly key: string;
}

export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** A chain of certificates has a few KiB each. */
const OCTETS_MOST = 1 << 20;
const LOOK_EVERY_MS = 5000;

/** @throws {NtpError} `INVALID_ARGUMENT` when one is not there. */
export async function readCertificate(files: HostFiles, { certificate, key }: CertificateFiles): Promise<CertificatePair> {
  const read = async (path: string) => {
    const content = await files.read(path, OCTETS_MOST);
    if (!content) throw new NtpError("INVALID_ARGUMENT", `expected a PEM file at ${path}, there is none`);
    return new TextDecoder().decode(content.data);
  };
  return { certificate: await read(certificate), key: await read(key) };
}

export interface WatchOptions {
  /** Takes the new pair; throws when it does not like it, and will be given it again once the files have changed further. */
  readonly renew: (pair: CertificatePair) => void;
  /** A pair was taken (undefined), or not; for a log. Called once for each change, and once for a row of equal errors. */
  readonly report?: ((error: unknown) => void) | undefined;
  readonly everyMs?: number | undefined;
}

/** Watch until the returned function is called. Looks at the times of change: notifications do not cross all file systems. */
export function watchCertificate(files: HostFiles, paths: CertificateFiles, { renew, report, everyMs = LOOK_EVERY_MS }: WatchOptions): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let known: string | undefined;
  let complaint = "";
  const times = async () => `${await files.modified(paths.certificate)} ${await files.modified(paths.key)}`;
  const look = async () => {
    try {
      const seen = await times();
      // The first look only notes what the server has already.
      if (known !== undefined && seen !== known) {
        known = seen;
        const pair = await readCertificate(files, paths);
        if (stopped) return;
        renew(pair);
        report?.(undefined);
      }
      known = seen;
      complaint = "";
    } catch (error) {
      // A file that stays out of reach is told of once.
      if (!stopped && complaint !== String(error)) report?.(error);
      complaint = String(error);
    }
  };
  const loop = () =>
    void look().then(() => {
      if (stopped) return;
      timer = setTimeout(loop, everyMs);
      (timer as { unref?(): void }).unref?.();
    });
  loop();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The root certificates that `node:tls` was built with (Mozilla's list). Tested in tls.test.ts.
 *
 * @module
 */

import tls from "node:tls";

export async function rootCertificates(): Promise<string> {
  return tls.rootCertificates.join("\n");
}

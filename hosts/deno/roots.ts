// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The root certificates that Deno was built with (Mozilla's list). Deno's TLS itself has no exporter (RFC 8446 §7.5), without
 * which there is no NTS: this folder has no tls.ts. Clients use escapement's own TLS; a server cannot be had.
 * Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { rootCertificates } from "../node/roots.ts";

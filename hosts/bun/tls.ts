// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TLS 1.3 on Bun: its `node:tls` over BoringSSL, as on Node. It has the group with ML-KEM and names classic groups only.
 * Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { connectTls, listenTls } from "../node/tls.ts";

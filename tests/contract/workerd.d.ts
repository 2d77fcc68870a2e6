// SPDX-License-Identifier: MIT OR Apache-2.0
/** Modules that workerd lends to worker-main.ts. */

declare module "cloudflare:sockets" {
  export const connect: import("../../hosts/edge/tcp.ts").WorkerConnect;
}

declare module "core.bin" {
  const octets: ArrayBuffer;
  export default octets;
}

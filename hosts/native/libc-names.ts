// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the C library is called, for the FFI backends that cannot open "the process itself" (Deno, Bun).
 *
 * Tested in ffi.test.ts.
 *
 * @module
 */

/** musl has one name per architecture; the dynamic linker knows these without a path. */
const MUSL_ARCHITECTURE: Record<string, string> = { x64: "x86_64", arm64: "aarch64", riscv64: "riscv64" };

/** Sonames of the C library in the order to try them. */
export function libcNames(platform: string = process.platform, arch: string = process.arch): string[] {
  if (platform === "darwin") return ["libSystem.B.dylib"];
  if (platform !== "linux") return [];
  return ["libc.so.6", `libc.musl-${MUSL_ARCHITECTURE[arch] ?? arch}.so.1`];
}

/** Open `library`, or for `null` the first name of the C library that opens. Throws the last failure. */
export function openFirst<T>(library: string | null, open: (path: string) => T): T {
  let failure: unknown = new Error("no name of the C library is known for this platform");
  for (const path of library === null ? libcNames() : [library]) {
    try {
      return open(path);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A root of its own for a daemon that build/peers.sh unpacked: its programs and libraries, and of /etc, /run and /var only what
 * a test gives it. For daemons that look for their users, their configuration or themselves at places that cannot be told.
 *
 * The root is a tmpfs in a mount namespace of the daemon's own: gone with its last process, seen by nobody else. /tmp is the
 * machine's, so that libraries put before its own and files to write to have one path inside and outside. Needs root. Used by
 * tests/interop/small-clients.test.ts.
 *
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Peer, findProgram, freshDirectory, run, type Ended, type StartOptions } from "./peers.ts";

/** What is not the daemon's own comes from this machine: libraries that are not called lib…, as with its start script. */
const SCRIPT = `
set -e
root=$1 stage=$2 files=$3
shift 3
mount -t tmpfs none "$stage"
chmod 755 "$stage"
for name in usr dev proc tmp machine; do mkdir "$stage/$name"; done
for name in bin sbin lib lib64; do ln -s "usr/$name" "$stage/$name"; done
mount --bind "$root/usr" "$stage/usr"
mount --bind /dev "$stage/dev"
mount --bind /tmp "$stage/tmp"
mount -t proc none "$stage/proc"
for loader in "$root"/usr/lib/*-linux-*/ld-linux*; do :; done
libraries=\${loader%/*}
libraries=\${libraries#"$root"}
mount --bind "$libraries" "$stage/machine"
cp -R "$files/." "$stage"
LD_LIBRARY_PATH="$libraries:$libraries/systemd:/machine" exec chroot "$stage" "$@"
`;

export interface OwnRoot {
  /** Path and text of each file that is to be there; a path that ends with "/" is a directory. */
  readonly files: Record<string, string>;
}

/** Whether a program was unpacked with a root of its own, and where that is. */
export function rootOf(program: string): string | undefined {
  const path = findProgram(program);
  return path === undefined ? undefined : resolve(dirname(path), "../../root");
}

/** Start `command` in the root of `program`. */
export function startInOwnRoot(program: string, command: readonly string[], { files, owns = [], ...options }: OwnRoot & StartOptions): Peer {
  const root = rootOf(program);
  if (root === undefined) throw new Error(`expected ${program} to be unpacked: npm run peers`);
  const [stage, given] = [freshDirectory(), freshDirectory()];
  for (const [path, text] of Object.entries(files)) {
    const place = join(given, path);
    mkdirSync(path.endsWith("/") ? place : dirname(place), { recursive: true, mode: 0o755 });
    if (!path.endsWith("/")) writeFileSync(place, text, { mode: 0o644 });
  }
  return new Peer("unshare", ["--mount", "--", "sh", "-c", SCRIPT, "stage", root, stage, given, ...command], { ...options, owns: [...owns, stage, given] });
}

/** Run `command` to its end beside `peer`, in the same root and with the same libraries. */
export function runInRootOf(peer: Peer, command: readonly string[]): Promise<Ended> {
  const libraries = readFileSync(`/proc/${peer.pid}/environ`, "latin1").split("\0").find((line) => line.startsWith("LD_LIBRARY_PATH="));
  return run("nsenter", [`--target=${peer.pid}`, "--mount", "--root", "--", ...command], { env: { LD_LIBRARY_PATH: libraries?.replace(/^[^=]*=/, "") ?? "" } });
}

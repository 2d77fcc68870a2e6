// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Unix datagram sockets, which no runtime has: to be fed as chronyd is by `refclock SOCK`, and to feed chronyd.
 *
 * The socket is for its owner and group (660): whoever writes to it sets our clock. A socket that lies there from before is
 * removed; anything else at its path is left alone. Datagrams carry their own time stamps, so that a timer's look a few
 * times a second is soon enough. Tested in tests/native/local-devices.test.ts.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { NtpError } from "../common/errors.ts";
import type { Device, LocalSender } from "../common/refclock/devices.ts";
import { cString, type DeviceLibc } from "./device.ts";
import { EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "./linux.ts";
import { Block } from "./memory.ts";

export const AF_UNIX = 1;
/** sun_path with its NUL. */
export const SUN_PATH_OCTETS = 108;
const SOCKADDR_UN_OCTETS = 2 + SUN_PATH_OCTETS;
const OWNER_AND_GROUP = 0o660;
const LOOK_MS = 50;
/** Far longer than any sample. */
const LONGEST = 512;
/** Read at one look: a feeder that floods us MUST NOT hold up the event loop. */
const BATCH = 64;

function socketAddress(libc: DeviceLibc, path: string): Block {
  const octets = new TextEncoder().encode(path);
  if (octets.length === 0 || octets.length >= SUN_PATH_OCTETS || octets.includes(0)) {
    throw new NtpError("INVALID_ARGUMENT", `expected a socket's path of 1 to ${SUN_PATH_OCTETS - 1} octets, got ${octets.length}`);
  }
  const block = new Block(libc.ffi, SOCKADDR_UN_OCTETS);
  block.view.setUint16(0, AF_UNIX, true);
  block.bytes.set(octets, 2);
  return block;
}

function openDatagrams(libc: DeviceLibc): number {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw libc.failure("socket");
  return fd;
}

/** Only ever what is a socket. */
function removeSocket(libc: DeviceLibc, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) libc.unlink(cString(libc.ffi, path).address);
}

/** Make a socket at `path` and be given what comes. @throws {SystemError} */
export function bindLocalSocket(libc: DeviceLibc, path: string, onDatagram: (data: Uint8Array) => void): Device {
  const address = socketAddress(libc, path);
  const fd = openDatagrams(libc);
  removeSocket(libc, path);
  if (libc.bind(fd, address.address, SOCKADDR_UN_OCTETS) !== 0) {
    const failure = libc.failure("bind", path);
    libc.close(fd);
    throw failure;
  }
  libc.chmod(cString(libc.ffi, path).address, OWNER_AND_GROUP);
  const block = new Block(libc.ffi, LONGEST);
  let open = true;
  const timer = setInterval(() => {
    for (let i = 0; i < BATCH && open; i++) {
      const length = libc.recv(fd, block.address, LONGEST, MSG_DONTWAIT);
      if (length >= 0) onDatagram(block.bytes.slice(0, length));
      else if (libc.errno() !== EINTR) break;
    }
  }, LOOK_MS);
  return {
    close() {
      if (!open) return;
      open = false;
      clearInterval(timer);
      libc.close(fd);
      removeSocket(libc, path);
    },
  };
}

/** Connect to somebody's socket. @throws {SystemError} ENOENT, ECONNREFUSED: nobody listens. */
export function connectToLocalSocket(libc: DeviceLibc, path: string): LocalSender {
  const address = socketAddress(libc, path);
  const fd = openDatagrams(libc);
  if (libc.connect(fd, address.address, SOCKADDR_UN_OCTETS) !== 0) {
    const failure = libc.failure("connect", path);
    libc.close(fd);
    throw failure;
  }
  let open = true;
  return {
    send(data) {
      const block = new Block(libc.ffi, data.length);
      block.bytes.set(data);
      if (libc.send(fd, block.address, data.length, MSG_DONTWAIT | MSG_NOSIGNAL) === data.length) return;
      // A reader that does not keep up loses this one.
      if (libc.errno() !== EAGAIN) throw libc.failure("send", path);
    },
    close() {
      if (open) libc.close(fd);
      open = false;
    },
  };
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Names and words for the errno values that socket calls give on Linux, and the error that carries them.
 *
 * The numbers are asm-generic's, which x64, arm64 and riscv64 share. The shape (`code`, `errno`, `syscall`) is that of
 * Node's own system errors, so that a caller handles both alike.
 *
 * Tested by errno.test.ts; the numbers are compared with the system's headers by layout.test.ts.
 *
 * @module
 */

/** errno → name and meaning. */
export const ERRNO: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ["EPERM", "not permitted (a firewall rule or a missing capability)"],
  2: ["ENOENT", "there is no such file or device"],
  4: ["EINTR", "interrupted by a signal"],
  5: ["EIO", "the device does not answer (unplugged?)"],
  6: ["ENXIO", "no such device behind this name"],
  9: ["EBADF", "the socket is closed"],
  11: ["EAGAIN", "the send buffer is full"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "somebody else uses it"],
  17: ["EEXIST", "it exists already"],
  19: ["ENODEV", "no such network interface"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files in this process"],
  25: ["ENOTTY", "the device does not know this request"],
  38: ["ENOSYS", "not implemented by this kernel"],
  71: ["EPROTO", "protocol error reported by the network"],
  89: ["EDESTADDRREQ", "a destination is needed: the socket is not connected"],
  90: ["EMSGSIZE", "the datagram is longer than the path carries"],
  92: ["ENOPROTOOPT", "the kernel does not know this socket option"],
  93: ["EPROTONOSUPPORT", "protocol not supported"],
  95: ["EOPNOTSUPP", "operation not supported"],
  97: ["EAFNOSUPPORT", "the address is of a family that this socket cannot reach"],
  98: ["EADDRINUSE", "another socket has this address and port"],
  99: ["EADDRNOTAVAIL", "no interface of this host has this address"],
  100: ["ENETDOWN", "the network is down"],
  101: ["ENETUNREACH", "no route to this network"],
  104: ["ECONNRESET", "connection reset"],
  105: ["ENOBUFS", "out of network buffers"],
  106: ["EISCONN", "the socket is connected to another endpoint"],
  110: ["ETIMEDOUT", "timed out"],
  111: ["ECONNREFUSED", "nothing listens on this port"],
  112: ["EHOSTDOWN", "the host is down"],
  113: ["EHOSTUNREACH", "no route to this host"],
};

/** Where a call means something else by it. */
const OF_CALL: Readonly<Record<string, string>> = {
  "connect EACCES": "permission denied (a broadcast address, which nobody can be asked at, or a firewall rule)",
};

/** A system call that failed. `code` is errno's name, as in Node's system errors. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly code: string;
  /** Negative, as Node and libuv give it. */
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject = "") {
    const [code, general] = ERRNO[errno] ?? [`E${errno}`, "unexpected system error"];
    const meaning = OF_CALL[`${syscall} ${code}`] ?? general;
    super(`${syscall} ${code}${subject === "" ? "" : ` ${subject}`}: ${meaning}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
/** The sockets of a server as the kernel sees them: each option that was asked for is set, and on the right ones. */
import { describe, expect, it } from "vitest";
import * as linux from "../../hosts/native/linux.ts";
import { libc } from "./built.ts";
import { option, sockets } from "./sockets.ts";

describe.skipIf(!libc)("a server's socket", () => {
  it("has a small receive buffer, DF set, and blocks", () => {
    const [fd] = sockets().sets[0]!;
    // The kernel doubles it for its own overhead, and may have a lower limit for all.
    expect(option(fd!, linux.SOL_SOCKET, linux.SO_RCVBUF)).toBeLessThanOrEqual(524_288);
    expect(option(fd!, linux.SOL_SOCKET, linux.SO_RCVBUF)).toBeGreaterThan(100_000);
    expect(option(fd!, linux.SOL_IP, linux.IP_MTU_DISCOVER)).toBe(linux.IP_PMTUDISC_PROBE);
    expect(option(fd!, linux.SOL_SOCKET, linux.SO_REUSEPORT)).toBe(0);
    expect(option(fd!, linux.SOL_SOCKET, linux.SO_BROADCAST)).toBe(0);
  });

  it("asks which address was asked only where it has more than one", () => {
    expect(option(sockets().sets[0]![0]!, linux.SOL_IP, linux.IP_PKTINFO)).toBe(0);
    expect(option(sockets({ listen: ["0.0.0.0"] }).sets[0]![0]!, linux.SOL_IP, linux.IP_PKTINFO)).toBe(1);
    const [both] = sockets({ listen: undefined }).sets[0]!;
    expect(option(both!, linux.SOL_IP, linux.IP_PKTINFO)).toBe(1);
  });

  it("marks its answers with the code point, in both families", () => {
    expect(option(sockets({ dscp: 46 }).sets[0]![0]!, linux.SOL_IP, linux.IP_TOS)).toBe(184);
    const opened = sockets({ dscp: 46, listen: undefined });
    expect(option(opened.sets[0]![0]!, linux.SOL_IP, linux.IP_TOS)).toBe(184);
    if (opened.addresses.length === 2) expect(option(opened.sets[0]![0]!, linux.SOL_IPV6, linux.IPV6_TCLASS)).toBe(184);
  });

  it("on :: alone hears no IPv4, as another socket has that port there", () => {
    const { addresses, sets } = sockets({ listen: ["0.0.0.0", "::"] });
    expect(new Set(addresses.map(({ port }) => port)).size).toBe(1);
    expect(option(sets[0]![1]!, linux.SOL_IPV6, linux.IPV6_V6ONLY)).toBe(1);
  });

  it("shares its port among the sets of one server, all with the same addresses", () => {
    const { sets, addresses } = sockets({ sets: 3, listen: ["127.0.0.1", "127.0.0.2"] });
    expect(sets.map((set) => set.length)).toEqual([2, 2, 2]);
    for (const fd of sets.flat()) expect(option(fd, linux.SOL_SOCKET, linux.SO_REUSEPORT)).toBe(1);
    expect(addresses).toHaveLength(2);
  });

  it("that cannot be bound leaves none of its siblings open", () => {
    const { addresses } = sockets();
    const before = descriptors();
    expect(() => sockets({ listen: ["127.0.0.2", "127.0.0.1"], port: addresses[0]!.port })).toThrow("EADDRINUSE");
    expect(() => sockets({ listen: ["192.0.2.1"] })).toThrow("EADDRNOTAVAIL");
    expect(() => sockets({ listen: ["not an address"] })).toThrow("EINVAL");
    expect(descriptors()).toBe(before);
  });
});

describe.skipIf(!libc)("a server's sockets, closed twice", () => {
  it("are closed once: a descriptor of that number is somebody else's by then", () => {
    const opened = sockets();
    opened.close();
    const fd = libc!.socket(linux.AF_INET, linux.SOCK_DGRAM, 0);
    expect(fd).toBe(opened.sets[0]![0]);
    opened.close();
    expect(libc!.close(fd)).toBe(0);
  });
});

/** The next descriptor that the system would give. */
function descriptors(): number {
  const fd = libc!.socket(linux.AF_INET, linux.SOCK_DGRAM, 0);
  libc!.close(fd);
  return fd;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { SystemError } from "./errno.ts";

describe("SystemError", () => {
  it("has the fields of Node's system errors", () => {
    const error = new SystemError("bind", 98, "127.0.0.1:123");
    expect(error).toMatchObject({ code: "EADDRINUSE", errno: -98, syscall: "bind", name: "SystemError" });
    expect(error.message).toBe("bind EADDRINUSE 127.0.0.1:123: another socket has this address and port");
  });

  it("does not speak of ports to who asked a broadcast address", () => {
    expect(new SystemError("connect", 13, "255.255.255.255:123").message).toMatch(/^connect EACCES 255\.255\.255\.255:123: permission denied \(a broadcast address/);
    expect(new SystemError("bind", 13, "127.0.0.1:123").message).toContain("CAP_NET_BIND_SERVICE");
  });

  it("has a code even for a number without a name", () => {
    expect(new SystemError("send", 4095)).toMatchObject({ code: "E4095" });
  });
});

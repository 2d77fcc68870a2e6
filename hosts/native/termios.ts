// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A serial line made raw, at any speed: `struct termios2` of <asm/termbits.h>, whose speeds are numbers (BOTHER) and no codes.
 *
 *    0 u32 iflag   4 u32 oflag   8 u32 cflag   12 u32 lflag   16 u8 line   17 u8 cc[19]   36 u32 ispeed   40 u32 ospeed
 *
 * The settings are the line's, not the descriptor's: the runtime's own stream reads it. We keep ours open meanwhile, since
 * the last one to close a line may reset it. Layout checked by tests/native/device-layout.test.ts; used on pseudo-terminals in
 * tests/native/serial.test.ts.
 *
 * @module
 */

import type { Device } from "../common/refclock/devices.ts";
import { O_NOCTTY, O_NONBLOCK, O_RDWR, type DeviceLayer } from "./device.ts";

export const TCGETS2 = 0x802c542a;
export const TCSETS2 = 0x402c542b;
export const BOTHER = 0x1000;
export const CBAUD = 0x100f;
export const CIBAUD = 0x100f0000;
export const CSIZE = 0x30;
export const CS8 = 0x30;
export const CSTOPB = 0x40;
export const CREAD = 0x80;
export const PARENB = 0x100;
export const CLOCAL = 0x800;
export const CRTSCTS = 0x80000000;
export const IGNBRK = 0x1;
export const IGNPAR = 0x4;
export const TERMIOS2_OCTETS = 44;
const AT_CC = 17;
export const VTIME = 5;
export const VMIN = 6;
export const TERMIOS2 = { iflag: 0, oflag: 4, cflag: 8, lflag: 12, cc: AT_CC, ispeed: 36, ospeed: 40 } as const;

/** Make `settings` raw: eight bits, no parity, no echo, no waiting for a carrier; each octet is handed on as it comes. */
export function makeRaw(settings: Uint8Array, baud: number | undefined): void {
  const view = new DataView(settings.buffer, settings.byteOffset, settings.length);
  view.setUint32(TERMIOS2.iflag, IGNBRK | IGNPAR, true);
  view.setUint32(TERMIOS2.oflag, 0, true);
  view.setUint32(TERMIOS2.lflag, 0, true);
  let control = view.getUint32(TERMIOS2.cflag, true) & ~(CSIZE | CSTOPB | PARENB | CRTSCTS);
  control |= CS8 | CREAD | CLOCAL;
  if (baud !== undefined) {
    // Input at the output's speed: CIBAUD 0 means that; both numbers are given all the same.
    control = (control & ~(CBAUD | CIBAUD)) | BOTHER;
    view.setUint32(TERMIOS2.ispeed, baud, true);
    view.setUint32(TERMIOS2.ospeed, baud, true);
  }
  view.setUint32(TERMIOS2.cflag, control >>> 0, true);
  settings[AT_CC + VMIN] = 1;
  settings[AT_CC + VTIME] = 0;
}

/** Set the line up. Close the device when the line is not read any more. @throws {SystemError} */
export function configureLine(layer: DeviceLayer, path: string, baud: number | undefined): Device {
  const fd = layer.open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
  try {
    const settings = new Uint8Array(TERMIOS2_OCTETS);
    layer.ioctl(fd, TCGETS2, settings);
    makeRaw(settings, baud);
    layer.ioctl(fd, TCSETS2, settings);
  } catch (error) {
    layer.close(fd);
    throw error;
  }
  let open = true;
  return {
    close() {
      if (open) layer.close(fd);
      open = false;
    },
  };
}

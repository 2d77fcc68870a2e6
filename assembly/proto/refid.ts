// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reference identifiers (RFC 5905 §7.3): what a server says it is synchronised to.
 *
 *   stratum 0       a kiss code, four ASCII letters
 *   stratum 1       a code for the kind of reference clock, ASCII, padded with zeros
 *   stratum 2..15   the IPv4 address of its source, or the first four octets of the MD5 of the IPv6 address
 *
 * The names and meanings are those of the IANA registries. Strings are the cold surface; tested in refid.test.ts.
 */

import { md5Finish, md5Start, md5Update } from "../crypto/md5";

const digest: usize = memory.data(16, 8);

/** The reference identifier of a source at the IPv6 address of 16 octets at `address`. */
export function refidOfIPv6(address: usize): u32 {
  md5Start();
  md5Update(address, 16);
  md5Finish(digest);
  return bswap<u32>(load<u32>(digest));
}

function isPrintable(octet: u32): bool {
  return octet >= 0x20 && octet < 0x7f;
}

/** Four octets as ASCII without trailing zeros, or "" when they are no text. */
function asciiOf(refid: u32): string {
  let text = "";
  let ended = false;
  for (let shift = 24; shift >= 0; shift -= 8) {
    const octet = (refid >> shift) & 0xff;
    if (octet == 0) ended = true;
    else if (ended || !isPrintable(octet)) return "";
    else text += String.fromCharCode(octet);
  }
  return text;
}

function dottedQuad(refid: u32): string {
  return (refid >> 24).toString() + "." + ((refid >> 16) & 0xff).toString() + "." + ((refid >> 8) & 0xff).toString() + "." + (refid & 0xff).toString();
}

/** The text of a reference identifier under its stratum: "GPS", "192.0.2.1", "RATE"; "" for zero. */
export function refidText(refid: u32, stratum: i32): string {
  if (refid == 0) return "";
  if (stratum >= 2) return dottedQuad(refid);
  const text = asciiOf(refid);
  return text.length > 0 ? text : dottedQuad(refid);
}

/** The reference identifier that a text of up to four ASCII letters stands for; longer text is cut. */
export function refidFromText(text: string): u32 {
  let refid: u32 = 0;
  for (let i = 0; i < 4; i++) {
    const code = i < text.length ? <u32>text.charCodeAt(i) & 0x7f : 0;
    refid = (refid << 8) | code;
  }
  return refid;
}

/** What the reference clock code of a stratum-1 server means, or "" for a code that IANA does not list. */
export function referenceMeaning(code: string): string {
  if (code == "GOES") return "Geosynchronous Orbit Environment Satellite";
  if (code == "GPS") return "Global Positioning System";
  if (code == "GAL") return "Galileo positioning system";
  if (code == "PPS") return "generic pulse per second";
  if (code == "IRIG") return "Inter-Range Instrumentation Group";
  if (code == "WWVB") return "LF radio WWVB, Fort Collins, 60 kHz";
  if (code == "DCF") return "LF radio DCF77, Mainflingen, 77.5 kHz";
  if (code == "HBG") return "LF radio HBG, Prangins, 75 kHz";
  if (code == "MSF") return "LF radio MSF, Anthorn, 60 kHz";
  if (code == "JJY") return "LF radio JJY, Japan, 40 and 60 kHz";
  if (code == "LORC") return "MF radio LORAN-C, 100 kHz";
  if (code == "TDF") return "MF radio TDF, Allouis, 162 kHz";
  if (code == "CHU") return "HF radio CHU, Ottawa";
  if (code == "WWV") return "HF radio WWV, Fort Collins";
  if (code == "WWVH") return "HF radio WWVH, Kauai";
  if (code == "NIST") return "NIST telephone modem";
  if (code == "ACTS") return "NIST telephone modem (ACTS)";
  if (code == "USNO") return "USNO telephone modem";
  if (code == "PTB") return "PTB telephone modem";
  if (code == "MRS") return "multiple reference sources";
  if (code == "XFAC") return "interface association changed";
  if (code == "STEP") return "step time change";
  return "";
}

/** What a kiss code asks for, or "" for one that IANA does not list. */
export function kissMeaning(code: string): string {
  if (code == "ACST") return "the association belongs to an anycast server";
  if (code == "AUTH") return "server authentication failed";
  if (code == "AUTO") return "Autokey sequence failed";
  if (code == "BCST") return "the association belongs to a broadcast server";
  if (code == "CRYP") return "cryptographic authentication or identification failed";
  if (code == "DENY") return "access denied: stop asking this server";
  if (code == "DROP") return "lost peer in symmetric mode";
  if (code == "RSTR") return "access restricted by local policy: stop asking this server";
  if (code == "INIT") return "the server has not yet synchronised for the first time";
  if (code == "MCST") return "the association belongs to a dynamically discovered server";
  if (code == "NKEY") return "no key found";
  if (code == "NTSN") return "NTS negative acknowledgement: the server cannot open the cookie";
  if (code == "RATE") return "asked too often: ask less often";
  if (code == "RMOT") return "altered by a remote host running ntpdc";
  if (code == "STEP") return "a step of the server's clock is not yet settled";
  return "";
}

# SPDX-License-Identifier: MIT OR Apache-2.0
"""Roughtime (RFC 10049) once more, from its text alone, on python3-cryptography: a judge of reports, a client, a server.

It shares nothing with the sources it is held against. Each command prints JSON on standard output.

    roughtime_peer.py judge                                 a malfeasance report on standard input
    roughtime_peer.py ask HOST PORT KEY [--tcp] [--count N] [--versions 1,0x8000000c] [--no-type] [--no-srv] [--size N]
    roughtime_peer.py serve [--offset S] [--radius S] [--version V] [--no-type] [--height N] [--tcp-only]
"""

import argparse
import base64
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RESPONSE = b"RoughTime v1 response signature\0"
DELEGATION = b"RoughTime v1 delegation signature\0"


class Invalid(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Invalid(why)


def H(*parts):
    return hashlib.sha512(b"".join(parts)).digest()[:32]


# --- messages ---

def encode(values):
    entries = sorted((struct.unpack("<I", tag.encode().ljust(4, b"\0"))[0], value) for tag, value in values.items())
    offsets, at = [], 0
    for _, value in entries:
        offsets.append(at)
        at += len(value)
    words = [len(entries)] + offsets[1:] + [tag for tag, _ in entries]
    return struct.pack("<%dI" % len(words), *words) + b"".join(value for _, value in entries)


def decode(message):
    need(len(message) >= 4 and len(message) % 4 == 0, "length of message")
    count = struct.unpack_from("<I", message)[0]
    need(0 < count <= len(message) // 8, "number of tags")
    head = struct.unpack_from("<%dI" % (2 * count), message)
    offsets = [0, *head[1:count], len(message) - 8 * count]
    tags = head[count:]
    need(all(a < b for a, b in zip(tags, tags[1:])), "order of tags")
    need(all(a <= b and a % 4 == 0 for a, b in zip(offsets, offsets[1:])), "order of offsets")
    names = [struct.pack("<I", tag).rstrip(b"\0").decode("latin1") for tag in tags]
    return {name: message[8 * count + a:8 * count + b] for name, a, b in zip(names, offsets, offsets[1:])}


def packet(message):
    return b"ROUGHTIM" + struct.pack("<I", len(message)) + message


def unpacked(octets):
    need(octets[:8] == b"ROUGHTIM", "ROUGHTIM")
    need(len(octets) >= 12 and struct.unpack_from("<I", octets, 8)[0] == len(octets) - 12, "length of packet")
    return decode(octets[12:])


def words(octets):
    return list(struct.unpack("<%dI" % (len(octets) // 4), octets))


# --- judging ---

def check(key, context, value, signature, why):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, context + value)
    except (InvalidSignature, ValueError):
        raise Invalid(why)


def judge_response(request, response, key):
    """What a valid response says; raises Invalid."""
    need(len(response) <= len(request), "response larger than its request")
    asked, told = unpacked(request), unpacked(response)
    for tag in ("SIG", "NONC", "PATH", "SREP", "CERT", "INDX"):
        need(tag in told, "no " + tag)
    if "TYPE" in asked:
        need(told.get("TYPE") == struct.pack("<I", 1), "TYPE")
    need(told["NONC"] == asked["NONC"], "NONC")
    cert = decode(told["CERT"])
    check(key, DELEGATION, cert["DELE"], cert["SIG"], "signature of DELE")
    delegation = decode(cert["DELE"])
    check(delegation["PUBK"], RESPONSE, told["SREP"], told["SIG"], "signature of SREP")
    signed = decode(told["SREP"])
    need(set(signed) >= {"VER", "RADI", "MIDP", "VERS", "ROOT"}, "tags of SREP")
    version, = words(signed["VER"])
    versions = words(signed["VERS"])
    need(version in words(asked["VER"]), "version not offered")
    need(versions == sorted(set(versions)) and version in versions and len(versions) <= 32, "VERS")
    midpoint, = struct.unpack("<Q", signed["MIDP"])
    radius, = words(signed["RADI"])
    need(radius > 0, "RADI")
    lowest, = struct.unpack("<Q", delegation["MINT"])
    highest, = struct.unpack("<Q", delegation["MAXT"])
    need(lowest <= midpoint <= highest, "MIDP outside MINT..MAXT")
    path, index = told["PATH"], words(told["INDX"])[0]
    need(len(path) % 32 == 0 and len(path) <= 32 * 32, "PATH")
    node = H(b"\0", request)
    bits = index
    for i in range(0, len(path), 32):
        node = H(b"\1", path[i:i + 32], node) if bits & 1 else H(b"\1", node, path[i:i + 32])
        bits >>= 1
    need(bits == 0, "INDX left over")
    need(node == signed["ROOT"], "ROOT")
    return {"midpoint": midpoint, "radius": radius, "version": version, "versions": versions, "index": index, "height": len(path) // 32}


def judge_report(report):
    responses = [{name: base64.b64decode(text, validate=True) for name, text in entry.items()} for entry in report["responses"]]
    answers = [judge_response(entry["request"], entry["response"], entry["publicKey"]) for entry in responses]
    for before, entry in zip(responses, responses[1:]):
        need(len(entry["rand"]) == 32, "rand")
        need(unpacked(entry["request"])["NONC"] == H(before["response"], entry["rand"]), "chain of nonces")
    pairs = [[i, j] for i in range(len(answers)) for j in range(i + 1, len(answers))
             if answers[i]["midpoint"] - answers[i]["radius"] > answers[j]["midpoint"] + answers[j]["radius"]]
    return {"answers": answers, "contradictions": pairs}


# --- client ---

def make_request(key, options):
    values = {"VER": struct.pack("<%dI" % len(options.versions), *options.versions), "NONC": os.urandom(32)}
    if not options.no_type:
        values["TYPE"] = struct.pack("<I", 0)
    if not options.no_srv:
        values["SRV"] = H(b"\xff", key)
    bare = len(encode({**values, "ZZZZ": b""}))
    values["ZZZZ"] = bytes(max(0, options.size - bare))
    return packet(encode(values))


def receive_exactly(stream, count):
    octets = b""
    while len(octets) < count:
        more = stream.recv(count - len(octets))
        need(more, "connection closed")
        octets += more
    return octets


def ask(options):
    """Sends all requests at once and judges every answer by the request that has its nonce."""
    key = base64.b64decode(options.key)
    requests = {}
    for _ in range(options.count):
        request = make_request(key, options)
        requests[unpacked(request)["NONC"]] = request
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    link = socket.socket(family, socket.SOCK_STREAM if options.tcp else socket.SOCK_DGRAM)
    link.settimeout(options.timeout)
    link.connect((options.host, options.port))
    answers, errors = [], []
    if options.tcp:
        link.sendall(b"".join(requests.values()))
    else:
        for request in requests.values():
            link.send(request)
    try:
        while len(answers) + len(errors) < options.count:
            if options.tcp:
                head = receive_exactly(link, 12)
                response = head + receive_exactly(link, struct.unpack_from("<I", head, 8)[0])
            else:
                response = link.recv(4096)
            try:
                request = requests[unpacked(response)["NONC"]]
                answers.append({**judge_response(request, response, key), "octets": len(response)})
            except (Invalid, KeyError) as error:
                errors.append(str(error))
    except (socket.timeout, Invalid):
        pass
    return {"answers": answers, "errors": errors, "now": time.time()}


# --- server ---

def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Server:
    def __init__(self, options):
        self.options = options
        self.long, self.online = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        now = int(time.time() + options.offset)
        delegation = encode({"PUBK": public(self.online), "MINT": struct.pack("<Q", now - 3600), "MAXT": struct.pack("<Q", now + 86400)})
        self.cert = encode({"DELE": delegation, "SIG": self.long.sign(DELEGATION + delegation)})

    def answer(self, request):
        try:
            asked = unpacked(request)
            need("SRV" not in asked or asked["SRV"] == H(b"\xff", public(self.long)), "SRV")
            need(self.options.version in words(asked["VER"]), "VER")
        except (Invalid, struct.error):
            return None
        # The leaf hangs at a random place of a tree of which nobody but us knows the rest.
        height = self.options.height
        index = int.from_bytes(os.urandom(4), "little") % (1 << height)
        path = [os.urandom(32) for _ in range(height)]
        node = H(b"\0", request)
        for level, sibling in enumerate(path):
            node = H(b"\1", sibling, node) if index >> level & 1 else H(b"\1", node, sibling)
        signed = encode({
            "VER": struct.pack("<I", self.options.version), "RADI": struct.pack("<I", self.options.radius), "ROOT": node,
            "MIDP": struct.pack("<Q", int(time.time() + self.options.offset)), "VERS": struct.pack("<I", self.options.version),
        })
        values = {"SIG": self.online.sign(RESPONSE + signed), "NONC": asked["NONC"], "PATH": b"".join(path), "SREP": signed, "CERT": self.cert, "INDX": struct.pack("<I", index)}
        if not self.options.no_type:
            values["TYPE"] = struct.pack("<I", 1)
        return packet(encode(values))

    def serve(self):
        stream = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(stream.getsockname())
        print(json.dumps({"port": stream.getsockname()[1], "publicKey": base64.b64encode(public(self.long)).decode()}), flush=True)
        while True:
            for ready in select.select([stream, datagrams], [], [])[0]:
                if ready is datagrams:
                    request, origin = datagrams.recvfrom(4096)
                    response = self.answer(request)
                    if response and not self.options.tcp_only:
                        datagrams.sendto(response, origin)
                else:
                    self.serve_stream(stream.accept()[0])

    def serve_stream(self, link):
        link.settimeout(5)
        try:
            while True:
                head = receive_exactly(link, 12)
                response = self.answer(head + receive_exactly(link, struct.unpack_from("<I", head, 8)[0]))
                if response:
                    # In pieces, as a network may make them.
                    for i in range(0, len(response), 100):
                        link.sendall(response[i:i + 100])
        except (Invalid, OSError):
            link.close()


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("judge")
    asking = commands.add_parser("ask")
    asking.add_argument("host")
    asking.add_argument("port", type=int)
    asking.add_argument("key")
    asking.add_argument("--versions", type=lambda text: [int(part, 0) for part in text.split(",")], default=[1])
    asking.add_argument("--count", type=int, default=1)
    asking.add_argument("--size", type=int, default=1024)
    asking.add_argument("--timeout", type=float, default=3)
    serving = commands.add_parser("serve")
    serving.add_argument("--offset", type=float, default=0)
    serving.add_argument("--radius", type=int, default=3)
    serving.add_argument("--version", type=lambda text: int(text, 0), default=1)
    serving.add_argument("--height", type=int, default=0)
    serving.add_argument("--tcp-only", action="store_true")
    for one in (asking, serving):
        one.add_argument("--no-type", action="store_true")
    asking.add_argument("--no-srv", action="store_true")
    asking.add_argument("--tcp", action="store_true")
    options = parser.parse_args()
    if options.command == "serve":
        Server(options).serve()
    try:
        print(json.dumps(ask(options) if options.command == "ask" else judge_report(json.load(sys.stdin))))
    except (Invalid, KeyError, ValueError) as error:
        print(json.dumps({"invalid": str(error)}))


main()

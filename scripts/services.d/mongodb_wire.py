"""One command to a mongod and its answer: OP_MSG and as much BSON as that takes.

Founding a replica set needs three commands; a driver or a shell would be one
more download.
"""

import socket
import struct

OP_MSG = 2013


def command(port, document):
    """Run `document` on 127.0.0.1:port; the answer, or None if nobody answers."""
    body = struct.pack("<I", 0) + b"\x00" + encode(document)
    header = struct.pack("<iiii", 16 + len(body), 1, 0, OP_MSG)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(header + body)
            file = connection.makefile("rb")
            (size, *_) = struct.unpack("<iiii", file.read(16))
            answer = file.read(size - 16)
        return decode(answer[5:])
    except (OSError, struct.error):
        return None


def encode(document):
    body = b""
    for name, value in document.items():
        kind, data = element(value)
        body += bytes([kind]) + name.encode() + b"\x00" + data
    return struct.pack("<i", len(body) + 5) + body + b"\x00"


def element(value):
    if isinstance(value, bool):
        return 8, bytes([value])
    if isinstance(value, int):
        return 16, struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode() + b"\x00"
        return 2, struct.pack("<i", len(text)) + text
    if isinstance(value, dict):
        return 3, encode(value)
    if isinstance(value, list):
        return 4, encode({str(index): item for index, item in enumerate(value)})
    raise TypeError(f"no BSON for {value!r}")


def decode(data):
    found, at = {}, 4
    while data[at] != 0:
        kind = data[at]
        end = data.index(0, at + 1)
        name = data[at + 1:end].decode()
        found[name], at = read(kind, data, end + 1)
    return found


def read(kind, data, at):
    """The value of this kind that starts at `at`, and where the next element does."""
    if kind == 1:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == 2:
        (size,) = struct.unpack_from("<i", data, at)
        return data[at + 4:at + 3 + size].decode(), at + 4 + size
    if kind in (3, 4):
        (size,) = struct.unpack_from("<i", data, at)
        return decode(data[at:at + size]), at + size
    if kind == 5:
        (size,) = struct.unpack_from("<i", data, at)
        return data[at + 5:at + 5 + size], at + 5 + size
    if kind == 7:
        return data[at:at + 12], at + 12
    if kind == 8:
        return data[at] == 1, at + 1
    if kind == 10:
        return None, at
    if kind == 16:
        return struct.unpack_from("<i", data, at)[0], at + 4
    if kind in (9, 17, 18):
        return struct.unpack_from("<q", data, at)[0], at + 8
    raise ValueError(f"unexpected BSON type {kind}")

"""Writes hpack-vectors.json: header blocks of another implementation, and the fields that it put into them.

    pip install hpack==4.2.0
    python3 test/http2/hpack-vectors.py
    npx biome format --write test/http2/hpack-vectors.json

A connection is its blocks in order, each in hexadecimal, and the fields of each as "name: value", where every character
stands for one octet. The same seed writes the same file.
"""

import json
import pathlib
import random

from hpack import Encoder, HeaderTuple, NeverIndexedHeaderTuple

CONNECTIONS = 60
BLOCKS = 4
TABLE_BYTES = [0, 64, 100, 300, 1_000, 4_096]

COMMON = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/m2mgateway.v1.TokenService/VerifyToken"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
    (b"user-agent", b"grpc-go/1.64.0"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"grpc-accept-encoding", b"gzip"),
]

draw = random.Random(7541)


def field():
    kind = draw.randrange(8)
    if kind < 4:
        return HeaderTuple(*draw.choice(COMMON))
    if kind == 4:
        return HeaderTuple(b"grpc-timeout", b"%dm" % draw.randrange(100_000))
    if kind == 5:
        return NeverIndexedHeaderTuple(b"authorization", b"Bearer %016x" % draw.getrandbits(64))
    name = b"x-%s" % bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz-0123456789", k=draw.randrange(6)))
    octets = range(256) if draw.random() < 0.5 else b"0123456789 abcdefghijklmnopqrstuvwxyz"
    length = draw.choice([0, 1, 5, 20, 20, draw.randrange(200)])
    return (HeaderTuple if kind == 6 else NeverIndexedHeaderTuple)(name, bytes(draw.choices(octets, k=length)))


def connection():
    encoder = Encoder()
    blocks = []
    for number in range(BLOCKS):
        if number > 0 and draw.random() < 0.4:
            for size in draw.sample(TABLE_BYTES, draw.randint(1, 2)):
                encoder.header_table_size = size
        fields = [field() for _ in range(draw.randint(0, 8))]
        block = encoder.encode(fields, huffman=draw.random() < 0.6)
        blocks.append({"block": block.hex(), "fields": [f"{n.decode('latin1')}: {v.decode('latin1')}" for n, v in fields]})
    return blocks


path = pathlib.Path(__file__).with_suffix(".json")
connections = [connection() for _ in range(CONNECTIONS)]
path.write_text(json.dumps(connections, indent=2) + "\n")

#!/usr/bin/env python3
"""corpus.py - write the seeds of the fuzz targets below test/fuzz/corpus.

Small inputs that are right, each for another way through the code; what is
wrong, libFuzzer makes of them. Files named found-* are not written here: they
are inputs that once failed.
"""
import base64
import gzip
import io
import json
import os
import struct
import zipfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
EVERY = 127  # a byte that gives types.h the message with every kind of field


def seed(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as f:
        f.write(data)


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """One field of a message: an int, a float, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % (1 << 64))
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(**fields):
    """message(f1=..., f2=[...]): a list is a repeated field."""
    out = b""
    for name, value in fields.items():
        for v in value if isinstance(value, list) else [value]:
            out += field(int(name[1:]), v)
    return out


def http1():
    host = b"Host: a\r\n"
    post = b"POST /a?b HTTP/1.1\r\n" + host
    seed("http1", "get", b"GET / HTTP/1.1\r\n" + host + b"\r\n")
    seed("http1", "length", post + b"Content-Length: 5\r\n\r\nhello")
    seed("http1", "chunked", post + b"Transfer-Encoding: chunked\r\n\r\n"
         b"5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n")
    seed("http1", "old", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    seed("http1", "three", post + b"Content-Length: 0\r\n\r\n\r\n" + post +
         b"Content-Length: 1\r\n\r\nx" + post + b"Connection: close\r\n\r\n")


def frame(flags, data):
    return bytes([flags]) + struct.pack(">I", len(data)) + data


def frames():
    end = frame(0x80, b"grpc-status: 5\r\ngrpc-message: no %C3%A4%0A%\r\n")
    seed("frames", "answer", frame(0, b"message") +
         frame(0x80, b"grpc-status:0\r\n"))
    seed("frames", "failed", end)
    seed("frames", "stream", frame(0, b"") + frame(0, b"abc") + end)
    seed("frames", "huge", frame(0, b"x")[:1] + b"\x03\xff\xff\xff")


TEXT = {
    "anInt32": -5, "anInt64": "9223372036854775807", "aUint64": "1",
    "aFloat": 0.1, "aDouble": "-Infinity", "aBool": True, "colour": "BELOW",
    "text": "\u00e9\u0001\U0001f600", "data": "AP8_", "sub": {"text": "x"},
    "longs": [1, "2"], "texts": ["", "a"], "subs": [{}, {"ratio": 0}],
    "stringMap": {"a": "b"}, "longMap": {"-1": {}}, "boolMap": {"true": "RED"},
    "uintMap": {"3": 1e300}, "oneData": "", "OddName9x": "y",
}


def every():
    sub = message(f15=b"x")
    return message(
        f1=-5, f2=9, f4=1 << 62, f12=0.1, f13=1, f14=-3, f15=b"t",
        f16=b"\x00\xff", f17=sub, f18=[1, 2], f19=[b"", b"a"], f21=[b"", sub],
        f25=message(f1=b"a", f2=b"b"), f26=message(f1=-1, f2=sub),
        f27=message(f1=1, f2=1), f28=message(f1=3, f2=0.5), f30=sub, f33=0.0)


def messages():
    text = json.dumps(TEXT).encode()
    register = b'{"requestedId":"7","metadata":{"a":"b"}}'
    seed("json", "every", bytes([EVERY]) + text)
    seed("json", "register", b"\x00" + register)
    seed("json", "numbers", bytes([EVERY]) +
         b'{"anInt64":1e3,"aDouble":-0,"aUint64":18446744073709551615}')
    seed("binary", "every", bytes([EVERY]) + every())
    seed("binary", "register", b"\x00" + message(
        f1=7, f5=[message(f1=b"a", f2=b"b"), message(f1=b"c", f2=b"d")]))
    for kind in range(9):
        plain = every() if kind in (0, 3, 5, 7, 8) else text
        framed = plain if kind in (2, 3, 6) else frame(0, plain)
        if kind == 7:
            framed = base64.b64encode(framed)
        if kind == 8:
            framed = frame(1, gzip.compress(plain, mtime=0))
        seed("dialect", "every-%d" % kind, bytes([kind, EVERY]) + framed)
    seed("dialect", "timeout", bytes([0, 0]) + b"99999999H")
    seed("dialect", "type", bytes([2, 0]) + b"application/json ; a=b")


def plans():
    seed("peer", "node", b"gfl://lab-1/node/12")
    seed("peer", "longest", b"gfl://" + b"/".join([b"x" * 64] * 3))
    seed("pairs", "none", b"\x00\x00")
    seed("pairs", "bye", varint(300) + b"\x01" + b"\x01\x01")
    seed("pairs", "many", b"\x00\x03" + b"\x01\x05" + b"\x01\x05" +
         varint(200) + varint(1 << 40))
    seed("members", "none", b"\x01")
    seed("members", "three", b"\x01" + b"".join(
        bytes([role]) + struct.pack("<q", i)
        for i, role in ((1, 1), (2, 2), (1 << 40, 3))))
    seed("members", "joint", b"\x02" + b"".join(
        bytes([role]) + struct.pack("<q", i)
        for i, role in ((1, 0x81), (2, 0x80), (3, 0x83), (4, 1))))


def tensors():
    def file(header, data):
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def place(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    seed("tensors", "none", file({}, b""))
    seed("tensors", "meta", file({"__metadata__": {"a": "b", "model": "mlp"},
                                  "s": place("F32", [], 0, 4)}, b"abcd"))
    seed("tensors", "two", file({"b": place("U8", [2, 2], 8, 12),
                                 "a": place("F32", [2], 0, 8),
                                 "e": place("F64", [0, 3], 12, 12)},
                                b"x" * 12))


def chunks():
    head = (field(1, b"F32") + field(2, varint(2) + varint(3)) +
            field(3, 24) + field(4, b"0a" * 32) + field(6, b"layout") +
            field(7, 9))
    seed("chunk", "first", field(1, head) + field(2, b"x" * 24))
    seed("chunk", "file", field(1, field(3, 7) + field(4, b"0a" * 32) +
                                field(5, 7)))
    seed("chunk", "next", field(2, b"abc"))
    seed("chunk", "other", field(9, 1) + field(8, b"y") + field(2, b""))


def data():
    labels = struct.pack(">II", 0x801, 5) + bytes(range(5))
    images = struct.pack(">IIII", 0x803, 2, 2, 3) + bytes(12)
    packed = gzip.compress(images, mtime=0)
    seed("idx", "labels", labels)
    seed("idx", "images", images)
    seed("idx", "images.gz", packed)
    seed("idx", "short.gz", packed[:-4])
    seed("index", "plain", b"0\n59999\n\n 7 # seven\r\n")
    seed("index", "head", b"# gfl-index of=60000 count=2\n1\n2\n")


def links():
    seed("links", "list", b"1 2\n2\t3\t0.5 # slow\n\n4,1,1e3\n")
    seed("links", "matrix", b"0 2 0\n2 0 1.5\n0 1.5 0\n")
    seed("links", "objects", b'[{"a":1,"b":2},{"from":2,"to":3,'
         b'"bytes_per_s":1e6}]')
    seed("links", "arrays", b"[[0,4096],[4096,0]]\n")
    seed("links", "none", b"[]")
    seed("links", "message", b'{"graph":{"form":"SPARSE","edges":'
         b'[{"a":1,"b":2}]}}')


def npy(descr, shape, data):
    text = ("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n" %
            (descr, shape)).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive(how, **arrays):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as z:
        for name, data in arrays.items():
            z.writestr(zipfile.ZipInfo(name + ".npy"), data, how)
    return out.getvalue()


def arrays():
    x = npy("<f4", "(2, 2)", struct.pack("<4f", 1, -2.5, 3, 4))
    y = npy("|u1", "(2,)", b"\x00\x02")
    seed("npy", "floats", x)
    seed("npy", "bytes", y)
    seed("npy", "scalar", npy("<f8", "()", struct.pack("<d", 0.5)))
    seed("npy", "wide", b"\x93NUMPY\x02\x00" + struct.pack("<I", 58) +
         npy("<i2", "(1, 0, 3)", b"")[10:])
    seed("npz", "stored", archive(zipfile.ZIP_STORED, x=x, y=y))
    seed("theta", "files", x + y)
    seed("theta", "stored", archive(zipfile.ZIP_STORED, arr_0=x, arr_1=y))
    seed("theta", "deflated", archive(zipfile.ZIP_DEFLATED, arr_0=x))
    seed("npz", "deflated", archive(zipfile.ZIP_DEFLATED, x_train=x,
                                    y_train=y))
    seed("csv", "header", b"label,a b\n1,2\n0,-1e3\n")
    seed("csv", "plain", b'1,2\r\n"0", 3.5 \r\n')
    seed("csv", "quotes", b'label,"a ""b"",\nc"\n1,"2"\n')
    seed("libsvm", "labels", b"# c\n1 1:2 7:-0.5\n0 3:1e3 # d\n")
    seed("libsvm", "signs", b"+1 1:1\n-1 2:0\n")


def exchange():
    def state(*answers):
        out = b"gflxchg2" + struct.pack("<8q", 5, 1, 1, 0, 0, 0, 0,
                                        len(answers))
        for values in answers:
            out += struct.pack("<9q", 7, 1, 5, 1, 2, 11, 77, 0, len(values))
            out += values
        return out

    seed("exchange", "none", state())
    seed("exchange", "one", state(b"0123456789abcdef"))
    seed("exchange", "two", state(b"", b"01234567"))


def payload():
    def with_head(form, k, body):
        return bytes([form]) + struct.pack("<H", k) + body

    values = struct.pack("<4f", 1, -2.5, 0, 0.1)
    halves = bytes.fromhex("803f20c00000cd3d")
    bytes8 = bytes.fromhex("8542a13c33810005")
    index = b"\x03\x7f\x01" + varint(500)
    # one raw block, whose frame says how long its content is
    frame = bytes.fromhex("28b52ffd2010810000") + values
    for form, indexed, body in ((0, 9, values), (1, 10, halves),
                                (2, 8, bytes8)):
        seed("payload", "values-%d" % form, with_head(form, 4, body))
        seed("payload", "indexed-%d" % form,
             with_head(indexed, 4, index + body))
    seed("payload", "zstd", with_head(6, 4, frame))


def state():
    def entries(*all):
        return b"".join(bytes([config, len(e)]) + e for config, e in all)

    def member(i):
        return message(f1=i, f2=b"http://127.0.0.1:890%d" % i,
                       f3=b"%032d" % i, f4=1)

    def trainer(i):
        return message(f3=message(f1=1, f2=message(
            f1=i, f2=b"%032d" % i, f3=b"http://127.0.0.1:1%d" % i, f4=1)))

    add = message(f2=message(f1=1, f2=member(1), f3=b"0" * 32))
    also = message(f2=message(f1=1, f2=member(2)))
    start = message(f7=message(f1=1, f3=message(
        f1=b"mlp", f2=100, f3=0.1, f4=b"strat", f5=b"f32", f6=b"auto", f7=1,
        f8=32, f9=0.1, f12=2, f14=1000)))
    plan = message(f4=message(f1=5, f2=4, f3=0, f4=message(
        f1=1, f2=10, f3=1000, f4=b"\x00\x01\x01\x01")))
    report = message(f1=1, f2=5, f3=4, f4=1, f5=0.5, f6=0.25,
                     f14=b"training")
    links = message(f5=message(f2=message(f1=1, f2=2, f3=40)))
    begin = [(1, add), (1, also), (0, trainer(1)), (0, trainer(2)),
             (0, start)]
    seed("state", "members", entries(*begin[:2]))
    seed("state", "run", entries(*begin, (0, plan)))
    seed("state", "batch", entries(*begin, (0, message(
        f8=message(f1=[plan, links, message(f6=message(f1=2, f2=1))])))))
    edges = message(f4=message(f5=message(f1=1, f3=[
        message(f1=1, f2=2), message(f1=2, f2=3, f3=0.5)])))
    fewer = message(f4=message(f5=message(f2=3, f3=message(
        f1=2, f2=3, f4=1))))
    square = struct.pack("<4d", 0, 1, 1, 0)
    matrix = message(f4=message(f5=message(f1=2, f4=b"\x01\x02",
                                           f5=square)))
    speeds = message(f5=message(f3=2, f5=b"\x00\x50\x50\x00"))
    seed("state", "graphs", entries(
        *begin[:2], (0, edges), (0, fewer), (0, matrix), (0, speeds)))
    seed("state", "ends", entries(
        *begin, (0, message(f7=message(f1=3, f2=5, f5=report))),
        (0, message(f7=message(f1=4, f2=5, f5=report, f6=1))),
        (0, message(f3=message(f1=3, f2=message(f1=1)))),
        (1, message(f2=message(f1=4, f2=message(f1=2))))))


def raft():
    tick, propose, add, promote = b"\x05\0", b"\0\0", b"\x11\2", b"\x09\2"

    def message(kind, term, index, log_term, commit, bits, *rest):
        return bytes([7, 0, kind, 2, term, index, log_term, 0, commit, 0,
                      bits, *rest])

    ack = message(6, 1, 3, 0, 0, 0)
    seed("raft", "leader", b"\1" + tick + propose * 2 + tick)
    seed("raft", "joins", b"\1" + tick + add + ack + promote + ack + tick)
    seed("raft", "follower", b"\0" + message(5, 1, 0, 0, 1, 0x40, 1, 1, 3, 0,
         2, 1, 1, 2, 1, 2, 1, 1, 1, 0) + message(7, 1, 0, 0, 2, 0) + tick +
         message(3, 2, 2, 1, 0, 0))


def model():
    seed("model", "preset", b"mlp")
    seed("model", "dense", b"dense 128; relu; dense 10")
    seed("model", "input", b"input 3 8 8; dense 4; relu; dense 5")
    seed("model", "flat", b"input 20; dense 2")
    seed("model", "conv", b"conv 3 5 stride 2 pad 2; batchnorm; relu; "
         b"maxpool 3 stride 2 pad 1; lrn 5 alpha 0.001; avgpool; dense 2")
    seed("model", "residual", b"input 2 8 8; residual; conv 4 3 pad 1 nobias "
         b"stride 2; add; flatten; dense 2")


def server():
    """Connections, whole and in pieces, to each kind of method."""
    one = message(f1=5, f15=b"x" * 2100)
    some = frame(0, one) + frame(0, message(f1=-1, f15=b"n\xc3\xb6"))
    packed = frame(1, gzip.compress(one, mtime=0))
    text = b"".join(base64.b64encode(some[at:at + 100])
                    for at in range(0, len(some), 100))

    def post(path, kind, body, more=b"", cut=0):
        head = (b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n"
                b"Content-Type: application/" + kind + b"\r\n" + more)
        if not cut:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
            b"%x\r\n%s\r\n" % (len(body[at:at + cut]), body[at:at + cut])
            for at in range(0, len(body), cut)) + b"0\r\n\r\n"

    gz = b"Grpc-Encoding: gzip\r\nGrpc-Accept-Encoding: gzip\r\n"
    for pieces in 0, 1, 60:
        at = bytes([pieces])
        seed("server", "web-%d" % pieces, at +
             post(b"/u", b"grpc-web", frame(0, one), gz) +
             post(b"/s", b"grpc-web+proto", packed, gz) +
             post(b"/c", b"grpc-web+proto", some + packed, gz, 7) +
             post(b"/b", b"grpc-web+proto", packed * 2, gz, 900))
        seed("server", "text-%d" % pieces, at + post(
            b"/b", b"grpc-web-text", text,
            b"Accept: application/grpc-web-text\r\n", 50))
        seed("server", "json-%d" % pieces, at +
             post(b"/u", b"json", b'{"anInt32":-1,"text":"no"}',
                  b"Origin: http://b\r\nConnect-Timeout-Ms: 9\r\n") +
             post(b"/u", b"json", gzip.compress(json.dumps(TEXT).encode(),
                                                mtime=0),
                  b"Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n") +
             post(b"/b", b"connect+json", frame(0, b'{"aBool":true}') * 3))

    def h2(kind, flags, stream, body):
        return (struct.pack(">I", len(body))[1:] + bytes([kind, flags]) +
                struct.pack(">I", stream) + body)

    def head(stream, path, kind, *more):
        fields = [(b":method", b"POST"), (b":scheme", b"http"),
                  (b":path", path), (b":authority", b"a"),
                  (b"content-type", b"application/" + kind), *more]
        return h2(1, 4, stream, b"".join(
            b"\x00" + bytes([len(n)]) + n + bytes([len(v)]) + v
            for n, v in fields))

    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2(4, 0, 0, b"")
    calls = b""
    for i, path in enumerate([b"/u", b"/h", b"/s", b"/w", b"/c", b"/b"]):
        body = frame(0, message(f1=5, f15=b"x" * 40))
        body = body if i < 4 else body * 3
        calls += head(2 * i + 1, path, b"grpc", (b"grpc-timeout", b"9S"))
        calls += h2(0, 0, 2 * i + 1, body[:30])
        calls += h2(0, 1, 2 * i + 1, body[30:])
    calls += h2(3, 0, 3, struct.pack(">I", 8)) + h2(6, 0, 0, bytes(8))
    for pieces in 0, 1, 60:
        seed("server", "h2-%d" % pieces, bytes([pieces]) + begin + calls)


def contract():
    seed("contract", "ready", b'{"type":"ready","protocol":1}\n')
    seed("contract", "task", b'{"type":"progress","step":1}\n\n{"type":"result",'
         b'"num_examples":12,"metrics":{"loss":0.5,"accuracy":0.25,"f1":null}}')


def tasks():
    seed("task", "line", b'\x00{"lr":0.10,"x":[1,null],"epochs":2,"gfl":'
         b'{"name":"c","after":["a","b",3],"priority":-1,"retries":0,'
         b'"timeout_s":1.5,"gpu":true,"affinity":"d"}}')
    seed("task", "layers-in-line", b'\x00{"layers":[1],"dataset":"d"}')
    seed("task", "printed", b'\x01epoch 1\n{"metrics":{"a":0.5,"b":"x"},'
         b'"c":1e300}\n\n')
    seed("task", "numbers", b'\x01{"accuracy":0.9,"path":"/m"}')
    seed("task", "architecture", b'\x02{"input":[1,28,28],"layers":['
         b'{"type":"Conv2D","filters":8,"kernel_size":[3,3],"padding":"same",'
         b'"activation":"relu","use_bias":false},{"layer_type":"max_pool",'
         b'"params":{"size":2}},{"type":"batch_norm"},{"type":"flatten"},'
         b'{"type":"dense","units":10,"activation":"softmax"}]}')
    seed("task", "gpus", b'\x030, 37, 1024, 8192\n3, 0, 0, 8192\n')
    seed("task", "stat", b'\x03cpu  1 2 3 4 5 6 7 8 9 10\n')
    seed("task", "memory", b'\x03MemTotal: 100 kB\nMemAvailable: 40 kB\n')


def hub():
    """Requests to a server of rounds, of ten values: see fuzz/hub.c."""
    (set_up, await_, pull, update, leave, status, follow, state) = range(8)
    right = 15  # session, task, form and checksum are put right

    def ask(method, fixes=0, body=b""):
        return bytes([method, fixes]) + struct.pack("<H", len(body)) + body

    def sent(values, **more):
        return ask(update, right, message(
            f11=10, f12=1, f13=0.5, f15=values, f16=0.1, **more))

    ten = struct.pack("<10f", *range(10))
    score = message(f1=5, f2=0.25, f3=0.5)
    plain = struct.pack("<4B", 0, 1, 1, 1) + b"\x01" + \
        struct.pack("<f", 0.01) + b"\x01\x7f\x81\x00\x05"
    packed = bytes.fromhex("28b52ffd20") + bytes([len(plain)]) + \
        struct.pack("<I", len(plain) << 3 | 1)[:3] + plain
    forms = (ten, ten * 2, ten, packed, b"\x80\x3f" * 5, ten, ten)
    for i, values in enumerate(forms):
        seed("hub", "round-%d" % i, bytes([i]) + ask(await_, 1) +
             ask(pull, 1) + sent(values) + ask(await_, 1) + sent(values) +
             ask(status) + ask(leave, 1, field(3, b"done")))
    many = message(f1=b"%032x" % 2, f2=[3] * 5, f5=[1] * 5)
    seed("hub", "others", b"\0" + ask(set_up, 0, many) + ask(await_, 65) +
         ask(set_up, 0, message(f1=b"%032x" % 3, f2=0, f4=1)) +
         ask(await_, 129, field(4, 1)))
    seed("hub", "evaluate", b"\0" + ask(await_, 1) + sent(ten) * 2 +
         ask(await_, 1) + ask(update, 3, field(18, score)) * 2)
    seed("hub", "refused", b"\5" + ask(await_, 1) + ask(
        update, 7, message(f11=10, f12=1, f13=1e31, f15=ten)) + ask(
        update, 1, message(f4=99)) + ask(update, 3, field(17, b"no")))
    seed("hub", "huge", b"\6" + ask(await_, 1) +
         sent(struct.pack("<10f", *[3e38] * 10)))
    seed("hub", "follow", b"\6" + ask(follow, 0, message(
        f1=b"%032x" % 9, f2=1, f3=1)) + ask(state, 0, field(2, 4)))


for write in (contract, tasks, hub, http1, frames, messages, plans, tensors,
              chunks, data, arrays, exchange, payload, state, raft, model,
              server, links):
    write()

#!/usr/bin/python3
"""grpcio.py DIRECTORY - gRPC by Python's grpcio, on the core of C. In DIRECTORY
protoc has put echo_pb2.py, beside everything.json; the server is $ECHO_URL.
TAP on stdout."""
import json
import math
import os
import random
import sys
import threading
from pathlib import Path

import grpc
from google.protobuf import json_format

import peer
import tap

DIR = Path(sys.argv[1])
sys.path.insert(0, str(DIR))
import echo_pb2 as pb  # noqa: E402

TEXT = "größer 😀\n\t\"\\%\u2028"
HOST = os.environ["ECHO_URL"].split("//")[1]


class Echo:
    """A stub, as the generator of grpcio-tools makes it."""
    def __init__(self, channel):
        service = pb.DESCRIPTOR.services_by_name["EchoService"]
        streams = {"ServerStream": "unary_stream", "Bidi": "stream_stream",
                   "FailStream": "unary_stream", "ClientStream": "stream_unary",
                   "HoldStream": "unary_stream"}
        for m in service.methods:
            make = getattr(channel, streams.get(m.name, "unary_unary"))
            out = getattr(pb, m.output_type.name)
            setattr(self, m.name, make(
                "/gfl.test.EchoService/" + m.name,
                request_serializer=lambda r: r.SerializeToString(),
                response_deserializer=out.FromString))


echo = Echo(peer.channel(HOST))


def case(name):
    return tap.case("grpcio: " + name)


def fails(call):
    """What it fails with, and how many messages came before."""
    seen = 0
    try:
        result = call()
        for _ in result if hasattr(result, "__next__") else ():
            seen += 1
    except grpc.RpcError as e:
        return e, seen
    raise AssertionError("does not fail")


def until(what):
    while True:
        s = echo.Stats(pb.StatsRequest())
        if what(s):
            return


@case("one message there and back")
def _():
    m = dict(text=TEXT, data=random.randbytes(300), number=-2**63)
    back = echo.Unary(pb.EchoRequest(**m))
    assert back == pb.EchoResponse(**m), back


@case("an empty message")
def _():
    assert echo.Unary(pb.EchoRequest()) == pb.EchoResponse()


@case("all types of fields")
def _():
    m = json.loads((DIR / "everything.json").read_text())
    for one in ({}, {"oneText": ""}, {"oneSub": {}}, {"oneInt32": 0},
                {"oneData": ""}):
        one |= m
        back = echo.Echo(json_format.ParseDict(one, pb.Everything()))
        assert json_format.MessageToDict(back) == one, back


@case("-0.0")
def _():
    # In a list: alone, protobuf-c does not send it, which it deems unset.
    back = echo.Echo(pb.Everything(doubles=[-0.0]))
    assert math.copysign(1, back.doubles[0]) == -1


@case("3 MB and 20 MB there and back")
def _():
    for size in 3000000, 20000000:
        data = random.randbytes(size)
        assert echo.Unary(pb.EchoRequest(data=data)).data == data


@case("100 calls at once")
def _():
    calls = [echo.Unary.future(pb.EchoRequest(number=i)) for i in range(100)]
    assert [c.result().number for c in calls] == list(range(100))


@case("server stream: 500 messages in order")
def _():
    out = list(echo.ServerStream(pb.CountRequest(count=500, size=10)))
    assert [m.number for m in out] == list(range(500))
    assert all(len(m.data) == 10 for m in out)


@case("server stream: 20 of 1 MiB")
def _():
    out = list(echo.ServerStream(pb.CountRequest(count=20, size=1 << 20)))
    assert [len(m.data) for m in out] == 20 * [1 << 20]


@case("server stream: no message")
def _():
    assert list(echo.ServerStream(pb.CountRequest())) == []


@case("server stream: each message when it is sent")
def _():
    call = echo.ServerStream(pb.CountRequest(count=1000000, interval_ms=20))
    assert [next(call).number for _ in range(5)] == list(range(5))
    call.cancel()


@case("server stream: fails after three messages")
def _():
    e, seen = fails(lambda: echo.ServerStream(
        pb.CountRequest(count=9, fail_after=3)))
    assert seen == 3 and e.code() == grpc.StatusCode.DATA_LOSS, e
    assert e.details() == "größer than a stream may be: %", e


@case("client stream: 100 messages, 8 of 1 MiB, none")
def _():
    r = echo.ClientStream(pb.EchoRequest(text="é", data=b"abc", number=i)
                          for i in range(100))
    assert r == pb.SumResponse(count=100, sum=4950, bytes=300,
                               text=100 * "é"), r
    data = random.randbytes(1 << 20)
    r = echo.ClientStream(pb.EchoRequest(data=data) for _ in range(8))
    assert r == pb.SumResponse(count=8, bytes=8 << 20), r
    assert echo.ClientStream(iter(())) == pb.SumResponse()


@case("both stream: each answer before the next question")
def _():
    answered = threading.Semaphore(1)

    def questions():
        for i in range(50):
            assert answered.acquire(timeout=20)
            yield pb.EchoRequest(number=i)
    for i, m in enumerate(echo.Bidi(questions())):
        assert m.number == i, m
        answered.release()
    assert i == 49


@case("errors: every code, with a message that is not ASCII")
def _():
    for code in grpc.StatusCode:
        number, message = code.value[0], "größer 😀\n%% %s" % code
        if not number:
            continue
        for method in echo.Fail, echo.FailStream:
            e, _ = fails(lambda: method(
                pb.FailRequest(code=number, message=message)))
            assert (e.code(), e.details()) == (code, message), e


@case("errors: details")
def _():
    for method in echo.Fail, echo.FailStream:
        e, _ = fails(lambda: method(pb.FailRequest(
            code=8, message="é", retry_after_s=2)))
        bin = dict(e.trailing_metadata())["grpc-status-details-bin"]
        assert "type.googleapis.com/google.rpc.RetryInfo".encode() in bin, bin
        assert bytes.fromhex("0a020802") in bin, bin


@case("errors: a method that is not served")
def _():
    e, _ = fails(lambda: echo.Missing(pb.StatsRequest()))
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED, e


@case("deadline: held calls expire")
def _():
    for method in echo.Hold, echo.HoldStream:
        e, _ = fails(lambda: method(pb.HoldRequest(), timeout=0.2))
        assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
    until(lambda s: not s.held)


def two_held_calls_end(stub, end):
    before = echo.Stats(pb.StatsRequest()).cancelled
    calls = (stub.Hold.future(pb.HoldRequest()),
             stub.HoldStream(pb.HoldRequest()))
    until(lambda s: s.held == 2)
    end(calls)
    until(lambda s: not s.held and s.cancelled == before + 2)


@case("cancel: the server sees that held calls are")
def _():
    two_held_calls_end(echo, lambda calls: [c.cancel() for c in calls])


@case("cancel: the server sees that a client has gone")
def _():
    with peer.channel(HOST) as other:
        two_held_calls_end(Echo(other), lambda calls: other.close())


@case("gzip both ways")
def _():
    # It does not show in what the answers were compressed, if they were.
    text = 100000 * "é"
    with peer.channel(HOST, compression=grpc.Compression.Gzip) as zipped:
        assert Echo(zipped).Unary(pb.EchoRequest(text=text)).text == text
        out = Echo(zipped).ServerStream(pb.CountRequest(count=1, size=99999))
        assert len(next(out).data) == 99999


tap.end()

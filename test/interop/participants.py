#!/usr/bin/python3
"""participants.py BIN - participants and a coordinator by Python's grpcio that
know nothing but the fields of ParticipantManager, beside gfl-server and
gfl-worker in BIN: a line is fitted by numpy, each participant on its own
points. TAP on stdout."""
import contextlib
import io
import os
import queue
import subprocess
import sys
import tempfile
import threading
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np

import peer
import tap

BIN = Path(sys.argv[1])
CERTS = os.environ.get("CERTS")
TRUTH = np.array([2.0, -1.0])

PROTO = """
syntax = "proto3";
message NDArray { bytes ndarray = 1; }
message ParticipantMessage {
  message TrainResult { repeated NDArray theta = 1; }
  oneof message {
    TrainResult train_result = 1;
    bool unkown_instruction = 1000;
  }
}
message CoordinatorMessage {
  message TrainConfig { repeated NDArray theta = 1; }
  oneof message {
    int32 reconnect_in = 1;
    TrainConfig train_config = 2;
  }
}
"""


def schema():
    with tempfile.TemporaryDirectory() as tmp:
        (Path(tmp) / "xain.proto").write_text(PROTO)
        subprocess.run(["protoc", "-I", tmp, "--python_out", tmp,
                        "xain.proto"], check=True)
        sys.path.insert(0, tmp)
        return __import__("xain_pb2")


PB = schema()
PATH = "/ParticipantManager/Connect"


def arrays(theta):
    return [np.load(io.BytesIO(a.ndarray)) for a in theta]


def ndarrays(*values):
    theta = []
    for v in values:
        out = io.BytesIO()
        np.save(out, v)
        theta.append(PB.NDArray(ndarray=out.getvalue()))
    return theta


def connect(channel, requests):
    return channel.stream_stream(
        PATH, request_serializer=PB.ParticipantMessage.SerializeToString,
        response_deserializer=PB.CoordinatorMessage.FromString)(requests)


class Participant(threading.Thread):
    """Fits a line to points of its own, from where it is told."""
    def __init__(self, host, seed):
        super().__init__()
        self.host, self.told, self.error = host, [], None
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, 50)
        self.x = np.stack([x, np.ones(50)], 1)
        self.y = self.x @ TRUTH + rng.normal(0, 0.01, 50)

    def train(self, w):
        for _ in range(10):
            w = w - 0.5 * self.x.T @ (self.x @ w - self.y) / len(self.y)
        return w

    def run(self):
        say = queue.Queue()
        say.put(PB.ParticipantMessage())
        try:
            with peer.channel(self.host) as channel:
                for m in connect(channel, iter(say.get, None)):
                    say.put(self.answer(m))
        except grpc.RpcError as e:
            self.error = e
        say.put(None)

    def answer(self, m):
        w, samples = arrays(m.train_config.theta)
        self.told.append(w)
        return PB.ParticipantMessage(
            train_result=PB.ParticipantMessage.TrainResult(
                theta=ndarrays(self.train(w), samples)))


class Ignorant(Participant):
    def answer(self, m):
        self.told.append(m)
        return PB.ParticipantMessage(unkown_instruction=True)


# What leads them, as a user writes it.
LEAD = """#!/usr/bin/python3
import json, os, sys
import numpy as np
rows = [json.loads(line) for line in sys.stdin]
files = [r["file"] for r in rows if r["state"] == "answered"]
with open(sys.argv[1], "a") as log:
    for r in rows:
        log.write(r.get("code", "ok") + "\\n")
w = np.zeros(2)
if files:
    w = np.mean([np.load(f)["arr_0"] for f in files], axis=0)
if int(os.environ["GFL_ROUND"]) <= 8:
    np.savez(sys.stdout.buffer, w, np.int32(50))
"""


def tls():
    return ["--tls-cert", CERTS + "/server.pem", "--tls-key",
            CERTS + "/server.key", "--tls-ca",
            CERTS + "/ca.pem"] if CERTS else []


def start(tmp, participants):
    """A server that leads so many, its host and port, and what it was told."""
    lead, log = Path(tmp) / "lead", Path(tmp) / "log"
    lead.write_text(LEAD)
    lead.chmod(0o700)
    ready, theirs = os.pipe()
    server = subprocess.Popen(
        [BIN / "gfl-server", "--listen", "127.0.0.1:0", "--config", "none",
         "--db", tmp + "/server.db", "--min-participants", str(participants),
         "--on-participants", "%s %s" % (lead, log), "--ready-fd",
         str(theirs), "--port-file", tmp + "/port", "--log-level",
         "warn"] + tls(),
        pass_fds=[theirs], stdout=subprocess.DEVNULL)
    os.close(theirs)
    os.read(ready, 1)
    port = (Path(tmp) / "port").read_text().strip()
    return server, "127.0.0.1:" + port, log


@tap.case("participants: three and one that is ignorant fit a line")
def _():
    with tempfile.TemporaryDirectory() as tmp:
        server, host, log = start(tmp, 4)
        all = [Participant(host, i) for i in range(3)] + [Ignorant(host, 9)]
        for p in all:
            p.start()
        for p in all:
            p.join(120)
            assert not p.is_alive() and p.error is None, p.error
        assert server.wait(30) == 0
        for p in all:
            assert len(p.told) == 8, len(p.told)
        assert np.allclose(all[0].told[0], 0)
        assert np.allclose(all[0].told[-1], TRUTH, atol=0.1), all[0].told
        said = log.read_text().split()
        assert said.count("ok") == 24, said
        assert said.count("unimplemented") == 8, said


@tap.case("participants: a server that stops says when to come back")
def _():
    with tempfile.TemporaryDirectory() as tmp, \
            contextlib.ExitStack() as stack:
        server, host, _ = start(tmp, 3)
        streams = []
        for _ in range(2):
            say = queue.Queue()
            say.put(PB.ParticipantMessage())
            channel = stack.enter_context(peer.channel(host))
            streams.append(connect(channel, iter(say.get, None)))
            streams[-1].initial_metadata()  # it is there
        server.terminate()
        for s in streams:
            told = list(s)  # and its end is in order
            assert [m.WhichOneof("message") for m in told] == [
                "reconnect_in"], told
            assert told[0].reconnect_in == 5, told
        assert server.wait(30) == 0


class Coordinator(grpc.GenericRpcHandler):
    """Gives its instructions in turn, one stream after the other."""
    def __init__(self, scripts):
        self.scripts, self.said = iter(scripts), []

    def service(self, details):
        if details.method != PATH:
            return None
        return grpc.stream_stream_rpc_method_handler(
            self.connect, PB.ParticipantMessage.FromString,
            lambda m: m if isinstance(m, bytes) else m.SerializeToString())

    def connect(self, requests, context):
        self.said.append(next(requests))
        for m in next(self.scripts):
            yield m
            if isinstance(m, bytes) or not m.reconnect_in:
                self.said.append(next(requests))


@tap.case("participants: gfl-worker obeys a coordinator of grpcio")
def _():
    train = PB.CoordinatorMessage(
        train_config=PB.CoordinatorMessage.TrainConfig(
            theta=ndarrays(np.arange(6).reshape(2, 3), np.float32(7))))
    other = bytes([0x3a, 0])  # field 7, an instruction of later times
    back = PB.CoordinatorMessage(reconnect_in=1)
    coordinator = Coordinator([[train, other, train, back], [train]])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((coordinator,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The end of the last stream, in order, is the end of the work.
    worker = subprocess.run(
        [BIN / "gfl-worker", "--stream", "--server",
         "http://127.0.0.1:%d" % port, "--exec", "cat", "--config", "none", "--log-level", "error"],
        timeout=120)
    assert worker.returncode == 0, worker
    first, a, b, c, second, d = coordinator.said
    for empty in first, second:
        assert empty.WhichOneof("message") is None, empty
    assert b.unkown_instruction, b
    for result in a, c, d:
        one, two = arrays(result.train_result.theta)
        assert np.array_equal(one, np.arange(6).reshape(2, 3)), one
        assert two == np.float32(7), two
    server.stop(None)


tap.end()

#!/usr/bin/python3
"""A stream of 1 MiB messages between two processes of grpcio, for tensor.sh.

    tensor_grpcio.py serve BYTES        prints its port, serves until killed
    tensor_grpcio.py pull PORT BYTES    prints bytes/s

Bytes are messages as they are: nothing is decoded, which favours it."""
import sys
import time
from concurrent import futures

import grpc

OPTIONS = [("grpc.max_receive_message_length", -1)]
CHUNK = 1 << 20


class Pull(grpc.GenericRpcHandler):
    def __init__(self, size):
        self.chunks = size // CHUNK
        self.chunk = bytes(range(256)) * (CHUNK // 256)

    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(self.stream)

    def stream(self, request, context):
        for _ in range(self.chunks):
            yield self.chunk


def serve(size):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((Pull(size),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def pull(port, size):
    place = bytearray(b"\1") * size
    channel = grpc.insecure_channel("127.0.0.1:%d" % port, OPTIONS)
    began, at = time.monotonic(), 0
    for chunk in channel.unary_stream("/bench/Pull")(b""):
        place[at : at + len(chunk)] = chunk
        at += len(chunk)
    print("%.0f" % (at / (time.monotonic() - began)))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    pull(int(sys.argv[2]), int(sys.argv[3]))

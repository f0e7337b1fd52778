#!/usr/bin/python3
"""participants_grpcio.py N ROUNDS - a coordinator as the first one was, by
Python's grpcio: a thread a participant. Prints its port, "held" when N have
come, then the seconds of each round. Of no rounds it holds them until it is
killed. Arrays are given back as bytes: nothing is decoded, which favours it."""
import queue
import sys
import threading
import time
from concurrent import futures

import grpc

N, ROUNDS = int(sys.argv[1]), int(sys.argv[2])
ARRAY = (b"\x93NUMPY\x01\x00\x76\x00" +
         b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }".ljust(117) +
         b"\n" + bytes(16))


def field(number, payload):
    return bytes([number << 3 | 2, len(payload) & 127 | 128,
                  len(payload) >> 7]) + payload


TRAIN = field(2, field(1, field(1, ARRAY)))


class Manager(grpc.GenericRpcHandler):
    def __init__(self):
        self.proxies, self.lock = [], threading.Lock()

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self.connect)

    def connect(self, requests, context):
        asked, answers = queue.Queue(), queue.Queue()
        next(requests)
        with self.lock:
            self.proxies.append((asked, answers))
        while True:
            instruction = asked.get()
            if instruction is None:
                return
            yield instruction
            answers.put(next(requests))


def main():
    manager = Manager()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=N))
    server.add_generic_rpc_handlers((manager,))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    while len(manager.proxies) < N:
        time.sleep(0.01)
    print("held", flush=True)
    if not ROUNDS:
        server.wait_for_termination()
    for _ in range(ROUNDS):
        began = time.monotonic()
        for asked, _ in manager.proxies:
            asked.put(TRAIN)
        for _, answers in manager.proxies:
            answers.get()
        print(time.monotonic() - began, flush=True)
    for asked, _ in manager.proxies:
        asked.put(None)
    server.stop(5).wait()


main()

#!/usr/bin/python3
"""gap.py - a client that writes all the time to any member that takes it.

	gap.py METHOD MESSAGE HOST:PORT...

Calls the unary METHOD of native gRPC with the bytes of the file MESSAGE (framed,
as h2load has it), at each member in turn with one call under way, and prints
the time of each answer in ms; runs until it is killed. What a member has not
answered within 50 ms is asked of the next one.
"""
import sys
import threading
import time

import grpc

method, path, *members = sys.argv[1:]
with open(path, "rb") as f:
    message = f.read()[5:]
options = [
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
]
say = threading.Lock()


def write(member):
    """Write at one member; three of these ask at the same time."""
    channel = grpc.insecure_channel(member, options=options)
    call = channel.unary_unary(method)
    while True:
        try:
            call(message, timeout=0.05)
        except grpc.RpcError:
            time.sleep(0.002)
            continue
        with say:
            print("%.3f" % (time.time() * 1e3), flush=True)


for at in members:
    threading.Thread(target=write, args=(at,), daemon=True).start()
threading.Event().wait()

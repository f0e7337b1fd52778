#!/usr/bin/python3
"""The same as call_bench.c by grpcio, of servers of server_grpcio.py: bytes as
they are, futures for a fan-out."""
import statistics
import sys
import time

import grpc

what, seconds, size, *ports = sys.argv[1:]
stubs = [
    grpc.insecure_channel(
        "127.0.0.1:" + port,
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    ).unary_unary("/gfl.test.EchoService/Unary")
    for port in ports
]
message = bytes(int(size))
took = []
for stub in stubs:
    stub(message)
before = time.process_time()
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    began = time.monotonic()
    for call in [stub.future(message) for stub in stubs]:
        assert len(call.result()) == len(message)
    took.append(time.monotonic() - began)
print(statistics.median(took) * 1e3, len(took), time.process_time() - before)

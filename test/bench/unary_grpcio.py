#!/usr/bin/python3
"""A grpcio server with one method that does nothing, for unary.sh: prints its
port and serves until it is killed. The answer is the bytes that unary_bench.c
gives, HeartbeatResponse {status = 1: "received"}; nothing is decoded, which
favours it."""
from concurrent import futures

import grpc


class Heartbeat(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/GatewayService/Heartbeat":
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: b"\x0a\x08received"
            )
        return None


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((Heartbeat(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main()

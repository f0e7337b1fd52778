#!/usr/bin/python3
"""A grpcio server with the method of server_bench.c, for unary.sh: prints its
port and serves until it is killed. What it gets it gives back as bytes: nothing
is decoded, which favours it."""
from concurrent import futures

import grpc


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/gfl.test.EchoService/Unary":
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: request
            )
        return None


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    )
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main()

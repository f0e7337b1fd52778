"""A channel of grpcio, with $CERTS by TLS and with a client's certificate."""
import os
from pathlib import Path

import grpc

OPTIONS = [("grpc.max_receive_message_length", -1),
           ("grpc.max_send_message_length", -1)]


def channel(host, **more):
    certs = os.environ.get("CERTS")
    if not certs:
        return grpc.insecure_channel(host, options=OPTIONS, **more)
    ca, key, cert = ((Path(certs) / name).read_bytes()
                     for name in ("ca.pem", "client.key", "client.pem"))
    return grpc.secure_channel(
        host, grpc.ssl_channel_credentials(ca, key, cert), OPTIONS, **more)

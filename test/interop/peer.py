"""Channels and ports of grpcio, with $CERTS by TLS and with a certificate: who
calls has one, too."""
import os
from pathlib import Path

import grpc

OPTIONS = [("grpc.max_receive_message_length", -1),
           ("grpc.max_send_message_length", -1)]


def files():
    certs = os.environ.get("CERTS")
    return certs and [(Path(certs) / name).read_bytes()
                      for name in ("ca.pem", "client.key", "client.pem")]


def channel(host, **more):
    if not files():
        return grpc.insecure_channel(host, options=OPTIONS, **more)
    return grpc.secure_channel(
        host, grpc.ssl_channel_credentials(*files()), OPTIONS, **more)


def listen(server, address):
    if not files():
        return server.add_insecure_port(address)
    ca, key, cert = files()
    return server.add_secure_port(address, grpc.ssl_server_credentials(
        [(key, cert)], ca, require_client_auth=True))

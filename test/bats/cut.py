"""A proxy before a trainer that meddles with the models that it gives: it is
started as a daemon is, with how, after how many bytes, and the file that has
the trainer's port."""
import argparse
import os
import socket
import sys
import threading

cut = []  # connections that were cut, once


def pump(a, b, seen):
    try:
        while data := a.recv(1 << 16):
            b.sendall(seen(data))
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Pull:
    """What one connection has carried of a model since it was asked for."""

    def __init__(self, how, after, server):
        self.how, self.after, self.server = how, after, server
        self.bytes = None

    def asked(self, data):
        if b"PullModel" in data:
            self.bytes = 0
        elif b"POST " in data:
            self.bytes = None
        return data

    def given(self, data):
        if self.bytes is None:
            return data
        here = self.after - self.bytes
        self.bytes += len(data)
        if not 0 <= here < len(data):
            return data
        if self.how == "damage":
            print("damaged", file=sys.stderr, flush=True)
            return data[:here] + bytes([data[here] ^ 1]) + data[here + 1:]
        if self.how == "once" and cut:
            return data
        cut.append(self)
        print("cut", file=sys.stderr, flush=True)
        if self.how == "hold":  # until its end
            while self.server.recv(1 << 16):
                pass
        raise OSError


def serve(client, options):
    with open(options.to) as f:
        server = socket.create_connection(("127.0.0.1", int(f.read())))
    pull = Pull(options.how, options.after, server)
    threading.Thread(target=pump, args=(client, server, pull.asked),
                     daemon=True).start()
    pump(server, client, pull.given)


p = argparse.ArgumentParser()
p.add_argument("how", choices=["once", "hold", "damage"])
p.add_argument("after", type=int)
p.add_argument("to")
p.add_argument("--listen")
p.add_argument("--port-file")
p.add_argument("--ready-fd", type=int)
options = p.parse_args()
host, port = options.listen.split(":")
listener = socket.create_server((host, int(port)))
with open(options.port_file, "w") as f:
    f.write(str(listener.getsockname()[1]))
os.write(options.ready_fd, b"\n")
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client, options), daemon=True).start()

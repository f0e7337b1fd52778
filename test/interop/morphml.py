#!/usr/bin/python3
"""morphml.py - masters and workers as MorphML has them, by Python's grpcio.

	morphml.py pull HOST:PORT ID    ask this master for tasks until there are none
	morphml.py push HOST:PORT ID    register there, and serve until TERM
	morphml.py master FILE ARCHITECTURE...  serve; write the port to FILE; give
	                                each architecture to a worker that asks
	morphml.py caller FILE ARCHITECTURE...  the same, calling the worker
	morphml.py cancel HOST:PORT FILE  have a worker evaluate, and cancel it
	                                once FILE is there

morphml_pb2.py, made by protoc of morphml.proto, is in the current directory.
With $CERTS all of it is by TLS, with its certificate client.pem and client.key.
What came is printed as JSON lines. A master asks its worker to shut down at the
end."""
import json
import os
import signal
import sys
import threading
from concurrent import futures

sys.path.insert(0, os.getcwd())
import grpc  # noqa: E402
import morphml_pb2 as pb  # noqa: E402
import peer  # noqa: E402

MASTER = "morphml.distributed.MasterService"
WORKER = "morphml.distributed.WorkerService"


def call(host, service, method, request, answer, timeout=60):
    with peer.channel(host) as channel:
        return channel.unary_unary(
            "/%s/%s" % (service, method),
            request_serializer=lambda r: r.SerializeToString(),
            response_deserializer=answer.FromString)(request, timeout=timeout)


def serve(service, methods):
    """Methods by name: (request's type, function of a request)."""
    def handler(kind, fn):
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: fn(request),
            request_deserializer=kind.FromString,
            response_serializer=lambda r: r.SerializeToString())
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[
        ("grpc.max_receive_message_length", 100000)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        service, {name: handler(*m) for name, m in methods.items()}),))
    return server, peer.listen(server, "127.0.0.1:0")


def show(**what):
    print(json.dumps(what, sort_keys=True), flush=True)


def describe(t):
    c = t.config
    show(task=t.task_id, architecture=t.architecture, epochs=c.num_epochs,
         batch=c.batch_size, lr=c.learning_rate, dataset=c.dataset,
         extra=dict(c.extra))


def evaluate(t):
    """What a worker makes of a task."""
    bad = "bad" in t.architecture
    return dict(task_id=t.task_id, success=not bad, duration=0.25,
                metrics={} if bad else {"accuracy": t.config.learning_rate * 2,
                                        "loss": float("nan")},
                error="it is bad" if bad else "")


def pull(master, me):
    r = call(master, MASTER, "RegisterWorker",
             pb.RegisterRequest(worker_id=me, host="127.0.0.1", port=9,
                                metadata={"a": "b"}), pb.RegisterResponse)
    show(registered=r.success, master=len(r.master_id))
    beat = call(master, MASTER, "Heartbeat", pb.HeartbeatRequest(
        worker_id=me, status="idle",
        metrics=pb.WorkerMetrics(cpu_usage=12.5, memory_usage=50)),
        pb.HeartbeatResponse)
    show(acknowledged=beat.acknowledged, goes_on=beat.should_continue)
    while True:
        some = call(master, MASTER, "RequestTask",
                    pb.TaskRequest(worker_id=me, max_tasks=2), pb.TaskResponse)
        if not some.has_task:
            break
        for t in some.tasks:
            describe(t)
            result = pb.ResultRequest(worker_id=me, **evaluate(t))
            for _ in range(2):  # the second is the first once more
                back = call(master, MASTER, "SubmitResult", result,
                            pb.ResultResponse)
                show(acknowledged=back.acknowledged, message=back.message)
    other = pb.ResultRequest(task_id="1", worker_id="other", success=True)
    back = call(master, MASTER, "SubmitResult", other, pb.ResultResponse)
    show(acknowledged=back.acknowledged, message=back.message)


def push(master, me):
    def run(t):
        describe(t)
        return pb.EvaluateResponse(**evaluate(t))
    server, port = serve(WORKER, {
        "Evaluate": (pb.EvaluateRequest, run),
        "CancelTask": (pb.CancelRequest,
                       lambda c: pb.CancelResponse(success=True))})
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    server.start()
    call(master, MASTER, "RegisterWorker",
         pb.RegisterRequest(worker_id=me, host="127.0.0.1", port=port),
         pb.RegisterResponse)
    end.wait()
    server.stop(0)


class Master:
    def __init__(self, path, architectures):
        self.todo = list(enumerate(architectures))
        self.open = len(self.todo)
        self.lock = threading.Lock()
        self.end = threading.Event()
        self.worker = None
        self.server, port = serve(MASTER, {
            "RegisterWorker": (pb.RegisterRequest, self.register),
            "Heartbeat": (pb.HeartbeatRequest, self.heartbeat),
            "RequestTask": (pb.TaskRequest, self.request),
            "SubmitResult": (pb.ResultRequest, self.result)})
        self.server.start()
        with open(path + ".new", "w") as f:
            f.write(str(port))
        os.rename(path + ".new", path)

    def register(self, r):
        show(worker=r.worker_id, gpus=r.num_gpus, mode=r.metadata["mode"])
        self.worker = "%s:%d" % (r.host, r.port)
        return pb.RegisterResponse(success=True, message="welcome",
                                   master_id="m")

    def heartbeat(self, r):
        assert 0 < r.metrics.memory_usage <= 100, r
        return pb.HeartbeatResponse(acknowledged=True, should_continue=True)

    def task(self, i, architecture):
        return pb.EvaluateRequest(
            task_id="task-%d" % i, architecture=architecture,
            config=pb.EvaluationConfig(num_epochs=3, batch_size=16,
                                       learning_rate=0.125, dataset="d",
                                       extra={"momentum": "0.25",
                                              "steps": "30"}))

    def request(self, r):
        with self.lock:
            some, self.todo = (self.todo[:r.max_tasks],
                               self.todo[r.max_tasks:])
        return pb.TaskResponse(has_task=bool(some),
                               tasks=[self.task(*t) for t in some])

    def result(self, r):
        show(task=r.task_id, success=r.success, metrics=dict(r.metrics),
             error=r.error.split("\n")[0].rsplit("/", 1)[-1],
             took=r.duration > 0)
        with self.lock:
            self.open -= 1
            if not self.open:
                self.end.set()
        return pb.ResultResponse(acknowledged=True)

    def shut_down(self):
        r = call(self.worker, WORKER, "GetStatus", pb.StatusRequest(),
                 pb.StatusResponse)
        show(status=r.status, completed=r.metrics.tasks_completed)
        r = call(self.worker, WORKER, "Shutdown",
                 pb.ShutdownRequest(graceful=True), pb.ShutdownResponse)
        show(shutdown=r.acknowledged)


def master(path, *architectures):
    m = Master(path, architectures)
    m.end.wait()
    m.shut_down()


def caller(path, *architectures):
    m = Master(path, [])
    while not m.worker:
        pass
    for t in enumerate(architectures):
        r = call(m.worker, WORKER, "Evaluate", m.task(*t), pb.EvaluateResponse)
        show(task=r.task_id, success=r.success, metrics=dict(r.metrics),
             took=r.duration > 0)
    m.shut_down()


def cancel(worker, path):
    results = []

    def run():
        results.append(call(worker, WORKER, "Evaluate", pb.EvaluateRequest(
            task_id="x", architecture="{}"), pb.EvaluateResponse))
    evaluating = threading.Thread(target=run)
    evaluating.start()
    while not os.path.exists(path):
        pass
    r = call(worker, WORKER, "GetStatus", pb.StatusRequest(),
             pb.StatusResponse)
    show(status=r.status, current=r.current_task_id)
    for task in "y", "x":
        r = call(worker, WORKER, "CancelTask", pb.CancelRequest(task_id=task),
                 pb.CancelResponse)
        show(success=r.success, message=r.message)
    evaluating.join()
    show(success=results[0].success)


if __name__ == "__main__":
    {f.__name__: f for f in (pull, push, master, caller, cancel)}[sys.argv[1]](
        *sys.argv[2:])

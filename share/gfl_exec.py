"""gfl_exec - write a trainer of your own for gfl-trainer, in Python.

    import gfl_exec

    def init(task): ...                  # a first model: name -> array
    def train(model, task): ...          # -> model, examples, metrics
    def evaluate(model, task): ...       # -> examples, {"accuracy": 0..1}

    gfl_exec.run(init, train, evaluate)

    gfl-trainer --exec-serve 'python3 mine.py' --node ... --data ... --test ...
    gfl-run start --model exec --hp alpha=0.1

The same program works with --exec, one process a round. A model is a dict of
arrays of floats, or of PyTorch's tensors; it travels as float32. Needs numpy
alone. Whatever is printed goes to the log: standard output belongs to gfl.
gfl(7) has the contract, under TRAINERS.
"""
import functools
import gzip
import json
import os
import sys
import time

import numpy as np

# Standard output is gfl's: whatever prints, in C too, prints to the log.
_out = None
if "GFL_PROTOCOL" in os.environ:
    _out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4",
         "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
AGAIN, MISCONFIGURED = 75, 78  # exit statuses


def load(path):
    """The arrays of a safetensors file, by name."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = np.fromfile(f, "u1")
    header.pop("__metadata__", None)
    model = {}
    for name, t in header.items():
        first, end = t["data_offsets"]
        a = data[first:end].view(TYPES[t["dtype"]])
        model[name] = a.reshape(t["shape"])
    return model


def array(value):
    """A float32 array of an array, or a tensor of PyTorch's."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype="<f4", order="C")


def save(model, path):
    """Write arrays as a safetensors file. PyTorch's counts of batches stay."""
    header, parts, at = {}, [], 0
    for name, value in model.items():
        if name.endswith(".num_batches_tracked"):
            continue
        a = array(value)
        header[name] = {"dtype": "F32", "shape": list(a.shape),
                        "data_offsets": [at, at + a.nbytes]}
        parts.append(a)
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for a in parts:
            f.write(a.reshape(-1).data)


class Task:
    """What is to be done: the variables GFL_..., as attributes.

    op is "train" or "eval"; data, index, model_in and model_out are paths, or
    None; epochs or steps is how long to train, the other is None; hp has the
    --hp of gfl-run, by name in lower case.
    """

    def __init__(self, facts):
        def number(name, kind=int):
            return kind(facts[name]) if name in facts else None

        self.op = facts["GFL_OP"]
        self.model_in = facts.get("GFL_MODEL_IN")
        self.model_out = facts.get("GFL_MODEL_OUT")
        self.data = facts.get("GFL_DATA")
        self.index = facts.get("GFL_INDEX")
        self.node, self.run = number("GFL_NODE"), number("GFL_RUN")
        self.round, self.seed = number("GFL_ROUND"), number("GFL_SEED")
        self.epochs, self.steps = number("GFL_EPOCHS"), number("GFL_STEPS")
        self.batch, self.lr = number("GFL_BATCH"), number("GFL_LR", float)
        self.deadline = number("GFL_DEADLINE")
        self.hp = {k[7:].lower(): v for k, v in facts.items()
                   if k.startswith("GFL_HP_")}

    def examples(self):
        """Our examples x and their labels y: of an .npz file with these arrays,
        or of a folder with MNIST's names, gzipped; bytes become 0 to 1."""
        return _examples(self.data, self.index,
                         "t10k" if self.op == "eval" else "train")

    def indices(self, count):
        """Which of count examples are ours."""
        return _indices(self.index) if self.index else np.arange(count)

    def batches(self, count):
        """Indices below count, a batch at a time, for the steps or epochs."""
        rng = np.random.default_rng(self.seed)
        size = max(1, min(self.batch, count))
        an_epoch = -(-count // size)
        left = self.steps if self.epochs is None else self.epochs * an_epoch
        while left > 0:
            order = rng.permutation(count)
            for at in range(0, count, size):
                if left > 0:
                    yield order[at:at + size]
                left -= 1

    def time_left(self):
        """Seconds until the task is given up."""
        return self.deadline - time.time()


def _idx(path):
    """The array of an IDX file."""
    with gzip.open(path) as f:
        rank = f.read(4)[3]
        shape = np.frombuffer(f.read(4 * rank), ">i4")
        return np.frombuffer(f.read(), "u1").reshape(shape)


@functools.lru_cache(2)
def _indices(index):
    return np.loadtxt(index, dtype=np.int64, ndmin=1)


@functools.lru_cache(2)
def _examples(data, index, part):
    if os.path.isdir(data):
        names = (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
        x, y = (_idx(os.path.join(data, name)) for name in names)
    else:
        with np.load(data) as file:
            x, y = file["x"], file["y"]
    if index:
        x, y = x[_indices(index)], y[_indices(index)]
    return (x.astype("f4") / 255 if x.dtype == "u1" else x), y


def _tell(**what):
    _out.write(json.dumps(what) + "\n")
    _out.flush()


def _do(task, init, train, evaluate):
    model = load(task.model_in) if task.model_in else init(task)
    if task.op == "eval":
        count, metrics = evaluate(model, task)
    elif task.steps == 0:
        count, metrics = 0, {}
        save(model, task.model_out)
    else:
        model, count, metrics = train(model, task)
        save(model, task.model_out)
    _tell(type="result", num_examples=int(count),
          metrics={k: float(v) for k, v in metrics.items()})


def run(init, train, evaluate=None):
    """Do the task that the environment has, or serve those of stdin."""
    if not _out:
        sys.exit("to be started by gfl-trainer --exec or --exec-serve")
    if "GFL_OP" in os.environ:
        _do(Task(os.environ), init, train, evaluate)
        return
    _tell(type="ready", protocol=1)
    for line in sys.stdin:
        _do(Task(json.loads(line)), init, train, evaluate)

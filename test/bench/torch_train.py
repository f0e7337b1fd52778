#!/usr/bin/python3
"""Images a CPU-second that PyTorch trains on one thread: the records of
train_bench.c, for the same models.

    OPENBLAS_CORETYPE=SkylakeX test/bench/torch_train.py DATA-FOLDER SECONDS
    test/bench/torch_train.py DATA-FOLDER accuracy
    test/bench/torch_train.py DATA-FOLDER start

Debian's OpenBLAS takes many processors for a Prescott, so its best figure
needs the variable; "torch" is with it, with denormal numbers flushed and with
convolutions in channels_last, "torch-default" without any. The images are
floats in memory already, which favours PyTorch."""
import gzip
import os
import resource
import sys
import time

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../data")
import torch_model

BEST = bool(os.environ.get("OPENBLAS_CORETYPE"))


def load(folder, part):
    with gzip.open(folder + "/" + part + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16)
    with gzip.open(folder + "/" + part + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    x = torch.from_numpy(x.reshape(-1, 784).astype(np.float32)).div(255)
    return x, torch.from_numpy(y.astype(np.int64))


def network(name):
    net = torch_model.Net(name).train()
    if BEST and name == "cnn":
        net = net.to(memory_format=torch.channels_last)
    return net


def bench(x, y, name, batch, seconds):
    net = network(name)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    order = torch.randperm(len(x))
    at = 0

    def step():
        nonlocal at
        i = order[at : at + batch]
        at = (at + batch) % (len(x) - batch)
        loss = torch.nn.functional.cross_entropy(net(x[i]), y[i])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()

    few = 4 if name == "cnn" else 20
    for _ in range(2 * few):
        step()
    images, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for _ in range(few):
            step()
        images += few * batch
    spent = time.process_time() - start
    who = "torch" if BEST else "torch-default"
    print("%s_%d\t%s\t%.0f" % (name, batch, who, images / spent), flush=True)


def learn(x, y, test_x, test_y, name, seed, batch=64, epochs=5):
    torch.manual_seed(seed)
    net = network(name)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for _ in range(epochs):
        for i in torch.randperm(len(x)).split(batch):
            loss = torch.nn.functional.cross_entropy(net(x[i]), y[i])
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
    with torch.no_grad():
        right = [(net.eval()(a).argmax(1) == b).sum().item()
                 for a, b in zip(test_x.split(500), test_y.split(500))]
    return sum(right) / len(test_y)


def start(x, y):
    """One step of cnn; what the process has cost by then."""
    net = network("cnn")
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    loss = torch.nn.functional.cross_entropy(net(x[:32]), y[:32])
    loss.backward()
    opt.step()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print("start_cpu_s\ttorch\t%.3f" % (used.ru_utime + used.ru_stime))
    print("start_mb\ttorch\t%.1f" % (used.ru_maxrss / 1024))


def learn_mean(x, y, test, name, seeds=(1, 2, 3), model=None):
    right = np.mean([learn(x, y, *test, model or name, s) for s in seeds])
    print("%s_accuracy\ttorch\t%.4f" % (name, right))


def main():
    torch.set_num_threads(1)
    torch.set_flush_denormal(BEST)
    x, y = load(sys.argv[1], "train")
    if sys.argv[2] == "accuracy":
        test = load(sys.argv[1], "t10k")
        learn_mean(x, y, test, "softmax")
        learn_mean(x, y, test, "mlp")
        learn_mean(x, y, test, "mlp_norm",
                   model="batchnorm; dense 128; relu; dense 10")
        learn_mean(x, y, test, "cnn", (1,))
        return
    if sys.argv[2] == "start":
        start(x, y)
        return
    seconds = float(sys.argv[2])
    bench(x, y, "mlp", 50, seconds)
    bench(x, y, "mlp", 32, seconds)
    bench(x, y, "softmax", 50, seconds)
    bench(x, y, "cnn", 32, seconds)


main()

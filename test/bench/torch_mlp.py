#!/usr/bin/python3
"""Images a CPU-second that PyTorch trains on one thread: the records of
train_bench.c, for the same models.

    OPENBLAS_CORETYPE=SkylakeX test/bench/torch_mlp.py DATA-FOLDER SECONDS
    test/bench/torch_mlp.py DATA-FOLDER accuracy

Debian's OpenBLAS takes many processors for a Prescott, so its best figure
needs the variable; "torch" is with it and with denormal numbers flushed,
"torch-default" without. The images are floats in memory already, which favours
PyTorch."""
import gzip
import os
import sys
import time

import numpy as np
import torch


BEST = bool(os.environ.get("OPENBLAS_CORETYPE"))


def load(folder, part):
    with gzip.open(folder + "/" + part + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16)
    with gzip.open(folder + "/" + part + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    x = torch.from_numpy(x.reshape(-1, 784).astype(np.float32)).div(255)
    return x, torch.from_numpy(y.astype(np.int64))


def network(name):
    if name == "softmax":
        return torch.nn.Linear(784, 10)
    return torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )


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

    for _ in range(50):
        step()
    images, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for _ in range(20):
            step()
        images += 20 * batch
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
    return (net(test_x).argmax(1) == test_y).float().mean().item()


def learn_mean(x, y, test, name):
    right = np.mean([learn(x, y, *test, name, seed) for seed in (1, 2, 3)])
    print("%s_accuracy\ttorch\t%.4f" % (name, right))


def main():
    torch.set_num_threads(1)
    torch.set_flush_denormal(BEST)
    x, y = load(sys.argv[1], "train")
    if sys.argv[2] == "accuracy":
        test = load(sys.argv[1], "t10k")
        learn_mean(x, y, test, "softmax")
        learn_mean(x, y, test, "mlp")
        return
    seconds = float(sys.argv[2])
    bench(x, y, "mlp", 50, seconds)
    bench(x, y, "mlp", 32, seconds)
    bench(x, y, "softmax", 50, seconds)


main()

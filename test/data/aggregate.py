#!/usr/bin/python3
"""Compute with numpy what rounds of aggregate_test.c come to.

    test/data/aggregate.py > test/data/aggregate.h

Models and updates come from splitmix64, as both sides can compute them. Each
rule is written here from its paper's formulas, in double precision."""
import numpy as np

N, CLIENTS, ROUNDS = 37, 7, 3
LR, BETA1, BETA2, TAU = 0.5, 0.9, 0.99, 1e-3


def mix(x):
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def units(seed, n):
    """n float32 numbers in -1..1, of rand_unit() from a state of seed."""
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * (
            np.uint64(0x9E3779B97F4A7C15))
    u = (mix(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (2 * u - 1).astype(np.float32).astype(np.float64)


def update(round, client):
    """What a client of a round sends: the difference to the model."""
    return units(1000 + round * 100 + client, N)


def weight(client):
    return 1.0 + client


def rounds(step):
    """The model after ROUNDS rounds of step(x, differences, weights)."""
    x = units(1, N)
    for r in range(ROUNDS):
        d = np.array([update(r, c) for c in range(CLIENTS)])
        w = np.array([weight(c) for c in range(CLIENTS)])
        x = step(x, d, w)
    return x


def mean(d, w):
    return (d * w[:, None]).sum(axis=0) / w.sum()


def fedavg(x, d, w):
    return x + LR * mean(d, w)


class FedAvgM:
    def __init__(self):
        self.m = np.zeros(N)

    def __call__(self, x, d, w):
        self.m = BETA1 * self.m + mean(d, w)
        return x + LR * self.m


class FedOpt:
    def __init__(self, second):
        self.m, self.v = np.zeros(N), np.full(N, TAU**2)
        self.second = second

    def __call__(self, x, d, w):
        g = mean(d, w)
        self.m = BETA1 * self.m + (1 - BETA1) * g
        self.v = self.second(self.v, g)
        return x + LR * self.m / (np.sqrt(self.v) + TAU)


def adagrad(v, g):
    return v + g**2


def yogi(v, g):
    return v - (1 - BETA2) * g**2 * np.sign(v - g**2)


def adam(v, g):
    return BETA2 * v + (1 - BETA2) * g**2


RULES = [
    ("fedavg", fedavg),
    ("fedprox", fedavg),
    ("fedavgm", FedAvgM()),
    ("fedadagrad", FedOpt(adagrad)),
    ("fedyogi", FedOpt(yogi)),
    ("fedadam", FedOpt(adam)),
]


def main():
    print("/* Made by aggregate.py with numpy. */")
    print("enum { N = %d, CLIENTS = %d, ROUNDS = %d };" % (N, CLIENTS, ROUNDS))
    print("static const struct golden {\n\tconst char *rule;")
    print("\tfloat x[N]; /* the model after all rounds */")
    print("} golden[] = {")
    for name, step in RULES:
        print('\t{"%s",\n\t {' % name)
        for v in rounds(step):
            print("\t\t%.9g," % np.float32(v))
        print("\t }},")
    print("};")


main()

#!/usr/bin/python3
"""Compute with numpy what rounds of aggregate_test.c come to.

    test/data/aggregate.py > test/data/aggregate.h

Models and updates come from splitmix64, as both sides can compute them. Each
rule is written here from its paper's formulas, in double precision."""
import numpy as np

N, CLIENTS, ROUNDS = 37, 7, 3
LR, BETA1, BETA2, TAU = 0.5, 0.9, 0.99, 1e-3
LOCAL_LR, MOMENTUM, PROX, Q = 0.1, 0.5, 0.3, 2.0
ALL, DYN, MIX, TRIM, BYZANTINE = 10, 0.1, 0.6, 0.2, 1


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


class Update:
    """What a client of a round sends."""

    def __init__(self, round, client):
        seed = round * 100 + client
        self.d = units(1000 + seed, N)  # the difference to the model
        self.control = units(5000 + seed, N)
        self.weight = 1.0 + client
        self.steps = 1 + client * 3 % 5
        self.loss = 0.5 + client
        self.staleness = client % 3


def rounds(step):
    """The model after ROUNDS rounds of step(x, updates)."""
    x = units(1, N)
    for r in range(ROUNDS):
        x = step(x, [Update(r, c) for c in range(CLIENTS)])
    return x


def mean(updates):
    w = np.array([u.weight for u in updates])
    d = np.array([u.d for u in updates])
    return (d * w[:, None]).sum(axis=0) / w.sum()


def fedavg(x, updates):
    return x + LR * mean(updates)


class FedAvgM:
    def __init__(self):
        self.m = np.zeros(N)

    def __call__(self, x, updates):
        self.m = BETA1 * self.m + mean(updates)
        return x + LR * self.m


class FedOpt:
    def __init__(self, second):
        self.m, self.v = np.zeros(N), np.full(N, TAU**2)
        self.second = second

    def __call__(self, x, updates):
        g = mean(updates)
        self.m = BETA1 * self.m + (1 - BETA1) * g
        self.v = self.second(self.v, g)
        return x + LR * self.m / (np.sqrt(self.v) + TAU)


def adagrad(v, g):
    return v + g**2


def yogi(v, g):
    return v - (1 - BETA2) * g**2 * np.sign(v - g**2)


def adam(v, g):
    return BETA2 * v + (1 - BETA2) * g**2


def reach(steps):
    """FedNova's |a|_1: each gradient's share in the change, one by one."""
    total = 0
    for one in range(steps):
        velocity, moved = 0.0, 0.0
        for step in range(steps):
            gradient = (step == one) - PROX * LOCAL_LR * moved
            velocity = MOMENTUM * velocity + gradient
            moved += velocity
        total += abs(moved)
    return total


def fednova(x, updates):
    p = np.array([u.weight for u in updates])
    p /= p.sum()
    a = np.array([reach(u.steps) for u in updates])
    d = np.array([u.d for u in updates])
    return x + LR * (p * a).sum() * ((p / a)[:, None] * d).sum(axis=0)


def qfedavg(x, updates):
    lipschitz = 1 / LOCAL_LR
    above, below = np.zeros(N), 0.0
    for u in updates:
        dw = lipschitz * -u.d
        above += u.loss**Q * dw
        below += (Q * u.loss**(Q - 1) * (dw**2).sum()
                  + lipschitz * u.loss**Q)
    return x - LR * above / below


class Scaffold:
    def __init__(self):
        self.c = np.zeros(N)

    def __call__(self, x, updates):
        self.c = self.c + sum(u.control for u in updates) / ALL
        return x + LR * sum(u.d for u in updates) / len(updates)


class FedDyn:
    def __init__(self):
        self.h = np.zeros(N)

    def __call__(self, x, updates):
        self.h = self.h - DYN * sum(u.d for u in updates) / ALL
        theta = sum(x + u.d for u in updates) / len(updates)
        return theta - self.h / DYN


def stale(u):
    return (u.staleness + 1) ** -0.5


def fedasync(x, updates):
    for u in updates:  # of which each is a round
        alpha = LR * MIX * stale(u)
        x = (1 - alpha) * x + alpha * (x + u.d)
    return x


def fedbuff(x, updates):
    return x + LR * sum(stale(u) * u.d for u in updates) / len(updates)


def centred(centre):
    def step(x, updates):
        y = np.array([x + u.d for u in updates])
        return x + LR * (centre(y) - x)
    return step


def median(y):
    return np.median(y, axis=0)


def trimmed(y):
    cut = int(TRIM * len(y))
    return np.sort(y, axis=0)[cut:len(y) - cut].mean(axis=0)


def by_score(y):
    far = ((y[:, None, :] - y[None, :, :])**2).sum(axis=2)
    near = len(y) - BYZANTINE - 2
    return np.argsort([np.sort(np.delete(far[i], i))[:near].sum()
                       for i in range(len(y))])


def krum(y):
    return y[by_score(y)[0]]


def multikrum(y):
    return y[by_score(y)[:len(y) - BYZANTINE]].mean(axis=0)


RULES = [
    ("fedavg", fedavg),
    ("fedprox", fedavg),
    ("fedavgm", FedAvgM()),
    ("fedadagrad", FedOpt(adagrad)),
    ("fedyogi", FedOpt(yogi)),
    ("fedadam", FedOpt(adam)),
    ("fednova", fednova),
    ("qfedavg", qfedavg),
    ("scaffold", Scaffold()),
    ("feddyn", FedDyn()),
    ("fedasync", fedasync),
    ("fedbuff", fedbuff),
    ("median", centred(median)),
    ("trimmed", centred(trimmed)),
    ("krum", centred(krum)),
    ("multikrum", centred(multikrum)),
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

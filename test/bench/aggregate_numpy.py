#!/usr/bin/python3
"""What aggregate_bench.c measures, by numpy: the mean as Flower computes it
(weights times arrays, then a sum of pairs), the median and the trimmed mean as
numpy users do.

    aggregate_numpy.py SECONDS"""
import functools
import sys
import time

import numpy as np

PARAMS, CLIENTS = 1663370, 32


def mean(updates):
    weighted = [u * (1 + c) for c, u in enumerate(updates)]
    total = sum(1 + c for c in range(CLIENTS))
    return functools.reduce(np.add, weighted) / total


def median(updates):
    return np.median(np.array(updates), axis=0)


def trimmed(updates):
    cut = CLIENTS // 5
    both = np.sort(np.array(updates), axis=0)
    return both[cut:CLIENTS - cut].mean(axis=0)


def krum(updates):
    y = np.array(updates)
    near = CLIENTS - 2 - 2
    scores = []
    for u in y:
        far = np.sort(((y - u)**2).sum(axis=1))
        scores.append(far[1:1 + near].sum())
    return y[np.argmin(scores)]


def main():
    random = np.random.default_rng(1)
    updates = [random.random(PARAMS, np.float32) for _ in range(CLIENTS)]
    for name, rule in (("fedavg", mean), ("median", median),
                       ("trimmed", trimmed), ("krum", krum)):
        rounds, start = 0, time.process_time()
        while rounds == 0 or time.process_time() - start < float(sys.argv[1]):
            rule(updates)
            rounds += 1
        spent = time.process_time() - start
        print("aggregate_%s\tnumpy\t%.4f" %
              (name, 4e-9 * PARAMS * CLIENTS * rounds / spent))


main()

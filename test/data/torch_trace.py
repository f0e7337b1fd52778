#!/usr/bin/python3
"""Record what PyTorch does with the models that trace_test.c trains.

    test/data/torch_trace.py > test/data/torch_trace.h

Examples and first values come from splitmix64, as both sides can compute
them: no data set and no random state of PyTorch's is involved. Needs Debian's
python3-torch (1.13)."""
import numpy as np
import torch

import torch_model

MODELS = ["softmax", "mlp", "cnn", "resnet20", "cifar10flnet"]
STEPS, BATCH, CLASSES = 12, 50, 10


def mix(x):
    x = np.asarray(x, np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def units(seed, n):
    """n numbers in 0..1 as rand_unit() gives them from a state of seed."""
    with np.errstate(over="ignore"):
        state = seed + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
    return (mix(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def values(parameters):
    """model_init() with seed 1: a stream for each tensor."""
    for i, (name, p) in enumerate(parameters):
        if name.startswith("bn"):  # PyTorch's own: ones and zeros
            continue
        fan_in = p[0].numel() if p.dim() > 1 else fan_in
        u = units(mix(1) + np.uint64(i), p.numel())
        v = ((2 * u - 1) * (1 / np.sqrt(fan_in))).astype(np.float32)
        p.data = torch.from_numpy(v).reshape(p.shape)


def batch(step, inputs):
    """Labels, and images of noise that has the label in it."""
    i = np.arange(step * BATCH, (step + 1) * BATCH)
    labels = (mix(i) % np.uint64(CLASSES)).astype(np.int64)
    k = np.arange(inputs)
    noise = mix(1000000 + i[:, None] * inputs + k[None, :]) % np.uint64(128)
    lit = (k[None, :] % CLASSES == labels[:, None]) * np.uint64(127)
    x = torch.from_numpy((noise + lit).astype(np.float32)).div(255)
    return x, torch.from_numpy(labels)


def trace(name):
    net = torch_model.Net(name).train()
    values(net.named_parameters())
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for step in range(STEPS):
        x, labels = batch(step, int(np.prod(net.input)))
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    flat = torch.cat([p.detach().flatten() for p in net.parameters()]).double()
    moved = sum(b.double().sum().item() for n, b in net.named_buffers()
                if "running" in n)
    return losses, [flat.sum().item(), flat.norm().item(), flat[-1].item(),
                    moved]


def main():
    torch.set_num_threads(1)
    print("/* Made by torch_trace.py with PyTorch %s. */" % torch.__version__)
    print("static const struct trace {\n\tconst char *model;")
    print("\tdouble loss[%d];" % STEPS)
    print("\tdouble sum, norm, last; /* of all parameters, at the end */")
    print("\tdouble buffers; /* their sum */")
    print("} traces[] = {")
    for name in MODELS:
        losses, ends = trace(name)
        print('\t{"%s",\n\t {' % name)
        for loss in losses:
            print("\t\t%.9g," % loss)
        print("\t },\n\t %s}," % ", ".join("%.9g" % e for e in ends))
    print("};")


main()

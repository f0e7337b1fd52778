#!/usr/bin/python3
# exec_torch.py - a trainer of one's own, with PyTorch: any module can take the
# place of this one.
#
#	data=/usr/share/datasets/fashion-mnist
#	gfl-trainer --exec-serve share/examples/exec_torch.py --data $data \
#		--test $data --index part-1.idx --node http://127.0.0.1:8901
#	gfl-run start --model exec --epochs 1 --batch 32 --lr 0.05
#
# Data are a folder with MNIST's names, or .npz files of numpy with arrays x and
# y. Needs python3-torch.
import os
import sys

import torch

here = os.path.dirname(os.path.realpath(__file__))
sys.path += [os.path.join(here, ".."), os.path.join(here, "../../../gfl")]
import gfl_exec  # noqa: E402


def network(x):
    return torch.nn.Sequential(torch.nn.Flatten(),
                               torch.nn.Linear(x[0].numel(), 64),
                               torch.nn.ReLU(), torch.nn.Linear(64, 10))


def data_of(task):
    x, y = task.examples()
    return torch.from_numpy(x).float(), torch.from_numpy(y).long()


def net_of(model, x):
    net = network(x)
    net.load_state_dict({k: torch.from_numpy(v) for k, v in model.items()})
    return net


def init(task):
    torch.manual_seed(task.seed)
    return network(data_of(task)[0]).state_dict()


def train(model, task):
    x, y = data_of(task)
    net = net_of(model, x)
    sgd = torch.optim.SGD(net.parameters(), task.lr,
                          momentum=float(task.hp.get("momentum", 0)))
    for i in task.batches(len(y)):
        loss = torch.nn.functional.cross_entropy(net(x[i]), y[i])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return net.state_dict(), len(y), {"loss": loss.item()}


def evaluate(model, task):
    x, y = data_of(task)
    with torch.no_grad():
        right = net_of(model, x)(x).argmax(1) == y
    return len(y), {"accuracy": right.float().mean()}


gfl_exec.run(init, train, evaluate)

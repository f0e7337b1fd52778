#!/usr/bin/python3
# exec_sklearn.py - a trainer of one's own, with scikit-learn: whatever has
# partial_fit and keeps its parameters as arrays.
#
#	data=/usr/share/datasets/fashion-mnist
#	gfl-trainer --exec-serve share/examples/exec_sklearn.py \
#		--data $data --test $data --node http://127.0.0.1:8901
#	gfl-run start --model exec --epochs 2 --lr 0.01 --hp alpha=0.0001
#
# Data are a folder with MNIST's names, or .npz files of numpy with arrays x and
# y; labels are 0 to 9. Needs python3-sklearn.
import os
import sys

import numpy as np
from sklearn.linear_model import SGDClassifier

here = os.path.dirname(os.path.realpath(__file__))
sys.path += [os.path.join(here, ".."), os.path.join(here, "../../../gfl")]
import gfl_exec  # noqa: E402

CLASSES = np.arange(10)


def data_of(task):
    x, y = task.examples()
    return x.reshape(len(y), -1), y


def classifier(model, task):
    c = SGDClassifier(loss="log_loss", learning_rate="constant",
                      eta0=task.lr or 0.01, random_state=task.seed,
                      alpha=float(task.hp.get("alpha", 1e-4)))
    c.classes_ = CLASSES
    c.coef_ = model["coef"].astype(float)
    c.intercept_ = model["intercept"].astype(float)
    return c


def init(task):
    width = data_of(task)[0].shape[1]
    return {"coef": np.zeros((10, width)), "intercept": np.zeros(10)}


def train(model, task):
    x, y = data_of(task)
    c = classifier(model, task)
    for i in task.batches(len(y)):
        c.partial_fit(x[i], y[i], CLASSES)
    return ({"coef": c.coef_, "intercept": c.intercept_}, len(y),
            {"accuracy": c.score(x, y)})


def evaluate(model, task):
    x, y = data_of(task)
    return len(y), {"accuracy": classifier(model, task).score(x, y)}


gfl_exec.run(init, train, evaluate)

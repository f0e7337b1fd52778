#!/usr/bin/python3
"""That PyTorch loads our model files unchanged, and we its.

    torch_files.py FILE.safetensors MODEL    load, check, write FILE.back

The format is read and written here by numpy alone, as Debian has no
python3-safetensors; see its page "Format" for what the bytes mean. Loading is
load_state_dict(strict=True): every name and shape must fit. What is written is
PyTorch's whole state_dict, with the counters of batch normalisation."""
import json
import os
import struct
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../data")
import torch_model

TYPES = {"F32": np.float32, "I64": np.int64}


def load(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    head.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(data[slice(*t["data_offsets"])], TYPES[t["dtype"]])
            .reshape(t["shape"]).copy())
        for name, t in head.items()
    }


def save(path, tensors):
    head, data = {}, b""
    for name, t in tensors.items():
        a = t.detach().contiguous().numpy()
        kind = {v: k for k, v in TYPES.items()}[a.dtype.type]
        head[name] = {"dtype": kind, "shape": list(a.shape),
                      "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    path, model = sys.argv[1:]
    net = torch_model.Net(model)
    ours = load(path)
    net.load_state_dict(ours, strict=True)
    for name, value in net.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(
            value, ours[name]), name
    save(path + ".back", net.state_dict())


main()

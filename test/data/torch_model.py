"""A model's text as a PyTorch module: the same layers, names and order as ours,
so that state_dict() and our files have the same keys."""
import torch
import torch.nn.functional as F

BLOCK = ("residual; conv %d 3%s pad 1 nobias; batchnorm; relu; "
         "conv %d 3 pad 1 nobias; batchnorm; add; relu; ")
PRESETS = {
    "softmax": "dense 10",
    "mlp": "dense 128; relu; dense 10",
    "cnn": "conv 32 5 pad 2; relu; maxpool 2; conv 64 5 pad 2; relu; "
           "maxpool 2; dense 512; relu; dense 10",
    "cifar10flnet":
        "input 3 32 32; conv 64 5 pad 2; relu; maxpool 3 stride 2 pad 1; "
        "lrn 4 alpha 0.000111111111; conv 64 5 pad 2; relu; "
        "lrn 4 alpha 0.000111111111; maxpool 3 stride 2 pad 1; dense 384; "
        "relu; dense 192; relu; dense 10",
    "resnet20":
        "input 3 32 32; conv 16 3 pad 1 nobias; batchnorm; relu; "
        + "".join(BLOCK % (c, " stride 2" if c > 16 and i == 0 else "", c)
                  for c in (16, 32, 64) for i in range(3))
        + "avgpool; dense 10",
}


def shortcut(x, like):
    """Option A: every stride-th pixel, zeros for the channels that miss."""
    stride = -(-x.shape[2] // like.shape[2])
    missing = like.shape[1] - x.shape[1]
    x = x[:, :, ::stride, ::stride]
    return F.pad(x, (0, 0, 0, 0, missing // 2, missing - missing // 2))


class Net(torch.nn.Module):
    def __init__(self, text):
        super().__init__()
        self.input = (1, 28, 28)
        self.steps = []
        shape = torch.zeros(2, *self.input)
        for words in map(str.split, PRESETS.get(text, text).split(";")):
            if words and words[0] == "input":
                self.input = tuple((list(map(int, words[1:])) + [1, 1])[:3])
                shape = torch.zeros(2, *self.input)
            elif words:
                shape = self.add(words, shape)

    def add(self, words, before):
        name, args = words[0], words[1:]
        numbers = [int(a) for a in args if a.isdigit()]
        word = lambda w, usual: (
            type(usual)(args[args.index(w) + 1]) if w in args else usual)
        if name == "dense":
            fan = before[0].numel()
            step = self.named("fc", torch.nn.Linear(fan, numbers[0]))
            self.steps.append(torch.nn.Flatten())
        elif name == "conv":
            step = self.named("conv", torch.nn.Conv2d(
                before.shape[1], numbers[0], numbers[1], word("stride", 1),
                word("pad", 0), bias="nobias" not in args))
        elif name == "batchnorm":
            step = self.named("bn", torch.nn.BatchNorm2d(before.shape[1]))
        elif name == "maxpool":
            step = torch.nn.MaxPool2d(
                numbers[0], word("stride", numbers[0]), word("pad", 0))
        elif name == "lrn":
            step = torch.nn.LocalResponseNorm(
                numbers[0], alpha=word("alpha", 1e-4))
        else:
            step = {"avgpool": torch.nn.AdaptiveAvgPool2d(1),
                    "relu": torch.nn.ReLU(), "flatten": torch.nn.Flatten(),
                    "residual": "residual", "add": "add"}[name]
        self.steps.append(step)
        with torch.no_grad():
            return self.eval()(torch.zeros(2, *self.input))

    def named(self, prefix, module):
        nth = sum(n.startswith(prefix) for n, _ in self.named_children()) + 1
        self.add_module(prefix + str(nth), module)
        return module

    def forward(self, x):
        x, kept = x.reshape(len(x), *self.input), []
        for step in self.steps:
            if step == "residual":
                kept.append(x)
            elif step == "add":
                x = x + shortcut(kept.pop(), x)
            else:
                x = step(x)
        return x

"""Tokens a second of a small GPT through `fit`, against a hand-tuned loop, and without each remedy of chapter 07 in turn.

    python -m benchmarks.gpt            # on a GPU: 10.8 million parameters; on a CPU: a tenth of a million, for the ratio only

The hand-tuned loop has what is usual on a GPU: bf16 autocast, torch.compile, fused AdamW, flash attention, batches that
wait on the device. `fit` gets the same settings. Lesson 07 reads benchmarks/results/gpt_cuda.json where there is one.
"""

import contextlib
import datetime
import json

import numpy as np
import torch
from torch import nn

from benchmarks._table import RESULTS, interleave, machine, publish, row, versions
from course_lib.datasets import load_text
from course_lib.training.fit import fit
from course_lib.training.gpt import GPT
from course_lib.training.profile import matmul_peak

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RATE = 3e-4
SIZES = {  # preset, windows a step, steps of a measurement
    "cuda": (lambda: GPT.small(), 32, 60),
    "cpu": (lambda: GPT.tiny(), 16, 12),
}
FULL = {"precision": "bf16" if DEVICE == "cuda" else "fp32", "compile": DEVICE == "cuda", "fused": True, "attention": "flash"}


def windows():
    model, batch, steps = SIZES[DEVICE]
    X, y = load_text().windows(batch * steps, model().context, 0)
    return torch.as_tensor(X).to(DEVICE), torch.as_tensor(y).to(DEVICE)


def cross_entropy(output, target):
    return nn.functional.cross_entropy(output.flatten(0, -2), target.flatten())


def start(fused):
    torch.manual_seed(0)
    model = SIZES[DEVICE][0]().to(DEVICE)
    return model, torch.optim.AdamW(model.parameters(), RATE, fused=fused)


@contextlib.contextmanager
def attention(kind):
    """Flash attention where the device has it; "math" writes out the whole matrix of scores."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH) if kind == "math" else contextlib.nullcontext():
        yield


class Side:
    """One side of the comparison: built and compiled once, then `num_epochs` over the windows at each call."""

    def __init__(self, data, **changes):
        settings = FULL | changes
        self.data, self.settings = data, settings
        self.model, self.optimizer = start(settings["fused"])

    def __call__(self):
        with attention(self.settings["attention"]):
            self.train()
        if DEVICE == "cuda":
            torch.cuda.synchronize()


class Fit(Side):
    def train(self):
        fit(self.model, self.data, loss=cross_entropy, metrics={}, optimizer=self.optimizer, batch_size=SIZES[DEVICE][1],
            precision=self.settings["precision"], compile=self.settings["compile"], num_epochs=1, progress=False)  # fmt: skip


class HandTuned(Side):
    def __init__(self, data, **changes):
        super().__init__(data, **changes)
        self.forward = torch.compile(self.model) if self.settings["compile"] else self.model

    def train(self):
        X, y = self.data
        for rows in torch.randperm(len(X), device=DEVICE).split(SIZES[DEVICE][1]):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=self.settings["precision"] == "bf16"):
                loss = cross_entropy(self.forward(X[rows]), y[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()


def main():
    torch.set_num_threads(1)
    data = windows()
    sides = {"fit": Fit(data), "a hand-tuned loop": HandTuned(data)}
    if DEVICE == "cuda":
        sides |= {"fit without bf16": Fit(data, precision="fp32"), "fit without compile": Fit(data, compile=False),
                  "fit without fused AdamW": Fit(data, fused=False), "fit without flash attention": Fit(data, attention="math")}  # fmt: skip
    seconds = dict(zip(sides, interleave(*sides.values(), repetitions=7)))
    model, tokens = sides["fit"].model, data[0].numel()
    size = f"GPT of {sum(p.numel() for p in model.parameters()) / 1e6:.2g} M parameters on {DEVICE}"
    rows = [row("a step of fit", size, seconds["fit"], seconds[name], peer_name=name,
                target=0.98 if name == "a hand-tuned loop" else None) for name in sides if name != "fit"]  # fmt: skip
    keep_speeds(size, tokens, seconds, model.flops_per_token)
    return publish(f"gpt_{DEVICE}", rows)


def keep_speeds(size, tokens, seconds, flops_per_token):
    """Write tokens a second and the share of the device's peak for each side, with device, versions and date."""
    peak = matmul_peak(DEVICE, FULL["precision"])
    speeds = {name: {"tokens_per_second": tokens / np.median(times), "share_of_peak": flops_per_token * tokens / np.median(times) / peak}
              for name, times in seconds.items()}  # fmt: skip
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else machine()
    content = {"size": size, "device": device, "versions": versions(), "date": datetime.date.today().isoformat(), "speeds": speeds}
    (RESULTS / f"speeds_{DEVICE}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

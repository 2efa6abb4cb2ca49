"""Where the time and the memory of a training step go, layer by layer, and how far the machine is from its peak."""

import bisect
import contextlib
import functools
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .._inputs import whole
from . import arguments, batches, devices, objective
from .untouched import untouched

MIB = 2**20
LOSS = "loss"
LAYER = "layer "  # before the name of a layer in the profiler's trace
COUNTED_ROWS = 2  # operations are counted on this many rows; those of the whole batch are in proportion
SHOWN = 12  # layers in the picture

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's own progress lines would stand in the notebook


@dataclass(frozen=True, eq=False)
class Profile:
    """What `profile` found about one training step.

    frame : DataFrame, a row for each layer that does something itself, and one for the loss: layer, kind, parameters (number),
        forward_ms, backward_ms, gflops (billions of operations, forward and backward), share_of_peak (of these two
        times), activations_mib (what it keeps for the backward pass).
    phases : milliseconds of "forward" (with the loss), "backward" and "optimizer" (with zero_grad), medians.
    memory : MiB of "weights", "gradients", "optimizer" and "activations".
    flops : floating-point operations of the step; an addition and a multiplication are two.
    peak : operations per second of a large matrix product on this device in this precision, measured.
    device, precision, rows : what was measured; rows of the batch.
    """

    frame: object = field(repr=False)
    phases: dict
    memory: dict
    flops: int
    peak: float
    device: torch.device
    precision: str
    rows: int

    @property
    def seconds(self):
        """Duration of the step."""
        return sum(self.phases.values()) / 1000

    @property
    def share_of_peak(self):
        """Operations of the step over those that the peak allows in its time (for a language model: the MFU)."""
        return self.flops / (self.seconds * self.peak)

    def plot(self):
        """Return a picture of time and memory by layer, with an alt text of their numbers."""
        from course_lib.labs import figures  # a floor above: drawing is loaded when a picture is asked for

        table = self.frame.assign(ms=self.frame["forward_ms"] + self.frame["backward_ms"])
        table = table.nlargest(SHOWN, "ms").iloc[::-1]
        fig, (left, right) = figures.new(9, 1.4 + 0.28 * len(table), ncols=2)
        left.barh(table["layer"], table["forward_ms"], color=figures.BLUE, label="forward")
        left.barh(
            table["layer"], table["backward_ms"], left=table["forward_ms"], color=figures.ORANGE, hatch="//", label="backward"
        )
        left.set(xlabel="milliseconds", title="Time by layer")
        left.legend()
        right.barh(list(self.memory), list(self.memory.values()), color=figures.GREEN)
        right.set(xlabel="MiB", title="Memory")
        for ax in (left, right):
            ax.grid(axis="y", visible=False)
        return figures.picture(fig, str(self))

    def __str__(self):
        busiest = self.frame.assign(ms=self.frame["forward_ms"] + self.frame["backward_ms"]).nlargest(3, "ms")
        time = ", ".join(f"{name} {ms:.3g}" for name, ms in self.phases.items())
        memory = ", ".join(f"{name} {mib:.3g}" for name, mib in self.memory.items())
        layers = ", ".join(f"{row.layer} {row.ms:.3g}" for row in busiest.itertuples())
        return (f"A step with {self.rows} rows on {self.device} in {self.precision}, in milliseconds: {time}; most in {layers}. "
                f"Memory in MiB: {memory}. {self.flops / 1e9:.3g} billion operations, {self.share_of_peak:.1%} of the peak "
                f"of {self.peak / 1e9:.3g} billion a second.")  # fmt: skip


def profile(model, batch, *, loss=None, optimizer=None, device=None, precision="fp32", num_steps=5):
    """Measure one training step of `model` on `batch`, an (X, y): a `Profile`.

    Four looks at the step, none of which disturbs the others: the phases by the clock (median of `num_steps` steps), their
    parts by layer with torch.profiler, the kept activations through PyTorch's hooks on saved tensors, the operations
    by the formulas of torch.utils.flop_counter. The profiler slows small layers down, so it gives only the shares in
    which each phase's time is divided. Model, optimizer and their state are put back as they were.

    A layer is what a module does itself: a GPT's block is charged with its sums, not with the layers in it. Operations
    are those of matrix products, convolutions and attention (in full, even where it is causal).

    loss, optimizer, precision: as for `fit`; the default optimizer is AdamW.   device: "cpu" or "cuda" (or None).
    Raises ValueError or TypeError for bad arguments, by name.

    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    >>> found = profile(model, (torch.randn(32, 64), torch.randint(10, (32,))), device="cpu")
    >>> found.frame["layer"].tolist(), found.flops
    (['0', '1', '2', 'loss'], 2588672)
    """
    num_steps, device = whole("num_steps", num_steps), devices.pick(device, arguments.module(model))
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu' or 'cuda' for profile; got '{device}'. Pass device='cpu'.")
    autocast, parameters = devices.autocast(precision, device), arguments.trainable(model)
    rows = batches.of("batch", batch, 1, device, parameters[0].dtype)
    if not isinstance(rows, batches.InMemory):
        raise TypeError(f"batch must be one pair (X, y); got {type(batch).__name__}. Try next(iter(loader)).")
    X, y = rows.X.to(device), rows.y.to(device)
    loss = arguments.function("loss", loss) or objective.default_loss(y)
    optimizer = torch.optim.AdamW(parameters) if optimizer is None else arguments.optimizer_of(optimizer, parameters, 1.0)

    def forward(rows=None):
        with autocast():
            output = model(X[:rows])
            with layers.inside(LOSS):
                return loss(output, y[:rows])

    with torch.enable_grad(), untouched(model, optimizer), devices.seeded(devices.global_generators(device), 0):
        model.to(device).train()
        layers = _Layers(model)
        phases = _time(forward, optimizer, device, num_steps)
        memory = _held(model, optimizer)
        optimizer.zero_grad()
        with layers:
            trace = _trace(forward, layers, device, num_steps)
            kept = _kept(forward, layers, [*model.parameters(), X, y])
            optimizer.zero_grad()
            counted = _count(lambda: forward(COUNTED_ROWS), layers)
    flops = {name: count * len(X) / min(COUNTED_ROWS, len(X)) for name, count in counted.items()}
    peak = matmul_peak(str(device), precision)
    memory["activations"] = sum(kept.values()) / MIB
    frame = _frame(model, phases, trace, kept, flops, peak)
    return Profile(frame, phases, memory, round(sum(flops.values())), peak, device, precision, len(X))


@functools.cache
def matmul_peak(device="cpu", precision="fp32"):
    """Measure how many floating-point operations a second a large square matrix product does (about 0.2 s; remembered).

    With as many threads as PyTorch has now; in fp32 on a GPU with or without TF32 as PyTorch is set. Raises ValueError for a
    device or precision that there is not.
    """
    device = devices.pick(device)
    with devices.autocast(precision, device)():  # rejects a wrong name
        dtype = devices.PRECISIONS[precision] or torch.float32
    n, repetitions = (8192, 10) if device.type == "cuda" else (512, 60)
    a = torch.ones(n, n, dtype=dtype, device=device)
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        torch.mm(a, a)
        _wait(device)
        seconds.append(time.perf_counter() - began)
    return 2 * n**3 / min(seconds)


class _Layers:
    """Knows, inside a `with` block, which layer is at work: in the forward pass by hooks, in the backward pass by number.

    PyTorch numbers the nodes of the backward pass as the forward pass makes them, so the number says which layer made one.
    """

    def __init__(self, model):
        self.names = {module: name or type(model).__name__ for name, module in model.named_modules()}
        self.at_work, self.ranges, self.marks, self.marked = [], [], [], []

    def __enter__(self):
        self.hooks = [
            hook
            for module in self.names
            for hook in (
                module.register_forward_pre_hook(self._enter),
                module.register_forward_hook(self._leave, always_call=True),
            )
        ]
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()

    def begin(self):
        """Forget the numbers of a forward pass before."""
        self.marks, self.marked = [], []

    @contextlib.contextmanager
    def inside(self, name):
        """Count what happens in the block for `name`, which is no module."""
        self.push(name)
        try:
            yield
        finally:
            self.pop()

    def now(self):
        """Name of the layer at work: that of the backward node where there is one."""
        node = torch._C._current_autograd_node()
        return self.of(node._sequence_nr()) if node is not None else self.at_work[-1] if self.at_work else None

    def of(self, number):
        """Name of the layer that made the backward node of this number; None for none."""
        place = bisect.bisect_right(self.marks, number) - 1
        return self.marked[place] if place >= 0 else None

    def push(self, name):
        self.at_work.append(name)
        self.ranges.append(record_function(LAYER + name))
        self.ranges[-1].__enter__()
        self._mark()

    def pop(self):
        self.ranges.pop().__exit__(None, None, None)
        self.at_work.pop()
        self._mark()

    def _mark(self):
        self.marks.append(torch._C._autograd._get_sequence_nr())
        self.marked.append(self.at_work[-1] if self.at_work else None)

    def _enter(self, module, _):
        self.push(self.names[module])

    def _leave(self, *_):
        self.pop()


def _time(forward, optimizer, device, num_steps):
    """Milliseconds of each phase: medians over the steps after two to warm up."""
    found = []
    for _ in range(2 + num_steps):
        times = [time.perf_counter()]

        def done(times=times):
            _wait(device)
            times.append(time.perf_counter())

        loss = forward()
        done()
        loss.backward()
        done()
        optimizer.step()
        optimizer.zero_grad()
        done()
        found.append([1000 * (b - a) for a, b in zip(times, times[1:], strict=False)])
    medians = map(statistics.median, zip(*found[2:], strict=True))
    return dict(zip(("forward", "backward", "optimizer"), medians, strict=True))


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _held(model, optimizer):
    """MiB of weights (with buffers), of their gradients, and of the optimizer's state."""
    state = [value for values in optimizer.state.values() for value in values.values() if isinstance(value, torch.Tensor)]
    tensors = {
        "weights": [*model.parameters(), *model.buffers()],
        "gradients": [p for p in model.parameters() if p.requires_grad],
        "optimizer": state,
    }
    return {name: sum(tensor.nbytes for tensor in found) / MIB for name, found in tensors.items()}


def _trace(forward, layers, device, num_steps):
    """Time of each layer's own work, {"forward": {layer: time}, "backward": {layer: time}}, as torch.profiler saw it.

    The shortest of the steps counts: what other programs took of the machine hits one layer and not another.
    """
    steps = [_trace_step(forward, layers, device) for _ in range(num_steps)]
    names = {name for step in steps for name in (*step["forward"], *step["backward"])}
    return {
        phase: Counter({name: min(step[phase][name] for step in steps) for name in names}) for phase in ("forward", "backward")
    }


def _trace_step(forward, layers, device):
    layers.begin()
    gpu = device.type == "cuda"
    with torch.profiler.profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as profiler:
        forward().backward()
        _wait(device)
    found = {"forward": Counter(), "backward": Counter()}
    for event in profiler.events():
        if event.device_type != torch.autograd.DeviceType.CPU:
            continue  # what a GPU did is charged to the call on the CPU that asked for it
        spent = event.device_time_total if gpu else event.cpu_time_total
        if event.name.startswith(LAYER):
            found["forward"][event.name.removeprefix(LAYER)] += spent
            outer = _layer_around(event)
            if outer is not None:
                found["forward"][outer] -= spent
        elif event.name.startswith("autograd::engine::evaluate_function") and event.sequence_nr >= 0:
            found["backward"][layers.of(event.sequence_nr)] += spent
    return found


def _layer_around(event):
    while (event := event.cpu_parent) is not None:
        if event.name.startswith(LAYER):
            return event.name.removeprefix(LAYER)
    return None


def _kept(forward, layers, known):
    """Bytes that each layer keeps for the backward pass, beside `known` tensors; what two layers share counts once."""
    seen = {tensor.untyped_storage().data_ptr() for tensor in known}
    kept = Counter()

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept[layers.now()] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward().backward()
    return kept


def _count(forward, layers):
    """Operations of each layer in one forward and backward pass; attention is taken apart into its matrix products."""
    layers.begin()
    counter = _Operations(layers)
    with sdpa_kernel(SDPBackend.MATH), counter:
        forward().backward()
    return counter.found


class _Operations(TorchDispatchMode):
    def __init__(self, layers):
        super().__init__()
        self.layers, self.found = layers, Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.found[self.layers.now()] += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _frame(model, phases, trace, kept, flops, peak):
    """One row for each layer that does something itself. Containers do not: their hooks took the time that they show."""
    import pandas as pd

    modules = {name or type(model).__name__: module for name, module in model.named_modules()} | {LOSS: None}
    leaves = [name for name, module in modules.items() if module is None or not any(module.children())]
    names = [name for name in modules if name in leaves or trace["backward"][name] or kept[name] or flops.get(name)]
    share = {}
    for phase in ("forward", "backward"):
        whole = sum(max(trace[phase][name], 0.0) for name in names) or 1.0
        share[phase] = {name: phases[phase] * max(trace[phase][name], 0.0) / whole for name in names}
    rows = []
    for name in names:
        seconds = (share["forward"][name] + share["backward"][name]) / 1000
        rows.append({
            "layer": name,
            "kind": "" if modules[name] is None else type(modules[name]).__name__,
            "parameters": 0 if modules[name] is None else sum(p.numel() for p in modules[name].parameters(recurse=False)),
            "forward_ms": share["forward"][name],
            "backward_ms": share["backward"][name],
            "gflops": flops.get(name, 0) / 1e9,
            "share_of_peak": flops.get(name, 0) / (seconds * peak) if seconds else 0.0,
            "activations_mib": kept[name] / MIB,
        })  # fmt: skip
    return pd.DataFrame(rows)

"""One training loop: from a model and data to trained weights, and the history of how they came about."""

import contextlib
import math
import time

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from torch.utils.checkpoint import checkpoint as recomputed

from course_lib._inputs import fraction, one_of, positive, whole
from course_lib.training import batches, devices, objective
from course_lib.training.average import Average
from course_lib.training.checkpoint import CheckpointError, Checkpoints
from course_lib.training.divergence import TrainingDiverged, explain
from course_lib.training.history import History
from course_lib.training.layers import Look, by_layer
from course_lib.training.meter import Meter
from course_lib.training.progress import Bar, Stop


def fit(model, data, *, validation=None, loss=None, metrics=None, optimizer=None, learning_rate=1e-3, schedule=None,
        num_epochs=10, batch_size=64, accumulate=1, clip_norm=None, precision="fp32", device=None, compile=False,
        recompute=(), patience=None, ema=None, augment=None, checkpoint=None, checkpoint_every=None, record=None,
        random_state=0, progress=True, on_divergence="raise"):  # fmt: skip
    """Train `model` in place; return its `History`."""
    num_epochs, every = (
        whole("num_epochs", num_epochs),
        checkpoint_every and whole("checkpoint_every", checkpoint_every),
    )
    one_of("on_divergence", on_divergence, ["raise", "stop"])
    run = _Run(
        model,
        data,
        validation,
        device,
        precision,
        whole("batch_size", batch_size),
        random_state,
    )
    run.take_optimizer(optimizer, learning_rate, schedule)
    run.take_recipe(
        loss, metrics, accumulate, clip_norm, patience, ema, augment, compile
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(devices.seeded(run.global_generators, run.seed))
        for block in recompute:
            stack.enter_context(_recomputing(block))
        stack.callback(run.history.close)
        run.begin(checkpoint, every, record)
        bar = stack.enter_context(
            Bar(progress and run.rank == 0, num_epochs, run.batches, run.accumulate)
        )
        stop = stack.enter_context(Stop())
        try:
            run.train(num_epochs, bar, stop)
        except KeyboardInterrupt:
            run.end(
                "interrupted",
                f"Interrupted at once, at step {run.step} (epoch {run.epoch + 1}).",
            )
        except TrainingDiverged as error:
            run.end("diverged", str(error))
            if on_divergence == "raise":
                raise
    return run.history


class _Run:
    """A training under way: all that a checkpoint keeps, and what is done in a step, an epoch, at the end."""

    def __init__(
        self, model, data, validation, device, precision, batch_size, random_state
    ):
        self.parameters, self.layers = _trainable(model), by_layer(model)
        self.device, self.precision = devices.pick(device, model), precision
        self.autocast, self.scaler = (
            devices.autocast(precision, self.device),
            devices.loss_scaler(precision, self.device),
        )
        self.seed = _seed(random_state)
        self.rank, self.world = batches.replicas(model)
        shuffle, dtype = (
            torch.Generator().manual_seed(self.seed),
            self.parameters[0].dtype,
        )
        self.augmenter = torch.Generator(self.device).manual_seed(self.seed)
        self.batches = batches.of("data", data, batch_size, self.device, dtype, shuffle)
        self.held_out = (
            None
            if validation is None
            else batches.of(
                "validation", validation, 4 * batch_size, self.device, dtype
            )
        )
        self.global_generators = devices.global_generators(self.device)
        self.generators = [*self.global_generators, shuffle, self.augmenter]
        if getattr(self.batches, "generator", None) not in (None, shuffle):
            self.generators.append(self.batches.generator)
        self.model = model.to(self.device)
        self.history = History()
        self.meter = Meter(self.history, self.device, self.world, self.explain)
        self.epoch = self.batch = self.step = 0
        self.best, self.seconds = {"loss": math.inf, "epoch": 0, "weights": None}, 0.0
        self.settings = {
            "batch_size": batch_size,
            "random_state": self.seed,
            "precision": precision,
            "device": self.device.type,
        }

    def take_optimizer(self, optimizer, learning_rate, schedule):
        rate = positive("learning_rate", learning_rate, example="1e-3", ndim=0)
        if optimizer is None:
            optimizer = torch.optim.AdamW(
                self.parameters, lr=rate, fused=self.device.type in ("cpu", "cuda")
            )
        self.optimizer = _checked_optimizer(optimizer, self.parameters)
        self.schedule = _checked_schedule(schedule, self.optimizer, learning_rate)

    def take_recipe(
        self, loss, metrics, accumulate, clip_norm, patience, ema, augment, compile
    ):
        self.loss, self.metrics, self.compile, self.forward = (
            loss,
            metrics,
            compile,
            None,
        )
        self.accumulate = self.settings["accumulate"] = whole("accumulate", accumulate)
        self.clip_norm = (
            None
            if clip_norm is None
            else positive("clip_norm", clip_norm, example="1.0", ndim=0)
        )
        self.patience = None if patience is None else whole("patience", patience)
        if patience is not None and self.held_out is None:
            raise ValueError(
                "patience waits for the validation loss, and there is none. Pass validation=(X, y)."
            )
        self.ema = (
            None
            if ema is None
            else Average(self.parameters, fraction("ema", ema, example="0.999"))
        )
        self.augment = augment

    # ---------------------------------------------------------------- the loop

    def train(self, num_epochs, bar, stop):
        while self.epoch < num_epochs and not self.out_of_patience():
            self.train_epoch(bar, stop)
            if stop.asked:
                self.save()
                return self.end(
                    "interrupted",
                    f"Interrupted after step {self.step} (epoch {self.epoch + 1}).",
                )
            self.end_epoch()
        if self.out_of_patience():
            return self.end("patience", f"The validation loss was lowest in epoch {self.best['epoch']} ({self.best['loss']:.4g}) "
                            f"and did not fall below that for {self.patience} epochs.")  # fmt: skip
        return self.end("num_epochs", f"All {num_epochs} epochs are done.")

    def train_epoch(self, bar, stop):
        self.model.train()
        devices.reset_peak(self.device)
        began = time.perf_counter()
        for group, rows in batches.groups(
            self.open_epoch(), self.accumulate, self.world
        ):
            self.train_step(group, rows)
            if self.every and self.step % self.every == 0:
                self.save()
            if stop.asked:
                break
            if bar.due() and self.world == 1:
                self.meter.flush()
                bar.show(self.step, self.epoch + 1, self.meter.so_far["loss"][-1])
        self.meter.flush()
        self.seconds += time.perf_counter() - began

    def train_step(self, group, rows):
        self.optimizer.zero_grad()
        sums = {}
        for X, y, weight in group:
            if self.forward is None:
                self.settle(y)
            if self.augment is not None:
                X, y = self.augment(X, y, self.augmenter)
            with self.autocast():
                output, loss = self.forward(X, y)
            _add(sums, "loss", loss.detach(), weight)
            if self.meter.immediate and not math.isfinite(sums["loss"]):
                self.meter.keep(sums, math.nan, self.rate(), rows)
                self.meter.flush()  # raises: the bad loss has not touched the weights
            loss = _times(loss, weight)
            (loss if self.scaler is None else self.scaler.scale(loss)).backward()
            for name, metric in self.metrics.items():
                _add(sums, name, metric(output.detach(), y), weight)
        self.update(sums, rows)
        self.step += 1
        self.batch += len(group)

    def update(self, sums, rows):
        """Move the weights one step along the gradient, and note what that was."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        look = (
            Look(self.layers) if self.batch == 0 else None
        )  # at one step of each epoch
        norm, rate = self.clip(), self.rate()
        if self.scaler is None:
            self.optimizer.step()
            moved = True
        else:
            scale = self.scaler.get_scale()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            moved = (
                self.scaler.get_scale() >= scale
            )  # it left out a step with infinite gradients
        if (
            moved
            and self.schedule is not None
            and not isinstance(self.schedule, ReduceLROnPlateau)
        ):
            self.schedule.step()
        if self.ema is not None:
            self.ema.update()
        self.meter.keep(sums, norm, rate, rows)
        if look is not None:
            self.history.add(
                layers=[
                    {"epoch": self.epoch + 1, "step": self.step, **row}
                    for row in look.rows()
                ]
            )

    def clip(self):
        """Return the norm of the gradient, after cutting the gradient to `clip_norm` if there is one."""
        if self.clip_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        else:
            norm = torch.nn.utils.get_total_norm(
                [p.grad for p in self.parameters if p.grad is not None]
            )
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    def end_epoch(self):
        """Validate, remember the best weights, write the epoch into the history and the checkpoint."""
        began = time.perf_counter()
        self.epoch, self.batch = self.epoch + 1, 0
        row = {
            "epoch": self.epoch,
            "step": self.step,
            **self.meter.means(),
            "learning_rate": self.history.last_rate(),
        }
        throughput = sum(self.meter.rows) / self.seconds
        with self.ema.applied() if self.ema is not None else contextlib.nullcontext():
            if self.held_out is not None:
                found = objective.evaluate(
                    self.model, self.held_out, self.loss, self.metrics, self.autocast
                )
                row.update(
                    {f"validation_{name}": value for name, value in found.items()}
                )
                self.remember(found["loss"])
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(row.get("validation_loss", row["loss"]))
        if self.scaler is not None:
            row["loss_scale"] = self.scaler.get_scale()
        row.update(seconds=self.seconds + time.perf_counter() - began, samples_per_second=throughput,
                   memory_mib=devices.memory_mib(self.device))  # fmt: skip
        self.history.add(epoch=row)
        self.seconds = 0.0
        self.meter.begin_epoch()
        self.save()

    # ---------------------------------------------------------------- its parts

    def settle(self, y):
        """Choose loss and metrics by the targets of the first batch, if none were named."""
        self.loss = objective.default_loss(y) if self.loss is None else self.loss
        self.metrics = (
            objective.default_metrics(y) if self.metrics is None else self.metrics
        )

        def forward(X, y):
            output = self.model(X)
            return output, self.loss(output, y)

        self.forward = torch.compile(forward) if self.compile else forward

    def open_epoch(self):
        """Return the batches from where the run stands. A resumed epoch is drawn again from its beginning."""
        now = [generator.get_state() for generator in self.generators]
        if self.batch == 0:
            self.epoch_start = now
        _set(self.generators, self.epoch_start)
        rest = self.batches.epoch(self.batch, self.rank, self.world)
        if self.batch:
            _set(self.generators, now)
        return rest

    def remember(self, loss):
        if self.patience is not None and loss < self.best["loss"]:
            weights = {
                name: value.detach().clone()
                for name, value in _bare(self.model).state_dict().items()
            }
            self.best = {"loss": loss, "epoch": self.epoch, "weights": weights}

    def out_of_patience(self):
        return (
            self.patience is not None
            and self.epoch - self.best["epoch"] >= self.patience
        )

    def rate(self):
        return self.optimizer.param_groups[0]["lr"]

    def explain(self, step):
        losses, norms = (
            list(self.history._steps[name]) for name in ("loss", "gradient_norm")
        )
        return explain(
            step,
            self.epoch + 1,
            losses,
            norms[:-1],
            self.rate(),
            self.precision,
            self.clip_norm is not None,
        )

    def end(self, stopped, why):
        """Leave the best or the averaged weights in the model, in evaluation mode, and say how the run ended."""
        if self.best["weights"] is not None:
            _bare(self.model).load_state_dict(self.best["weights"])
        elif self.ema is not None and stopped != "diverged":
            self.ema.put()
        self.model.eval()
        self.history.add(end={"stopped": stopped, "why": why})

    # ---------------------------------------------------------------- checkpoints

    def begin(self, checkpoint, every, record):
        """Go on from the newest checkpoint, if there is one, and open the files of the record."""
        self.checkpoints, self.every, state = None, every, None
        files = [record] if record is not None and self.rank == 0 else []
        if checkpoint is not None:
            self.checkpoints = Checkpoints(checkpoint)
            state = self.checkpoints.load(self.device)
            files += (
                [self.checkpoints.folder / "history.jsonl"] if self.rank == 0 else []
            )
        if state is not None:
            self.resume(state)
        self.history.open(*files)
        if state is None:
            size = sum(p.numel() for p in self.parameters)
            self.history.add(
                start={
                    "model": type(_bare(self.model)).__name__,
                    "n_parameters": size,
                    **self.settings,
                }
            )
        else:
            self.history.add(resume=self.step)

    def save(self):
        if self.checkpoints is None or self.rank > 0:
            return
        self.meter.flush()
        parts = {name: part.state_dict() for name, part in self.stateful().items()}
        places = {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "seconds": self.seconds,
        }
        now = [generator.get_state() for generator in self.generators]
        start = self.epoch_start if self.batch else now
        self.checkpoints.save(
            {
                "settings": self.settings,
                **places,
                **parts,
                "generators": now,
                "epoch_start": start,
                "best": self.best,
            }
        )

    def resume(self, state):
        differ = {name: (there, self.settings[name]) for name, there in state["settings"].items()
                  if name in ("batch_size", "accumulate", "random_state") and there != self.settings[name]}  # fmt: skip
        if differ:
            said = ", ".join(
                f"{name} {there} there and {here} here"
                for name, (there, here) in differ.items()
            )
            raise CheckpointError(
                f"the checkpoint in {self.checkpoints.folder} is of another run: {said}. Name another folder."
            )
        ours, theirs = (
            {name: tuple(v.shape) for name, v in w.items()}
            for w in (_bare(self.model).state_dict(), state["model"])
        )
        if ours != theirs:
            raise CheckpointError(
                f"the checkpoint in {self.checkpoints.folder} is of another model. Name another folder."
            )
        for name, part in self.stateful().items():
            part.load_state_dict(state[name])
        self.epoch, self.batch, self.step, self.seconds = (
            state[name] for name in ("epoch", "batch", "step", "seconds")
        )
        self.best, self.epoch_start = (
            state["best"],
            [values.cpu() for values in state["epoch_start"]],
        )
        _set(self.generators, state["generators"])
        with contextlib.suppress(OSError, ValueError):
            self.history = self.meter.history = History.read(
                self.checkpoints.folder / "history.jsonl"
            )

    def stateful(self):
        parts = {"model": _bare(self.model), "optimizer": self.optimizer, "schedule": self.schedule, "scaler": self.scaler,
                 "ema": self.ema, "meter": self.meter}  # fmt: skip
        return {name: part for name, part in parts.items() if part is not None}


def _add(sums, name, value, weight):
    value = _times(value, weight)
    sums[name] = sums[name] + value if name in sums else value


def _times(value, weight):
    return value if weight == 1 else value * weight


def _set(generators, states):
    for generator, state in zip(generators, states):
        generator.set_state(state.cpu())


def _bare(model):
    """The model itself, without the cover that data parallelism puts around it."""
    return (
        model.module
        if isinstance(model, torch.nn.parallel.DistributedDataParallel)
        else model
    )


def _seed(random_state):
    return (
        int(np.random.default_rng().integers(2**31))
        if random_state is None
        else whole("random_state", random_state, minimum=0)
    )


def _trainable(model):
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {type(model).__name__}.")
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "model has no parameter to train. Set requires_grad on those that should learn."
        )
    return parameters


def _checked_optimizer(optimizer, parameters):
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer over model.parameters(); got {optimizer!r}."
        )
    ours = set(map(id, parameters))
    if not any(
        id(p) in ours for group in optimizer.param_groups for p in group["params"]
    ):
        raise ValueError(
            "optimizer moves no parameter of this model. Make it from model.parameters()."
        )
    return optimizer


def _checked_schedule(schedule, optimizer, learning_rate):
    if schedule is None:
        return None
    if isinstance(schedule, LRScheduler):
        if schedule.optimizer is not optimizer:
            raise ValueError(
                "schedule steers another optimizer. Pass its optimizer too: fit(..., optimizer=..., schedule=...)."
            )
        return schedule
    if not callable(schedule):
        raise TypeError(
            f"schedule must be a torch LRScheduler or a function of the step; got {schedule!r}."
        )
    return LambdaLR(optimizer, lambda step: float(schedule(step)))


@contextlib.contextmanager
def _recomputing(block):
    """Inside the block of code, forget the activations of a module and compute them again in the backward pass."""
    forward = block.forward
    block.forward = lambda *inputs, **named: recomputed(
        forward, *inputs, use_reentrant=False, **named
    )
    try:
        yield
    finally:
        del block.forward

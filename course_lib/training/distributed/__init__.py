"""Training in several processes: PyTorch's own tools, a way to start them from a notebook, and a step by hand.

A **process** (its number is its **rank**) runs the same program as the others, on its own part of the rows or of the
model. On CPUs they talk through gloo; where there is a GPU for each of them, through NCCL. From a notebook:

    result = distributed.launch("my_module:train", nproc=2, num_epochs=5)     # what rank 0's train(num_epochs=5) returned

From a shell, `torchrun --standalone --nproc-per-node 2 script.py` with this script (`python script.py` runs it alone):

    from course_lib.training import distributed, fit
    with distributed.process_group() as device:
        fit(distributed.data_parallel(model), (X, y), device=device)

Whatever splits a model is called inside a process group, on every rank, with the same model (same seed):

    ===================  ===========================  ================================  ==========================
    call                 each process holds           each step sends                   pays when
    ===================  ===========================  ================================  ==========================
    data_parallel(m)     all weights, part of rows    gradients                         the model fits on one device
    shard(m)             1/n of weights and state     weights twice, gradients once     the model does not fit
    tensor_parallel(m)   part of each layer           activations, in every block       the devices share fast links
    pipeline(m)          some of the layers           activations at the border         links are slow; many micro-batches
    ===================  ===========================  ================================  ==========================
"""

import importlib

_HOME = {
    "launch": "launcher",
    "RankError": "launcher",
    "process_group": "group",
    "data_parallel": "models",
    "shard": "models",
    "tensor_parallel": "models",
    "pipeline": "models",
    "Pipeline": "models",
    "average_gradients": "by_hand",
    "share": "by_hand",
    "data_parallel_step": "by_hand",
    "uneven_batch": "by_hand",
    "bytes_per_step": "cost",
    "time_steps": "cost",
}

__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)

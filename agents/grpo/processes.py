"""Several processes that train one model: each takes its share of the groups, and all come to the same decisions.

``accelerate launch -m dumpgym train ...`` starts them. They draw the same arms, since each computes the policy from the
same rewards; what is divided among them is the sampling and the gradient. Under accelerate's configuration of FSDP
they also divide the optimiser's state: its moments, and the master copies of weights in half precision. That is 8 to 12
bytes a parameter; the weights themselves, 2 or 4, stay whole in each, because each samples by itself.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def start_processes(device: str) -> None:
    """Lets the processes that a launcher has started find each other; does nothing in a process of its own.

    Args:
        device: "cpu" keeps them off the accelerators.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        from accelerate import PartialState

        PartialState(cpu=device == "cpu")


def num_processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_index() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main_process() -> bool:
    """Whether this is the process that writes files and talks to people."""
    return process_index() == 0


def wait_for_everyone() -> None:
    """Returns when all processes have come to this point."""
    if dist.is_initialized():
        dist.barrier()


def divides_optimizer_state() -> bool:
    """Whether each process keeps a part of the optimiser's state alone: accelerate's configuration asks for FSDP."""
    return num_processes() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its sum over all processes, in one message."""
    if num_processes() > 1 and tensors:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, summed in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))


def send_from(owner: int, tensor: Tensor) -> None:
    """Replaces a tensor in all processes by what it is in one of them."""
    if num_processes() > 1:
        dist.broadcast(tensor, owner)


def gather_over_processes(value: Any) -> list[Any]:
    """Everybody's value, in the order of the processes, known to all of them."""
    if num_processes() == 1:
        return [value]
    values: list[Any] = [None] * num_processes()
    dist.all_gather_object(values, value)
    return values


def gather_in_main(value: Any) -> list[Any]:
    """Everybody's value, in the order of the processes, in the main process; nothing in the others."""
    if num_processes() == 1:
        return [value]
    values: list[Any] | None = [None] * num_processes() if is_main_process() else None
    dist.gather_object(value, values)
    return values or []

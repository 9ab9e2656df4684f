"""Several processes that train one model: each handles its share of the groups, and all make the same decisions.

``accelerate launch -m dumpgym train ...`` starts them. Every process runs the whole training loop and draws the same
arms, since each updates its own copy of the policy with the same rewards. Only the sampling and the gradient are
divided among them. If accelerate is configured for FSDP, they also divide the optimiser's state: its moments, and the
master copies of weights in half precision. That is 8 to 12 bytes per parameter. The weights themselves, 2 or 4 bytes
per parameter, stay whole in each process, because each process samples by itself.

In a run with a single process, every function here returns at once, so callers need no case for it.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dumpgym.contracts.threads import THREADS, threads_per_process


def start_processes(device: str) -> None:
    """Connects the processes that a launcher has started, and gives each no more threads than it has CPUs.

    Args:
        device: the device setting; "cpu" keeps the processes off the accelerators.
    """
    use_threads(min(torch.get_num_threads(), threads_per_process()))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        from accelerate import PartialState

        PartialState(cpu=device == "cpu")


def use_threads(number: int) -> None:
    """Sets the number of torch's threads, unless the environment variable ``OMP_NUM_THREADS`` does."""
    if THREADS not in os.environ:
        torch.set_num_threads(number)


def num_processes() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_index() -> int:
    """Index of this process among them, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main_process() -> bool:
    """Whether this is the process that writes files and prints."""
    return process_index() == 0


def wait_for_everyone() -> None:
    """Returns when all processes have reached this call."""
    if dist.is_initialized():
        dist.barrier()


def divides_optimizer_state() -> bool:
    """Whether each process keeps only a part of the optimiser's state, as accelerate's FSDP configuration asks."""
    return num_processes() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its sum over all processes, in one message."""
    # A sum and not a mean, because the weights of the tokens already divide by the whole optimiser batch
    # (``token_weights``). One message, since many small ones would each wait for all processes.
    if num_processes() > 1 and tensors:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, summed in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))


def send_from(owner: int, tensor: Tensor) -> None:
    """Replaces a tensor in all processes by its value in one of them, the owner."""
    if num_processes() > 1:
        dist.broadcast(tensor, owner)


def gather_over_processes(value: Any) -> list[Any]:
    """The values of all processes, in the order of the processes; every process receives them."""
    if num_processes() == 1:
        return [value]
    values: list[Any] = [None] * num_processes()
    dist.all_gather_object(values, value)
    return values


def gather_in_main(value: Any) -> list[Any]:
    """The values of all processes, in the order of the processes; the other processes receive an empty list."""
    if num_processes() == 1:
        return [value]
    values: list[Any] | None = [None] * num_processes() if is_main_process() else None
    dist.gather_object(value, values)
    return values or []

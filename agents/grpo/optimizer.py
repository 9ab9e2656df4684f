"""AdamW with what training in half precision, interruption and several processes ask of it.

Weights in bfloat16 would lose most small updates to rounding, so they get float32 master copies, which the optimiser
changes and the weights follow. Where processes divide the state among them, each has masters and moments of some of the
parameters, changes these and sends them to the others (ZeRO, arXiv 1910.02054).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dumpgym.agents.grpo.processes import (
    divides_optimizer_state,
    gather_in_main,
    is_main_process,
    num_processes,
    process_index,
    send_from,
    sum_over_processes,
)
from dumpgym.contracts.errors import InvalidValueError

_FILE = "optimizer.safetensors"
_MESSAGE = 2**26  # numbers of a gradient that processes add up at a time, 256 MiB in float32


class Optimizer:
    """Steps of AdamW on named parameters.

    Args:
        parameters: what is trained.
        beta2: of AdamW; the other beta is 0.9.
        weight_decay: of AdamW.
        max_grad_norm: the gradient is scaled down to this norm.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, beta2: float, weight_decay: float, max_grad_norm: float
    ) -> None:
        self.parameters = dict(parameters)
        self.max_grad_norm = max_grad_norm
        self._owners = _owners(self.parameters) if divides_optimizer_state() else {}
        self.masters = {
            name: parameter if parameter.dtype == torch.float32 else parameter.detach().float()
            for name, parameter in self.parameters.items()
            if self._is_mine(name)
        }
        self.method: torch.optim.Optimizer = torch.optim.AdamW(
            self.masters.values(), lr=0.0, betas=(0.9, beta2), weight_decay=weight_decay
        )

    def _is_mine(self, name: str) -> bool:
        return self._owners.get(name, process_index()) == process_index()

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def gather(self) -> float:
        """Adds up the gradients of all processes, and scales them down where they are too long.

        Returns:
            Their norm before that; not finite where a gradient is not, and then ``step`` must not be called.
        """
        norms = []
        for names in _messages(self.parameters):
            gradients = {name: _gradient(self.parameters[name]) for name in names}
            sum_over_processes(list(gradients.values()))
            norms.append(torch.nn.utils.get_total_norm(gradients.values()))
            for name in self.masters.keys() & gradients:
                self.masters[name].grad = gradients[name]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        torch.nn.utils.clip_grads_with_norm_(self.masters.values(), self.max_grad_norm, norm)
        return float(norm)

    def step(self, learning_rate: float) -> None:
        """Takes a step along what ``gather`` gathered."""
        for group in self.method.param_groups:
            group["lr"] = learning_rate
        self.method.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if name in self.masters and self.masters[name] is not parameter:
                    parameter.copy_(self.masters[name])
                if name in self._owners:
                    send_from(self._owners[name], parameter)

    def save(self, directory: Path) -> None:
        """Writes moments, step numbers and master copies; called in every process, of which the main one writes."""
        mine: dict[str, Tensor] = {}
        for name, master in self.masters.items():
            mine |= {f"{name}.{key}": value for key, value in self.method.state[master].items()}
            if master is not self.parameters[name]:
                mine[f"{name}.master"] = master
        parts = [mine]
        if self._owners:
            parts = gather_in_main({name: tensor.cpu() for name, tensor in mine.items()})
        if is_main_process():
            tensors = {name: tensor.contiguous() for part in parts for name, tensor in part.items()}
            save_file(tensors, directory / _FILE)

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote, with however many processes it was written.

        Raises:
            InvalidValueError: if it is of other parameters.
        """
        tensors = load_file(directory / _FILE)
        if strange := sorted(key for key in tensors if _parameter_of(key) not in self.parameters):
            raise InvalidValueError("optimiser state", strange[0], "that of the parameters that are trained")
        self.method.state.clear()
        for name, master in self.masters.items():
            mine = {key.removeprefix(f"{name}."): tensors[key] for key in tensors if _parameter_of(key) == name}
            if master is not self.parameters[name]:
                with torch.no_grad():
                    master.copy_(mine.pop("master"))
            # AdamW keeps its step numbers on the CPU.
            if mine:
                self.method.state[master] = {k: v if k == "step" else v.to(master.device) for k, v in mine.items()}


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter, dtype=torch.float32) if parameter.grad is None else parameter.grad.float()


def _messages(parameters: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """The names of consecutive parameters that fit into a message together, at least one at a time."""
    names: list[str] = []
    size = 0
    for name, parameter in parameters.items():
        if names and size + parameter.numel() > _MESSAGE:
            yield names
            names, size = [], 0
        names.append(name)
        size += parameter.numel()
    yield names


def _owners(parameters: Mapping[str, Tensor]) -> dict[str, int]:
    """Which process keeps the state of each parameter; about as much for each, the largest dealt first."""
    load = [0] * num_processes()
    owners = {}
    for name in sorted(parameters, key=lambda name: -parameters[name].numel()):
        owners[name] = load.index(min(load))
        load[owners[name]] += parameters[name].numel()
    return owners


def _parameter_of(key: str) -> str:
    return key.rpartition(".")[0]

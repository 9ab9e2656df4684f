"""AdamW with what training in half precision, interruption and several processes ask of it.

Weights in bfloat16 would lose most small updates to rounding, so they get float32 master copies, which the optimiser
changes and the weights follow.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dumpgym.agents.processes import sum_over_processes
from dumpgym.errors import InvalidValueError

_FILE = "optimizer.safetensors"


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
        self.masters = {
            name: parameter if parameter.dtype == torch.float32 else parameter.detach().float()
            for name, parameter in self.parameters.items()
        }
        self.method: torch.optim.Optimizer = torch.optim.AdamW(
            self.masters.values(), lr=0.0, betas=(0.9, beta2), weight_decay=weight_decay
        )

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def gather(self) -> float:
        """Adds up the gradients of all processes, and scales them down where they are too long.

        Returns:
            Their norm before that; not finite where a gradient is not, and then ``step`` must not be called.
        """
        for name, parameter in self.parameters.items():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            self.masters[name].grad = gradient.to(self.masters[name].dtype)
        gradients = [master.grad for master in self.masters.values() if master.grad is not None]
        sum_over_processes(gradients)
        return float(torch.nn.utils.clip_grad_norm_(self.masters.values(), self.max_grad_norm))

    def step(self, learning_rate: float) -> None:
        """Takes a step along what ``gather`` gathered."""
        for group in self.method.param_groups:
            group["lr"] = learning_rate
        self.method.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if self.masters[name] is not parameter:
                    parameter.copy_(self.masters[name])

    def save(self, directory: Path) -> None:
        """Writes moments, step numbers and master copies."""
        tensors = {f"{name}.master": m for name, m in self.masters.items() if m is not self.parameters[name]}
        for name, master in self.masters.items():
            tensors |= {f"{name}.{key}": value for key, value in self.method.state[master].items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / _FILE)

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote.

        Raises:
            InvalidValueError: if it is of other parameters.
        """
        tensors = load_file(directory / _FILE)
        self.method.state.clear()
        for name, master in self.masters.items():
            mine = {key.removeprefix(f"{name}."): tensors.pop(key) for key in list(tensors) if _owner(key) == name}
            if master is not self.parameters[name]:
                with torch.no_grad():
                    master.copy_(mine.pop("master"))
            # AdamW keeps its step numbers on the CPU.
            if mine:
                self.method.state[master] = {k: v if k == "step" else v.to(master.device) for k, v in mine.items()}
        if tensors:
            raise InvalidValueError("optimiser state", sorted(tensors)[0], "that of the parameters that are trained")


def _owner(key: str) -> str:
    return key.rpartition(".")[0]

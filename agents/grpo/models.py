"""Causal language models of the Hugging Face format: loading them, and checking them before a run depends on them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from huggingface_hub.utils import logging as hub_logging
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.agents.grpo.model_inputs import UNSUITED
from dumpgym.agents.grpo.prompts import PromptReader
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.puzzle_env import Prompt

transformers.utils.logging.disable_progress_bar()
# A hub that cannot be reached is one line, and not one for every retry.
hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]

REFERENCE = "reference"
"""The name of the frozen copy of an adapter."""
_ACCEPTED = (
    f"{', '.join(map(repr, EMBEDDED_MODELS))}, a folder with config.json, model.safetensors and tokenizer.json, "
    "a .gguf file, or a hub name"
)


def load_model(name: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads a causal language model and its tokenizer; weights of GGUF files are dequantised.

    Args:
        name: the name of an embedded model, a folder, a file that ends in .gguf, or a name on the Hugging Face hub.
        dtype: number format of the weights.

    Raises:
        InvalidValueError: if there is no such model, if weights are missing or do not have the shapes of its
            configuration, or if an end token has no row in its embedding.
    """
    # Each check below is for a model that loads without an error and then wastes a run.
    options: dict[str, Any] = {"dtype": dtype, "output_loading_info": True}
    if name.endswith(".gguf") and hasattr(transformers, "GgufConfig"):
        # Otherwise the weights stay quantised, in the file's format, which can be neither trained nor saved.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model, found = _load(AutoModelForCausalLM, name, **options)
    # transformers only warns of missing or misshapen weights and fills them with random numbers: the model would train,
    # from noise.
    for what in ("missing_keys", "mismatched_keys"):
        if wrong := sorted(map(str, found[what])):
            few = f"{', '.join(wrong[:3])}{' ...' if len(wrong) > 3 else ''}"
            raise InvalidValueError("model", name, f"a folder whose weights are complete: {what} {few}")
    tokenizer = load_tokenizer(name)
    # Tokenizers may have more tokens than the embedding has rows: Gemma 3 of 1B has a token for images that only its
    # larger sisters use. No such token is ever drawn, so a completion cannot contain it, and ``require_rows`` finds it
    # in a prompt. One that should end completions would never end any.
    require_rows(model, tokenizer, end_token_ids(model, tokenizer), "every end token")
    return cast(PreTrainedModel, model), tokenizer


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Loads the tokenizer of a model or of an adapter, without the weights.

    Args:
        name: the name of an embedded model, a folder, a file that ends in .gguf, or a name on the Hugging Face hub.

    Raises:
        InvalidValueError: if there is no such model.
    """
    return cast(PreTrainedTokenizerFast, _load(AutoTokenizer, name))


def _load(auto_class: Any, name: str, **options: Any) -> Any:
    source = str(EMBEDDED_MODELS.get(name, name))
    if name.endswith(".gguf"):
        path = Path(name)
        source, options = str(path.parent), {**options, "gguf_file": path.name}
    try:
        return auto_class.from_pretrained(source, **options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidValueError("model", name, f"{_ACCEPTED} ({reason})") from error


def adapter_base(name: str) -> str | None:
    """The name of the model that the adapter in a folder belongs to; None if the folder holds no adapter."""
    if not (Path(name) / "adapter_config.json").is_file():
        return None
    return str(PeftConfig.from_pretrained(name).base_model_name_or_path)


def new_adapter(base: PreTrainedModel, rank: int, seed: int) -> PeftModel:
    """Adds a LoRA adapter to the linear layers except the output embedding, with alpha twice its rank.

    Args:
        base: the model, which is changed in place.
        rank: rank of the adapter's matrices.
        seed: seed of the adapter's initial weights.

    Raises:
        InvalidValueError: if the model has no linear layer that peft can adapt, or peft could not load it again.
    """
    kind = base.config.model_type
    targets = _adaptable_layers(base)
    if not targets:
        raise InvalidValueError("lora_rank", rank, f"0 for models of type {kind}, which have no plain linear layer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            is_transposed = any(isinstance(base.get_submodule(name), Conv1D) for name in targets)
            lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, fan_in_fan_out=is_transposed)
            model = cast(PeftModel, get_peft_model(base, lora))
            load_adapter_weights(model, get_peft_model_state_dict(model))  # as a run that resumes will have to
            return model
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InvalidValueError("lora_rank", rank, f"0 for models of type {kind} ({reason})") from error


def _adaptable_layers(base: PreTrainedModel) -> list[str]:
    """Names of the linear layers that an adapter can be put on.

    peft's own choice, "all-linear", also takes routers of mixtures of experts that are linear layers by inheritance and
    return several tensors. And it takes layers of Mamba whose weights the fused kernels read without calling the layer,
    so that an adapter on them would have no effect; peft refuses some of these.
    """
    head = base.get_output_embeddings()
    read_by_kernels = {
        id(child)
        for mixer in base.modules()
        if {"A_log", "D"} <= mixer._parameters.keys()
        for name, child in mixer.named_children()
        if name in ("x_proj", "dt_proj", "out_proj")
    }
    return [
        name
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and module is not head
        and id(module) not in read_by_kernels
        and _maps_to_one_tensor(module)
    ]


@torch.no_grad()
def _maps_to_one_tensor(layer: torch.nn.Linear | Conv1D) -> bool:
    if type(layer).forward in (torch.nn.Linear.forward, Conv1D.forward):
        return True
    try:
        return isinstance(layer(layer.weight.new_zeros(1, 1, layer.weight.shape[1])), torch.Tensor)
    except UNSUITED:
        return False


def continued_adapter(base: PreTrainedModel, folder: str, *, with_reference: bool) -> PeftModel:
    """Adds the adapter of a folder, in order to continue its training.

    Args:
        base: the model, which is changed in place.
        folder: the adapter's folder.
        with_reference: whether to add a frozen copy of the adapter under the name ``REFERENCE``. A divergence is
            measured from the model with which training begins, and that is the model with this adapter.

    Raises:
        InvalidValueError: if the adapter does not fit the model.
    """
    try:
        model = PeftModel.from_pretrained(base, folder, is_trainable=True)
        if with_reference:
            model.load_adapter(folder, REFERENCE, is_trainable=False)
        load_adapter_weights(model, load_peft_weights(folder, device=str(base.device)))
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InvalidValueError("model", folder, f"an adapter of {base.name_or_path}: {error}") from error
    return model


def load_adapter_weights(model: PeftModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Puts saved weights into the adapter of a model.

    Raises:
        ValueError: if some have no place in it. peft itself leaves them out with a warning at most. It does so with
            adapters of its own if transformers renames a model's layers and the renaming misses those of the adapter.
    """
    found: Any = set_peft_model_state_dict(model, dict(weights))
    if found.unexpected_keys:
        raise ValueError(f"peft finds no place for the adapter's weights {found.unexpected_keys[0]}")


def end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
    """All tokens that end a completion, according to the model's generation settings and to its tokenizer."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None}))


def require_rows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, token_ids: Iterable[int], what: str
) -> None:
    """Checks that tokens have a row in a model's embedding.

    Without one, the lookup fails in the middle of a run, and on CUDA the error names neither the token nor the model.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        token_ids: the tokens.
        what: what the tokens are, for the error.

    Raises:
        InvalidValueError: if a token has none.
    """
    embedding: Any = model.get_input_embeddings()
    rows = len(embedding.weight)
    if (largest := max(token_ids, default=-1)) >= rows:
        token = f"{tokenizer.convert_ids_to_tokens(largest)!r} ({largest})"
        accepted = f"a model whose embedding, of {rows} rows, has one for {what}, not a tokenizer that adds {token}"
        raise InvalidValueError("model", tokenizer.name_or_path, accepted)


def context_length(model: PreTrainedModel) -> int | None:
    """Most tokens of a prompt and its completion together; None if the configuration names no limit."""
    length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return length if length is not None and length > 0 else None  # -1 in XLNet, which has no limit


def find_device(name: str) -> torch.device:
    """The device that a setting names; "auto" is CUDA where it is available, and the CPU elsewhere.

    Raises:
        InvalidValueError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda") or (name.startswith("cuda") and not torch.cuda.is_available()):
        raise InvalidValueError("device", name, "auto, cpu" + (", cuda" if torch.cuda.is_available() else ""))
    return torch.device(name)


@contextmanager
def checkpointed_layers(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, layers discard their activations and recompute them in the backward pass.

    A layer does so only in training mode. Only the layers themselves are put into that mode; the modules inside them
    stay in evaluation mode, since dropout would make log-probabilities random.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


def enable_checkpointing(model: PreTrainedModel) -> None:
    """Prepares a model for ``checkpointed_layers``.

    Raises:
        InvalidValueError: if its layers do not support it.
    """
    enable: Any = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    if not any(isinstance(module, GradientCheckpointingLayer) for module in model.modules()):
        raise InvalidValueError("gradient_checkpointing", True, f"False for models of type {model.config.model_type}")
    enable({"use_reentrant": False})


def render_prompt(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> str:
    """The text of a prompt as a model reads it by default; see ``PromptReader.render``."""
    return PromptReader(tokenizer).render(prompt)

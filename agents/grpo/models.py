"""Causal language models of the Hugging Face format: loading them, and finding out what is wrong with them first."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from jinja2 import TemplateError
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_layers import GradientCheckpointingLayer

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.puzzle_env import Prompt, plain_text

transformers.utils.logging.disable_progress_bar()

EMBEDDED_MODEL = Path(__file__).parents[1] / "embedded" / "weights"
REFERENCE = "reference"
"""The name of an adapter's frozen copy."""
_TAGS = "<think></think><answer></answer>"
_ACCEPTED = "'embedded', a folder with config.json, model.safetensors and tokenizer.json, a .gguf file, or a hub name"


def load_model(name: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads a causal language model and its tokenizer; weights of GGUF files are dequantised.

    Args:
        name: "embedded", a folder, a file that ends in .gguf, or a name on the Hugging Face hub.
        dtype: of the weights.

    Raises:
        InvalidValueError: if there is no such model, weights are missing or of another shape than its configuration
            says, the tokenizer cannot spell the tags of an answer, or it has more tokens than the model.
    """
    options: dict[str, Any] = {"dtype": dtype, "output_loading_info": True}
    if name.endswith(".gguf") and hasattr(transformers, "GgufConfig"):
        # Otherwise the weights stay in the file's format, which can neither be trained nor saved.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model, found = _load(AutoModelForCausalLM, name, **options)
    for what in ("missing_keys", "mismatched_keys"):
        if wrong := sorted(map(str, found[what])):
            few = f"{', '.join(wrong[:3])}{' ...' if len(wrong) > 3 else ''}"
            raise InvalidValueError("model", name, f"a folder whose weights are complete: {what} {few}")
    tokenizer = load_tokenizer(name)
    rows = int(model.get_input_embeddings().weight.shape[0])
    if len(tokenizer) > rows:
        raise InvalidValueError("model", name, f"a model with all {len(tokenizer)} tokens of its tokenizer, not {rows}")
    spelt = str(tokenizer.decode(tokenizer(_TAGS, add_special_tokens=False)["input_ids"]))
    if "".join(spelt.split()) != _TAGS:
        raise InvalidValueError("model", name, f"a model whose tokenizer can spell {_TAGS}, not {spelt!r} for it")
    return cast(PreTrainedModel, model), tokenizer


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Loads the tokenizer of a model, or of the model behind an adapter, without the weights.

    Args:
        name: "embedded", a folder, a file that ends in .gguf, or a name on the Hugging Face hub.

    Raises:
        InvalidValueError: if there is no such model.
    """
    return cast(PreTrainedTokenizerFast, _load(AutoTokenizer, name))


def _load(auto_class: Any, name: str, **options: Any) -> Any:
    source = str(EMBEDDED_MODEL) if name == "embedded" else name
    if name.endswith(".gguf"):
        path = Path(name)
        source, options = str(path.parent), {**options, "gguf_file": path.name}
    try:
        return auto_class.from_pretrained(source, **options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidValueError("model", name, f"{_ACCEPTED} ({reason})") from error


def adapter_base(name: str) -> str | None:
    """The model to which the adapter in a folder belongs; None if the folder holds no adapter."""
    if not (Path(name) / "adapter_config.json").is_file():
        return None
    return str(PeftConfig.from_pretrained(name).base_model_name_or_path)


def new_adapter(base: PreTrainedModel, rank: int, seed: int) -> PeftModel:
    """Adds a LoRA adapter to all linear layers but the output embedding, at twice its rank as alpha.

    Args:
        base: is changed.
        rank: of the matrices.
        seed: of their start.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        return cast(PeftModel, get_peft_model(base, lora))


def continued_adapter(base: PreTrainedModel, folder: str, *, with_reference: bool) -> PeftModel:
    """Adds the adapter of a folder, to be trained on.

    Args:
        base: is changed.
        folder: of the adapter.
        with_reference: also adds a frozen copy under the name ``REFERENCE``, as a divergence is to be measured from
            where training begins, which is not the model without the adapter.

    Raises:
        InvalidValueError: if the adapter does not fit the model.
    """
    try:
        model = PeftModel.from_pretrained(base, folder, is_trainable=True)
        if with_reference:
            model.load_adapter(folder, REFERENCE, is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InvalidValueError("model", folder, f"an adapter of {base.name_or_path}: {error}") from error
    return model


def end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
    """All tokens that end a completion, by the model's generation settings and its tokenizer."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None}))


def context_length(model: PreTrainedModel) -> int | None:
    """Most tokens of prompt and completion together; None where the model names no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def find_device(name: str) -> torch.device:
    """The device of a setting: "auto" is CUDA where there is one.

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
    """Within the block, layers forget their activations and compute them anew in the backward pass.

    A layer does so only while it is in training mode. What is inside of it stays in evaluation mode, so that nothing
    is dropped out.
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
    """The text that a model is given.

    Args:
        tokenizer: of the model, with its chat template where it has one.
        prompt: plain text, which is what one user says, or chat messages.

    Returns:
        The prompt within the chat template, up to where the model's turn begins. A template that refuses the system
        role gets the system's words at the start of the user's. Without a template, the prompt as plain text.

    Raises:
        DumpgymError: if the template refuses the messages.
    """
    if tokenizer.chat_template is None:
        return plain_text(prompt)
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    try:
        return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    except TemplateError as error:
        if messages[0]["role"] != "system":
            raise DumpgymError(f"the model's chat template refuses the prompt: {error}") from error
    user = {"role": "user", "content": plain_text(messages[:2])}
    return render_prompt(tokenizer, [user, *messages[2:]])

"""Loading models and adapters: what is wrong with a folder is said before anything is trained."""

import json
import os

import gguf
import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from dumpgym.agents.embedded.model import build_model, build_tokenizer
from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import adapter_base, end_token_ids, load_model
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.learner import RewardedCompletions
from dumpgym.runs.config import TrainConfig
from dumpgym.training.loop import Trainer

TOKENIZER = build_tokenizer([" yes", " no"])
IDS = torch.tensor([[5, 6, 7]])


@pytest.fixture
def folder(tmp_path):
    build_model(TOKENIZER, hidden_size=16, num_layers=2, num_heads=2, seed=0).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    return tmp_path


def without_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def with_another_width(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 24}))


def with_half_a_file(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def without_the_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def with_an_end_token_without_a_row(folder):
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [5, 259]}))
    build_tokenizer([" yes", " no", " perhaps"]).save_pretrained(folder)


def with_a_tag_without_a_row(folder):
    build_tokenizer([" yes", " no", "<think>"]).save_pretrained(folder)


def without_brackets(folder):
    """A tokenizer of whole words, which knows nothing of tags."""
    words = tokenizers_words(["[UNK]", "yes", "no"])
    words.save_pretrained(folder)


def tokenizers_words(words):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="no")


@pytest.mark.parametrize(
    ("spoil", "accepted"),
    [
        (without_a_tensor, r"whose weights are complete: missing_keys model\.layers\.1\.mlp\.up_proj\.weight"),
        (with_another_width, r"a folder with config\.json.*(mismatch|shape)"),
        (with_half_a_file, r"a folder with config\.json"),
        (without_the_tokenizer, r"a folder with config\.json, model\.safetensors and tokenizer\.json"),
        (with_an_end_token_without_a_row, r"of 259 rows, has one for every end token, not a tokenizer that .*\(259\)"),
    ],
)
def test_a_spoilt_folder_is_refused_with_the_reason(folder, spoil, accepted):
    load_model(str(folder), torch.float32)
    spoil(folder)
    with pytest.raises(InvalidValueError, match=f"model is '.*'; accepted: .*{accepted}"):
        load_model(str(folder), torch.float32)


@pytest.mark.parametrize(
    ("spoil", "limit", "message"),
    [
        (without_brackets, 8, r"a model whose tokenizer can spell the answers of KnightsKnaves2: '<th"),
        (lambda folder: None, 2000, r"length of a text is '\d+ tokens of prompt and 2000 of completion'; accepted"),
    ],
    ids=["spelling", "context"],
)
def test_a_model_that_cannot_do_an_arm_is_refused_before_anything_is_written(folder, tmp_path, spoil, limit, message):
    spoil(folder)
    agent = GRPOAgent(GRPOConfig(model=str(folder), max_completion_length=limit))
    config = TrainConfig(output=tmp_path / "run", arms=("dumpgym/KnightsKnaves2-v0",))
    with pytest.raises(InvalidValueError, match=message):
        Trainer(config, agent)
    assert not config.output.exists()


def test_a_token_without_a_row_is_accepted_until_a_prompt_contains_it(folder):
    """As in Gemma 3 of 1B, whose tokenizer has a token for images that only the larger models use."""
    build_tokenizer([" yes", " no", "<image>"]).save_pretrained(folder)
    agent = GRPOAgent(GRPOConfig(model=str(folder), max_completion_length=8, stop_strings=("!",)))
    completions = agent.generate(["Is it?"], 4)
    agent.learn(RewardedCompletions(completions, np.array([[0.0, 1.0, 0.0, 1.0]])))
    with pytest.raises(InvalidValueError, match=r"has one for every token of a prompt, .* adds '<image>' \(259\)"):
        agent.generate(["Is it?", "What is on the <image>?"], 4)


def test_a_tag_without_a_row_is_found_when_the_model_is_loaded(folder):
    with_a_tag_without_a_row(folder)
    with pytest.raises(InvalidValueError, match=r"has one for every token of a prompt, .* adds '<think>' \(259\)"):
        GRPOAgent(GRPOConfig(model=str(folder), max_completion_length=8))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_every_file_has_the_mode_that_the_umask_asks_for(folder, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        for lora_rank in (0, 2):
            agent = GRPOAgent(GRPOConfig(model=str(folder), lora_rank=lora_rank, max_completion_length=8))
            (tmp_path / f"{lora_rank}").mkdir()
            agent.save(tmp_path / f"{lora_rank}")
            agent.save_model(tmp_path / f"model-{lora_rank}")
    finally:
        os.umask(before)
    files = [path for place in tmp_path.iterdir() if place.is_dir() for path in place.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".safetensors" for path in files) == 6
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {oct(mode)}


def test_all_end_tokens_of_a_model_end_a_completion(folder):
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [5, 9]}))
    assert end_token_ids(*load_model(str(folder), torch.float32)) == (5, 9, TOKENIZER.eos_token_id)


def make_adapter(folder, target, **options):
    agent = GRPOAgent(GRPOConfig(model=str(folder), lora_rank=2, max_completion_length=8), seed=0)
    for name, parameter in agent.optimizer.parameters.items():
        if "lora_B" in name:
            parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    agent.save_model(target)
    return agent


def test_an_adapter_is_trained_on_from_where_it_stands(folder, tmp_path):
    first = make_adapter(folder, tmp_path / "adapter")
    assert adapter_base(str(tmp_path / "adapter")) == str(folder)
    assert adapter_base(str(folder)) is None
    agent = GRPOAgent(GRPOConfig(model=str(tmp_path / "adapter"), max_completion_length=8))
    assert torch.equal(agent.base(input_ids=IDS).logits, first.base(input_ids=IDS).logits)
    trained = agent.optimizer.parameters
    assert trained.keys() == first.optimizer.parameters.keys()
    assert all("lora" in name for name in trained)


def test_the_reference_of_an_adapter_that_resumes_is_the_adapter_as_it_was(folder, tmp_path):
    first = make_adapter(folder, tmp_path / "adapter")
    agent = GRPOAgent(GRPOConfig(model=str(tmp_path / "adapter"), max_completion_length=8, beta=0.1))
    for parameter in agent.optimizer.parameters.values():
        parameter.data.add_(0.1)
    changed = agent.base(input_ids=IDS).logits
    with agent._as_at_the_start() as reference:
        assert torch.equal(reference.model(input_ids=IDS).logits, first.base(input_ids=IDS).logits)
    assert torch.equal(agent.base(input_ids=IDS).logits, changed)
    assert all(p.requires_grad == ("default" in name) for name, p in agent.model.named_parameters() if "lora" in name)
    agent.save_model(tmp_path / "second")
    assert not (tmp_path / "second" / "reference").exists()
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "second")
    torch.testing.assert_close(loaded(input_ids=IDS).logits, changed)


def test_an_adapter_and_a_new_rank_contradict_each_other(folder, tmp_path):
    make_adapter(folder, tmp_path / "adapter")
    with pytest.raises(InvalidValueError, match="lora_rank is 4; accepted: 0, to continue the adapter"):
        GRPOAgent(GRPOConfig(model=str(tmp_path / "adapter"), lora_rank=4))


def test_an_adapter_without_its_weights_is_refused(folder, tmp_path):
    make_adapter(folder, tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidValueError, match=r"model is '.*adapter'; accepted: an adapter of"):
        GRPOAgent(GRPOConfig(model=str(tmp_path / "adapter"), max_completion_length=8))


def test_the_embedded_model_loads_complete():
    model, tokenizer = load_model("embedded", torch.float32)
    assert len(tokenizer) == model.config.vocab_size
    assert (EMBEDDED_MODELS["embedded"] / "model.safetensors").is_file()


def write_gguf(path):
    """A Llama of one layer with 8-bit weights, in the format of llama.cpp."""
    symbols = sorted(TOKENIZER.backend_tokenizer.get_vocab())[:300]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(16)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(symbols)
    writer.add_token_scores([0.0] * len(symbols))
    writer.add_eos_token_id(symbols.index("<|endoftext|>"))
    rng = np.random.default_rng(0)

    def add(name, *shape):
        weights = rng.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, weights)
        else:
            quantised = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    add("token_embd.weight", len(symbols), 32)
    add("output_norm.weight", 32)
    for name, rows, columns in (("attn_q", 32, 32), ("attn_k", 16, 32), ("attn_v", 16, 32), ("attn_output", 32, 32),
                                ("ffn_gate", 64, 32), ("ffn_up", 64, 32), ("ffn_down", 32, 64)):  # fmt: skip
        add(f"blk.0.{name}.weight", rows, columns)
    add("blk.0.attn_norm.weight", 32)
    add("blk.0.ffn_norm.weight", 32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_dequantised_trained_and_saved(tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    agent = GRPOAgent(GRPOConfig(model=str(tmp_path / "tiny.gguf"), max_completion_length=8, learning_rate=0.1))
    completions = agent.generate(["Is it?"], 4)
    before = agent.base(input_ids=IDS).logits
    agent.learn(RewardedCompletions(completions, np.array([[0.0, 1.0, 0.0, 1.0]])))
    after = agent.base(input_ids=IDS).logits
    assert not torch.equal(before, after)
    agent.save_model(tmp_path / "saved")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert torch.equal(loaded(input_ids=IDS).logits, after)

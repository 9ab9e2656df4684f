"""Supervised training: it learns, it resumes to the bit, and its batches hold what they should."""

from dataclasses import replace

import pytest
import torch

from dumpgym.agents.embedded.model import build_model, build_tokenizer
from dumpgym.envs.knights_knaves.language import english, worked_solution
from dumpgym.pretraining.pretrainer import Batches, Pretrainer
from dumpgym.pretraining.recipes import knights_knaves

TOKENIZER = build_tokenizer([*english.phrases(), *worked_solution.phrases()])
STAGES = (
    knights_knaves.PuzzleStage(steps=5, people=(2, 2), learning_rates=(0.0, 5e-2)),
    knights_knaves.PuzzleStage(steps=5, people=(2, 3), learning_rates=(5e-2, 0.0), stops=(0.5, 1.0)),
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(knights_knaves, "CHUNK_SIZE", 24)


def make_pretrainer(stages=STAGES):
    model = build_model(TOKENIZER, hidden_size=16, num_layers=1, num_heads=2, seed=0)
    return Pretrainer(model, TOKENIZER, stages, lambda s, c: knights_knaves.example_texts(stages, 0, s, c), 1024, 768)


def test_the_loss_falls():
    losses = [metrics["loss"] for metrics in make_pretrainer().run()]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("stop_after", [3, 5, 8])
def test_an_interrupted_recipe_resumes_bit_for_bit(tmp_path, stop_after):
    whole = make_pretrainer()
    expected = list(whole.run())
    cut = make_pretrainer()
    steps = cut.run()
    seen = [next(steps) for _ in range(stop_after)]
    cut.save(tmp_path / "state.pt")
    resumed = make_pretrainer()
    resumed.load(tmp_path / "state.pt")
    assert seen + list(resumed.run()) == expected
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (resumed.examples, resumed.tokens) == (whole.examples, whole.tokens)


def test_another_recipe_is_refused_but_stages_that_had_not_begun_may_change(tmp_path):
    make_pretrainer().save(tmp_path / "state.pt")
    longer_first = (replace(STAGES[0], steps=6), STAGES[1])
    with pytest.raises(ValueError, match="was written by another recipe"):
        make_pretrainer(longer_first).load(tmp_path / "state.pt")
    longer_last = (STAGES[0], replace(STAGES[1], steps=6))
    resumed = make_pretrainer(longer_last)
    resumed.load(tmp_path / "state.pt")
    assert list(resumed.run()) == list(make_pretrainer(longer_last).run())


def test_batches_keep_every_example_once_and_their_size():
    texts = knights_knaves.example_texts(STAGES, 0, 0, 0)
    batches = Batches(lambda number: texts, TOKENIZER, tokens_per_batch=400, max_completion_length=640)
    iterator = iter(batches)
    found = []
    while batches.next_chunk == 0 and len(found) < len(texts):
        batch = next(iterator)
        longest = max(len(prompt) + len(completion) for prompt, completion in batch)
        assert longest * len(batch) <= 400 or len(batch) == 1
        found += batch
    end = TOKENIZER.eos_token_id
    assert sorted(TOKENIZER.decode(p) + TOKENIZER.decode(c[:-1]) for p, c in found) == sorted(map("".join, texts))
    assert all(completion[-1] == end for _, completion in found)


def conflicts_at(num_people, stops):
    stages = (knights_knaves.PuzzleStage(steps=1, people=(4, 6), learning_rates=(0, 0), stops=stops),)
    texts = [completion for _, completion in knights_knaves.example_texts(stages, 0, 0, 0)]
    assert len(texts) == 24
    return [text.count("conflict") for text in texts if text.count(" is a k", text.index("<answer>")) == num_people]


def test_solutions_break_off_more_often_the_more_people_there_are():
    assert max(conflicts_at(6, ())) > 1
    assert max(conflicts_at(4, (0.0, 1.0))) > 1
    assert max(conflicts_at(6, (0.0, 1.0))) == 1

"""Chat templates: the date, lost messages, failures, options and special tokens."""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import transformers.utils.chat_template_utils as template_utils
import trl
from tokenizers import processors

from dumpgym.agents.embedded.model import END_OF_TEXT, build_tokenizer
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import render_prompt
from dumpgym.agents.grpo.prompts import PromptReader, begun_thought
from dumpgym.contracts.arms import make_env
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.training.launch import train
from tests.fakes.cases import cases
from tests.fakes.tiny_models import save_tiny_llama

CASES = cases("chat_templates")
TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<model>"
PUZZLE = make_env("dumpgym/KnightsKnaves12-v0?puzzles=dump&prompt=dump").sample_problem(0, "test", 0).learner_prompt


def cases_with(key):
    return [pytest.param(case, id=case["id"]) for case in CASES if key in case]


def tokenizer_with(template):
    tokenizer = build_tokenizer([" yes"])
    tokenizer.bos_token = END_OF_TEXT
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture
def set_today(monkeypatch):
    """Sets the date that transformers gives to templates."""

    def set_date(year, month, day):
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(year, month, day)

        monkeypatch.setattr(template_utils, "datetime", Clock)

    return set_date


@pytest.mark.parametrize("case", cases_with("rendered"))
def test_a_prompt_is_in_the_text_once_and_the_text_is_the_same_on_every_day(case, set_today):
    texts = []
    for today in ((2026, 1, 2), (2031, 12, 31)):
        set_today(*today)
        texts.append(render_prompt(tokenizer_with(case["template"]), "Who?"))
    assert texts == [case["rendered"]] * 2


@pytest.mark.parametrize("case", cases_with("refused"))
def test_a_template_that_cannot_write_a_prompt_is_refused_in_one_line(case):
    reader = PromptReader(tokenizer_with(case["template"]))
    with pytest.raises(InvalidValueError, match=case["refused"]) as caught:
        reader.render(PUZZLE if case.get("long") else "Who?")
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidValueError, match=case["refused"]):  # already when the model is loaded
        reader.probe()


@pytest.mark.parametrize("case", cases_with("completion"))
def test_a_thought_that_the_template_begins_belongs_to_the_text(case):
    prompt = render_prompt(tokenizer_with(case["template"]), "Who?")
    assert begun_thought(prompt, case["completion"]) + case["completion"] == case["text"]


BUNDLED = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in BUNDLED])
def test_the_templates_that_trl_bundles_hold_a_puzzle_once_on_every_day(path, set_today):
    reader = PromptReader(tokenizer_with(path.read_text(encoding="utf-8")))
    texts = []
    for today in ((2026, 1, 2), (2031, 12, 31)):
        set_today(*today)
        texts.append(reader.render(PUZZLE))
    assert texts[0] == texts[1]
    assert texts[0].count(PUZZLE[-1]["content"].strip()) == 1
    assert reader.probe()


def test_the_templates_that_trl_bundles_are_there():
    assert {"llama3_2", "gptoss", "qwen3_5_nothink", "smolvlm"} <= {path.stem for path in BUNDLED}


def test_a_template_without_a_date_writes_what_transformers_writes():
    tokenizer = tokenizer_with("\n  {% if true %}\n" + TURNS + "{% endif %}\n")
    messages = [{"role": "user", "content": "Who?"}]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert render_prompt(tokenizer, "Who?") == expected


SYSTEM = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (TURNS, "<system>Be brief.<user>Who?<model>"),
        (TURNS.replace("messages", "messages if m.role == 'user'"), "<user>Be brief.\nWho?<model>"),
        (TURNS.replace("m.content", "m.content[0].text"), "<system>Be brief.<user>Who?<model>"),
        (
            TURNS.replace("m.content", "m.content[0].text").replace("messages", "messages if m.role == 'user'"),
            "<user>Be brief.\nWho?<model>",
        ),
    ],
)
def test_a_system_message_is_never_lost(template, expected):
    assert render_prompt(tokenizer_with(template), SYSTEM) == expected


def test_earlier_turns_of_the_model_may_lose_their_thoughts():
    template = "{% for m in messages %}{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    messages = [
        {"role": "user", "content": "Is it?"},
        {"role": "assistant", "content": "<think>Hm.</think>Yes."},
        {"role": "user", "content": "Who?"},
    ]
    assert render_prompt(tokenizer_with(template + "{% endfor %}"), messages) == "Is it?Yes.Who?"


def test_the_date_is_an_option():
    tokenizer = tokenizer_with("{{ strftime_now('%Y-%m-%d') }} {{ date_string }}" + TURNS)
    assert PromptReader(tokenizer, date="2025-03-01").render("Who?") == "2025-03-01 01 Mar 2025<user>Who?<model>"
    with pytest.raises(InvalidValueError, match="chat_template_date is 'today'; accepted: a date such as 2024-07-26"):
        PromptReader(tokenizer, date="today")


THINKING = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>{% endif %}"


def test_options_reach_the_template():
    tokenizer = tokenizer_with(THINKING)
    assert PromptReader(tokenizer, options={"enable_thinking": True}).render("Who?") == "<user>Who?<model>"
    text = PromptReader(tokenizer, options={"enable_thinking": False}).render("Who?")
    assert text == "<user>Who?<model><think>\n\n</think>"


@pytest.mark.parametrize(
    "name", ["messages", "tokenize", "add_generation_prompt", "chat_template", "strftime_now", "eos_token"]
)
def test_options_that_others_set_are_refused(name):
    accepted = "variables of the model's own chat template; dumpgym and transformers set this one"
    with pytest.raises(InvalidValueError, match=f"chat_template_kwargs is '{name}'; accepted: {accepted}"):
        PromptReader(tokenizer_with("{{ eos_token }}" + THINKING), options={name: False})


def test_options_that_have_no_effect_are_refused():
    with pytest.raises(InvalidValueError, match="'enable_thinkng'; accepted: variables that the model's chat template"):
        PromptReader(tokenizer_with(THINKING), options={"enable_thinkng": False})
    with pytest.raises(InvalidValueError, match="accepted: none, since the model has no chat template"):
        PromptReader(tokenizer_with(None), options={"enable_thinking": False})


@pytest.mark.parametrize("template", [None, "{{ eos_token }}" + TURNS])
@pytest.mark.parametrize("added", [f"$A {END_OF_TEXT}", f"{END_OF_TEXT} $A {END_OF_TEXT}", f"{END_OF_TEXT} $A"])
def test_a_tokenizer_may_begin_a_prompt_and_never_ends_it(template, added):
    tokenizer = tokenizer_with(template)
    end = tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=added, special_tokens=[(END_OF_TEXT, end)]
    )
    reader = PromptReader(tokenizer)
    text = reader.render("Who?")
    begins = template is not None or added.startswith(END_OF_TEXT)
    expected = tokenizer(text.removeprefix(END_OF_TEXT), add_special_tokens=False)["input_ids"]
    assert reader.encode(text) == [end] * begins + expected


def save_with(folder, template):
    save_tiny_llama(folder)
    tokenizer = build_tokenizer([" knight", " knave"])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_template_that_cannot_be_used_is_refused_before_anything_is_written(tmp_path):
    model = save_with(tmp_path / "model", "{{ 1 + 'a' }}")
    config = TrainConfig(output=tmp_path / "run", agent=GRPOConfig(model=model, max_completion_length=8))
    with pytest.raises(InvalidValueError, match=f"model is '{re.escape(model)}'; accepted: .* chat template"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_an_agent_on_another_day_reads_the_same_prompts_and_writes_the_same(tmp_path, set_today):
    model = save_with(tmp_path / "model", "{{ strftime_now('%c') }}" + THINKING)
    results = []
    for today in ((2026, 1, 2), (2031, 12, 31)):
        set_today(*today)
        config = GRPOConfig(model=model, max_completion_length=8, chat_template_kwargs={"enable_thinking": False})
        results.append(GRPOAgent(config, seed=3).generate([PUZZLE, "Who?"], 2))
    assert results[0].prompt_ids == results[1].prompt_ids
    assert results[0].token_ids == results[1].token_ids
    assert np.array_equal(results[0].truncated, results[1].truncated)
    assert all(text.startswith("<think>\n\n</think>") for text in results[0].texts)

"""A person at the puzzles: input from a pipe or a terminal, and what is written."""

import io
import subprocess
import sys

import gymnasium as gym
import pytest

import dumpgym
from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.commands.main import main
from dumpgym.contracts.puzzle_env import plain_text
from dumpgym.testing.fakes import FakeLearner


class Tagged(dumpgym.PuzzleEnv):
    """Asks for a number between tags; ``chat`` puts a system message in front."""

    def __init__(self, *, chat=False, split="train", render_mode=None):
        super().__init__(split=split, render_mode=render_mode)
        self.chat = chat

    def sample_problem(self, seed, split, index):
        number = 1000 * seed + 2 * index + (split == "test")
        system = ({"role": "system", "content": "Use <answer>."},) if self.chat else ()
        messages = (*system, {"role": "user", "content": f"What is {number}?"})
        reference = f"<think>I read.</think>\n<answer>{number}</answer>"
        return dumpgym.Problem(plain_text(messages), {"number": number}, reference, (seed, split, index), messages)

    def verify(self, problem, completion):
        right = completion == f"<answer>{problem.solution['number']}</answer>"
        terms = {"format": 1.0, "answer": 2.0 if right else -1.5}
        return dumpgym.Verdict("correct" if right else "wrong", terms, right, f"You wrote {completion!r}.")

    def completion_of(self, answer):
        return answer if "<answer>" in answer else f"<answer>{answer}</answer>"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register("mine/Tagged-v0", entry_point=Tagged)


@pytest.fixture
def play(monkeypatch, capsys):
    def run(typed, *arguments):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert main(["play", "mine/Tagged-v0", *arguments]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


def test_a_game_shows_puzzles_verdicts_solutions_and_the_score(play):
    output = play("0\n\n<answer>7\n</answer>\n\nq\n")
    assert "an empty line ends the answer" in output
    shown = ["What is 0?", "What is 2?", "What is 4?"]
    assert [output.count(text) for text in shown] == [1, 1, 1]
    assert "correct: You wrote '<answer>0</answer>'.\nreward 3 (format +1, answer +2)\nsolution:\n0\n" in output
    assert "wrong: You wrote '<answer>7\\n</answer>'.\nreward -0.5 (format +1, answer -1.5)\nsolution:\n2\n" in output
    assert output.endswith("solved 1 of 2\n")
    assert "I read." not in output


@pytest.mark.parametrize(
    ("typed", "score"),
    [
        ("", "solved 0 of 0\n"),
        ("q\n", "solved 0 of 0\n"),
        ("\n\n0", "solved 1 of 1\n"),
        ("0\n", "solved 1 of 1\n"),
        ("0\n\n", "solved 1 of 1\n"),
        ("0\n\n\n2\n\n", "solved 2 of 2\n"),
        ("0\nq\n\n", "solved 0 of 1\n"),
    ],
)
def test_answers_end_at_an_empty_line_and_the_game_at_the_end_of_input_or_at_q(play, typed, score):
    assert play(typed).endswith(score)


def test_an_answer_at_the_end_of_input_is_the_last(play):
    assert "What is 2?" not in play("0")


def test_split_seed_and_index_choose_the_puzzle(play):
    output = play("3007\n\n", "--split", "test", "--seed", "3", "--index", "3")
    assert "puzzle 3 of test, seed 3" in output
    assert "What is 3007?" in output
    assert "What is 3009?" in output
    assert output.endswith("solved 1 of 1\n")


def test_the_prompt_alone_is_shown_as_the_plain_text(play):
    assert play("", "--show-prompt", "--index", "2") == "What is 4?"


def test_messages_are_shown_with_their_roles(monkeypatch, capsys):
    assert main(["play", "mine/Tagged-v0?chat=True", "--show-prompt"]) == 0
    assert capsys.readouterr().out == "system:\nUse <answer>.\n\nuser:\nWhat is 0?\n"


def test_the_prompt_is_rendered_by_the_chat_template_of_a_model_without_its_weights(tmp_path, capsys):
    tokenizer = build_tokenizer([])
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant><think>\n{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path)
    assert main(["play", "mine/Tagged-v0?chat=True", "--show-prompt", "--model", str(tmp_path)]) == 0
    expected = "<system>Use <answer>.\n<user>What is 0?\n<assistant><think>\n"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (expected, "")


def test_the_prompt_has_the_settings_of_its_chat_template(tmp_path, capsys):
    tokenizer = build_tokenizer([])
    tokenizer.chat_template = (
        "{{ strftime_now('%Y') }} {{ 'thinks' if enable_thinking else 'acts' }}: "
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    tokenizer.save_pretrained(tmp_path)
    options = ["--agent.chat-template-date", "2020-02-02", "--agent.chat-template-kwargs", "enable_thinking", "True"]
    assert main(["play", "mine/Tagged-v0", "--show-prompt", "--model", str(tmp_path), *options]) == 0
    assert capsys.readouterr().out == "2020 thinks: What is 0?"


def test_a_model_without_a_template_is_given_the_plain_text(capsys):
    assert main(["play", "mine/Tagged-v0?chat=True", "--show-prompt", "--model", "embedded"]) == 0
    assert capsys.readouterr().out == "Use <answer>.\nWhat is 0?"


def test_a_model_answers_beside_you_and_its_verdict_comes_after_yours(play, monkeypatch):
    answers = {"What is 0?": "<answer>0</answer>", "What is 2?": "<think>2.</think><answer>2</answer>"}
    asked = []

    def make_agent(model, agent, *, seed):
        asked.append((model, agent.max_completion_length, seed))
        return FakeLearner(answers, skill=1.0)

    monkeypatch.setattr("dumpgym.evaluating.runner.make_agent", make_agent)
    output = play("0\n\n7\n", "--model", "mine", "--agent.max-completion-length", "9")
    assert asked == [("mine", 9, 0)]
    first, second = output.split("--- puzzle")[1:]
    mine = first.index("correct: You wrote '<answer>0</answer>'.\nreward 3 (format +1, answer +2)\n")
    assert mine < first.index("mine writes:\n<answer>0</answer>\n\ncorrect: ") < first.index("solution:\n0\n")
    assert "wrong: You wrote '<answer>7</answer>'" in second
    assert "mine writes:\n<think>2.</think><answer>2</answer>\n\nwrong: " in second
    assert output.endswith("\nsolved 1 of 2\nmine solved 1 of 2\n")


def test_an_interruption_ends_the_game_without_advice_about_checkpoints(monkeypatch, capsys):
    def interrupted(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert main(["play", "mine/Tagged-v0"]) == 130
    assert capsys.readouterr().err == "dumpgym: interrupted\n"


def test_input_that_is_no_text_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8"))
    assert main(["play", "mine/Tagged-v0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dumpgym: standard input cannot be read: 'utf-8'")
    assert error.count("\n") == 1


def test_a_game_needs_no_language_model_libraries():
    code = "import sys, dumpgym.commands.play; print({'torch', 'transformers'} & sys.modules.keys())"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.stdout == "set()\n", finished.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine/Tagged-v1"], "environment is 'mine/Tagged-v1'; accepted: the id of a registered puzzle environment"),
        (["dumpgym/KnightKnaves3-v0"], "did you mean 'dumpgym/KnightsKnaves3-v0'?"),
        (["mine/Tagged-v0?chatt=1"], "unknown argument of mine/Tagged-v0 'chatt'; did you mean 'chat'?"),
        (["mine/Tagged-v0?split=test"], "play has --split"),
        (["mine/Tagged-v0", "--split", "dev"], "split is 'dev'; accepted: one of train, test"),
        (["mine/Tagged-v0", "--seed", "-1"], "seed is -1; accepted: a whole number at least 0"),
        (["mine/Tagged-v0", "--index", "-1"], "index is -1; accepted: a whole number at least 0"),
        (["mine/Tagged-v0", "--model", "no/model here"], "model is 'no/model here'; accepted:"),
        (["mine/Tagged-v0", "--model", "embedded", "--agent.temperature", "-1"], "agent.temperature is -1.0"),
        (["mine/Tagged-v0", "--show-prompt", "--model", "no/model here"], "model is 'no/model here'; accepted:"),
    ],
)
def test_bad_input_is_one_line_that_names_it(capsys, arguments, message):
    assert main(["play", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.startswith("dumpgym: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--seed", "3"], ["Missing from dumpgym play", "ENV"]),
        (["mine/Tagged-v0", "--sed", "1"], ["unknown flag '--sed'; did you mean '--seed'?"]),
        (["mine/Tagged-v0", "3"], ["Unrecognized options: 3"]),
        (["mine/Tagged-v0", "--index", "x"], ["--index", "'x'"]),
    ],
)
def test_a_flag_that_cannot_be_read_is_named(capsys, arguments, messages):
    assert main(["play", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(message in captured.err for message in messages)


def test_help_names_the_flags(capsys):
    assert main(["play", "--help"]) == 0
    output = capsys.readouterr().out
    assert "usage: dumpgym play" in output
    assert all(flag in output for flag in ("ENV", "--split", "--seed", "--index", "--show-prompt", "--model"))

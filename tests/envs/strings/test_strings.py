"""The tasks on strings of digits: answers, addresses, splits, verdicts, and what is refused."""

import re
import string

import gymnasium as gym
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumpgym
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.rewards import REWARDS
from dumpgym.envs.strings.controls import CoinEnv, RandomAnswerEnv
from dumpgym.envs.strings.drawing import random_digits, split_of
from dumpgym.envs.strings.prompts import ALPHABET
from dumpgym.envs.strings.tasks import AdditionEnv, CopyEnv, CumulativeSumEnv, ParityEnv, ReverseEnv, SortEnv

# The right answer to each task, found in another way than the environment finds it.
ORACLES = {
    CopyEnv: lambda text: "".join(text[i] for i in range(len(text))),
    ReverseEnv: lambda text: "".join(reversed(text)),
    SortEnv: lambda text: "".join(digit * text.count(digit) for digit in string.digits),
    AdditionEnv: lambda text: "".join(added(*text.split("+"))),
    ParityEnv: lambda text: "1" if sum(map(int, text)) % 2 else "0",
    CumulativeSumEnv: lambda text: "".join(str(sum(map(int, text[: i + 1])))[-1] for i in range(len(text))),
}
CONTROLS = [RandomAnswerEnv, CoinEnv]
CLASSES = [*ORACLES, *CONTROLS]
IDS = [f"dumpgym/{made.__name__.removesuffix('Env')}-v0" for made in CLASSES]
SHORTEST = {AdditionEnv: 1, ParityEnv: 7}  # 2 for the others

every_class = st.sampled_from(CLASSES)
addresses = st.tuples(st.integers(0, 2**62), st.sampled_from(["train", "test"]), st.integers(0, 2**62))


def added(first, second):
    carry = 0
    for one, other in zip(first, second, strict=True):
        carry, digit = divmod(int(one) + int(other) + carry, 10)
        yield str(digit)
    yield str(carry)


def operands_of(problem):
    return re.search(r"[0-9+]+(?==$)", problem.prompt)[0]


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_follows_the_contract(env_id):
    dumpgym.check_puzzle_env(env_id, num_problems=100)


@settings(max_examples=100, deadline=None)
@given(
    every_class, st.integers(7, 60), addresses, st.integers(0, 9), st.integers(0, 26),
    st.sampled_from(["symbols", "sentence"]), st.data(),
)  # fmt: skip
def test_the_reference_earns_the_top_reward_and_with_another_character_it_does_not(
    made, length, address, stream, preamble, prompt, data
):
    env = made(length=length, stream=stream, preamble=preamble, prompt=prompt)
    problem = env.sample_problem(*address)
    right = problem.reference_completion
    assert (env.verify(problem, f" {right}\n").reward, env.verify(problem, right).outcome) == (1.0, "correct")
    assert right.startswith(string.ascii_lowercase[:preamble])
    place = data.draw(st.integers(0, len(right) - 1))
    changed = right[:place] + data.draw(st.characters().filter(lambda c: c != right[place])) + right[place + 1 :]
    if made is not CoinEnv or not re.fullmatch("[0-9]*", changed[preamble:]):
        verdict = env.verify(problem, changed)
        assert (verdict.reward, verdict.success) == (0.0, False)
        assert verdict.reason.endswith(".")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(ORACLES)), st.integers(7, 60), addresses)
def test_answers_are_right(made, length, address):
    problem = made(length=length).sample_problem(*address)
    operands = operands_of(problem)
    assert {len(one) for one in operands.split("+")} == {length}
    assert problem.solution == {"answer": ORACLES[made](operands)}


@pytest.mark.parametrize("made", ORACLES)
def test_the_example_in_the_manual_is_right(made):
    ((word, operands, answer),) = re.findall(r"``(\w+) ([0-9+]+)=`` asks\s+for ``([0-9]+)``", made.__doc__)
    assert (word, ORACLES[made](operands)) == (made.word, answer)
    assert made(length=max(7, len(operands))).answer(operands)[: len(answer)] == answer


PINNED = [
    (CopyEnv, "copy 6075606=", "6075606"),
    (ReverseEnv, "reverse 9269818=", "8189629"),
    (SortEnv, "sort 7863529=", "2356789"),
    (AdditionEnv, "add 6879466+2560800=", "83403760"),
    (ParityEnv, "parity 0101110=", "0"),
    (CumulativeSumEnv, "total 8810427=", "8677130"),
    (RandomAnswerEnv, "guess 9807204=", "0876039"),
    (CoinEnv, "flip 8622574=", "6710764"),
]


@pytest.mark.parametrize(("made", "prompt", "completion"), PINNED)
def test_an_address_names_one_problem_on_every_machine(made, prompt, completion):
    problem = made(length=7).sample_problem(1, "test", 2)
    assert (problem.prompt, problem.reference_completion) == (prompt, completion)


@settings(max_examples=50, deadline=None)
@given(every_class, addresses)
def test_an_address_gives_the_same_strings_in_every_form(made, address):
    plain = made(length=8).sample_problem(*address)
    assert plain.address == address
    for arguments in ({"preamble": 3}, {"prompt": "sentence"}, {"reward": "dump"}):
        other = made(length=8, **arguments).sample_problem(*address)
        assert other.solution == plain.solution
        assert operands_of(plain) in other.prompt


@pytest.mark.parametrize("made", CLASSES)
def test_streams_seeds_and_indices_differ(made):
    env, other = made(length=30), made(length=30, stream=1)
    prompts = {env.sample_problem(seed, "train", index).prompt for seed in range(3) for index in range(10)}
    prompts |= {other.sample_problem(0, "train", index).prompt for index in range(10)}
    assert len(prompts) == 40


@pytest.mark.parametrize("made", CLASSES)
def test_no_string_is_in_both_splits_and_a_fifth_are_for_the_test(made):
    length = SHORTEST.get(made, 2)
    seen = {}
    for split in ("train", "test"):
        envs = [made(length=length, stream=stream) for stream in range(2)]
        problems = [env.sample_problem(seed, split, index) for env in envs for seed in (0, 1) for index in range(500)]
        seen[split] = {"+".join(sorted(operands_of(problem).split("+"))) for problem in problems}
    assert not seen["train"] & seen["test"]
    there_are = 55 if made is AdditionEnv else len(made.digits) ** length
    assert len(seen["train"] | seen["test"]) == there_are
    assert 0.1 < len(seen["test"]) / there_are < 0.3


def test_a_fifth_of_long_strings_are_test_strings_whatever_they_consist_of():
    drawn = [random_digits(str(number), 12, "0123456789") for number in range(10_000)]
    share = sum(split_of(text) == "test" for text in drawn) / len(drawn)
    assert share == pytest.approx(0.2, abs=0.02)
    odd = [text for text in drawn if sum(map(int, text)) % 2]
    assert sum(split_of(text) == "test" for text in odd) / len(odd) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("digits", ["01", "0123456789"])
def test_all_digits_are_equally_frequent(digits):
    drawn = random_digits("a key", 100_000, digits)
    assert len(drawn) == 100_000
    for digit in digits:
        assert drawn.count(digit) / 100_000 == pytest.approx(1 / len(digits), abs=0.01)


def test_prompts_in_symbols_and_right_completions_spell_the_alphabet_and_nothing_else():
    seen = set()
    for made in CLASSES:
        env = made(length=30, preamble=26)
        problems = [env.sample_problem(0, "train", index) for index in range(5)]
        seen |= {*"".join(problem.prompt + problem.reference_completion for problem in problems)}
    assert "".join(sorted(seen)) == ALPHABET


def test_tasks_begin_with_different_letters():
    assert len({made.word[0] for made in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("made", CLASSES)
def test_a_sentence_states_the_strings_and_the_form_of_the_completion(made):
    problem = made(length=8, prompt="sentence", preamble=2).sample_problem(0, "train", 0)
    digits = len(problem.solution["answer"])
    assert f'Reply with "ab", directly followed by exactly {digits} digit' in problem.prompt
    plain = made(length=8, prompt="sentence").sample_problem(0, "train", 0)
    assert f"Reply with exactly {digits} digit" in plain.prompt


def test_the_random_answer_has_nothing_to_do_with_the_prompt():
    env = RandomAnswerEnv(length=2)
    answers = {}
    for index in range(2000):
        problem = env.sample_problem(0, "train", index)
        answers.setdefault(problem.prompt, []).append(problem.solution["answer"])
    assert all(len(set(drawn)) > 0.7 * len(drawn) for drawn in answers.values())
    assert len({answer for drawn in answers.values() for answer in drawn}) == 100


def test_the_coin_accepts_half_of_all_answers_and_remembers_them():
    env = CoinEnv(length=3)
    problems = [env.sample_problem(0, "train", index) for index in range(20)]
    verdicts = [[env.verify(problem, f"{answer:03d}").success for answer in range(1000)] for problem in problems]
    assert sum(map(sum, verdicts)) / 20_000 == pytest.approx(0.5, abs=0.02)
    assert verdicts[0] != verdicts[1]
    again = CoinEnv(length=3)
    assert verdicts[0] == [again.verify(problems[0], f"{answer:03d}").success for answer in range(1000)]
    assert env.verify(problems[0], "0000").reason == "The answer has 4 digits, not 3."


OUTCOMES = {
    "ab4071": ("correct", "The answer is right."),
    " ab4071\n": ("correct", "The answer is right."),
    "ab4017": ("wrong", "Digit 3 is 1, not 7."),
    "ab407": ("wrong", "The answer has 3 digits, not 4."),
    "ab40711": ("wrong", "The answer has 5 digits, not 4."),
    "ab4071.": ("unparseable", "The answer has the character '.'."),
    "ab 4071": ("unparseable", "The answer has the character ' '."),
    "abc4071": ("unparseable", "The answer has the character 'c'."),
    "ab407\u0661": ("unparseable", "The answer has the character '\u0661'."),
    "ab": ("unparseable", "The answer is empty."),
    "4071": ("bad_format", "The completion does not begin with 'ab'."),
    "": ("bad_format", "The completion does not begin with 'ab'."),
}


@pytest.mark.parametrize("reward", ["binary", "answer-only", "dump", "dump-v0"])
@pytest.mark.parametrize(("completion", "outcome", "reason"), [(c, *o) for c, o in OUTCOMES.items()])
def test_verdicts(completion, outcome, reason, reward):
    env = CopyEnv(length=4, preamble=2, reward=reward)
    problem = dumpgym.Problem("copy ab 4071=", {"answer": "4071"}, "ab4071", (0, "train", 0))
    verdict = env.verify(problem, completion)
    assert (verdict.outcome, verdict.reason, verdict.success) == (outcome, reason, outcome == "correct")
    assert verdict.reward_terms == REWARDS[reward.removesuffix("-v0")].terms[outcome]


def test_what_is_no_text_has_a_bad_format():
    problem = CopyEnv().sample_problem(0, "train", 0)
    assert CopyEnv().verify(problem, 4071).reason == "The completion is no text but of type int."
    assert CopyEnv().verify(problem, b"4071").outcome == "bad_format"


def test_the_rewards_in_the_manual_are_those_of_the_rules():
    rows = [[cell.strip() for cell in line.split("|")] for line in CopyEnv.__mro__[1].__doc__.splitlines()]
    table = {row[1].strip("`"): tuple(map(float, row[3:6])) for row in rows if len(row) == 7 and row[1].startswith("`")}
    rules = [REWARDS[name].terms for name in ("binary", "answer-only", "dump")]
    assert table == {outcome: tuple(sum(terms[outcome].values()) for terms in rules) for outcome in rules[0]}


def test_a_person_may_leave_out_the_preamble():
    env = CopyEnv(preamble=3)
    assert (env.completion_of("4071"), env.completion_of("abc4071")) == ("abc4071", "abc4071")


def test_vectors_of_environments_show_prompts():
    for arguments in ({}, {"stream": 2}):
        envs = gym.make_vec("dumpgym/Copy-v0", num_envs=2, vectorization_mode="sync", **arguments)
        prompts, infos = envs.reset(seed=4)
        assert infos["address"].tolist() == [(4, "train", 0), (5, "train", 0)]
        expected = [CopyEnv(**arguments).sample_problem(*address) for address in infos["address"]]
        assert prompts == tuple(problem.prompt for problem in expected)
        _, rewards, terminated, _, infos = envs.step((expected[0].reference_completion, "7"))
        assert (rewards.tolist(), terminated.all(), infos["outcome"].tolist()) == ([1, 0], True, ["correct", "wrong"])
        envs.close()


def test_an_asynchronous_vector_shows_prompts_without_shared_memory():
    options = {"vectorization_mode": "async", "vector_kwargs": {"shared_memory": False}}
    envs = gym.make_vec("dumpgym/Reverse-v0", num_envs=1, **options)
    try:
        prompts, _ = envs.reset(seed=4)
    finally:
        envs.close()
    assert prompts == (ReverseEnv().sample_problem(4, "train", 0).prompt,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CopyEnv(length=1, split="?"),
         "length is 1; accepted: at least 2, as two splits need 100 different problems and length 1 has 10"),
        (lambda: CopyEnv(length=0), "at least 2, as two splits need 100 different problems and length 0 has 1"),
        (lambda: ParityEnv(), "at least 7, as two splits need 100 different problems and length 5 has 32"),
        (lambda: AdditionEnv(length=0), "length is 0; accepted: at least 1"),
        (lambda: SortEnv(length=-1), "length is -1; accepted: a whole number at least 2 and at most 1000"),
        (lambda: CopyEnv(length=1001), "length is 1001; accepted: a whole number at least 2 and at most 1000"),
        (lambda: CopyEnv(length=True), "length is True"),
        (lambda: CopyEnv(length=2.0), "length is 2.0"),
        (lambda: CopyEnv(split="validation"), "split is 'validation'; accepted: one of train, test"),
        (lambda: CopyEnv(stream=-1), "stream is -1; accepted: a whole number at least 0"),
        (lambda: CopyEnv(preamble=27), "preamble is 27; accepted: a whole number at least 0 and at most 26"),
        (lambda: CopyEnv(prompt="words"), "prompt is 'words'; accepted: one of symbols, sentence"),
        (lambda: CopyEnv(reward="logic-rl"), "reward is 'logic-rl'; accepted: binary, answer-only or dump"),
        (lambda: CopyEnv().sample_problem(-1, "train", 0), "seed is -1"),
        (lambda: CopyEnv().sample_problem(0, "train", -1), "index is -1"),
        (lambda: CopyEnv().sample_problem(0, "both", 0), "split is 'both'"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidValueError, match=re.escape(message)):
        make()


def test_an_unknown_reward_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'binary'"):
        CopyEnv(reward="binry")

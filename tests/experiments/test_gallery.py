"""The gallery and the environment's manual show what the code does now; what guessing from the operators achieves."""

import doctest
import runpy
from pathlib import Path

import pytest
from scipy import stats

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.rewards import REWARDS
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.guessing import operator_baseline, wilson_interval
from dumpgym.envs.knights_knaves.problems import PuzzleSettings

SCRIPT = Path(__file__).parents[2] / "experiments" / "gallery" / "run.py"
GALLERY = runpy.run_path(str(SCRIPT))
COMMITTED = SCRIPT.with_name("README.md").read_text(encoding="utf-8")
STALE = "run experiments/gallery/run.py again"


@pytest.mark.parametrize("section", ["sizes", "variants", "verdicts", "strings"])
def test_the_gallery_shows_what_the_code_makes(section):
    assert GALLERY[section]() in COMMITTED, STALE


@pytest.mark.parametrize("num_people", [2, 5])
def test_the_gallerys_baselines_are_those_that_the_code_computes(num_people):
    baseline = operator_baseline(num_people, num_puzzles=GALLERY["num_puzzles"](num_people))
    for row in (GALLERY["size_row"](num_people, baseline), GALLERY["truth_row"](num_people, baseline)):
        assert GALLERY["table_line"](row) + "\n" in COMMITTED, STALE


def test_the_gallery_has_a_transcript_of_each_outcome_under_each_rule():
    for rule in REWARDS.values():
        for outcome, terms in rule.terms.items():
            assert f"### `{outcome}`\n" in COMMITTED
            assert f"| {rule.id} | {outcome} | " in COMMITTED
            assert f" | {sum(terms.values()):g} | " in COMMITTED


def test_the_transcripts_in_the_environments_manual_are_real():
    (manual,) = (t for t in doctest.DocTestFinder().find(KnightsKnavesEnv, globs={}) if t.examples)
    assert doctest.DocTestRunner().run(manual).failed == 0


def test_the_rewards_in_the_environments_manual_are_the_default_ones():
    rows = [[cell.strip() for cell in line.split("|")] for line in KnightsKnavesEnv.__doc__.splitlines()]
    table = {row[1].strip("`"): tuple(map(float, row[3:6])) for row in rows if len(row) == 7 and row[1].startswith("`")}
    assert table == {o: (t["format"], t["answer"], sum(t.values())) for o, t in REWARDS["dump"].terms.items()}


def test_operators_alone_tell_roles_far_better_than_chance():
    baseline = operator_baseline(5, num_puzzles=5000)
    assert baseline.truth["and"] < 0.25 < 0.75 < baseline.truth["or"]
    assert 4 * 2**-5 < baseline.solved < 0.2
    assert 0.6 < baseline.people_right < 0.75
    assert baseline.solved_interval[0] < baseline.solved < baseline.solved_interval[1]
    assert baseline.solved_in_train == pytest.approx(baseline.solved, abs=0.03)


def test_words_make_no_difference_to_the_guess():
    plain = operator_baseline(PuzzleSettings(num_people=4), num_puzzles=500)
    words = PuzzleSettings(num_people=4, names="uncommon", role_words="knave/knight", reorder=True, prompt="dump")
    assert operator_baseline(words, num_puzzles=500) == plain == operator_baseline(4, num_puzzles=500)
    assert operator_baseline(4, num_puzzles=500, seed=1) != plain


@pytest.mark.parametrize("arguments", [{"depth": 3}, {"width": 4}, {"change": "leaf"}, {"lookahead": 0}])
def test_the_guess_works_for_puzzles_of_any_form(arguments):
    baseline = operator_baseline(PuzzleSettings(num_people=3, **arguments), num_puzzles=100)
    assert baseline.num_puzzles == 100
    assert baseline.truth["and"] < 0.5 < baseline.truth["or"]


def test_of_the_papers_puzzles_there_are_a_hundred_to_guess():
    assert operator_baseline(PuzzleSettings(num_people=3, puzzles="dump")).num_puzzles == 100


def test_an_operator_that_nobody_uses_has_no_odds():
    odds = operator_baseline(2, num_puzzles=1).truth.values()
    assert None in odds
    assert all(value is None or 0 <= value <= 1 for value in odds)


@pytest.mark.parametrize("num_puzzles", [0, 2.5, True])
def test_a_bad_number_of_puzzles_is_named(num_puzzles):
    with pytest.raises(InvalidValueError, match="num_puzzles is"):
        operator_baseline(3, num_puzzles=num_puzzles)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (348, 1000)])
def test_intervals_are_wilsons(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)

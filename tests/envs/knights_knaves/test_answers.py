"""Answers of many forms: what is nothing but the right answer is paid, and nothing else is.

The cases of ``tests/cases/verifier.jsonl`` come from public reports (ids v) and from us (ids a). Their forms are those
of 756 recorded closing passages of about 40 models on one puzzle (cpldcpu/MisguidedAttention). Every passage that is
paid was read by hand: none names both worlds, hedges, or gives a reason.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dumpgym.contracts.puzzle_env import Verdict
from dumpgym.envs.knights_knaves.language.markup import fold, readings
from dumpgym.envs.knights_knaves.language.tex import plain_text
from dumpgym.envs.knights_knaves.language.words import KNIGHT_KNAVE
from dumpgym.envs.knights_knaves.verifier import verify
from tests.fakes.cases import cases

CASES = cases("verifier")
READ = [case for case in CASES if case["expected"] == "correct"]


def completion(answer: str) -> str:
    return f"<think>We try both.</think>\n<answer>{answer}</answer>"


def completion_of(case: dict[str, str]) -> str:
    return case.get("completion") or completion(case["answer"])


def judge(answer: str, roles: dict[str, str]) -> Verdict:
    return verify(completion(answer), roles)


def flip(roles: dict[str, str], person: str) -> dict[str, str]:
    return roles | {person: KNIGHT_KNAVE[roles[person] == "knight"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_cases(case):
    verdict = verify(completion_of(case), case["solution"])
    assert verdict.outcome == case["expected"], verdict.reason


@pytest.mark.parametrize("case", READ, ids=lambda case: case["id"])
def test_an_answer_that_is_read_is_wrong_where_a_role_is_another(case):
    for person in case["solution"]:
        assert verify(completion_of(case), flip(case["solution"], person)).outcome == "wrong"


@pytest.mark.parametrize("case", READ, ids=lambda case: case["id"])
def test_an_answer_that_is_read_is_not_paid_with_more_behind_it(case):
    roles = case["solution"]
    before, _, after = completion_of(case).rpartition("</answer>")
    others = [f"{person} is a {role}" for person, role in ((p, flip(roles, p)[p]) for p in roles)]
    for more in (
        *others,
        f"\\boxed{{{others[0]}}}",
        f"> {others[0]}",
        "or the other way round",
        "Not sure.",
        "❌",
        "?",
    ):
        verdict = verify(f"{before}\n{more}</answer>{after}", roles)
        assert verdict.outcome == "unparseable", more


# --- properties ------------------------------------------------------------------------------------------------------

NAMES = ["Zoey", "Oliver", "Mary Ann", "Jean-Luc", "O'Neil", "Zoë", "José", "Ke$ha", "R&B", "A", "So", "Answer", "a_b"]
puzzles = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(KNIGHT_KNAVE) for name in names})
)


def escaped(name: str) -> str:
    return "".join("\\" + character if character in "$&_" else character for character in name)


def one_by_one(link: str, separator: str, escape: bool = True):
    """A writer of answers, person by person; ``link`` holds {name} and {role}."""

    def write(roles: dict[str, str]) -> str:
        return separator.join(
            link.format(name=escaped(name) if escape else name, role=role) for name, role in roles.items()
        )

    return write


in_tex = st.sampled_from(
    [
        one_by_one(link, separator)
        for link in (
            "\\text{{{name}}} = \\text{{{role}}}",
            "\\text{{{name} is a {role}}}",
            "\\mathbf{{{name}}}: \\textbf{{{role}}}",
            "{name} \\text{{ is a {role}}}",
            "\\textit{{{name}}} \\rightarrow \\mathrm{{{role}}}",
        )
        for separator in (", ", " \\\\ ", ", \\quad ", " \\qquad ", "; \\, ", " \\land ", ".\n")
    ]
)
around_tex = st.sampled_from(
    [
        "\\boxed{{{}}}",
        "$\\boxed{{{}}}$",
        "$${}$$",
        "\\[{}\\]",
        "\\({}\\)",
        "\\begin{{aligned}}{}\\end{{aligned}}",
        "$$\\begin{{cases}}{}\\end{{cases}}$$",
        "\\boxed{{\\begin{{gathered}}\n{}\n\\end{{gathered}}}}",
    ]
)
in_words = st.sampled_from(
    [
        one_by_one(link, separator, escape=False)
        for link, separators in {
            "{name} is a {role}": [", ", "\n", "; ", ". ", " and "],
            "{name}\uff1a{role}": ["\n", "\uff0c", "\uff1b", "\u3002", "\u3001"],
            "({name}, {role})": [", ", "\n", " ", "; "],
            "✅ {name} is a {role}": ["\n", ", "],
            "- {name}: {role} ✅": ["\n"],
            "**{name}**\uff08{role}\uff09": ["\uff0c", "\n"],
        }.items()
        for separator in separators
    ]
)


def glossed(roles: dict[str, str]) -> str:
    remark = dict(zip(KNIGHT_KNAVE, ("truth-teller", "liar"), strict=True))
    return "\n".join(f"{name} is a {role} ({remark[role]})" for name, role in roles.items())


answers = st.tuples(in_tex, around_tex).map(lambda parts: lambda roles: parts[1].format(parts[0](roles)))
answers = answers | in_words | st.just(glossed)
wrappers = st.sampled_from(
    [
        str,
        *(
            lambda text, title=title: title + text
            for title in (
                "The final answer is: ",
                "So: ",
                "Therefore,\n",
                "### ✅ **Final Answer**\n",
                "We conclude that ",
            )
        ),
        lambda text: "> " + text.replace("\n", "\n> "),
        lambda text: "**Answer:**\n> " + text.replace("\n", "\n> "),
        lambda text: f"```\n{text}\n```",
        lambda text: f"{text}\n\n---\n\n**Final answer:** {text}",
    ]
)


@settings(deadline=None, max_examples=300)
@given(roles=puzzles, write=answers, wrap=wrappers, data=st.data())
def test_the_truth_in_any_wrapper_earns_full_marks_and_a_flipped_role_does_not(roles, write, wrap, data):
    verdict = judge(wrap(write(roles)), roles)
    assert (verdict.outcome, verdict.reward) == ("correct", 3.0), verdict.reason
    other = flip(roles, data.draw(st.sampled_from(sorted(roles))))
    assert judge(wrap(write(other)), roles).outcome == "wrong"
    assert judge(f"{wrap(write(roles))}\n{write(other)}", roles).outcome == "unparseable"
    assert judge(f"{wrap(write(other))}\n{wrap(write(roles))}", roles).outcome == "unparseable"


COMMANDS = (
    "\\text{ \\boxed{ } { $ $$ \\( \\) \\[ \\] \\\\ \\quad \\, & ~ \\begin{cases} \\end{cases} \\neg \\to > ( )".split()
)
PIECES = [
    *COMMANDS,
    "Zoey",
    "Oliver",
    " is a ",
    "knight",
    "knave",
    ", ",
    "\n",
    " ",
    "=",
    " not ",
    " or ",
    "Answer: ",
    "So, ",
]
BOTH = [{"Zoey": first, "Oliver": second} for first in KNIGHT_KNAVE for second in KNIGHT_KNAVE]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
@example("$\\text{Zoey} = knight$, (Oliver, knave)")
def test_no_text_is_right_in_two_worlds(text):
    paid = [roles for roles in BOTH if judge(text, roles).outcome == "correct"]
    assert len(paid) <= 1
    if paid:
        assert all(text.casefold().count(word) for word in ("zoey", "oliver"))
        assert not any(doubt in text for doubt in (" not ", " or ", "\\neg", "❌"))


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_plain_text_takes_only_markup_away(text):
    folded = fold(text)
    plain = plain_text(folded, ())
    for word in ("zoey", "oliver", "knight", "knave", " not ", " or ", "❌"):
        assert plain.count(word.strip()) == folded.count(word.strip())
    assert plain == folded or "\\neg" not in plain


def test_the_characters_of_a_name_are_no_markup():
    def last(text, name):
        return list(readings(text, [name]))[-1]

    assert last("$\\text{Ke$ha} = \\text{knight}$", "ke$ha") == "ke$ha = knight"
    assert last("$\\text{Ke\\$ha} = \\text{knight}$", "ke$ha") == "ke$ha = knight"
    assert last("$\\text{Ke$ha} = \\text{knight}$", "zoey") == "$\\text{ke$ha} = \\text{knight}$"


# Each of these takes minutes if some pattern scans it again from every place, and a fraction of a second otherwise.
MANY = 50_000
FLOODS = {
    "dollars": "$ " * MANY,
    "two_dollars": "$$" * MANY + "x",
    "pieces_of_text": "\\text{a}" * MANY,
    "open_pieces": "\\text{" * MANY,
    "closed_pieces": "}" * MANY + "\\",
    "environments": "\\begin{cases}" * MANY,
    "columns": "\\begin{array}{" + "l" * MANY,
    "many_columns": "\\begin{array}{lll" * MANY,
    "alignment": "{" * MANY + "$" + "&" * MANY,
    "long_command": "\\" + "a" * MANY,
    "backslashes": "\\" * (2 * MANY),
    "wide_spaces": "\\quad " * MANY,
    "thin_spaces": "\\, " * MANY + "x",
    "rows": "\\\\[2pt]" * MANY,
    "tildes": "a~" * MANY + "$",
    "quote_marks": ">" * MANY,
    "quoted_lines": "> \n" * MANY + "x",
    "nested_quotes": ("> " * 300 + "\n") * 300,
    "opened_pairs": "(" * MANY,
    "pairs": "(Zoey, " * MANY,
    "listed_pairs": '[["a", "b' * MANY + "]",
    "check_marks": "✅" * MANY,
    "check_marks_and_blanks": "✅ " * MANY + "Zoey",
    "asides": "knight (i.e. who the " * MANY,
    "lead_ins": "so, therefore: we conclude that " * (MANY // 10),
    "titles": "Zoey is a knight.\nthe final answer is: " * (MANY // 10),
    "commas": "Zoey\u3001" * (MANY // 10),
    "full_width": "\uff1a\uff0c\uff08" * MANY,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_read_in_linear_time(name):
    verdict = judge(FLOODS[name], {"Zoey": "knight", "Ke$ha": "knave"})
    assert verdict.outcome == "unparseable"
    assert len(verdict.reason) < 1000


def test_a_flood_of_end_of_turn_markers_is_read_in_linear_time():
    roles = {"Zoey": "knight"}
    assert verify(completion("Zoey is a knight") + "<|im_end|>\n" * MANY, roles).outcome == "correct"
    assert verify(completion("Zoey is a knight") + "<|im_end|> " * MANY + "x", roles).outcome == "bad_format"

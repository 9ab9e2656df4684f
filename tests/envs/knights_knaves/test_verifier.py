import json
import re
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.rewards import REWARDS, reward_rule
from dumpgym.envs.knights_knaves.language.words import KNIGHT_KNAVE, ROLE_WORDS, RoleWords, plural, with_article
from dumpgym.envs.knights_knaves.verifier import END_OF_TURN, verify

ROLES = {"Zoey": "knight", "Oliver": "knave", "Jack": "knight"}
RIGHT = "(1) Zoey is a knight\n(2) Oliver is a knave\n(3) Jack is a knight"
FLIPPED = "(1) Zoey is a knave\n(2) Oliver is a knight\n(3) Jack is a knave"
TOTALS = {"correct": 3.0, "wrong": -0.5, "unparseable": -1.0, "bad_format": -3.0}


def completion(answer: str, thought: str = "If Oliver lies, then ...") -> str:
    return f"<think>{thought}</think>\n<answer>{answer}</answer>"


def outcome_of(answer: str, roles: dict[str, str] = ROLES, words: RoleWords = KNIGHT_KNAVE) -> str:
    return verify(completion(answer), roles, role_words=words).outcome


def named(**answers):
    return [pytest.param(answer, id=name) for name, answer in answers.items()]


def test_rewards_are_those_of_the_paper():
    for outcome, text in {
        "correct": completion(RIGHT),
        "wrong": completion(FLIPPED),
        "unparseable": completion("no idea"),
        "bad_format": RIGHT,
    }.items():
        verdict = verify(text, ROLES)
        assert (verdict.outcome, verdict.reward, verdict.success) == (outcome, TOTALS[outcome], outcome == "correct")
        assert verdict.reason.endswith(".")


PAYS = {
    "dump": {"correct": (1, 2), "wrong": (1, -1.5), "unparseable": (1, -2), "bad_format": (-1, -2)},
    "logic-rl": {"correct": (1, 2), "wrong": (1, -1.5), "unparseable": (1, -2), "bad_format": (-1, -2)},
    "binary": {"correct": (1,), "wrong": (0,), "unparseable": (0,), "bad_format": (0,)},
    "answer-only": {"correct": (2,), "wrong": (-1.5,), "unparseable": (-2,), "bad_format": (-2,)},
}


@pytest.mark.parametrize("name", REWARDS)
def test_a_rule_pays_each_outcome(name):
    for outcome, text in {
        "correct": completion(RIGHT),
        "wrong": completion(FLIPPED),
        "unparseable": completion("no idea"),
        "bad_format": RIGHT,
    }.items():
        newest, verdict = verify(text, ROLES, reward=name), verify(text, ROLES, reward=reward_rule(name).id)
        assert newest == verdict
        assert (verdict.outcome, verdict.success) == (outcome, outcome == "correct")
        assert tuple(verdict.reward_terms.values()) == PAYS[name][outcome]
        assert list(verdict.reward_terms) == ["format", "answer"][-len(verdict.reward_terms) :]


@pytest.mark.parametrize("name", ["dunp", "dump-v1", "", "DUMP", None])
def test_an_unknown_reward_is_refused(name):
    for ask in (reward_rule, lambda name: verify(completion(RIGHT), ROLES, reward=name)):
        with pytest.raises(UnknownNameError, match=re.escape(f"unknown reward {str(name)!r}; ")):
            ask(name)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (completion(RIGHT) + "\nI hope this helps!", "correct"),
        ("Sure! " + completion(RIGHT), "correct"),
        (f"<think>hm</think> so <answer>{RIGHT}</answer>", "correct"),
        (completion(RIGHT) + "<|im_end|><|im_end|>", "correct"),
        (completion(FLIPPED) + "\nNo: " + RIGHT, "wrong"),
        ("Assistant: " + completion("no idea") + RIGHT, "unparseable"),
        (completion(RIGHT) + completion(RIGHT), "bad_format"),
        (f"<answer>{RIGHT}</answer><think>hm</think>", "bad_format"),
        (f"<think>hm</think><answer>{RIGHT}", "bad_format"),
        ("", "bad_format"),
        (None, "bad_format"),
    ],
)
def test_logic_rl_asks_only_for_the_tags(text, outcome):
    assert verify(text, ROLES, reward="logic-rl").outcome == outcome


def test_verdicts_share_no_reward_terms():
    verify(completion(RIGHT), ROLES).reward_terms["format"] = 99.0
    assert verify(completion(RIGHT), ROLES).reward == 3.0


CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "verifier_cases.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_shared_cases(case):
    outcome = verify(case["completion"], case["solution"]).outcome
    assert outcome in {case["expected"], *case["also_ok"]}, case["why"]


# --- reasons ---------------------------------------------------------------------------------------------------------

EVERYONE = dict.fromkeys(("Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus"), "knight")
REASONS = named(
    **{
        reason: (text, reason)
        for reason, text in {
            "All roles are right.": completion(RIGHT),
            "Oliver is a knave, not a knight.": completion(RIGHT.replace("knave", "knight")),
            "Zoey is a knight, not a knave; Oliver is a knave, not a knight.": completion(
                "Knights: Jack, Oliver\nKnaves: Zoey"
            ),
            "The answer is empty.": completion(" \n"),
            "The answer gives no role to Oliver, Jack.": completion("Zoey is a knight"),
            "The answer gives both roles to Oliver.": completion(RIGHT + "\nOliver is a knight"),
            "The answer says nobody's role in '\\n(4) bob is a spy'.": completion(RIGHT + "\n(4) Bob is a spy"),
            "The answer says nobody's role in 'perhaps zoey is a knight\\n(2) oliver is a...'.": completion(
                "Perhaps " + RIGHT[4:]
            ),
            "The answer contradicts its own list of who is a knight.": completion(
                "Knights: Zoey\nKnaves: Oliver\nJack is a knight"
            ),
            "The completion is empty.": " \n",
            "The completion is no text but of type NoneType.": None,
            "The completion is no text but of type dict.": {"content": RIGHT},
            "<think> is missing.": f"<answer>{RIGHT}</answer>",
            "</answer> is missing.": f"<think>hm</think><answer>{RIGHT}",
            "<answer> appears 2 times.": f"<think>I need <answer></think><answer>{RIGHT}</answer>",
            "<answer> appears before <think>.": f"<answer>{RIGHT}</answer><think>hm</think>",
            "Text appears before <think>: 'Sure!'.": "Sure! " + completion(RIGHT),
            "Text appears between </think> and <answer>: 'so'.": f"<think>hm</think> so <answer>{RIGHT}</answer>",
            "Text appears after </answer>: 'Done.'.": completion(RIGHT) + "\nDone.",
        }.items()
    }
)


@pytest.mark.parametrize("text_and_reason", REASONS)
def test_the_reason_says_what_is_wrong(text_and_reason):
    text, reason = text_and_reason
    assert verify(text, ROLES).reason == reason


def test_a_reason_names_at_most_three_people():
    lines = "\n".join(f"({i}) {name} is a knave" for i, name in enumerate(EVERYONE, start=1))
    three = "Ann is a knight, not a knave; Bob is a knight, not a knave; Cid is a knight, not a knave"
    assert verify(completion(lines), EVERYONE).reason == f"{three}; and 4 more."
    assert verify(completion("Eve: knight"), EVERYONE).reason == "The answer gives no role to Ann, Bob, Cid and 3 more."


def test_a_reason_uses_the_words_of_the_puzzle_and_the_names_as_given():
    roles = {"Zoë Ann": "altruist", "Bob": "egoist"}
    verdict = verify(completion("ZOË ANN: egoist, bob: egoist"), roles, role_words=RoleWords("altruist", "egoist"))
    assert verdict.reason == "Zoë Ann is an altruist, not an egoist."


# --- format ----------------------------------------------------------------------------------------------------------

WELL_FORMED = named(
    plain=completion(RIGHT),
    nothing_between=f"<think>hm</think><answer>{RIGHT}</answer>",
    white_space_around=f"\n <think>hm</think>\n\n\t<answer>\n{RIGHT}\n</answer>\r\n ",
    empty_thought=completion(RIGHT, ""),
    angle_brackets_in_thought=completion(RIGHT, "a < b, <b>bold</b>, <thinking>, </ answer>"),
    chat_words_in_thought=completion(RIGHT, "User: who? Assistant: <|im_start|>me<|im_end|>"),
    wrong_answer_in_thought=completion(RIGHT, FLIPPED),
    odd_characters_in_thought=completion(RIGHT, "\ud800 \x00 \u202e \U0001f600"),
    **{f"marker_{marker}": completion(RIGHT) + marker for marker in END_OF_TURN},
    marker_after_newline=completion(RIGHT) + "\n<|im_end|>\n",
    two_markers=completion(RIGHT) + "<|im_end|>\n<|endoftext|>",
    padding=completion(RIGHT) + "<|im_end|>" + "<|endoftext|>" * 9,
)


@pytest.mark.parametrize("text", WELL_FORMED)
def test_well_formed(text):
    assert verify(text, ROLES).outcome == "correct"


BADLY_FORMED = named(
    empty="",
    blank=" \n\t",
    bare_answer=RIGHT,
    openings_only="<think><answer>",
    no_thought=f"<answer>{RIGHT}</answer>",
    no_answer_tags=f"<think>hm</think>\n{RIGHT}",
    cut_off_in_answer=f"<think>hm</think><answer>{RIGHT}",
    cut_off_in_closing_tag=f"<think>hm</think><answer>{RIGHT}</answer",
    unclosed_thought=f"<think>hm<answer>{RIGHT}</answer>",
    answer_first=f"<answer>{RIGHT}</answer><think>hm</think>",
    closings_first=f"</think>hm<think></answer>{RIGHT}<answer>",
    overlapping=f"<think>hm<answer></think>{RIGHT}</answer>",
    answer_in_thought=f"<think><answer>{RIGHT}</answer></think>",
    thought_in_answer=f"<think>hm</think><answer><think>{RIGHT}</answer>",
    nested_answer=f"<think>hm</think><answer><answer>{RIGHT}</answer></answer>",
    nested_thought=f"<think><think>hm</think></think><answer>{RIGHT}</answer>",
    second_closing=f"<think>hm</think><answer>{RIGHT}</answer></answer>",
    same_answer_twice=completion(RIGHT) + f"<answer>{RIGHT}</answer>",
    right_then_wrong=completion(RIGHT) + f"\n<answer>{FLIPPED}</answer>",
    tag_named_in_thought=completion(RIGHT, "I must write <answer> soon"),
    closing_tag_named_in_thought=completion(RIGHT, "first </think> then"),
    text_before="Sure! " + completion(RIGHT),
    chat_marker_before="Assistant:" + completion(RIGHT),
    byte_order_mark_before="\ufeff" + completion(RIGHT),
    text_between=f"<think>hm</think> so <answer>{RIGHT}</answer>",
    text_after=completion(RIGHT) + "\nDone.",
    retraction_after=completion(RIGHT) + " No: Zoey is a knave.",
    zero_width_after=completion(RIGHT) + "\u200b",
    further_turn_after=completion(FLIPPED) + "<|im_end|>\n<|im_start|>assistant\n" + completion(RIGHT),
    marker_before_text=completion(RIGHT) + "<|im_end|>thanks",
    text_between_markers=completion(RIGHT) + "<|im_end|>thanks<|im_end|>",
    upper_case_tags=completion(RIGHT).replace("answer>", "ANSWER>"),
    spaced_tags=completion(RIGHT).replace("answer>", "answer >"),
    attribute=completion(RIGHT).replace("<answer>", "<answer n=1>"),
    full_width_tags=completion(RIGHT).replace("<", "\uff1c").replace(">", "\uff1e"),
    zero_width_in_tag=completion(RIGHT).replace("answer>", "ans\u200bwer>"),
    cyrillic_tag=completion(RIGHT).replace("answer>", "\u0430nswer>"),
)


@pytest.mark.parametrize("text", BADLY_FORMED)
def test_badly_formed(text):
    assert verify(text, ROLES).outcome == "bad_format"


@pytest.mark.parametrize(
    "thing", [None, 42, 1.5, True, b"<think>", [completion(RIGHT)], {"content": completion(RIGHT)}, object()]
)
def test_what_is_no_text_has_a_bad_format(thing):
    assert verify(thing, ROLES).outcome == "bad_format"


# --- answers ---------------------------------------------------------------------------------------------------------

READ = named(
    unnumbered="Zoey is a knight\nOliver is a knave\nJack is a knight",
    commas="Zoey is a knight, Oliver is a knave, Jack is a knight",
    numbered_from_four="(4) Zoey is a knight\n(5) Oliver is a knave\n(6) Jack is a knight",
    numbered_with_dots="1. Zoey is a knight\n2. Oliver is a knave\n3. Jack is a knight",
    numbered_with_brackets="1) Zoey: knight\n2)Oliver: knave\n3) Jack: knight",
    numbered_on_one_line="(1) Zoey is a knight (2) Oliver is a knave (3) Jack is a knight",
    other_order="Jack is a knight\nZoey is a knight\nOliver is a knave",
    lower_case=RIGHT.lower(),
    upper_case=RIGHT.upper(),
    carriage_returns=RIGHT.replace("\n", "\r\n"),
    no_break_spaces=RIGHT.replace(" ", "\u00a0"),
    blank_lines="\n\n  " + RIGHT.replace("\n", " \n\n\t ") + " \n",
    hyphens="- Zoey is a knight\n- Oliver is a knave\n- Jack is a knight",
    stars="* Zoey is a knight\n* Oliver is a knave\n* Jack is a knight",
    bullets="• Zoey is a knight\n• Oliver is a knave\n• Jack is a knight",
    bold_words="(1) **Zoey** is a **knight**\n(2) **Oliver** is a **knave**\n(3) **Jack** is a **knight**",
    bold_lines="**(1) Zoey is a knight**\n**(2) Oliver is a knave**\n**(3) Jack is a knight**",
    bold_with_colon="1. **Zoey:** Knight\n2. **Oliver:** Knave\n3. **Jack:** Knight",
    italics="*Zoey* is a _knight_, _Oliver_ is a *knave*, __Jack__ is a ***knight***",
    backticks="`Zoey`: `knight`\n`Oliver`: `knave`\n`Jack`: `knight`",
    semicolons="Zoey is a knight; Oliver is a knave; Jack is a knight;",
    sentences="Zoey is a knight. Oliver is a knave. Jack is a knight.",
    and_between="Zoey is a knight, Oliver is a knave, and Jack is a knight.",
    only_and="Zoey is a knight and Oliver is a knave and Jack is a knight",
    equals="Zoey = knight, Oliver=knave, Jack = knight",
    arrows="Zoey -> knight\nOliver → knave\nJack => knight",
    dashes="Zoey - knight\nOliver \u2013 knave\nJack\u2014knight",
    brackets="Zoey (knight), Oliver (a knave), Jack (knight)",
    articles="Zoey is the knight\nOliver is knave\nJack: a knight",
    possessive="Zoey's role: knight\nOliver\u2019s role is knave\nJack's role = knight",
    negated="Zoey is not a knave\nOliver isn't a knight\nJack isn\u2019t a knave",
    repeated=RIGHT + "\nZoey is a knight",
    groups="Knights: Zoey, Jack\nKnaves: Oliver",
    bold_groups="**Knights:** Zoey and Jack\n\n**Knaves:** Oliver",
    groups_as_lists="Knights:\n- Zoey\n- Jack\n\nKnaves:\n- Oliver",
    groups_as_sentence="The knights are Zoey and Jack, and the knave is Oliver.",
    plural="Zoey and Jack are both knights, and Oliver is a knave.",
    group_agrees_with_lines="Knights: Zoey, Jack\n" + RIGHT,
    table="| Name | Role |\n|:--|---|\n| **Zoey** | knight |\n| Oliver | Knave |\n| Jack | knight |",
    json='{"Zoey": "knight", "Oliver": "a knave", "Jack": "Knight"}',
    fenced_json='```json\n{\n  "Zoey": "knight",\n  "Oliver": "knave",\n  "Jack": "knight"\n}\n```',
    fenced=f"```\n{RIGHT}\n```",
    bold_role_and_stop="Zoey is a **knight**.\nOliver is a **knave**.\nJack is a **knight**.",
    therefore="Therefore, Zoey is a knight, Oliver is a knave, and Jack is a knight.",
    so="So Zoey is a knight, Oliver is a knave, and Jack is a knight.",
    boxed="\\boxed{Zoey is a knight, Oliver is a knave, Jack is a knight}",
    boxed_text="$\\boxed{\\text{Zoey is a knight, Oliver is a knave, Jack is a knight}}$",
    displayed="\\[\n\\boxed{Zoey: \\text{knight}, Oliver: \\text{knave}, Jack: \\text{knight}}\n\\]",
    rules=f"**Final Answer:**\n\n---\n\n{RIGHT}\n\n---",
    dots_and_brackets="1.) Zoey is a knight\n2.) Oliver is a knave\n3.) Jack is a knight",
    number_signs="#1 Zoey is a knight\n#2: Oliver is a knave\n#3. Jack is a knight",
    numbered_with_colons="1: Zoey is a knight\n2: Oliver is a knave\n3: Jack is a knight",
    numbered_with_dashes="1 - Zoey: knight\n2 \u2013 Oliver: knave\n3 - Jack: knight",
    square_brackets="[1] Zoey is a knight\n[2] Oliver is a knave\n[3] Jack is a knight",
    lettered="a) Zoey is a knight\nb) Oliver is a knave\nc) Jack is a knight",
    lettered_on_one_line="(a) Zoey is a knight (b) Oliver is a knave (c) Jack is a knight",
    capital_letters="A. Zoey is a knight\nB. Oliver is a knave\nC. Jack is a knight",
    roman="i. Zoey is a knight\nii. Oliver is a knave\niii. Jack is a knight",
    roman_in_brackets="(I) Zoey: knight\n(II) Oliver: knave\n(III) Jack: knight",
    tight_hyphens="-Zoey is a knight\n-Oliver is a knave\n-Jack is a knight",
    exclamations="Zoey is a knight!\nOliver is a knave!\nJack is a knight!",
    while_between="Zoey is a knight, while Oliver is a knave, and Jack is a knight.",
    but_between="Zoey and Jack are knights, but Oliver is a knave.",
    both="Both Zoey and Jack are knights; Oliver is a knave.",
    only="Oliver is the only knave; Zoey and Jack are the knights.",
    the_only="The only knave is Oliver. The knights are Zoey and Jack.",
    group_then_person="The knights are Zoey and Jack, and Oliver is the knave.",
    groups_with_equals="Zoey, Jack = knights; Oliver = knave",
    groups_behind_names="Zoey and Jack: Knights\nOliver: Knave",
    groups_under_headings="### Knights\n- Zoey\n- Jack\n\n### Knaves\n- Oliver",
    groups_under_bold="**Knights**\nZoey\nJack\n\n**Knaves**\nOliver",
    groups_in_bullets="- **Knights**: Zoey, Jack\n- **Knaves**: Oliver",
    groups_with_colons="Knights are: Zoey, Jack\nKnaves are: Oliver",
    groups_with_remarks="Knights (truth-tellers): Zoey, Jack\nKnaves (liars): Oliver",
    role_first="Knight: Zoey\nKnave: Oliver\nKnight: Jack",
    remarks="Zoey: Knight (tells the truth)\nOliver: Knave (lies)\nJack: Knight (truth-teller)",
    not_the_other="Zoey is a knight, not a knave. Oliver is a knave (not a knight). Jack is a knight.",
    left_out_verb="Zoey is a knight, Oliver a knave, and Jack a knight.",
    contracted_is="Zoey's a knight, Oliver\u2019s a knave, Jack's the knight",
    is_colon="Zoey is: knight\nOliver is: knave\nJack is: knight",
    double_equals="Zoey == knight\nOliver == knave\nJack := knight",
    table_of_numbers="|#|Name|Role|\n|--|:-:|--|\n|1|Zoey|knight|\n|2|Oliver|knave|\n|3|Jack|knight|",
    table_without_outer_bars="Name | Role\n--- | ---\nZoey | Knight\nOliver | Knave\nJack | Knight",
    table_of_persons="| Person | Knight/Knave |\n|:-:|:-:|\n| Zoey | knight |\n| Oliver | knave |\n| Jack | knight |",
    python_dictionary="{'Zoey': 'knight', 'Oliver': 'knave', 'Jack': 'knight',}",
    json_of_groups='{"knights": ["Zoey", "Jack"], "knaves": ["Oliver"]}',
    json_list='["Zoey is a knight", "Oliver is a knave", "Jack is a knight"]',
    two_headers=f"### Final Answer\n\nThe inhabitants' roles are as follows:\n\n{RIGHT}",
    **{
        f"under_{header}": f"{header}\n{RIGHT}"
        for header in (
            "So the answer is:",
            "Therefore:",
            "Thus, the roles are:",
            "**Conclusion:**",
            "Roles of the inhabitants:",
            "The identity of each person is:",
            "Knave or knight for each person:",
            "Knights and knaves:",
            "Who is a knight and who is a knave?",
            "Answer:",
            "**Final Answer**",
            "## Solution",
            "The roles are:",
            "The roles are as follows:",
            "Here are the roles:",
            "Knight or knave for each person:",
            "The role of every inhabitant is:",
            "Everyone's role:",
        )
    },
    header_on_the_same_line="The answer is: Zoey is a knight, Oliver is a knave, Jack is a knight",
)


def flip(roles, person, words=KNIGHT_KNAVE):
    return roles | {person: words[roles[person] == words[0]]}


@pytest.mark.parametrize("answer", READ)
def test_answer_is_read(answer):
    assert outcome_of(answer) == "correct"
    for person in ROLES:
        assert outcome_of(answer, flip(ROLES, person)) == "wrong"


WORD_PAIRS = [*ROLE_WORDS, *(RoleWords(*reversed(pair)) for pair in ROLE_WORDS)]


def in_words(text, words):
    """A text about knights and knaves in the words of another puzzle; the truthful word replaces the knight."""
    of = {"knight": words[0], "knave": words[1]}

    def translated(match):
        article, singular, s = match["article"], of[match["role"].lower()], match["s"]
        word = plural(singular) if s else singular
        word = word.upper() if match["role"].isupper() else word.title() if match["role"][0].isupper() else word
        if article.lower().strip() == "a":
            return with_article(singular).split()[0] + article[1:] + word
        return article + word

    return re.sub(
        r"(?i)(?P<article>(?<![a-z])a[^a-z]+|)(?<![a-z])(?P<role>knight|knave)(?P<s>s?)(?![a-z])", translated, text
    )


@pytest.mark.parametrize("words", WORD_PAIRS, ids="/".join)
def test_answers_are_read_in_the_words_of_the_puzzle(words):
    roles = {name: words[role == "knave"] for name, role in ROLES.items()}
    for parameters in READ:
        (answer,) = parameters.values
        answer = in_words(answer, words)
        assert outcome_of(answer, roles, words) == "correct", answer
        for person in roles:
            assert outcome_of(answer, flip(roles, person, words), words) == "wrong", answer


@pytest.mark.parametrize("words", WORD_PAIRS, ids="/".join)
def test_the_words_of_another_puzzle_are_strangers(words):
    roles = {name: words[role == "knave"] for name, role in ROLES.items()}
    for pair in WORD_PAIRS:
        if set(pair) != set(words):
            assert outcome_of(in_words(RIGHT, pair), roles, words) == "unparseable"
            assert outcome_of(in_words("Knights: Zoey, Jack\nKnaves: Oliver", pair), roles, words) == "unparseable"
    with pytest.raises(InvalidValueError):
        outcome_of(RIGHT, dict.fromkeys(roles, "monk"), words)


def test_swapping_the_words_changes_no_reading():
    swapped = RoleWords("knave", "knight")
    assert outcome_of(RIGHT, ROLES, swapped) == "correct"
    assert outcome_of(FLIPPED, ROLES, swapped) == "wrong"
    assert outcome_of("Zoey: knight (tells the truth), Oliver: knave, Jack: knight", ROLES, swapped) == "unparseable"


def test_people_may_be_called_after_the_words_of_other_puzzles():
    roles = {"Angel": "hero", "Devil": "villain", "Sage": "villain", "Knight": "hero"}
    words = RoleWords("hero", "villain")
    lines = "\n".join(f"({i}) {name} is a {role}" for i, (name, role) in enumerate(roles.items(), start=1))
    for answer in (lines, "Heroes: Angel, Knight\nVillains: Devil, Sage", "Angel and Knight are heroes. " + lines):
        assert outcome_of(answer, roles, words) == "correct"
    assert outcome_of(lines.replace("hero", "angel"), roles, words) == "unparseable"


def test_one_word_may_begin_with_the_other():
    words = RoleWords("man", "manikin")
    assert outcome_of("Ann is a manikin, Bob is a man", {"Ann": "manikin", "Bob": "man"}, words) == "correct"
    assert outcome_of("Men: Bob. Manikins: Ann", {"Ann": "manikin", "Bob": "man"}, words) == "unparseable"


NOT_READ = named(
    nothing="",
    only_a_stop=".",
    roles_without_names="knight, knave, knight",
    one_role_for_all="Zoey Oliver Jack knight",
    one_colon_for_all="Zoey, Oliver, Jack: knight",
    somebody_missing="Zoey is a knight\nOliver is a knave",
    ellipsis="(1) Zoey is a knight\n(2) ...",
    borrowed_role="Zoey, Oliver is a knave, Jack is a knight",
    stranger=RIGHT + "\n(4) Bob is a knave",
    stranger_in_group="Knights: Zoey, Jack, Bob\nKnaves: Oliver",
    stranger_for_somebody=RIGHT.replace("Jack", "Jackson"),
    unknown_role=RIGHT.replace("knave", "spy"),
    synonym=RIGHT.replace("knave", "liar"),
    longer_role=RIGHT.replace("knight", "knighthood"),
    contradiction="Zoey is a knight, Zoey is a knave, Oliver is a knave, Jack is a knight",
    both_roles_for_everyone=RIGHT + "\n" + FLIPPED,
    in_both_groups="Knights: Zoey, Jack\nKnaves: Oliver, Jack",
    group_of_none_contradicted="Knights: none\n" + RIGHT,
    group_contradicted="Knights: Zoey\nKnaves: Oliver\nJack is a knight",
    knight_and_knave=RIGHT.replace("a knave", "a knave and a knight"),
    alternative=RIGHT.replace("a knave", "a knave or a knight"),
    slash=RIGHT.replace("knave", "knave/knight"),
    disjunction="Zoey is a knight or Oliver is a knave or Jack is a knight",
    either="Either " + RIGHT,
    conditional="If Zoey is a knight, Oliver is a knave, Jack is a knight",
    condition_behind=RIGHT + " if Zoey is a knight",
    maybe=RIGHT.replace("Zoey is", "Maybe Zoey is"),
    probably=RIGHT.replace("is a", "is probably a"),
    must_be=RIGHT.replace("is a", "must be a"),
    i_think="I think " + RIGHT,
    question=RIGHT + "?",
    in_quotation_marks=f'"{RIGHT}"',
    scare_quotes=RIGHT.replace("knave", '"knave"'),
    doubt_behind=RIGHT + "\n(but I am not sure)",
    false_behind=RIGHT.replace("knight", "knight, which is false"),
    false_in_brackets=RIGHT.replace("knight", "knight (false)"),
    false_in_front=RIGHT.replace(") ", ") It is false that "),
    not_the_case="It is not the case that " + RIGHT,
    not_in_front="Not: " + RIGHT,
    all_false="All of these are false:\n" + RIGHT,
    wrong_answer="The wrong answer is:\n" + RIGHT,
    opposite="Opposite roles:\n" + RIGHT,
    double_negation=RIGHT.replace("is a", "is not not a"),
    neither="Neither Zoey nor Jack is a knave, Oliver is a knave",
    negated_plural="Zoey and Jack are not knaves, Oliver is a knave",
    unequal=RIGHT.replace("Oliver is a knave", "Oliver != knight"),
    unequal_sign="Zoey \u2260 knave, Oliver is a knave, Jack is a knight",
    overlaid_equals="Zoey =\u0338 knave, Oliver is a knave, Jack is a knight",
    struck_out=f"~~{RIGHT}~~",
    struck_out_by_overlay=RIGHT.replace("knight", "knight\u0336"),
    html=f"<del>{RIGHT}</del>",
    reported="Zoey says: " + RIGHT,
    reported_by_name=RIGHT.replace(") ", ") Jack says that "),
    reason_behind=RIGHT.replace("Zoey is a knight", "Zoey is a knight because Oliver lies"),
    behaviour=RIGHT + ". Jack always lies",
    without_separator="Zoey is a knight Oliver is a knave Jack is a knight",
    chain="Zoey -> Oliver -> knave, Jack is a knight",
    role_then_truth_value=RIGHT.replace("knight", "knight: false"),
    end_marker_inside=RIGHT + "<|im_end|>",
    emphasis_inside_a_word=RIGHT.replace("knight", "kn**ig**ht"),
    cyrillic_name=RIGHT.replace("Zoey", "Z\u043eey"),
    cyrillic_role=RIGHT.replace("knave", "kn\u0430ve"),
    hidden_second_role=RIGHT + "\nZoey is a kn\u0430ve",
    long_s=RIGHT.replace("is", "i\u017f"),
    kelvin_sign=RIGHT.replace("knight", "\u212anight"),
    greek_question_mark=RIGHT.replace("\n", "\u037e"),
    full_width=RIGHT.replace("Z", "\uff3a"),
    zero_width=RIGHT.replace("knight", "kni\u200bght"),
    soft_hyphen=RIGHT.replace("knight", "kni\u00adght"),
    direction_override=RIGHT.replace("knight", "\u202eknight\u202c"),
    null=RIGHT.replace("is", "is\x00"),
    file_separator=RIGHT.replace(" is", "\x1cis"),
    lone_surrogate=RIGHT + "\ud800",
    json_with_both_roles='{"Zoey": "knight", "Zoey": "knave", "Oliver": "knave", "Jack": "knight"}',
    json_with_a_stranger='{"Zoey": "knight", "Oliver": "knave", "Bob": "knight"}',
    json_of_truth_values='{"Zoey": true, "Oliver": false, "Jack": true}',
    json_nested='{"roles": {"Zoey": "knight", "Oliver": "knave", "Jack": "knight"}}',
    only_contradicted="Oliver is the only knave, Zoey is a knave, Jack is a knight",
    only_contradicted_by_group="The only knight is Zoey. Jack is a knight. Oliver is a knave",
    not_the_only="Zoey is not the only knight, Oliver is a knave, Jack is a knight",
    not_the_same="Zoey is a knight, not a knight. Oliver is a knave. Jack is a knight",
    not_and_not="Zoey is not a knave, not a knight. Oliver is a knave. Jack is a knight",
    remark_contradicts="Zoey: knight (lies)\nOliver: knave\nJack: knight",
    remark_on_another="Zoey: knight\nOliver: knave (tells the truth)\nJack: knight",
    marked_false="(F) Zoey is a knight\n(F) Oliver is a knave\n(F) Jack is a knight",
    marked_no="N. Zoey is a knight\nN. Oliver is a knave\nN. Jack is a knight",
    letters_that_do_not_count="a) Zoey is a knight\nc) Oliver is a knave\nb) Jack is a knight",
    removed_lines="```diff\n- Zoey is a knight\n- Oliver is a knave\n- Jack is a knight\n```",
    cancelled="\\cancel{Zoey is a knight, Oliver is a knave, Jack is a knight}",
    two_boxes="\\boxed{Zoey is a knight, Oliver is a knave, Jack is a knight} or \\boxed{Zoey is a knave}",
    not_in_braces="{not Zoey is a knight, Oliver is a knave, Jack is a knight}",
    group_of_not="Not knights: Oliver\nKnights: Zoey, Jack",
    certainly=RIGHT.replace("is a", "is definitely a"),
    possible_answer="A possible answer is:\n" + RIGHT,
    guess="My guess:\n" + RIGHT,
    wrong_header="The answer is not:\n" + RIGHT,
    that_is_all=RIGHT + "\nand that is all.",
    everyone="Everyone is a knight",
    template="NAME is a knight",
    other_words=RIGHT.replace("knight", "saint").replace("knave", "sinner"),
    json_then_text='{"Zoey": "knight", "Oliver": "knave", "Jack": "knight"} or not',
    json_cut_off='{"Zoey": "knight", "Oliver": "knave", "Jack": "knight"',
    fence_that_negates=f"```false\n{RIGHT}\n```",
    table_with_a_third_column="| Zoey | knight | no |\n| Oliver | knave | no |\n| Jack | knight | no |",
)


@pytest.mark.parametrize("answer", NOT_READ)
def test_answer_is_not_read(answer):
    assert outcome_of(answer) == "unparseable"


WRONG = named(
    flipped=FLIPPED,
    one_flipped=RIGHT.replace("knave", "knight"),
    negated=RIGHT.replace("is a", "is not a"),
    contracted=RIGHT.replace("is a", "isn't a"),
    groups="Knights: Oliver\nKnaves: Zoey, Jack",
    nobody="Knights: none\nKnaves: Zoey, Oliver and Jack",
    plural="Zoey, Oliver and Jack are knights",
)


@pytest.mark.parametrize("answer", WRONG)
def test_answer_is_wrong(answer):
    assert outcome_of(answer) == "wrong"


def test_a_group_may_be_empty():
    knights = dict.fromkeys(ROLES, "knight")
    for nobody in ("none", "None.", "nobody", "no one", "(none)", "\n- None"):
        assert outcome_of(f"Knights: Zoey, Oliver and Jack\nKnaves: {nobody}", knights) == "correct"


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    ("Zoë", "José", "Ştefan", "Ωmega"),
    ("Ann", "Mary-Ann", "Mary Ann", "Mary", "Anna"),
    ("O'Neil", "Jean-Luc", "D'Arcy Van-Dam"),
    ("Jack", "Jackson", "Jackson Jack"),
    ("Groß", "İpek", "Иван", "小明"),
    ("Dr. No", "Smith, John", "a_b"),
    ("Is", "A", "Knight", "And"),
    ("None", "Not", "Knights", "The"),
    ("Answer", "Name", "Role", "1"),
]


def everyone(names):
    return {name: ("knight", "knave")[i % 2] for i, name in enumerate(names)}


@pytest.mark.parametrize("names", NAMES, ids=", ".join)
def test_names_of_many_kinds(names):
    roles = everyone(names)
    lines = "\n".join(f"({i}) {name} is a {role}" for i, (name, role) in enumerate(roles.items(), start=1))
    bold = lines.replace("(", "**(").replace("\n", "**\n") + "**"
    for answer in (lines, bold, lines.upper(), lines.lower(), lines.replace("\n", ", and ")):
        for form in ("NFC", "NFD"):
            assert outcome_of(unicodedata.normalize(form, answer), roles) == "correct"
    flipped = lines.replace("is a", "is not a")
    assert outcome_of(flipped, roles) == "wrong"
    assert outcome_of("\n".join(lines.split("\n")[1:]), roles) == "unparseable"


def test_a_name_does_not_match_within_another():
    roles = {"Ann": "knight", "Mary-Ann": "knave"}
    assert outcome_of("Mary-Ann is a knight\nMary is a knave", roles) == "unparseable"
    assert outcome_of("Joann is a knight\nMary-Ann is a knave", roles) == "unparseable"
    assert outcome_of("Ann-Mary is a knight\nMary-Ann is a knave", roles) == "unparseable"
    assert outcome_of("is is a knave", {"Zoë": "knight"}) == "unparseable"


def test_letters_that_fold_to_plain_ones_do_not_stand_for_them():
    for written in ("\ufb01n", "F\u0131n", "\uff26in", "Fi\u200dn"):
        assert outcome_of(f"{written} is a knight", {"Fin": "knight"}) == "unparseable"
    assert outcome_of("Mo\u017fe\u017f is a knight", {"Moses": "knight"}) == "unparseable"
    assert outcome_of("Mo\u017fe\u017f is a knight", {"Mo\u017fe\u017f": "knight"}) == "correct"


def test_typographic_apostrophes_and_hyphens_are_plain_ones():
    assert (
        outcome_of("O\u2019Neil is a knight, Jean\u2011Luc is a knave", everyone(("O'Neil", "Jean-Luc"))) == "correct"
    )


def test_escapes_in_json_stand_for_their_letters():
    for people in (*NAMES, ("Zoe\u0308", "\U00020bb7\u91ce")):
        roles = everyone(people)
        answer = json.dumps(roles)
        assert outcome_of(answer, roles) == outcome_of(f"```json\n{answer}\n```", roles) == "correct"
        assert outcome_of(answer, flip(roles, people[0])) == "wrong"
    roles = {"Zo\u00eb": "knave"}
    assert outcome_of(r'["ZO\u00CB is a knave"]', roles) == "correct"
    for written in (r"\\u00eb", r"\u00e", r"\xeb", r"\ud800", r"\u00eb\u200b", r"\u00eb\u0000", r"\u00ebf"):
        assert outcome_of(f'{{"Zo{written}": "knave"}}', roles) == "unparseable"
    assert outcome_of(r'{"Mo\u017fes": "knave"}', {"Moses": "knave"}) == "unparseable"
    assert outcome_of(r"Zo\u00eb is a knave", roles) == "unparseable"


IMPOSSIBLE_ROLES = named(
    nobody={},
    other_role={"Zoey": "spy"},
    capital_role={"Zoey": "Knight"},
    no_role={"Zoey": None},
    unhashable_role={"Zoey": ["knight"]},
    empty_name={"": "knight"},
    blank_name={" ": "knight"},
    number_for_a_name={1: "knight"},
    names_equal_but_for_case={"Zoey": "knight", "ZOEY": "knave"},
    names_equal_but_for_composition={"Zo\u00eb": "knight", "Zoe\u0308": "knight"},
)


@pytest.mark.parametrize("roles", IMPOSSIBLE_ROLES)
def test_impossible_roles_are_refused(roles):
    for text in (completion(RIGHT), "", None):
        with pytest.raises(InvalidValueError):
            verify(text, roles)


# --- any text --------------------------------------------------------------------------------------------------------

first_letters = st.sampled_from("XQZ")
names = st.builds(
    "".join,
    st.tuples(first_letters, st.text(string.ascii_lowercase + "éüñ", min_size=1, max_size=5), st.just(""))
    | st.tuples(first_letters, st.sampled_from(["o-", "'O", "u ", "é\u2019", "e\u0301-"]), st.text("xyzé", min_size=1)),
)
word_pairs = st.sampled_from(WORD_PAIRS)


@st.composite
def puzzles(draw):
    """Roles and their words."""
    words = draw(word_pairs)
    people = draw(st.lists(names, min_size=1, max_size=6, unique_by=lambda n: unicodedata.normalize("NFC", n).lower()))
    people = {name.replace("\u2019", "'"): None for name in people}
    return {name: draw(st.sampled_from(words)) for name in people}, words


markup = st.sampled_from(["", "*", "**", "_", "`"])
leads = st.sampled_from(
    ["", "- ", "* ", "• ", "({i}) ", "{i}. ", "{i}) ", "- ({i}) ", "#{i}: ", "{i}.) ", "({c}) ", "{c}. "]
)
links = st.sampled_from(
    [" is {a} ", " is the ", " is ", ": ", " = ", " -> ", " \u2013 ", "'s role: ", "'s {a} ", " is: ", "\u00a0IS\tA "]
)
separators = st.sampled_from(
    ["\n", "\r\n", "\n\n", ", ", "; ", ". ", " and ", ", and ", ", while ", ",\n", "!\n", "\n---\n"]
)
headers = st.sampled_from(
    ["", "Answer:\n", "The roles are:\n\n", "**Final answer:** ", "Therefore, ", "## Roles\n---\n"]
)


@st.composite
def styles(draw):
    """A function that writes any roles in one accepted style."""
    header, lead, link, separator = draw(headers), draw(leads), draw(links), draw(separators)
    around_name, around_role, change = draw(markup), draw(markup), draw(st.sampled_from([str, str.upper, str.title]))

    def write(roles, words):
        lines = (
            f"{lead.format(i=i, c='abcdef'[i - 1])}{around_name}{name}{around_name}"
            f"{link.format(a=with_article(role).split()[0])}{around_role}{change(role)}{around_role}"
            for i, (name, role) in enumerate(roles.items(), start=1)
        )
        return header + separator.join(lines)

    return write


def write_groups(roles, words, top="{}: "):
    of = [[name for name in roles if roles[name] == word] for word in words]
    first, second = (top.format(plural(word).title()) for word in words)
    return f"{first}{', '.join(of[0]) or 'none'}\n{second}{' and '.join(of[1]) or 'none'}"


def write_headed_groups(roles, words):
    return write_groups(roles, words, top="### {}\n")


def write_table(roles, words):
    return "| Name | Role |\n|---|:-:|\n" + "\n".join(f"| {name} | {role} |" for name, role in roles.items())


def write_json(roles, words):
    return json.dumps(roles, ensure_ascii=False, indent=2)


def write_json_in_ascii(roles, words):
    return json.dumps(roles)


def write_boxed(roles, words):
    return "\\boxed{" + ", ".join(f"\\text{{{name} is {with_article(role)}}}" for name, role in roles.items()) + "}"


def write_negated(roles, words):
    return "\n".join(f"{name} is not {with_article(words[role == words[0]])}" for name, role in roles.items())


def write_emphatically(roles, words):
    return "\n".join(f"{name} is a {role}, not a {words[role == words[0]]}." for name, role in roles.items())


whole_styles = (
    write_groups,
    write_headed_groups,
    write_table,
    write_json,
    write_json_in_ascii,
    write_boxed,
    write_negated,
    write_emphatically,
)
accepted_styles = styles() | st.sampled_from(whole_styles)


@settings(deadline=None, max_examples=200)
@given(puzzle=puzzles(), write=accepted_styles, reward=st.sampled_from([*REWARDS]), data=st.data())
def test_the_truth_earns_full_marks_and_any_flipped_role_does_not(puzzle, write, reward, data):
    roles, words = puzzle
    full = max(sum(terms.values()) for terms in REWARDS[reward].terms.values())
    truth = verify(completion(write(roles, words)), roles, role_words=words, reward=reward)
    assert (truth.outcome, truth.reward) == ("correct", full), truth.reason
    person = data.draw(st.sampled_from(sorted(roles)))
    flipped = verify(completion(write(flip(roles, person, words), words)), roles, role_words=words, reward=reward)
    assert flipped.outcome == "wrong"
    assert flipped.reward < full
    assert (
        flipped.reason
        == f"{person} is {with_article(roles[person])}, not {with_article(flip(roles, person, words)[person])}."
    )
    left_out = {name: role for name, role in roles.items() if name != person}
    assert outcome_of(write(left_out, words), roles, words) == "unparseable"


GRAMMAR = frozenset(
    string.ascii_letters
    + string.digits
    + ",;.:*_`'&|-+()=>#•◦▪●‣·→⇒\u2010\u2011\u2013\u2014\u2018\u2019\u02bc![]{}$\\/?\"\u201c\u201d"
)
foreign = st.text(max_size=12).filter(lambda text: any(not (c.isspace() or c in GRAMMAR) for c in text))
doubts = st.sampled_from(["not ", " or ", "maybe ", "?", "false", " knave", "~~", "if ", "un", "spy", " too", "..."])


@settings(deadline=None, max_examples=200)
@given(write=accepted_styles, words=word_pairs, garbage=foreign | doubts, data=st.data())
def test_an_answer_with_something_else_in_it_is_not_paid(write, words, garbage, data):
    roles = {name: words[role == "knave"] for name, role in ROLES.items()}
    answer = write(roles, words)
    at = data.draw(st.integers(0, len(answer)))
    assert outcome_of(answer[:at] + garbage + answer[at:], roles, words) != "correct"


WORDS = (
    "<think>|</think>|<answer>|</answer>|<|Zoey|Oliver|Jack|Knights:|Knaves:|none| is a | is not |isn't|knight|knave|"
    'knights| are |: | and |, |\n| or |- |(1) |1.|**|_|`|```|{|}|"|Answer:|\u017f|\u0301|\u200b|</s>|\x00|\ud800|'
    "The roles are:|\u037e|'s role|#|the "
).split("|")
fragments = st.sampled_from([*WORDS, "|", "|---|---|", "<|im_end|>"])
texts = (
    st.text(st.characters(exclude_categories=()))
    | st.lists(fragments, max_size=30).map("".join)
    | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))
    | st.binary().map(lambda data: data.decode("utf-8", "replace"))
)
any_roles = puzzles() | st.sampled_from(
    [(ROLES, KNIGHT_KNAVE), *((everyone(people), KNIGHT_KNAVE) for people in NAMES)]
)


@settings(deadline=None, max_examples=300)
@given(text=texts | texts.map(completion), puzzle=any_roles, reward=st.sampled_from([*REWARDS]))
def test_any_text_gets_one_of_the_four_verdicts(text, puzzle, reward):
    roles, words = puzzle
    verdict = verify(text, roles, role_words=words, reward=reward)
    assert dict(verdict.reward_terms) == REWARDS[reward].terms[verdict.outcome]
    assert verdict.success == (verdict.outcome == "correct")
    assert verdict.reason.endswith(".")
    again = verify(
        text, dict(roles), role_words=words, reward=reward
    )  # reads again what the first call may have cached
    assert (verdict, verdict.reason) == (again, again.reason)


@settings(deadline=None)
@given(
    thing=st.none()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)
def test_anything_but_text_has_a_bad_format(thing):
    assert verify(thing, ROLES).outcome == "bad_format"


# A quadratic scan of any of these takes minutes or hours; a linear one takes a fraction of a second.
MANY = 100_000
FLOODS = named(
    answer_tags="<think>hm</think>" + "<answer>" * MANY,
    closing_tags="<think>hm</think><answer>" + "</answer>" * MANY,
    half_tags="<think>" + "</thin" * MANY + "</think><answer>" + "<answe" * MANY + "</answer>",
    white_space_outside=" " * MANY + completion(RIGHT) + "\n" * MANY,
    white_space_inside=completion(RIGHT.replace("\n", " " * MANY + "\n" * MANY)),
    only_white_space=completion(" \n" * MANY),
    brackets=completion("(" * MANY),
    digits=completion("1" * MANY),
    numbers=completion("(1) " * MANY),
    names=completion("Zoey " * MANY),
    listed_names=completion("Zoey, " * MANY),
    joined_names=completion("Zoey and " * MANY + "Zoey is a knight"),
    grouped_names=completion("Knights: " + "Zoey, " * MANY + "Bob"),
    groups=completion("Knights: Zoey, Jack\n" * (MANY // 10) + "?"),
    statements=completion("Zoey is a knight\n" * (MANY // 10) + "?"),
    headers=completion("The roles are:\n" * MANY),
    stars=completion("Zoey" + "*" * MANY + "Zoey"),
    underscores=completion("_a" * MANY),
    fences=completion("```\n" * MANY),
    open_fence=completion("```" + "\n" * MANY + "x"),
    bars=completion("| " * MANY),
    table_rows=completion("|a|\n" * MANY),
    table_rules=completion("| Name | Role |\n|" + "-" * MANY + "|"),
    nested_objects=completion('{"a":' * MANY),
    nested_lists=completion('{"Zoey": ' + "[" * MANY),
    angles=completion("<" * MANY, "<" * MANY),
    boxes=completion("\\boxed{" * MANY + "}" * MANY),
    open_boxes=completion("\\text{" * MANY),
    dollars=completion("$" * MANY),
    rule=completion("-" * MANY),
    rules=completion("---\n" * MANY),
    letters=completion("a) " * MANY),
    cells=completion("a|" * MANY),
    remarks=completion("knight (" * MANY),
    exclusions=completion("Zoey is a knight, not a " * MANY),
    conjunctions=completion("Zoey is a knight" + " and while" * MANY),
    escapes=completion("{" + "\\ud83d" * MANY + "}"),
    split_escapes=completion("{" + "\\u00eb\\" * MANY + "}"),
    quotes=completion("{" + "\"'" * MANY + "}"),
    empty_lists=completion("[" + "[]" * MANY + "]"),
    sos=completion("so, " * MANY),
    object_with_many_keys=completion("{" + '"Zoey": "knight",' * MANY + '"Jack": "knight"}'),
    long_number=completion('{"Zoey": ' + "9" * MANY + ', "Oliver": 1, "Jack": 1}'),
    accents=completion("e" + "\u0301" * MANY + "\u0316" * MANY),
    mixed_accents=completion("e" + "\u0301\u0316" * MANY),
    surrogates=completion("\ud800" * MANY),
    wide_blanks=completion("\u3000" * MANY + "?"),
)


@pytest.mark.parametrize("text", FLOODS)
def test_a_flood_is_read_in_linear_time(text):
    for reward in ("dump", "logic-rl"):
        verdict = verify(text, ROLES, reward=reward)
        assert verdict.outcome in TOTALS
        assert len(verdict.reason) < 1000


# --- what is remembered of a puzzle ----------------------------------------------------------------------------------


def test_roles_that_change_are_read_anew():
    roles = dict(ROLES)
    assert outcome_of(RIGHT, roles) == "correct"
    roles["Jack"] = "knave"
    assert outcome_of(RIGHT, roles) == "wrong"
    assert outcome_of(RIGHT.replace("(3) Jack is a knight", "(3) Jack is a knave"), roles) == "correct"
    roles["Jack"] = "spy"
    with pytest.raises(InvalidValueError):
        outcome_of(RIGHT, roles)


def test_many_puzzles_do_not_mix_up():
    for i in range(3000):  # new mappings take the addresses of dropped ones
        roles = {"Zoey": KNIGHT_KNAVE[i % 2], "Oliver": KNIGHT_KNAVE[i // 2 % 2]}
        answer = f"(1) Zoey is a {roles['Zoey']}\n(2) Oliver is a {roles['Oliver']}"
        assert outcome_of(answer, roles) == "correct"
        assert outcome_of(answer, flip(roles, "Zoey")) == "wrong"


def test_an_answer_asked_for_twice_gets_the_same_verdict():
    for answer in (RIGHT, FLIPPED, "Zoey: knave, Oliver: knave, Jack: knave", "no idea", ""):
        first, second = (verify(completion(answer), ROLES) for _ in range(2))
        assert (first, first.reason) == (second, second.reason)

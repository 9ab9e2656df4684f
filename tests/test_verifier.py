import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.envs.verifier import END_OF_TURN, REWARD_TERMS, verify
from dumpgym.errors import InvalidValueError

ROLES = {"Zoey": "knight", "Oliver": "knave", "Jack": "knight"}
RIGHT = "(1) Zoey is a knight\n(2) Oliver is a knave\n(3) Jack is a knight"
FLIPPED = "(1) Zoey is a knave\n(2) Oliver is a knight\n(3) Jack is a knave"
TOTALS = {"correct": 3.0, "wrong": -0.5, "unparseable": -1.0, "bad_format": -3.0}


def completion(answer: str, thought: str = "If Oliver lies, then ...") -> str:
    return f"<think>{thought}</think>\n<answer>{answer}</answer>"


def outcome_of(answer: str, roles: dict[str, str] = ROLES) -> str:
    return verify(completion(answer), roles).outcome


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
    assert {outcome: sum(terms.values()) for outcome, terms in REWARD_TERMS.items()} == TOTALS


def test_verdicts_share_no_reward_terms():
    verify(completion(RIGHT), ROLES).reward_terms["format"] = 99.0
    assert verify(completion(RIGHT), ROLES).reward == 3.0


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
    two_markers_after=completion(RIGHT) + "<|im_end|><|im_end|>",
    further_turn_after=completion(FLIPPED) + "<|im_end|>\n<|im_start|>assistant\n" + completion(RIGHT),
    marker_before_text=completion(RIGHT) + "<|im_end|>thanks",
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
    **{
        f"under_{header}": f"{header}\n{RIGHT}"
        for header in (
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


@pytest.mark.parametrize("answer", READ)
def test_answer_is_read(answer):
    assert outcome_of(answer) == "correct"
    for person in ROLES:
        other = ROLES | {person: "knave" if ROLES[person] == "knight" else "knight"}
        assert outcome_of(answer, other) == "wrong"


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

names = st.text(string.ascii_letters + "éüñ", min_size=1, max_size=6).map(lambda name: "X" + name)
assignments = st.dictionaries(names, st.sampled_from(["knight", "knave"]), min_size=1, max_size=6).filter(
    lambda roles: len({name.casefold() for name in roles}) == len(roles)
)
markup = st.sampled_from(["", "*", "**", "_", "`"])
leads = st.sampled_from(["", "- ", "* ", "• ", "({i}) ", "{i}. ", "{i}) ", "- ({i}) "])
links = st.sampled_from([" is a ", " is the ", " is ", ": ", " = ", " -> ", " \u2013 ", "'s role: ", "\u00a0IS\tA "])
separators = st.sampled_from(["\n", "\r\n", "\n\n", ", ", "; ", ". ", " and ", ", and ", ",\n"])
headers = st.sampled_from(["", "Answer:\n", "The roles are:\n\n", "**Final answer:** "])


@st.composite
def styles(draw):
    """A function that writes any roles in one accepted style."""
    header, lead, link, separator = draw(headers), draw(leads), draw(links), draw(separators)
    around_name, around_role, change = draw(markup), draw(markup), draw(st.sampled_from([str, str.upper, str.title]))

    def write(roles):
        lines = (
            f"{lead.format(i=i)}{around_name}{name}{around_name}{link}{around_role}{change(role)}{around_role}"
            for i, (name, role) in enumerate(roles.items(), start=1)
        )
        return header + separator.join(lines)

    return write


def write_groups(roles):
    of = {role: [name for name in roles if roles[name] == role] for role in ("knight", "knave")}
    return f"Knights: {', '.join(of['knight']) or 'none'}\nKnaves: {' and '.join(of['knave']) or 'none'}"


accepted_styles = styles() | st.just(write_groups)


@settings(deadline=None)
@given(roles=assignments, write=accepted_styles, data=st.data())
def test_the_truth_is_correct_and_any_flipped_role_wrong(roles, write, data):
    assert outcome_of(write(roles), roles) == "correct"
    person = data.draw(st.sampled_from(sorted(roles)))
    flipped = roles | {person: "knave" if roles[person] == "knight" else "knight"}
    assert outcome_of(write(flipped), roles) == "wrong"
    left_out = {name: role for name, role in roles.items() if name != person}
    assert outcome_of(write(left_out), roles) == "unparseable"


GRAMMAR = frozenset(string.ascii_letters + string.digits + ",;.:*_`'&|-+()=>#•◦▪→⇒\u2010\u2011\u2013\u2014\u2019")
foreign = st.text(max_size=12).filter(lambda text: any(not (c.isspace() or c in GRAMMAR) for c in text))
doubts = st.sampled_from(["not ", " or ", "maybe ", "?", "false", " knave", "~~", "if ", "un", "spy", " too", "..."])


@settings(deadline=None)
@given(write=accepted_styles, garbage=foreign | doubts, data=st.data())
def test_an_answer_with_something_else_in_it_is_not_paid(write, garbage, data):
    answer = write(ROLES)
    at = data.draw(st.integers(0, len(answer)))
    assert outcome_of(answer[:at] + garbage + answer[at:]) != "correct"


WORDS = (
    "<think>|</think>|<answer>|</answer>|<|Zoey|Oliver|Jack|Knights:|Knaves:|none| is a | is not |isn't|knight|knave|"
    'knights| are |: | and |, |\n| or |- |(1) |1.|**|_|`|```|{|}|"|Answer:|\u017f|\u0301|\u200b|</s>|\x00|\ud800|'
    "The roles are:|\u037e|'s role|#|the "
).split("|")
fragments = st.sampled_from([*WORDS, "|", "|---|---|", "<|im_end|>"])
texts = st.text(st.characters(exclude_categories=())) | st.lists(fragments, max_size=30).map("".join)


@settings(deadline=None, max_examples=300)
@given(text=texts | texts.map(completion), roles=st.just(ROLES) | assignments | st.sampled_from(NAMES).map(everyone))
def test_any_text_gets_one_of_the_four_verdicts(text, roles):
    verdict = verify(text, roles)
    assert verdict.reward == TOTALS[verdict.outcome]
    assert verdict.success == (verdict.outcome == "correct")
    assert verdict == verify(text, roles)


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
    object_with_many_keys=completion("{" + '"Zoey": "knight",' * MANY + '"Jack": "knight"}'),
    long_number=completion('{"Zoey": ' + "9" * MANY + ', "Oliver": 1, "Jack": 1}'),
    accents=completion("e" + "\u0301" * MANY + "\u0316" * MANY),
    mixed_accents=completion("e" + "\u0301\u0316" * MANY),
    surrogates=completion("\ud800" * MANY),
    wide_blanks=completion("\u3000" * MANY + "?"),
)


@pytest.mark.parametrize("text", FLOODS)
def test_a_flood_is_read_in_linear_time(text):
    assert verify(text, ROLES).outcome in TOTALS

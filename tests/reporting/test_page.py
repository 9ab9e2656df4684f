"""The page of a report as its readers get it: the answer, contents, tables, figures and definitions."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from dumpgym.comparing.comparison import FinishedCell
from dumpgym.reporting import tables
from dumpgym.reporting.answer import answer
from dumpgym.reporting.definitions import definitions
from dumpgym.reporting.facts import seeds_table, setup_table
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.page import page

VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and the text inside them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", "inside": [one["tag"] for one in self.open], **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag  # well formed

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [e for e in self.elements if e["tag"] == tag and all(e.get(k) == v for k, v in attributes.items())]

    def one(self, tag, **attributes):
        (element,) = self.all(tag, **attributes)
        return element


IMAGES = dict.fromkeys(sorted(FIGURES, key=lambda name: FIGURES[name].place), b"a figure")


@pytest.fixture(scope="module")
def shown(comparison):
    """The page of four cells with every figure."""
    return Page(page(comparison, IMAGES))


def test_the_page_needs_no_network_and_no_script(shown):
    assert not shown.all("script")
    assert not shown.all("link")
    assert all(image["src"].startswith("data:image/png;base64,") for image in shown.all("img"))
    targets = {a["href"] for a in shown.all("a")}
    files = {f"figures/{name}.{kind}" for name in FIGURES for kind in ("svg", "png")} | {"results.json"}
    assert {target for target in targets if not target.startswith("#")} == files
    assert "http" not in shown.one("html")["text"] + shown.one("style")["text"]


def test_the_answer_is_above_the_contents_which_lead_to_every_section(comparison, shown):
    assert shown.one("p", **{"class": "answer"})["text"] == answer(comparison)
    order = [e["tag"] for e in shown.elements if e["tag"] == "nav" or e.get("class") == "answer" or e["tag"] == "main"]
    assert order == ["p", "nav", "main"]
    links = [a["href"] for a in shown.all("a") if "nav" in a["inside"]]
    assert links == [*(f"#{section['id']}" for section in shown.all("section")), "results.json"]
    headings = [h2["text"] for h2 in shown.all("h2")]
    assert headings == [
        "Results", "Compared with uniform", "By arm", "What the policies did", "Settings compared", "Cost",
        "Every seed", "What was run", "Definitions",
    ]  # fmt: skip


def test_every_figure_is_described_and_opens_full_size(shown):
    assert [figure["id"] for figure in shown.all("figure")] == list(IMAGES)
    images = [a for a in shown.all("a") if a.get("class") == "image"]
    assert [a["href"] for a in images] == [f"figures/{name}.svg" for name in IMAGES]
    alternatives = [image["alt"] for image in shown.all("img")]
    assert len(set(alternatives)) == len(IMAGES)
    for name, alternative, caption in zip(IMAGES, alternatives, shown.all("figcaption"), strict=True):
        assert len(alternative) > 20
        assert alternative != FIGURES[name].caption
        assert caption["text"].startswith(FIGURES[name].caption)


def test_tables_scroll_and_their_heads_are_heads(shown):
    regions = shown.all("div", role="region")
    assert len(regions) == len(shown.all("table")) == len(shown.all("caption"))
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    assert "overflow-x: auto" in shown.one("style")["text"]
    heads = shown.all("th")
    assert all(head["scope"] == ("col" if "thead" in head["inside"] else "row") for head in heads)
    assert len(shown.all("th", scope="row")) == sum("tbody" in row["inside"] for row in shown.all("tr"))


def test_every_column_is_defined(comparison, shown):
    known = definitions(comparison)
    columns = {
        column
        for table in (tables.results_table, tables.differences_table, tables.steering_table, tables.spending_table)
        for column in table(comparison)[0]
    }
    seconds = {column for column in columns if column.endswith(", s")}
    assert columns - seconds - {"policy", "seeds"} <= known.keys()
    assert {column.removesuffix(", s") for column in seconds} <= {word for term in known for word in term.split(", ")}
    assert [dt["text"] for dt in shown.all("dt")] == list(known)


def test_every_seed_and_every_run_is_there(comparison):
    rows = seeds_table(comparison)
    assert rows[0] == ["cell", "seed 0", "seed 1", "seed 2"]
    values = [f"{value:.4f}" for value in comparison.values("dump")]
    assert ["dump", *values] in rows
    without = dict(comparison.cells["dump"].runs)
    del without[1]
    fewer = replace(comparison, cells={**comparison.cells, "dump": FinishedCell("dump", without)})
    assert ["dump", values[0], "no run", values[2]] in seeds_table(fewer)


def test_what_was_run_is_told(comparison):
    told = dict(setup_table(comparison)[1:])
    assert told["seeds"] == "3: 0, 1, 2"
    assert told["arms"] == "KnightsKnaves2, KnightsKnaves3, KnightsKnaves4"
    assert told["puzzles evaluated"].startswith("10 for each arm, 30 in all, at the start and at the end; 8 for each")
    assert told["a step"].startswith("6 prompts with 4 completions each")
    assert told["a run ends"] == "after 60 steps or at 2,000 generated tokens, whichever is first"


def test_software_hardware_and_commands_are_those_of_all_starts(comparison):
    start = {"step": 0, "dumpgym": "0.1.0", "torch": "2.9", "command": ["dumpgym", "train"], "model_type": "llama",
             "parameters": 1234, "trained_parameters": 34, "device": "cuda:0", "threads": 4}  # fmt: skip
    resumed = {**start, "step": 8, "torch": "3.0", "command": ["dumpgym", "train", "--resume"]}
    cell = comparison.cells["uniform"]
    runs = {seed: replace(run, starts=[start, resumed]) for seed, run in cell.runs.items()}
    told = dict(setup_table(replace(comparison, cells={"uniform": FinishedCell("uniform", runs)}))[1:])
    assert told["software"] == "dumpgym 0.1.0, torch 2.9 or 3.0"
    assert told["hardware"] == "device cuda:0, threads 4"
    assert told["command"] == "dumpgym train, and 1 more"
    assert told["model"].endswith(" (llama, 1,234 parameters, 34 of them trained)")


def one_run(comparison):
    cell = comparison.cells["dump"]
    return replace(comparison, cells={"dump": FinishedCell("dump", {1: cell.runs[1]})}, control=None, notes=[])


def test_a_single_run_has_no_empty_table_and_no_figure_of_nothing(comparison):
    alone = one_run(comparison)
    shown = Page(page(alone, {name: b"" for name in IMAGES if FIGURES[name].applies(alone)}))
    assert all("Compared" not in h2["text"] for h2 in shown.all("h2"))
    for table in range(len(shown.all("table"))):
        assert shown.all("tbody")[table]["text"].strip()
    names = {figure["id"] for figure in shown.all("figure")}
    assert names.isdisjoint({
        "intervals", "differences", "difference_curves", "improvement", "improvement_matrix", "profile", "heat_map",
        "ablation", "success_by_cell",
    })  # fmt: skip
    assert "success" in names


# Every verdict, with what the answer must say and must not say.
VERDICTS = {
    "different": ((0.05, 0.06, 0.055), r"^dump is better than uniform; .* \+0\.055 \[\+", r"margin"),
    "worse": ((-0.05, -0.06, -0.055), r"^dump is worse than uniform; .* -0\.055 \[-", r"margin"),
    "different, within the margin": (
        (0.004, 0.005, 0.0045),
        r"^dump is better than uniform, but by less than the",
        "x",
    ),
    "equivalent": ((0.001, -0.001, 0.0005), r"^dump and uniform are equivalent within the margin, 0\.02; ", "better"),
    "undecided": ((0.3, -0.2, 0.05), r"^Undecided: .* neither that dump and uniform differ nor that", "better|worse"),
}


def with_differences(comparison, differences, labels=("dump",)):
    """The comparison of uniform with cells whose primary metric differs from its by what is given."""
    cells = {"uniform": comparison.cells["uniform"]}
    for label in labels:
        runs = {}
        for (seed, run), difference in zip(comparison.cells["uniform"].runs.items(), differences, strict=True):
            moved = [{**one, "eval/success": one["eval/success"] + difference} for one in run.evaluations]
            runs[seed] = replace(run, evaluations=moved)
        cells[label] = FinishedCell(label, runs)
    return replace(comparison, cells=cells)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_answer_says_what_the_verdict_says_and_no_more(comparison, verdict):
    differences, says, never_says = VERDICTS[verdict]
    found = answer(with_differences(comparison, differences))
    assert re.search(says, found)
    assert not re.search(never_says, found)
    assert found.endswith(" (95 % intervals, 3 pairs of seeds, fewer than 8 and so an anecdote, 2,000 generated tokens "
                          "a run).")  # fmt: skip


def test_where_less_is_better_fewer_tokens_are_better(comparison):
    faster = with_differences(comparison, (0.2, 0.21, 0.22))
    faster = replace(faster, metric="tokens_to_threshold", threshold=0.5)
    assert faster.table[1]["difference"][0] < 0
    assert "better" in answer(faster) or answer(faster).startswith("Undecided")
    assert "worse" not in answer(faster)


def test_the_answer_of_many_cells_counts_their_verdicts(comparison):
    some = with_differences(comparison, (0.05, 0.06, 0.055), labels=("a", "b"))
    same = with_differences(comparison, (0.3, -0.2, 0.05), labels=tuple("cdefg"))
    found = answer(replace(some, cells={**some.cells, **same.cells}))
    assert found.startswith(
        "Of 7 cells compared with uniform in area under held-out success, 2 are better: a by +0.055"
    )
    assert re.search(r"; 5 are undecided: [cdefg], [cdefg], [cdefg] and 2 more \(95 % intervals, 3 pairs", found)
    undecided = answer(same)
    assert "all 5 are undecided, neither shown to differ nor to be equivalent within 0.02" in undecided


def test_the_answer_of_one_pair_has_no_interval_to_decide_with(comparison):
    cells = {label: FinishedCell(label, {0: comparison.cells[label].runs[0]}) for label in ("uniform", "dump")}
    found = answer(replace(comparison, cells=cells))
    assert found.startswith("Undecided: ")
    assert "which has no interval (1 pair of seeds, fewer than 8 and so an anecdote" in found


def test_runs_without_a_common_seed_or_a_control_are_not_compared(comparison):
    cells = {"uniform": FinishedCell("uniform", {0: comparison.cells["uniform"].runs[0]}),
             "dump": FinishedCell("dump", {1: comparison.cells["dump"].runs[1]})}  # fmt: skip
    assert answer(replace(comparison, cells=cells)).startswith("Nothing can be said: no cell has a seed in common with")
    no_control = replace(comparison, control=None)
    assert answer(no_control).startswith("Nothing is tested, because no run is of the control: of 4 cells, ")


def test_the_answer_of_one_cell_is_how_far_it_came(comparison):
    run = comparison.cells["dump"].runs[1]
    before, after = (np.mean([np.mean(x) for x in run.evaluations[i]["eval/solved"].values()]) for i in (0, -1))
    found = answer(one_run(comparison))
    assert found.startswith(f"dump takes held-out success from {before:.3f} to {after:.3f}, a difference of +")
    assert "one seed, 1: an anecdote, with nothing to compare it with." in found
    several = answer(replace(comparison, cells={"dump": comparison.cells["dump"]}, control=None))
    assert "over 3 seeds, fewer than 8: an anecdote; there is nothing to compare it with." in several


def test_a_figure_of_your_own_has_a_section_of_its_own(comparison, shown, monkeypatch):
    assert not any(h2["text"] == "Further figures" for h2 in shown.all("h2"))
    known = FIGURES.copy()
    known.register("own", replace(FIGURES["success"], section="Further figures"), module=__name__)
    monkeypatch.setattr("dumpgym.reporting.page.FIGURES", known)
    headings = [h2["text"] for h2 in Page(page(comparison, {"own": b""})).all("h2")]
    assert headings[-4:] == ["Further figures", "Every seed", "What was run", "Definitions"]

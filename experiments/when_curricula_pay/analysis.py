"""When does a curriculum pay, and how much? Analysis of the regimes in this folder.

    for packed in experiments/when_curricula_pay/*.tar.xz; do tar -xf $packed; done    # the logs, into runs/
    python experiments/when_curricula_pay/analysis.py                                  # --runs, --output for others

Writes tables.md, scores.json and the figures; README.md says what was found. Regimes without runs are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.experiment import load_experiment
from dumpgym.comparing.loading import load_comparison
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.learning import curves_over
from dumpgym.reporting.figures.style import draw_curve, save_figures
from dumpgym.reporting.findings import AnalysisConfig, analysis_config, write_findings
from dumpgym.reporting.tables import Table, format_interval, format_p_value, markdown
from dumpgym.runs.finished import FinishedRun
from dumpgym.statistics.curves import tokens_at_crossing
from dumpgym.statistics.intervals import Interval, interval_over_runs
from dumpgym.statistics.significance import difference_p_value, holm

FOLDER = Path(__file__).parent
TITLES = {
    "experiment": "28 impossible arms",
    "impossible_0": "no nuisance arms",
    "impossible_12": "12 impossible arms",
    "impossible_60": "60 impossible arms",
    "mastered_28": "28 mastered arms",
    "coin_1": "one coin",
    "coin_4": "four coins",
    "groups_16": "16 groups a step",
    "groups_64": "64 groups a step",
    "preamble": "long far arms",
    "long_impossible": "long impossible arms",
    "four_families": "four tasks",
    "adamw": "AdamW",
    "constant_denominators": "constant denominators",
}
"""The regimes on strings by the names of their files, as the figure calls them."""
CARELESS = ("careless", "careless_tuned")
"""The same for the regimes on Knights and Knaves."""
AXES = {
    "impossible arms": {"impossible_0": "0", "impossible_12": "12", "experiment": "28", "impossible_60": "60"},
    "coins, beside 28 impossible arms": {"experiment": "0", "coin_1": "1", "coin_4": "4"},
    "groups in a step": {"experiment": "8", "groups_16": "16", "groups_64": "64"},
}
"""The axes on which a quantity grows: its values by regime."""
ORACLE = "oracle?refresh=20&problems=32"
TUNED = {
    "dump": "dump?exploration=0.5",
    "informative-thompson": "informative-thompson?discount=0.99&reversion_mass=0.1",
    "mastery-learning": "mastery-learning?review=0.5",
    "informative-share": "informative-share?prior=0.1&sharpness=3",
}
"""The settings that experiments/tuned_policies chose."""
CONTENDERS = ("dump", *TUNED.values())
"""The policies that are compared over all regimes, with uniform sampling and the oracle."""
_OF_POLICIES = {
    "dump": {"color": "#0072B2", "marker": "o"},
    "informative-thompson": {"color": "#E69F00", "marker": "s"},
    "mastery-learning": {"color": "#009E73", "marker": "^"},
    "informative-share": {"color": "#D55E00", "marker": "D"},
}
LOOKS = {
    **{name: {**look, "markerfacecolor": "white"} for name, look in _OF_POLICIES.items()},
    **{TUNED[name]: look for name, look in _OF_POLICIES.items()},
    ORACLE: {"color": "#CC79A7", "marker": "*"},
}
"""Looks of the policies that are compared over all regimes; markers of settings that were not tuned are open."""
SHOWN = (*CONTENDERS, ORACLE)
"""The policies that the figure shows by regime, where they ran."""
NAMES = {
    ORACLE: "oracle",
    **{setting: f"{name}, tuned" for name, setting in TUNED.items()},
    "dump?window=2&window_unit=steps": "dump, window of 2 steps",
    "easy-to-hard?total_steps=450": "easy-to-hard",
    "entropy-matched-random?effective_arms=21": "entropy-matched-random",
    "mastery-learning?review=0.2": "mastery-learning, .2 review",
}
"""Short names for the figures."""
BEHIND = 0.9
"""Success before training from which an arm is behind the frontier."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """What a policy gains over uniform sampling in a regime, paired by seed; the arrays have shape (pairs,).

    Attributes:
        area: difference of the areas under success over tokens.
        final: difference of the final success.
        behind: difference of the final success on the arms behind the frontier.
        ahead: difference of the final success on the other arms.
        tokens: share of uniform sampling's tokens after which the policy has its final success; NaN if never.
    """

    area: Array
    final: Array
    behind: Array
    ahead: Array
    tokens: Array


def load(runs: Path) -> dict[str, Comparison]:
    """The comparisons of all regimes that have finished runs, by the names of their files."""
    found = {}
    for name in (*TITLES, "room", *CARELESS):
        directory = runs / load_experiment(FOLDER / f"{name}.toml").name
        if any(directory.glob("*/seed*/summary.json")):
            found[name] = load_comparison([directory])
    return found


def gain(regime: Comparison, label: str) -> Gain:
    """What a policy gains in a regime; see ``Gain``."""
    assert regime.control is not None
    its = regime.cells[regime.control].runs
    pairs = [(run, its[seed]) for seed, run in regime.cells[label].runs.items() if seed in its]
    parts = np.array([_parts(mine) - _parts(uniform) for mine, uniform in pairs])
    tokens = np.array([_share_of_tokens(mine, uniform) for mine, uniform in pairs])
    return Gain(regime.differences(label), *parts.T, tokens)


def _parts(run: FinishedRun) -> Array:
    """Final success on all arms, on those behind the frontier and on the others, (3,); NaN where there are none."""
    final, behind = run.success_by_arm[-1], run.success_by_arm[0] >= BEHIND
    return np.array([final[arms].mean() if arms.any() else np.nan for arms in (behind | True, behind, ~behind)])


def _share_of_tokens(mine: FinishedRun, uniform: FinishedRun) -> float:
    reached = tokens_at_crossing(mine.tokens, mine.success, float(uniform.success[-1]), held=1)
    return reached / float(uniform.tokens[-1])


def informative(regime: Comparison, label: str) -> float:
    """Share of a policy's groups whose rewards differ, over all its runs."""
    runs = regime.cells[label].runs.values()
    return float(1 - np.mean([run.mean_of_steps(run.of_records("frac_reward_zero_std")) for run in runs]))


def score(regime: Comparison, label: str) -> float:
    """What a policy gains over uniform sampling in area, averaged over pairs."""
    return float(regime.differences(label).mean())


def regime_table(regime: Comparison) -> Table:
    """One row per policy: what it gains over uniform sampling."""
    head = ["policy", "pairs", "area, minus uniform", "p", "final, minus uniform", "behind the frontier", "ahead of it"]
    rows = [[*head, "tokens to uniform's final success, median share", "reached", "informative groups"]]
    for label in regime.cells:
        seeds, mixed = str(len(regime.cells[label].runs)), f"{informative(regime, label):.2f}"
        if label == regime.control:
            final = np.mean([run.success[-1] for run in regime.cells[label].runs.values()])
            area = regime.values(label).mean()
            rows.append([label, seeds, f"({area:.3f})", "", f"({final:.3f})", "", "", "", "", mixed])
            continue
        found = gain(regime, label)
        values = [format_interval(interval_over_runs(v), sign="+") for v in (found.area, found.final)]
        parts = [
            format_interval(interval_over_runs(v), sign="+") if np.isfinite(v).all() else "-"
            for v in (found.behind, found.ahead)
        ]
        is_reached = np.isfinite(found.tokens)
        median = f"{np.median(np.where(is_reached, found.tokens, np.inf)):.2f}"
        row = [
            label,
            str(len(found.area)),
            values[0],
            format_p_value(difference_p_value(found.area)),
            values[1],
            *parts,
        ]
        rows.append([*row, median, f"{is_reached.sum()}/{len(is_reached)}", mixed])
    return rows


def tables(regimes: Mapping[str, Comparison]) -> str:
    """All numbers as Markdown, a table for each regime and one for its warm starts."""
    families = {
        "strings": hypotheses(regimes),
        "Knights and Knaves": careless_hypotheses(regimes),
        "Knights and Knaves, with tuned policies": careless_winner_hypotheses(regimes),
        "the winner over all regimes": winner_hypotheses(regimes),
    }
    parts = ["# Tables"]
    for family, found in families.items():
        if found:
            parts += [f"## Hypotheses on {family}", markdown(hypotheses_table(found))]
    if over := contested(regimes):
        parts += ["## Tuned policies over all regimes", markdown(contenders_table(over))]
    for name, regime in regimes.items():
        parts += [f"## {name}", markdown(regime_table(regime))]
        if regime.warm_starts:
            parts.append(markdown(warm_start_table(regime)))
    return "\n\n".join(parts) + "\n"


def warm_start_table(regime: Comparison) -> Table:
    """What each policy gains in area with each warm start."""
    rows = [["area, minus uniform", *regime.warm_starts]]
    for label in regime.cells:
        if label != regime.control:
            found = regime.differences_by_warm_start(label)
            rows.append([label, *(f"{v.mean():+.3f} ({len(v)})" for v in found.values())])
    return rows


def hypotheses(regimes: Mapping[str, Comparison]) -> dict[str, Array]:
    """The differences that the hypotheses of README.md are about, (pairs,), as far as their regimes have runs."""

    def differences(regime: str, label: str, other: str = "uniform") -> dict[int, float]:
        mine, its = (regimes[regime].cells[name].runs for name in (label, other))
        values = regimes[regime].differences(label, other)
        return dict(zip([seed for seed in mine if seed in its], values, strict=True))

    def changes(label: str, regime: str, other: str) -> Array:
        mine, its = differences(regime, label), differences(other, label)
        return np.array([mine[seed] - its[seed] for seed in mine if seed in its])

    found: dict[str, Array] = {}
    if "experiment" in regimes:
        found["1. DUMP minus uniform"] = np.array(list(differences("experiment", "dump").values()))
    if {"experiment", "impossible_0"} <= regimes.keys():
        found["2. DUMP's gain with 28 impossible arms, minus its gain without"] = changes(
            "dump", "experiment", "impossible_0"
        )
    if {"experiment", "coin_4"} <= regimes.keys():
        found["3. DUMP's gain beside four coins, minus its gain without"] = changes("dump", "coin_4", "experiment")
    if "experiment" in regimes:
        values = differences("experiment", "informative-share", "dump")
        found["4. informative-share minus DUMP"] = np.array(list(values.values()))
    if "coin_4" in regimes:
        values = differences("coin_4", "informative-share")
        found["5. informative-share minus uniform, beside four coins"] = np.array(list(values.values()))
    return found


def contested(regimes: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The regimes on strings in which all contenders have run."""
    names = [name for name in TITLES if name in regimes]
    return {name: regimes[name] for name in names if {*CONTENDERS, ORACLE} <= regimes[name].cells.keys()}


def over_regimes(regimes: Mapping[str, Comparison], label: str, other: str = "uniform") -> Array:
    """The difference of two policies' areas, averaged over regimes, (pairs,)."""
    return np.mean([regime.differences(label, other) for regime in regimes.values()], axis=0)


def winner_hypotheses(regimes: Mapping[str, Comparison]) -> dict[str, Array]:
    """The differences of the tuned ``informative-share`` and its rivals, averaged over contested regimes."""
    found, mine = contested(regimes), TUNED["informative-share"]
    rivals = ["uniform", *(label for label in CONTENDERS if label != mine)] if found else []
    return {f"{mine} minus {label}": over_regimes(found, mine, label) for label in rivals}


def contenders_table(regimes: Mapping[str, Comparison]) -> Table:
    """One column per contender: its gain over uniform sampling in every contested regime, and over all of them."""
    labels = (*CONTENDERS, ORACLE)
    gains = {name: [score(regime, label) for label in labels] for name, regime in regimes.items()}
    means = [over_regimes(regimes, label) for label in labels]
    intervals = (format_interval(interval_over_runs(mean), sign="+") for mean in means)
    return [
        ["area, minus uniform", *labels],
        *([TITLES[name], *(f"{value:+.3f}" for value in row)] for name, row in gains.items()),
        ["mean over regimes", *intervals],
        ["least", *(f"{min(column):+.3f}" for column in zip(*gains.values(), strict=True))],
        ["of the oracle's gain", *(f"{mean.mean() / means[-1].mean():.0%}" for mean in means)],
    ]


def careless_hypotheses(regimes: Mapping[str, Comparison]) -> dict[str, Array]:
    """The same for the hypotheses of the first comparison on Knights and Knaves."""
    if "careless" not in regimes:
        return {}
    policies = {"1. mastery-learning minus uniform": "mastery-learning", "2. DUMP minus uniform": "dump"}
    return {name: regimes["careless"].differences(label) for name, label in policies.items()}


def careless_winner_hypotheses(regimes: Mapping[str, Comparison]) -> dict[str, Array]:
    """The same for those of the second, with tuned policies."""
    if "careless_tuned" not in regimes:
        return {}
    order, mine = TUNED["mastery-learning"], TUNED["informative-share"]
    pairs = [(order, "uniform"), (mine, "uniform"), (mine, "dump"), (order, mine)]
    differences = regimes["careless_tuned"].differences
    return {f"{i}. {one} minus {other}": differences(one, other) for i, (one, other) in enumerate(pairs, 1)}


def hypotheses_table(found: Mapping[str, Array]) -> Table:
    """One row per hypothesis, with p-values adjusted by Holm's method over all of them."""
    p_values = [difference_p_value(values) for values in found.values()]
    rows = [["hypothesis about area", "pairs", "difference", "p", "p, Holm"]]
    for (name, values), p, adjusted in zip(found.items(), p_values, holm(p_values), strict=True):
        interval = format_interval(interval_over_runs(values), sign="+")
        rows.append([name, str(len(values)), interval, format_p_value(p), format_p_value(adjusted)])
    return rows


def finding_figure(regime: Comparison) -> Figure:
    """The default regime: curves of some policies, and what all policies gain over uniform sampling."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    curves, gains = figure.subplots(1, 2, width_ratios=(1.2, 1))
    success = curves_over(lambda run: run.tokens, lambda run: run.success)
    looks = {"uniform": {"color": "black", "marker": ""}, **_OF_POLICIES, ORACLE: LOOKS[ORACLE]}
    for label in [label for label in looks if label in regime.cells]:
        draw_curve(curves, *success(regime.cells[label]), NAMES.get(label, label), {"linestyle": "-", **looks[label]})
    curves.set(xlabel="generated tokens", ylabel="held-out success, mean over 12 lengths", xlim=(0, None))
    curves.xaxis.set_major_formatter(EngFormatter(sep=""))
    curves.legend(frameon=False, fontsize="small")
    labels = [label for label in regime.cells if label != "uniform"]
    labels.sort(key=lambda label: score(regime, label))
    for row, label in enumerate(labels):
        look = LOOKS.get(label, {"color": "grey", "marker": "o"})
        _draw(gains, [interval_over_runs(regime.differences(label))], [row], None, look)
    gains.set_yticks(range(len(labels)), [NAMES.get(label, label) for label in labels])
    _finish(gains)
    pairs = len(regime.cells["uniform"].runs)
    figure.suptitle(f"Copying strings beside 28 arms that teach nothing, {pairs} paired seeds, 95 % intervals")
    return figure


def map_figure(regimes: Mapping[str, Comparison]) -> Figure:
    """What some policies gain over uniform sampling in each regime."""
    shown = [name for name in TITLES if name in regimes]
    figure = Figure(figsize=(8, 1.6 + 0.8 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for i, label in enumerate(SHOWN):
        rows = [row for row, name in enumerate(shown) if label in regimes[name].cells]
        found = [interval_over_runs(regimes[shown[row]].differences(label)) for row in rows]
        places = [row + (i - (len(SHOWN) - 1) / 2) / 8 for row in rows]
        _draw(axes, found, places, NAMES.get(label, label), LOOKS[label])
    ticks = [f"{TITLES[name]}\n{informative(regimes[name], 'uniform'):.0%} informative" for name in shown]
    axes.set_yticks(range(len(shown)), ticks)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _finish(axes)
    return figure


def axes_figure(regimes: Mapping[str, Comparison]) -> Figure:
    """What some policies gain over uniform sampling along each axis on which a quantity grows, one line a policy."""
    found = {axis: {name: regimes[name] for name in values if name in regimes} for axis, values in AXES.items()}
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, len(AXES), sharey=True, width_ratios=[len(values) for values in AXES.values()])
    for axes, (axis, along) in zip(panels, found.items(), strict=True):
        for i, label in enumerate(SHOWN):
            places = [place + (i - (len(SHOWN) - 1) / 2) / 16 for place in range(len(along))]
            gains = [interval_over_runs(regime.differences(label)) for regime in along.values()]
            values, errors = _bars(gains)
            axes.errorbar(places, values, yerr=errors, capsize=2, ms=5, label=NAMES.get(label, label), **LOOKS[label])
        ticks = [f"{AXES[axis][name]}\n{informative(regime, 'uniform'):.0%}" for name, regime in along.items()]
        axes.set_xticks(range(len(along)), ticks)
        axes.set_xlim(-0.5, len(AXES[axis]) - 0.5)
        axes.set_xlabel(f"{axis}\ninformative groups under uniform sampling")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("area, minus uniform sampling")
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=len(SHOWN))
    return figure


def _draw(
    axes: Axes, found: Sequence[Interval], rows: Sequence[float], label: str | None, look: Mapping[str, str]
) -> None:
    values, errors = _bars(found)
    axes.errorbar(values, rows, xerr=errors, linestyle="", capsize=2, ms=5, label=label, **look)


def _bars(found: Sequence[Interval]) -> tuple[Array, Array]:
    """The values of intervals, (n,), and the lengths of their bars below and above, (2, n)."""
    values, low, high = np.array(found).reshape(-1, 3).T
    return values, np.array([values - low, high - values])


def _finish(axes: Axes) -> None:
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("area, minus uniform sampling")
    axes.locator_params(axis="x", nbins=6)
    axes.spines[["top", "right"]].set_visible(False)


def main(config: AnalysisConfig) -> None:
    regimes = load(config.runs)
    scores = {
        f"{name}: {label}": score(regime, label)
        for name, regime in regimes.items()
        for label in regime.cells
        if label != regime.control
    }
    write_findings(config.output, tables(regimes), scores)
    figures = {name: FIGURES["success"](regimes[name]) for name in ("room", *CARELESS) if name in regimes}
    if TITLES.keys() & regimes.keys():
        figures["map"] = map_figure(regimes)
    if contested(regimes):
        figures["axes"] = axes_figure(contested(regimes))
    if "experiment" in regimes:
        figures["finding"] = finding_figure(regimes["experiment"])
    save_figures(figures, config.output)


if __name__ == "__main__":
    main(analysis_config(__file__, Path("runs")))

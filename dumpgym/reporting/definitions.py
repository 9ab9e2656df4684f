"""What the words of a report mean: general terms first, then every column of its tables under its heading."""

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison


def definitions(comparison: Comparison) -> dict[str, str]:
    """By term, what it means in this report; what the report doesn't show is left out."""
    is_compared = any("difference" in row for row in comparison.table)
    differences = _of_differences(comparison) if is_compared else {}
    return _terms(comparison) | _of_results(comparison) | differences | _OF_STEERING | _OF_COST


def _terms(comparison: Comparison) -> dict[str, str]:
    crossed = "A model from which runs start. Seeds take turns, and all runs of a seed have the same one."
    warm_start = {"warm start": crossed} if comparison.warm_starts else {}
    return {
        "cell": "Runs that differ only in their seeds: a policy with its options and settings.",
        "arm": "A distribution of puzzles that the policy can draw from.",
        "seed": "The number from which a run draws its puzzles and its samples. Runs of one seed start from the "
        "same weights and meet the same puzzles on each arm.",
        **warm_start,
        "held-out success": "The share of puzzles that greedy decoding solves, among puzzles that nobody trains on. "
        "Every arm has the same weight.",
        "budget": f"{comparison.budget:,.0f} generated tokens, up to which all runs are compared.",
        "threshold": f"A held-out success of {comparison.threshold:g}.",
        "interval": "A range that holds the true value in 95 of 100 such comparisons. It is over seeds, so it is about "
        "other seeds and not about other models or puzzles.",
        "an anecdote": f"Fewer than {FEWEST_SEEDS} seeds: too few for a statement about a policy.",
        "rollout": "One completion of one prompt.",
    }


def _of_results(comparison: Comparison) -> dict[str, str]:
    metric = {
        "area": "The area under held-out success over generated tokens up to the budget, divided by the budget: the "
        "mean success during training. Higher is better.",
        "final": "Held-out success at the end of the run. Higher is better.",
        "tokens_to_threshold": "Generated tokens until held-out success reaches the threshold; a run that never does "
        "counts with the whole budget. Lower is better.",
    }[comparison.metric]
    return {
        f"{comparison.metric} (primary)": f"The primary metric. {metric}",
        "interquartile mean by arm": "The mean of the middle half of the values of all runs and arms, which outliers "
        "do not move.",
        "final success": "Held-out success at the end of the run.",
        f"tokens to {comparison.threshold:g}, mean": "Mean of the tokens until the threshold is reached; a run that "
        "never does so counts with the budget.",
        "median": "The same for half of the runs.",
        "reached": "Runs that reached the threshold.",
        "forgetting": "The best success of an arm minus its success at the end, mean over arms.",
        "rollouts an arm and step": "Completions of a step, divided by the effective number of arms.",
    }


def _of_differences(comparison: Comparison) -> dict[str, str]:
    unit = "" if comparison.higher_is_better() else " of the budget"
    by_warm_start = {
        "all pairs": "The difference of the table above.",
        "over warm starts": "The mean over warm starts of the mean difference of their pairs.",
    }
    return (by_warm_start if comparison.warm_starts else {}) | {
        "control": f"The cell that the others are compared with: {comparison.control}.",
        "pairs": "Seeds that the cell and the control both have. Luck that two runs of one seed share cancels in their "
        "difference.",
        "difference": "The primary metric of the cell minus that of the control, mean over pairs. Its interval is not "
        "adjusted for the number of cells, so it may leave out zero where the verdict is undecided.",
        "margin": f"A difference of less than {comparison.margin:g}{unit} does not matter.",
        "p, Holm": "p-value of Student's test that the difference is zero, adjusted by Holm's method for the number of "
        "cells. A large value does not show that two cells are equal.",
        "p, equivalence, Holm": "p-value of two one-sided tests that the difference reaches the margin, adjusted "
        "likewise. A small value shows that the cells are equivalent.",
        "verdict": "Different: p, Holm is below .05. Equivalent: p, equivalence is below .05. Both: different, within "
        "the margin. Neither: undecided.",
        f"speed-up to {comparison.threshold:g}": "How many times sooner, in tokens, a run of the cell reaches the "
        "threshold than the control's run of its seed; geometric mean over pairs. It is missing if a run never does.",
        "probability of improvement": "The chance that a run of the cell beats a run of the control on an arm. 0.5: no "
        "effect.",
        "area over steps, difference": "The difference of the area over optimiser steps in place of tokens, up to the "
        "last step that all runs of both reached. If its sign is another, the cells differ in the tokens of a step.",
        "variance removed by pairing": "The part of the variance that the difference of unpaired runs has, and that of "
        "a pair has not. At 75%, pairs do the work of four times as many unpaired runs.",
    }


_OF_STEERING = {
    "effective arms": "The exponential of the entropy of the distribution that the policy asks for, mean over steps. "
    "If it is the number of arms, the policy samples uniformly.",
    "largest share": "The largest share that the policy asks for, mean over steps.",
    "KL from uniform": "Divergence of that distribution from the uniform one, in nats.",
    "without variance": "Share of groups whose completions all have the same reward, which teach nothing.",
    "truncated": "Share of completions that were cut at the longest length.",
}
_OF_COST = {
    "generated": "Tokens that training generated, redrawn ones included.",
    "redrawn": "Tokens of groups that the group filter drew again.",
    "trained on": "Tokens of completions that had a gradient.",
    "in evaluation": "Tokens that evaluations generated. They do not count towards the budget.",
    "generate, verify, learn, evaluate, other": "Seconds of sampling, of checking answers, of gradient steps, of "
    "evaluations, and of the rest.",
    "stalled seeds": "Seeds whose run had a step that took many times the median step: the machine was busy.",
}

"""Curves in characters, for a terminal: block characters, or plain ASCII where the encoding has no others."""

from collections.abc import Sequence

import numpy as np

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.:-=+*#"


def sparkline(values: Sequence[float], *, plain: bool) -> str:
    """One character per value, whose height shows the value on a scale from 0 to 1.

    Args:
        values: numbers from 0 to 1.
        plain: use ASCII only.
    """
    levels = _ASCII if plain else _BLOCKS
    return "".join(levels[min(int(value * len(levels)), len(levels) - 1)] for value in values)


def curve(places: Sequence[float], values: Sequence[float], *, width: int, height: int, plain: bool) -> list[str]:
    """The area under a curve, on a scale from 0 to 1, with an axis on the left and one below.

    Args:
        places: where each value was measured, not decreasing, from 0.
        values: numbers from 0 to 1; between two places the curve is a straight line.
        width: width in characters, with the left axis.
        height: height of the area in lines.
        plain: use ASCII only.

    Returns:
        The lines, the axis below included.
    """
    columns = max(1, width - 6)
    at = np.interp(np.linspace(0, max(places), columns), places, values) * height  # height of every column, in lines
    rows = [_row(at - line, plain=plain) for line in reversed(range(height))]
    labels = {0: "1.0", height - 1: "0.0", (height - 1) // 2: "0.5"} if height > 2 else {0: "1.0"}
    side, corner, floor = ("|", "+", "-") if plain else ("┤", "└", "─")
    end = f"{max(places):,.0f}"
    return [
        *(f"{labels.get(i, ''):>4} {side}{row}".rstrip() for i, row in enumerate(rows)),
        f"{'':>4} {corner}{floor * columns}",
        f"{'':>6}0{end:>{columns - 1}}",
    ]


def _row(filled: np.typing.NDArray[np.float64], *, plain: bool) -> str:
    """One line of the area: of every column how much of the line is filled, above 1 if all of it."""
    if plain:
        return "".join("#" if part >= 0.5 else " " for part in filled)
    levels = f" {_BLOCKS}"
    return "".join(levels[int(np.clip(np.round(part * 8), 0, 8))] for part in filled)

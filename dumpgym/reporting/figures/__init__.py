"""Figures of a comparison, of one run, and of a simulation. This is the only room that imports matplotlib.

A figure of the report is one function in one of these files, decorated with ``report_figure``, which gives it a name
and a caption. A new file is found without being listed anywhere. Numbers are computed in ``comparing`` and
``statistics``.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dumpgym.contracts.errors import DumpgymError
from dumpgym.contracts.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dumpgym.comparing.comparison import Comparison


def _import_matplotlib() -> None:
    """Imports matplotlib whatever ``MPLBACKEND`` is.

    A command that a notebook starts inherits the notebook's backend, and where that is not installed, importing
    matplotlib raises ValueError. Our figures need no backend: they are drawn on canvases of their own.

    Raises:
        DumpgymError: if matplotlib cannot be imported, for example because no directory is writable.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    except (ImportError, OSError) as error:
        raise DumpgymError(f"matplotlib cannot be imported: {' '.join(str(error).split())}") from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # as matplotlib does, for your own figures in this process


_import_matplotlib()  # here, because this file is executed before any other file of the room


def _always(comparison: "Comparison") -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of a comparison.

    Attributes:
        draw: function that draws the figure; the first line of its docstring is the figure's alternative text.
        caption: text below the figure.
        place: figures are shown in ascending order of this number.
        section: heading of the report under which the figure is shown.
        applies: whether the figure shows anything for a comparison; where it doesn't, the report leaves it out.
    """

    draw: "Callable[[Comparison], Figure]"
    caption: str
    place: int
    section: str = "Further figures"
    applies: "Callable[[Comparison], bool]" = _always

    @property
    def description(self) -> str:
        """What the figure shows, in a sentence: the alternative text."""
        return (self.draw.__doc__ or self.caption).strip().split("\n")[0]

    def __call__(self, comparison: "Comparison") -> "Figure":
        """Draws the figure of a comparison."""
        from dumpgym.reporting.figures.canvas import plain_style

        with plain_style():
            return self.draw(comparison)


FIGURES = Registry[ReportFigure]("figure", rooms=("dumpgym.reporting.figures",), key="name")
"""All figures of a report by name."""


def report_figure(
    name: str,
    *,
    place: int,
    caption: str,
    section: str = "Further figures",
    applies: "Callable[[Comparison], bool]" = _always,
) -> "Callable[[Callable[[Comparison], Figure]], Callable[[Comparison], Figure]]":
    """Decorates a function that draws a figure of a comparison, which adds the figure to every report.

    Args:
        name: name of the figure and of its files.
        place: figures are shown in ascending order of this number.
        caption: text below the figure.
        section: heading of the report under which the figure is shown.
        applies: whether the figure shows anything for a comparison; where it doesn't, the report leaves it out.

    Raises:
        InvalidValueError: if the name is taken.
    """

    def register(draw: "Callable[[Comparison], Figure]") -> "Callable[[Comparison], Figure]":
        FIGURES.register(name, ReportFigure(draw, caption, place, section, applies), module=draw.__module__)
        return draw

    return register

"""How figures become files: always in the same style, and a failure is one line.

A ``matplotlib.figure.Figure`` that is made without pyplot needs no backend; the format of the file chooses its canvas.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dumpgym.contracts.errors import DumpgymError
from dumpgym.runs.files import write_file, writing

_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.titlesize": "medium",
    "legend.frameon": False,
    "svg.hashsalt": "dumpgym",  # otherwise ids in SVG files are random, and equal runs have unequal figures
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Draws in matplotlib's own style, whatever the user's ``matplotlibrc`` says.

    A style such as ``text.usetex`` needs programs that a machine for training may not have.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


@contextmanager
def drawing(path: Path) -> Iterator[None]:
    """Draws and writes a figure in ``plain_style``; a failure, such as an unreadable font, is a one-line error.

    Args:
        path: file of the figure.

    Raises:
        DumpgymError: in place of ``OSError`` and of matplotlib's ``RuntimeError``.
    """
    with writing(path), plain_style():
        try:
            yield
        except RuntimeError as error:
            raise DumpgymError(f"{str(path)!r} cannot be drawn: {' '.join(str(error).split())}") from error


def image(figure: Figure, kind: str, dpi: float = 130) -> bytes:
    """The bytes of a figure's file; equal figures have equal bytes.

    Args:
        figure: the figure.
        kind: "png" or "svg".
        dpi: dots per inch, for PNG.
    """
    buffer = io.BytesIO()
    with plain_style():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def save_png(figure: Figure, path: Path, dpi: float = 150) -> None:
    """Writes a figure as PNG. ``drawing`` turns its failures into one line."""
    write_file(path, image(figure, "png", dpi))

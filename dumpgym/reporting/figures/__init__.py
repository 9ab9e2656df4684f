"""Room."""

from collections.abc import Callable

from matplotlib.figure import Figure

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures.effects import differences, improvement, improvement_matrix, intervals, profile
from dumpgym.reporting.figures.learning import forgotten, success, success_by_arm, velocity
from dumpgym.reporting.figures.settings import ablation, heat_map
from dumpgym.reporting.figures.spending import ledger
from dumpgym.reporting.figures.steering import arm_shares, dose, steering

FIGURES: dict[str, Callable[[Comparison], Figure]] = {
    "success": success,
    "intervals": intervals,
    "differences": differences,
    "success_by_arm": success_by_arm,
    "arm_shares": arm_shares,
    "dose": dose,
    "steering": steering,
    "velocity": velocity,
    "improvement": improvement,
    "improvement_matrix": improvement_matrix,
    "profile": profile,
    "forgetting": forgotten,
    "ablation": ablation,
    "heat_map": heat_map,
    "ledger": ledger,
}
"""All figures, by the names under which a report has them, in its order."""

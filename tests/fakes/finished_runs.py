"""Small finished runs of an ``Improver``, as a comparison has them."""

from tests.fakes.improver import run
from tests.training.test_training import make_config

CELLS = {
    "uniform": {"policy": "uniform"},
    "dump": {"policy": "dump"},
    "dump75": {"policy": "dump", "policy_options": {"window": 75}},
    "filtered": {"policy": "uniform", "max_redraws": 2},
}
SEEDS = 3
BUDGET = 2000


def make_run(directory, seed, **options):
    """Trains in a second; the options are settings of the run."""
    settings = {"steps": 60, "budget_tokens": BUDGET, "prompts_per_step": 6, "num_generations": 4}
    evaluations = {"evaluation_problems": 8, "final_evaluation_problems": 10}
    run(make_config(directory, seed=seed, **{**settings, **evaluations, **options}))
    return directory

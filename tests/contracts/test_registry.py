"""One registry for policies, signals, students, figures and verbs: loaded at the first look-up, each name once."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dumpgym.commands.describe import described
from dumpgym.commands.list import registered
from dumpgym.comparing.experiment import Experiment, Grid, cells_of
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError
from dumpgym.contracts.policy_registry import find_policy, policy_registry
from dumpgym.contracts.registry import Registry
from dumpgym.contracts.student_registry import make_students, register_student, student_registry
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.validation import validated


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A package of two files that register themselves, and the registry of which it is the room."""
    package = tmp_path / "room_of_tools"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from dumpgym.contracts.registry import Registry\ntools = Registry('tool', rooms=('room_of_tools',))\n"
    )
    for name in ("saw", "drill"):
        (package / f"{name}.py").write_text(
            f"from room_of_tools import tools\ntools.register('{name}', '{name}!', module=__name__)\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.startswith("room_of_tools")]:
        del sys.modules[name]


def test_files_are_loaded_at_the_first_look_up(room):
    from room_of_tools import tools

    assert "room_of_tools.saw" not in sys.modules
    assert dict(tools) == {"drill": "drill!", "saw": "saw!"}
    assert "room_of_tools.saw" in sys.modules
    assert len(tools) == 2


def test_a_file_may_be_imported_before_the_first_look_up(room):
    import room_of_tools.saw  # noqa: F401
    from room_of_tools import tools

    assert "room_of_tools.drill" not in sys.modules
    assert sorted(tools) == ["drill", "saw"]


def test_a_name_of_ours_is_taken_also_before_it_is_loaded(room):
    from room_of_tools import tools

    with pytest.raises(InvalidValueError, match="tool id is 'saw'; accepted: an id that is not registered yet"):
        tools.register("saw", "mine", module="mine")
    tools.register("hammer", "mine", module="mine")
    assert tools["hammer"] == "mine"
    assert tools["saw"] == "saw!"


def test_a_file_that_cannot_be_imported_is_tried_again(room):
    (room / "broken.py").write_text("raise OSError('not now')\n")
    from room_of_tools import tools

    for _ in range(2):
        with pytest.raises(OSError, match="not now"):
            len(tools)
    (room / "broken.py").write_text("from room_of_tools import tools\ntools.register('mended', 1, module=__name__)\n")
    assert set(tools) == {"drill", "saw", "mended"}


def test_a_look_up_waits_for_another_thread_that_loads_the_files(room):
    (room / "cast.py").write_text(
        "from room_of_tools import tools\ntools.started.set()\ntools.go_on.wait(10)\n"
        "tools.register('anvil', 1, module=__name__)\n"
    )
    from room_of_tools import tools

    tools.started, tools.go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        loads = pool.submit(len, tools)
        assert tools.started.wait(10)
        looks_up = pool.submit(tools.find, "anvil")
        with pytest.raises(TimeoutError):
            looks_up.result(timeout=0.1)
        tools.go_on.set()
        assert looks_up.result(10) == 1
        assert loads.result(10) == 3


def test_a_name_with_a_module_imports_it_first(room, tmp_path):
    (tmp_path / "my_tools.py").write_text(
        "from room_of_tools import tools\ntools.register('plane', 'plane!', module=__name__)\n"
    )
    from room_of_tools import tools

    assert tools.find("my_tools:plane") == "plane!"
    assert tools.find("plane") == "plane!"
    with pytest.raises(UnknownNameError, match="unknown tool 'plan'; did you mean 'plane'"):
        tools.find("my_tools:plan")
    with pytest.raises(InvalidValueError, match="tool is 'no_module:plane'; accepted: a tool that is registered"):
        tools.find("no_module:plane")
    del sys.modules["my_tools"]


def test_a_copy_is_independent():
    original = Registry("tool", key="name")
    original.register("saw", 1, module="mine")
    copy = original.copy()
    copy.register("drill", 2, module="mine")
    assert dict(original) == {"saw": 1}
    with pytest.raises(InvalidValueError, match="tool name is 'saw'; accepted: a name that is not registered yet"):
        copy.register("saw", 3, module="mine")


def test_a_student_of_your_own_is_registered_like_ours(monkeypatch):
    class Pupil:
        def __init__(self, *, seed, talent=1):
            self.seed, self.talent = seed, talent

    monkeypatch.setattr("dumpgym.contracts.student_registry.student_registry", student_registry.copy())
    register_student("pupil", Pupil)
    made = make_students("pupil?talent=3", [4, 5])
    assert [(student.seed, student.talent, seeds) for student, seeds in made] == [(4, 3, [4]), (5, 3, [5])]
    with pytest.raises(UnknownNameError, match="unknown argument of student 'pupil' 'talen'; did you mean 'talent'"):
        make_students("pupil?talen=3", [0])
    with pytest.raises(InvalidValueError, match="student id is 'skills'; accepted: an id that is not registered yet"):
        register_student("skills", Pupil)


def test_importing_the_package_loads_no_policy():
    code = "import sys, dumpgym; print([name for name in sys.modules if name.startswith('dumpgym.agents')])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.stdout == "[]\n", finished.stderr


def test_an_alias_finds_its_entry_and_is_stored_under_its_own_name(room):
    from room_of_tools import tools

    tools.alias("jigsaw", "saw")
    assert "room_of_tools.saw" not in sys.modules
    assert tools.canonical("jigsaw?teeth=9&jigsaw=1") == "saw?teeth=9&jigsaw=1"
    assert tools.canonical("drill") == "drill"
    assert tools["jigsaw"] == tools.find("jigsaw") == tools.copy().find("jigsaw") == "saw!"
    assert sorted(tools) == ["drill", "saw"]
    assert dict(tools.aliases) == {"jigsaw": "saw"}
    for register in (lambda: tools.register("jigsaw", "mine", module="mine"), lambda: tools.alias("saw", "drill")):
        with pytest.raises(InvalidValueError, match="; accepted: "):
            register()


def test_ucb_is_ucb1_everywhere():
    spec = find_policy("ucb")
    assert (spec, spec.id) == (find_policy("ucb1"), "ucb1")
    assert TrainConfig(policy="ucb") == TrainConfig(policy="ucb1")
    assert validated({"policy": "ucb"}, TrainConfig).policy == "ucb1"
    assert Grid(policies=("ucb?exploration=0.5", "uniform")).policies == ("ucb1?exploration=0.5", "uniform")
    found = registered()
    assert found["policy_aliases"] == {"ucb": "ucb1"}
    assert "ucb" not in found["policies"]
    assert described("ucb", 80).startswith("ucb, an alias of ucb1: policy, ")


def test_one_policy_under_two_names_is_one_cell():
    experiment = Experiment(name="x", control="ucb", grids=(Grid(policies=("ucb", "ucb1", "uniform")),))
    assert experiment.control == "ucb1"
    assert experiment.grids[0].policies == ("ucb1", "ucb1", "uniform")
    with pytest.raises(InvalidValueError, match="accepted: every policy once, and not 'ucb1' twice"):
        cells_of(experiment)


@pytest.mark.parametrize("name", sorted(policy_registry))
def test_the_defaults_of_a_signature_are_those_that_a_policy_has(name):
    spec = find_policy(name)
    options = {option: p.default for option, p in spec.parameters.items() if p.default is not p.empty}
    required = {"weights": [0.25] * 4} if spec.parameters.get("weights") else {}
    default, explicit = (spec.entry_point(4, **given) for given in (required, options | required))
    assert default.probabilities().tolist() == explicit.probabilities().tolist()
    assert default.floor.tolist() == explicit.floor.tolist()


def test_a_policy_without_its_floor_is_another_cell():
    grid = Grid(policies=("uniform", "informative-share", "informative-share?floor=0.0", "e2h-gaussian?floor=0.0"))
    assert len(cells_of(Experiment(name="a", grids=(grid,)))) == 4

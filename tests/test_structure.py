"""The rooms of docs/architecture.md: which may import which, and how long a file may be."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 450

# From top to bottom. Those of one line stand side by side.
ORDER = [
    {"__main__"},
    {"console"},
    {"__init__"},
    {"loading"},
    {"engine"},
    {"models", "data"},
    {"report"},
    {"checkpoints", "pretrained"},
    {"networks"},
    {"objectives", "metrics"},
    {"deq", "ops", "io"},
    {"configs", "schedules"},
    {"builder"},
    {"targets", "former_names", "programs"},
    {"plugins"},
    {"structures"},
    {"images"},
    {"errors"},
]
ROOMS = sorted(set().union(*ORDER))
# Rooms that know less than their place would let them.
INDEPENDENT = {"deq": set(), "ops": {"structures", "errors"}, "io": {"structures", "errors"}}
PLANNED: set[str] = set()
PLAIN_PYTORCH = ("networks", "ops", "deq", "objectives", "schedules")
NO_TORCH = ("io", "report")
FRAMEWORKS = {"pytorch_lightning", "lightning", "hydra", "omegaconf"}


def python_files(room: str) -> list[Path]:
    folder = ROOT / "flowbench" / room
    return sorted(folder.rglob("*.py")) or [file for file in [folder.with_suffix(".py")] if file.is_file()]


def imported(file: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever in the file, each name of `from a import b` as a.b."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports by full names only"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(file: Path) -> set[str]:
    names = (f"{name}.__init__".split(".") for name in imported(file))
    return {room for package, room, *_ in names if package == "flowbench"}


def packages_imported(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(file)}


def test_every_part_of_the_package_is_a_room():
    found = {path.stem for path in (ROOT / "flowbench").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__pycache__"} == set(ROOMS) - (PLANNED - found)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below_it(room):
    place = next(place for place, rooms in enumerate(ORDER) if room in rooms)
    allowed = INDEPENDENT.get(room, set().union(*ORDER[place + 1 :]))
    for file in python_files(room):
        assert rooms_imported(file) <= allowed | {room}, file


@pytest.mark.parametrize("room", PLAIN_PYTORCH)
def test_networks_and_what_they_are_made_of_work_without_the_frameworks(room):
    for file in python_files(room):
        assert packages_imported(file).isdisjoint(FRAMEWORKS), file


@pytest.mark.parametrize("room", NO_TORCH)
def test_files_and_pictures_work_without_torch(room):
    for file in python_files(room):
        assert packages_imported(file).isdisjoint({"torch", *FRAMEWORKS}), file


def test_hydras_globals_and_the_command_line_are_read_in_one_module():
    """What a run needs of them is in its Run: so a program is a function that a notebook and a test can call."""
    readers = set()
    for file in (ROOT / "flowbench" / "engine").rglob("*.py"):
        names = {ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        if "sys.argv" in names or "hydra.core.hydra_config.HydraConfig" in imported(file):
            readers.add(file.name)
    assert readers == {"cli.py"}


def test_programs_call_one_function_of_the_engine():
    scripts = [*ROOT.glob("*.py"), *ROOT.glob("tools/*.py")]
    programs = {script.stem: script for script in scripts if "flowbench.console.run_program" in imported(script)}
    assert programs == {name: ROOT / program.script for name, program in PROGRAMS.items() if program.script}
    for program in programs.values():
        assert rooms_imported(program) <= {"console"}, program
    for program in PROGRAMS.values():
        assert program.task.startswith("flowbench.engine."), program


# The engine's own floors: a program a file; beneath, the parts of each; beneath those, what all share.
ENGINE = [
    {file.stem for file in (ROOT / "flowbench" / "engine").glob("*.py")} - {"__init__"},
    {"analysis", "benchmarks", "checks", "evaluation", "exporting", "prediction", "training"},
    {"run"},
    {"config"},
]


def test_every_folder_of_the_engine_has_its_floor():
    folders = {path.name for path in (ROOT / "flowbench" / "engine").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set().union(*ENGINE[1:])


@pytest.mark.parametrize("part", sorted(set().union(*ENGINE[1:])))
def test_a_part_of_the_engine_imports_only_from_floors_below_it(part):
    floor = next(number for number, parts in enumerate(ENGINE) if part in parts)
    allowed = set().union(*ENGINE[floor + 1 :]) | {part}
    for file in (ROOT / "flowbench" / "engine" / part).rglob("*.py"):
        names = [name.split(".") for name in imported(file) if name.startswith("flowbench.engine.")]
        assert {name[2] for name in names} <= allowed, file


@pytest.mark.parametrize("folder", ["flowbench", "tests", "tools"])
def test_no_file_is_too_long(folder):
    for file in (ROOT / folder).rglob("*.py"):
        assert len(file.read_text().splitlines()) <= LONGEST_FILE, file


def test_every_folder_of_the_package_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {file.parent for file in (ROOT / "flowbench").rglob("*.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert packages | {"flowbench.conf", "flowbench.weights"} == set(project["tool"]["setuptools"]["packages"])

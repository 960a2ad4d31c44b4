"""The wheel, installed into an environment of its own and used from an empty folder, without the checkout."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support.runs import NETWORK, ROOT, SMALL, TWO_PROCESSES

BUILT_FROM = ("flowbench", "conf", "weights", "pyproject.toml", "README.md", "LICENSE")
FRAMES = [str(ROOT / "assets" / "sintel" / f"frame_00{number}.png") for number in (16, 17)]


def pip(*words):
    # The backend writes beside what it builds; nothing is fetched.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    copy, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy / name)
    pip("wheel", copy, "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", built)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment with the wheel, which finds the other packages where this one has them."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "others.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    return folder / "bin"


def test_the_wheel_holds_every_configuration_and_nothing_else_of_the_checkout(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {
        f"flowbench/conf/{file.relative_to(ROOT / 'conf').as_posix()}" for file in (ROOT / "conf").rglob("*.yaml")
    }
    assert {name for name in names if name.endswith(".yaml")} >= configs
    assert {"flowbench/py.typed", "flowbench/report/report_template.html"} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"flowbench", "optical_flowbench"}


@pytest.mark.slow
def test_the_programs_run_from_the_wheel_in_an_empty_folder(environment, tmp_path):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def typed(*words):
        command = [str(environment / words[0]), *map(str, words[1:])]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=variables, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    where = typed("python", "-c", "import flowbench; print(flowbench.__file__, flowbench.__version__)")
    assert str(environment.parent) in where
    assert "  predict " in typed("flowbench")

    typed("flowbench", "train", *NETWORK, *SMALL, *TWO_PROCESSES, "data.counts.test=2", "schedule.steps=2")
    (run,) = (tmp_path / "outputs" / "train").iterdir()
    best = run / "checkpoints" / "best.ckpt"
    assert '"processes": 2' in (run / "provenance.json").read_text()
    assert "report.html" in typed(
        "python", "-m", "flowbench", "evaluate", best, "trainer.accelerator=cpu", "pictures=0"
    )
    typed("flowbench", "predict", f"ckpt={best}", *FRAMES, "-o", "flow", "device=cpu")
    assert [file.name for file in (tmp_path / "flow" / "flow").iterdir()] == [Path(FRAMES[0]).with_suffix(".flo").name]

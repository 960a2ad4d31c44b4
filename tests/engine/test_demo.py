"""The demo shows the shipped weights first, then trains them, and ends with one line."""

import re
import subprocess
from pathlib import Path

import pytest
from support.runs import ROOT, run, run_here

from flowbench.engine.config.groups import data_config, program_config
from flowbench.engine.demo import DemoSettings, demo
from flowbench.engine.run.settings import settings_of
from flowbench.engine.training.settings import TrainSettings


def test_the_shipped_weights_are_the_ones_that_are_trained_and_meet_the_same_scenes():
    trained = TrainSettings.composed("experiment=demo")
    shipped = list(settings_of(DemoSettings, program_config("demo", ())).shipped)
    assert shipped[0] == f"ckpt={trained.init}"
    data = data_config("synthetic", shipped)
    assert data.counts.test == trained.data.counts.test
    assert data.scenes == trained.data.scenes


@pytest.mark.slow
def test_the_demo_begins_with_pictures_and_ends_with_its_line(tmp_path, monkeypatch):
    programs = []

    def quick(command, **_):
        """The same program and words, in a process that need not import PyTorch."""
        programs.append(Path(command[1]).name)
        ended = run(Path(command[1]).relative_to(ROOT), *command[2:])
        return subprocess.CompletedProcess(command, ended.code, ended.stdout, ended.stderr)

    monkeypatch.setattr("flowbench.engine.demo.subprocess.run", quick)
    few = ["data.workers=0", "data.counts.val=2", "data.counts.test=4", "trainer.accelerator=cpu"]
    trained = ["schedule.steps=2", "schedule.val_interval=2", *few]
    shipped = ["ckpt=fastflownet", "data=synthetic", "data.counts.test=4", "data.scenes.size=[192,256]"]
    ended = run_here(
        demo,
        "demo",
        f"train={trained}",
        f"shipped={shipped}",
        "~predict.sintel",
        "~predict.tears_of_steel",
        f"hydra.run.dir={tmp_path}",
    )
    assert ended.code == 0, ended.told
    assert programs == ["predict.py", "evaluate.py", "train.py", "evaluate.py"]

    result = ended.result
    assert result.pages == [tmp_path / "big_buck_bunny" / "index.html", tmp_path / "evaluation" / "report.html"]
    assert all(page.is_file() for page in result.pages)
    last = re.fullmatch(r"demo: epe ([\d.]+) zero-flow ([\d.]+) ratio ([\d.]+)", ended.stdout.splitlines()[-1])
    assert float(last[3]) == pytest.approx(result.ratio, abs=1e-3)
    # Two steps change little: the curve starts where the shipped weights are.
    assert result.epe == pytest.approx(result.shipped_epe, rel=0.3)
    assert result.shipped_epe < 0.5 * result.zero_epe

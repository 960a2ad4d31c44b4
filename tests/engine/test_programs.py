"""Programs as functions: without a command line, without Hydra's globals."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from omegaconf import DictConfig
from support.batches import shifted_noise
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import start

from flowbench.engine.analyse import AnalyseSettings
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.check_submission import CheckSubmissionSettings
from flowbench.engine.config.arguments import hydra_words
from flowbench.engine.config.groups import program_config
from flowbench.engine.contact_sheet import ContactSheetSettings
from flowbench.engine.data_statistics import DataStatisticsSettings
from flowbench.engine.demo import DemoSettings
from flowbench.engine.doctor import DoctorSettings
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.engine.export import ExportSettings
from flowbench.engine.listing import ListSettings
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.release_weights import ReleaseSettings
from flowbench.engine.run.settings import settings_of
from flowbench.engine.training.settings import TrainSettings
from flowbench.errors import FlowBenchError
from flowbench.io import read_flow, write_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint and two images."""
    folder = tmp_path_factory.mktemp("notebook")
    torch.manual_seed(0)
    save_ours(short_model("raft_small"), folder / "ours.ckpt")
    sample = shifted_noise(0)
    for number, image in enumerate((sample.image1, sample.image2)):
        write_image(folder / f"{number}.png", image)
    return folder


NOTEBOOK = """
from pathlib import Path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from flowbench.engine.config.groups import data_config, group_config
from flowbench.engine.evaluate import evaluate
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.engine.predict import predict
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.run import Run
from flowbench.engine.train import train
from flowbench.engine.training.settings import TrainSettings

folder = Path("notebook")
settings = PredictSettings(ckpt="ours.ckpt", input=["0.png", "1.png"], iterations=2, precision="32", device="cpu")
assert settings.precision == "32-true"
assert predict(settings, Run(folder / "predicted")).pairs == 1

scenes = data_config("synthetic", ["data.scenes.size=[64,64]", "data.counts.test=2", "data.workers=0"])
settings = EvaluateSettings(
    ckpt="ours.ckpt", data=scenes, iterations=[1, 2], pictures=0, trainer=group_config("trainer", "default")
)
(result,) = evaluate(settings, Run(folder / "evaluated"))
assert [row["iterations"] for row in result.compared] == [1, 2]

words = ["model=raft_small", "model.network.iterations=1", "data.scenes.size=[64,64]", "data.counts.val=1"]
words += ["data.workers=0", "schedule.steps=1", "schedule.batch_size=1", "callbacks.pictures=null"]
result = train(TrainSettings.composed(*words), Run(folder / "trained"))
assert result.best.is_file() and result.metrics["val/epe"] > 0

assert not HydraConfig.initialized() and not GlobalHydra.instance().is_initialized()
"""


def test_a_notebook_calls_the_programs_as_functions(folder):
    ended = subprocess.run([sys.executable, "-c", NOTEBOOK], cwd=folder, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert read_flow(folder / "notebook" / "predicted" / "flow" / "0.flo")[0].shape[2] == 2


@pytest.mark.parametrize(
    ("kind", "program", "words"),
    [
        (PredictSettings, "predict", ("ckpt=x", "input=x")),
        (EvaluateSettings, "evaluate", ("ckpt=x",)),
        (ExportSettings, "export", ("ckpt=x",)),
        (BenchmarkSettings, "benchmark", ()),
        (AnalyseSettings, "analyse", ("ckpt=x",)),
        (DoctorSettings, "doctor", ("data=synthetic",)),
        (ContactSheetSettings, "contact_sheet", ()),
        (DataStatisticsSettings, "data_statistics", ()),
        (CheckSubmissionSettings, "check_submission", ("data=sintel", "submission=x")),
        (DemoSettings, "demo", ()),
        (ListSettings, "list", ()),
        (ReleaseSettings, "release_weights", ("ckpt=x",)),
        (TrainSettings, "train", ()),
    ],
)
def test_a_programs_file_has_the_names_and_defaults_of_its_settings(kind, program, words):
    config = program_config(program, words)
    own = {field.name: field for field in dataclasses.fields(kind) if field.name != "others"}
    # Groups that are optional are not there.
    assert config.keys() - {"debug", "keep_freed_memory", "paths", "plugins"} <= own.keys()
    assert own.keys() - {"model", "data", "beside", "experiment"} <= config.keys()
    made = settings_of(kind, config)
    for name, field in own.items():
        is_group = isinstance(getattr(made, name), DictConfig)
        if (
            field.default is not dataclasses.MISSING
            and not is_group
            and not any(w.startswith(f"{name}=") for w in words)
        ):
            assert plain(getattr(made, name)) == plain(field.default), name


def plain(value):
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"precision": "half"}, "precision=half: one of 32-true, bf16-mixed, 16-mixed is needed."),
        ({"batch_size": 0}, "batch_size=0: a whole number above zero is needed."),
        ({"batch_size": True}, "batch_size=true: a whole number above zero is needed."),
        ({"iterations": 1.5}, "iterations=1.5: a whole number above zero, or null, is needed."),
        ({"video": 1}, "video=1: one of auto or true or false is needed."),
        ({"max_flow": -1.0}, "max_flow=-1.0: a number above zero, or null, is needed."),
    ],
)
def test_wrong_kinds_are_refused_alike_from_a_notebook_and_the_command_line(given, told, tmp_path):
    ((name, value),) = given.items()
    with pytest.raises(FlowBenchError) as refused:
        PredictSettings(ckpt="x", input="x", **given)
    assert str(refused.value) == told
    with pytest.raises(FlowBenchError) as refused:
        settings_of(PredictSettings, program_config("predict", ["ckpt=x", "input=x", f"{name}={str(value).lower()}"]))
    assert str(refused.value) == told


def test_old_names_of_settings_are_understood_and_told(capsys):
    assert hydra_words(["steps=[1,2]"], config="evaluate") == ["iterations=[1,2]"]
    assert capsys.readouterr().err == "steps= is called iterations= today; the old name still works.\n"
    with pytest.raises(FlowBenchError, match="steps= and iterations= are the same setting: give one of them"):
        hydra_words(["steps=1", "iterations=2"], config="evaluate")
    assert hydra_words(["schedule.steps=1", "iterations=3"], config="evaluate") == ["schedule.steps=1", "iterations=3"]
    assert not capsys.readouterr().err


def test_a_reader_that_closes_the_output_ends_the_program_without_a_word():
    process = start("train.py", "--help")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1

"""Programs as functions: without a command line, without Hydra's globals."""

import subprocess
import sys

import pytest
import torch
from support.batches import shifted_noise
from support.checkpoints import save_ours
from support.models import short_model

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
from flowbench.engine.predict import predict
from flowbench.engine.predict_settings import PredictSettings
from flowbench.engine.run import Run

folder = Path("notebook")
settings = PredictSettings(ckpt="ours.ckpt", input=["0.png", "1.png"], iterations=2, precision="32", device="cpu")
assert settings.precision == "32-true"
assert predict(settings, Run(folder / "predicted")).pairs == 1

assert not HydraConfig.initialized() and not GlobalHydra.instance().is_initialized()
"""


def test_a_notebook_calls_the_programs_as_functions(folder):
    ended = subprocess.run([sys.executable, "-c", NOTEBOOK], cwd=folder, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert read_flow(folder / "notebook" / "predicted" / "flow" / "0.flo")[0].shape[2] == 2

"""Predictions at another size and tile by tile."""

import numpy as np
import pytest
import torch
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import ROOT, run_here

from flowbench.engine.predict import predict
from flowbench.io import read_flow, read_image, write_image


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return short_model("raft_small", iterations=2).eval()


@pytest.fixture(scope="module")
def frames():
    names = [f"frame_00{number}" for number in (16, 17)]
    return [read_image(ROOT / "assets" / "sintel" / f"{name}.png")[100:260, 600:810].copy() for name in names]


@pytest.fixture(scope="module")
def predicted(model, frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes")
    checkpoint = save_ours(model, folder / "ours.ckpt")
    for number, frame in enumerate(frames):
        write_image(folder / "frames" / f"{number}.png", frame)
    words = f"+ckpt={checkpoint}", f"input={folder / 'frames'}", "device=cpu", f"hydra.run.dir={folder / 'run'}"
    return lambda *more: run_here(predict, "predict", *words, "pictures=false", *more)


@pytest.mark.parametrize("sizes", [{"tile": 128}, {"tile": 128, "overlap": 32, "scale": 1.25}, {"max_side": 150}])
def test_sizes_reach_the_model_and_files_have_the_inputs(model, frames, predicted, tmp_path, sizes):
    ended = predicted(f"output={tmp_path}", *(f"{name}={value}" for name, value in sizes.items()))
    assert ended.code == 0, ended.told
    flow, _ = read_flow(tmp_path / "flow" / "0.flo")
    expected = model.estimate(*frames, **sizes).flow[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(flow, expected, atol=1e-4)
    assert np.abs(flow - model.estimate(*frames).flow[0].permute(1, 2, 0).numpy()).max() > 1e-3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scale=0.5", "max_side=100"), "both choose the size: give one"),
        (
            ("tile=128", "warm_start=true"),
            "tile=128 starts each pair anew, but warm_start=true: leave one of them out.",
        ),
        (("overlap=32",), "overlap=32 is of tiles, and there are none: add tile=512"),
        (
            ("tile=130",),
            "from frame 0: tile=130: this network takes tiles of at least 128 pixels a side, in multiples of 8",
        ),
        (("scale=0.1",), "is too small for this network"),
    ],
)
def test_sizes_that_do_not_fit_are_one_sentence(predicted, words, message):
    ended = predicted(*words)
    assert ended.code == 1
    assert message in ended.told

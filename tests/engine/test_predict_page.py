"""The page that a prediction ends with, and what it tells to open first."""

import re

import pytest
import torch
from support.browser import browse, needs_browser
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import ROOT, run, run_here

from flowbench.engine.predict import predict
from flowbench.io import read_image, write_image


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("page")
    model = short_model("raft_small", iterations=1).eval()
    for number in (16, 17, 18):
        frame = read_image(ROOT / "assets" / "sintel" / f"frame_00{number}.png")[220:290, 800:891].copy()
        write_image(folder / "frames" / f"{number}.png", frame)
    checkpoint = save_ours(model, folder / "ours.ckpt")
    return f"ckpt={checkpoint}", f"input={folder / 'frames'}", "device=cpu"


@needs_browser
def test_the_page_of_a_run_shows_its_frames_numbers_video_and_command(words, tmp_path):
    ended = run("predict.py", *words, f"hydra.run.dir={tmp_path}", "video=true", "backward=true", "scale=1.5")
    assert ended.code == 0, ended.told
    assert ended.stdout.splitlines()[-1] == f"Open first: {tmp_path / 'index.html'}"
    shown = browse(tmp_path, "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "index.html").as_uri())
    assert re.search(r'data-images-loaded="5"', shown)
    assert "<h1>Flow of frames</h1>" in shown
    assert 'src="side_by_side.webm"' in shown
    settings = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", shown))
    assert settings["model"] == "raft_small"
    assert settings["scale"] == "1.5"
    assert settings["command"].startswith("python predict.py ckpt=")
    assert "tile" not in settings
    assert "occluded pixels (%)" in shown


@pytest.mark.parametrize(
    ("more", "first"),
    [
        (("page=false", "video=true"), "side_by_side.webm"),
        (("page=false",), "pictures"),
        (("page=false", "pictures=false"), None),
    ],
)
def test_without_a_page_the_next_best_is_named(words, tmp_path, more, first):
    ended = run_here(predict, "predict", *words, f"hydra.run.dir={tmp_path}", "limit=1", *more)
    assert ended.code == 0, ended.told
    assert not (tmp_path / "index.html").exists()
    told = re.findall("Open first: (.*)", ended.stdout)
    assert told == ([] if first is None else [str(tmp_path / first)])

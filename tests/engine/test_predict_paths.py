"""What a prediction writes lies in its folder, whatever the pictures are called."""

import pytest
import torch
from support.checkpoints import save_ours
from support.runs import ROOT, run_here

import flowbench
from flowbench.engine.predict import predict
from flowbench.io import read_image, write_image


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    model = flowbench.load("raft_small", None, ["network.eval_iterations=1"])
    return save_ours(model, tmp_path_factory.mktemp("checkpoints") / "ours.ckpt")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".flo", ".png")}


def test_a_list_with_folders_above(checkpoint, tmp_path, monkeypatch):
    picture = read_image(ROOT / "assets/sintel/frame_0016.png")[:64, :64]
    here = tmp_path / "a" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for path in ("x.png", "../x.png"):
        write_image(here / path, picture)
    before = files(tmp_path)
    ended = run_here(
        predict, "predict", f"+ckpt={checkpoint}", "input=[../x.png,x.png]", f"hydra.run.dir={tmp_path}/out/run"
    )
    assert ended.code == 0, ended.told
    assert files(tmp_path) - before == {"out/run/flow/x.flo", "out/run/pictures/x.png"}


@pytest.mark.parametrize("images", ["a/../b/*.png", "../data/b/*.png", "a/../../data/*/*.png"])
def test_pairs_of_a_folder_above_are_written_into_the_runs_own(images, checkpoint, tmp_path, monkeypatch):
    picture = read_image(ROOT / "assets/sintel/frame_0016.png")[:64, :64]
    for sequence in ("a", "b"):
        for number in (1, 2):
            (tmp_path / "data" / sequence).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / "data" / sequence / f"{number}.png", picture)
    monkeypatch.chdir(tmp_path / "data")
    before = files(tmp_path)
    words = (
        "data=folder",
        f"data.images={images}",
        "data.workers=0",
        "pictures=false",
        f"hydra.run.dir={tmp_path}/out/run",
    )
    ended = run_here(predict, "predict", f"+ckpt={checkpoint}", *words)
    assert ended.code == 0, ended.told
    written = files(tmp_path) - before
    assert written
    assert all(name.startswith("out/run/flow/") for name in written)

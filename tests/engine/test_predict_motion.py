"""Predictions of every n-th frame and over a gap, occluded pixels, and the numbers of motion."""

import csv

import numpy as np
import pytest
import torch
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import ROOT, run_here

from flowbench.engine.predict import predict
from flowbench.engine.prediction.motion import MotionTable
from flowbench.engine.prediction.predictor import frame_runs
from flowbench.io import Frame, open_frames, read_flow, read_image, read_mask, write_image, write_video
from flowbench.ops.occlusion import occluded_pixels

COUNT = 7


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return short_model("raft_small", iterations=1).eval()


@pytest.fixture(scope="module")
def frames():
    """A film frame that moves to the left, faster and faster."""
    frame = read_image(ROOT / "assets" / "sintel" / "frame_0016.png")[220:290, 700:]
    return [frame[:, number**2 : number**2 + 90].copy() for number in range(COUNT)]


@pytest.fixture(scope="module")
def predicted(model, frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("motion")
    checkpoint = save_ours(model, folder / "ours.ckpt")
    for number, frame in enumerate(frames):
        write_image(folder / "frames" / f"{number}.png", frame)
    words = f"+ckpt={checkpoint}", f"input={folder / 'frames'}", "device=cpu", f"hydra.run.dir={folder / 'run'}"
    return lambda *more: run_here(predict, "predict", *words, "pictures=false", *more)


def estimated(model, image1, image2):
    return model.estimate(image1, image2).flow[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        (("every=2",), [(0, 2), (2, 4), (4, 6)]),
        (("gap=3",), [(0, 3), (1, 4), (2, 5), (3, 6)]),
        (("gap=3", "batch_size=3"), [(0, 3), (1, 4), (2, 5), (3, 6)]),
        (("gap=2", "every=2", "batch_size=2"), [(0, 4), (2, 6)]),
        (("gap=2", "limit=1"), [(0, 2)]),
    ],
)
def test_pairs_of_every_and_gap(model, frames, predicted, tmp_path, words, pairs):
    ended = predicted(f"output={tmp_path}", "backward=true", *words)
    assert ended.code == 0, ended.told
    assert ended.result.pairs == len(pairs)
    assert sorted(path.stem for path in (tmp_path / "flow").iterdir()) == [str(first) for first, _ in pairs]
    for first, second in pairs:
        flow, _ = read_flow(tmp_path / "flow" / f"{first}.flo")
        np.testing.assert_allclose(flow, estimated(model, frames[first], frames[second]), atol=1e-4)
        backward, _ = read_flow(tmp_path / "backward_flow" / f"{second}.flo")
        np.testing.assert_allclose(backward, estimated(model, frames[second], frames[first]), atol=1e-4)


def test_runs_with_a_gap_hold_each_pair_once():
    runs = frame_runs(iter("abcdefg"), pairs=2, gap=3)
    assert ["".join(run) for run in runs] == ["abcde", "cdefg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gap=7",), "no pair was found with every=1 and gap=7"),
        (("every=7",), "no pair was found with every=7 and gap=1"),
        (("gap=2", "warm_start=true"), "use every=2, or leave one of them out"),
    ],
)
def test_pairs_that_are_not_there_are_one_sentence(predicted, words, message):
    ended = predicted(*words)
    assert ended.code == 1
    assert message in ended.told


def test_the_video_of_every_second_frame_takes_as_long(predicted, frames, tmp_path):
    with write_video(tmp_path / "clip.avi", fps=30) as video:
        for frame in frames:
            video.write(frame)
    ended = predicted(f"input={tmp_path / 'clip.avi'}", "every=2", "format=none", f"output={tmp_path / 'out'}")
    assert ended.code == 0, ended.told
    assert "header claims" not in ended.told
    assert open_frames(tmp_path / "out" / "side_by_side.webm").fps == 15


def test_masks_and_numbers_of_each_pair(predicted, tmp_path):
    words = "backward=true", "batch_size=2", "limit=3", "moving_threshold=2", "occlusion_relative=0.9"
    ended = predicted(f"output={tmp_path}", *words)
    assert ended.code == 0, ended.told
    with open(tmp_path / "motion.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "1", "2"]
    for number, row in enumerate(rows):
        flow, backward = (
            torch.from_numpy(read_flow(tmp_path / name)[0]).permute(2, 0, 1)[None]
            for name in (f"flow/{number}.flo", f"backward_flow/{number + 1}.flo")
        )
        mask = read_mask(tmp_path / "occluded" / f"{number}.png")
        np.testing.assert_array_equal(mask, occluded_pixels(flow, backward, relative=0.9)[0].numpy())
        assert 0 < mask.mean() < 1
        length = flow.norm(dim=1).flatten()
        expected = {
            "mean": length.mean().item(),
            "median": length.quantile(0.5).item(),
            "p95": length.quantile(0.95).item(),
            "moving": 100 * (length >= 2).float().mean().item(),
            "occluded": 100 * mask.mean(),
        }
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected, abs=1e-3)


def test_numbers_of_a_known_flow(tmp_path):
    flow = np.zeros((10, 10, 2), np.float32)
    flow[0, :4] = (3, 4)
    table = MotionTable(tmp_path / "motion.csv", threshold=0.5)
    table(Frame("a", np.zeros((10, 10, 3), np.uint8)), flow, None)
    table.write()
    assert (tmp_path / "motion.csv").read_text() == "frame,mean,median,p95,moving\na,0.2,0.0,0.0,4.0\n"


@pytest.mark.parametrize(("fps", "every", "shown"), [(0.5, 3, 0.5), (8.0, 2, 4.0)])
def test_a_video_of_few_frames_a_second_is_one_that_can_be_read(predicted, frames, tmp_path, fps, every, shown):
    with write_video(tmp_path / "slow.avi", fps) as video:
        for frame in frames:
            video.write(frame)
    ended = predicted(f"input={tmp_path / 'slow.avi'}", f"output={tmp_path}", f"every={every}")
    assert ended.code == 0, ended.told
    assert open_frames(tmp_path / "side_by_side.webm").fps == pytest.approx(shown)
    assert (tmp_path / "motion.csv").exists()


@pytest.mark.parametrize("fps", [0.1, 1e9])
def test_a_speed_that_no_video_has_is_refused_before_the_first_pair(predicted, tmp_path, fps):
    ended = predicted(f"output={tmp_path}", "video=true", f"fps={fps}")
    assert f"{fps:g} frames per second; 0.5 to 1000 are needed" in ended.told
    assert not (tmp_path / "flow").exists()

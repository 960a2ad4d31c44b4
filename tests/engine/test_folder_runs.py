"""Training, evaluation and the doctor on a folder of one's own, from which files are missing."""

import numpy as np
import pytest
import torch
from support.runs import rows, run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.doctor import doctor
from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train
from flowbench.io import read_flow, write_flow, write_image

SIZE = (80, 96)
SHORT = (
    "model=raft_small",
    "model.network.iterations=2",
    "model.network.eval_iterations=2",
    "schedule=synthetic",
    "schedule.steps=2",
    "schedule.batch_size=2",
    "schedule.val_interval=2",
    "schedule.crop=[64,64]",
    "data.workers=0",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "callbacks.pictures=null",
)


def write_pan(folder, frames, flows, speed=lambda number: 2 * number):
    """Frames of noise that moves to the left, by speed(n) pixels from frame n to n + 1, and the flow that says so."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[0], 400, 3), np.uint8)
    starts = np.cumsum([0] + [speed(number) for number in range(1, max(frames) + 1)])
    for number in frames:
        left = starts[number - 1]
        write_image(folder / f"frames/frame_{number:04d}.png", noise[:, left : left + SIZE[1]])
    for number in flows:
        flow = np.zeros((*SIZE, 2), np.float32)
        flow[..., 0] = -speed(number)
        write_flow(folder / f"flow/frame_{number:04d}.flo", flow)
    return [f"data.images='{folder}/frames/*.png'", f"data.flow='{folder}/flow/*.flo'"]


@pytest.fixture
def gap(tmp_path):
    """Frame 4 is missing, and so is the flow of frame 5: pairs 1, 2, 6, 7, 8, 9."""
    return write_pan(tmp_path / "pan", [1, 2, 3, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 6, 7, 8, 9])


def _as_the_first_format_names_it(path):
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint.pop("flowbench_format") == 2
    checkpoint["hyper_parameters"]["data"]["_target_"] = "flowbench.data.folder.folder_data"
    torch.save(checkpoint, path)


def test_training_and_evaluation_see_right_pairs_and_test_what_chose_nothing(gap, tmp_path):
    shares = ("data.validation_share=0.34", "data.test_share=0.34")
    ended = run_here(train, "train", "data=folder", *gap, *SHORT, *shares, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 0, ended.told
    found = {}
    _as_the_first_format_names_it(tmp_path / "run/checkpoints/best.ckpt")
    for split in ("train", "val", "test"):
        folder = tmp_path / split
        words = ("pictures=0", "iterations=1", "trainer.accelerator=cpu", f"split={split}", f"hydra.run.dir={folder}")
        ended = run_here(evaluate, "evaluate", f"+ckpt={tmp_path / 'run/checkpoints/best.ckpt'}", *words)
        assert ended.code == 0, ended.told
        found |= {row["key"]: (split, float(row["zero_epe"])) for row in rows(folder / "per_sample.csv")}
    # Pair 7 shows the first image of pair 8, which is tested.
    assert found == {
        "folder/frame_0001": ("train", 2),
        "folder/frame_0002": ("train", 4),
        "folder/frame_0006": ("val", 12),
        "folder/frame_0008": ("test", 16),
        "folder/frame_0009": ("test", 18),
    }


def test_training_without_validation_pairs_says_how_to_get_some(gap, tmp_path):
    ended = run_here(train, "train", "data=folder", *gap, *SHORT, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert "no val pairs: check data.val (of data=folder: data.val.images, data.validation_share or " in ended.told


def test_the_doctor_names_the_files_without_a_pair(gap, tmp_path):
    ended = run_here(doctor, "doctor", "data=folder", *gap, "workers=0", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 0, ended.told
    problems = [(row["level"], row["problem"]) for row in rows(tmp_path / "run/problems.csv")]
    named = {name: f"'{tmp_path}/pan/{name}'" for name in
             ("frames/frame_0003.png", "frames/frame_0005.png", "flow/frame_0003.flo", "flow/frame_0004.flo")}  # fmt: skip
    assert problems == [
        ("warning", f"there is no second image for {named['frames/frame_0003.png']}"),
        ("warning", f"there is no flow for {named['frames/frame_0005.png']}"),
        ("warning", f"there is no pair for {named['flow/frame_0003.flo']}, {named['flow/frame_0004.flo']}"),
    ]


WRONG = {
    "of the pair before": lambda truth: [truth[-1], *truth[:-1]],
    "with u and v swapped": lambda truth: [flow[..., ::-1] for flow in truth],
    "from the second image to the first": lambda truth: [-flow for flow in truth],
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Pairs of the built-in scenes, and their flow."""
    folder = tmp_path_factory.mktemp("scenes")
    write_tree("folder", folder, pairs=8, size=(64, 80))
    return folder, [read_flow(file)[0] for file in sorted(folder.glob("flow/*/*.flo"))]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_doctor_sees_that_flow_does_not_belong_to_the_images(scenes, tmp_path, wrong):
    folder, truth = scenes
    files = sorted(folder.glob("flow/*/*.flo"))
    for file, flow in zip(files, wrong(truth), strict=True):
        write_flow(tmp_path / file.relative_to(folder), np.ascontiguousarray(flow))
    words = (f"data.images='{folder}/frames/*/*.png'", f"data.flow='{tmp_path}/flow/*/*.flo'")
    ended = run_here(doctor, "doctor", "data=folder", *words, "workers=0", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert "image 2, warped by the flow, is no more like image 1 than as it is" in ended.told
    assert "the flow of 1 of 1 data sets does not belong to the images" in ended.told


def test_the_doctor_has_nothing_against_right_flow(scenes, tmp_path):
    folder, _ = scenes
    words = (f"data.images='{folder}/frames/*/*.png'", f"data.flow='{folder}/flow/*/*.flo'")
    ended = run_here(doctor, "doctor", "data=folder", *words, "workers=0", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 0
    assert not (tmp_path / "run/problems.csv").exists()
    assert "after warping (median)" in ended.told

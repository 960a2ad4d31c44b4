"""Prediction over data sets, and what their servers take."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
from support.checkpoints import save_ours
from support.runs import run_here

import flowbench
from flowbench.data.sample_trees import write_tree
from flowbench.data.sets.kitti import Kitti, Kitti2012
from flowbench.data.sets.sintel import Sintel
from flowbench.engine.predict import predict
from flowbench.engine.prediction.submission import FOLDER
from flowbench.io import read_flow, read_image, write_image
from flowbench.io.flo import read_flo
from flowbench.structures import EvalProtocol

SIZE = (60, 72)
HALF_STEP_OF_KITTI = 1 / 128
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("data_sets")
    for name, folder in (("sintel", "Sintel"), ("kitti", "KITTI"), ("kitti2012", "KITTI2012"), ("spring", "Spring")):
        write_tree(name, root / folder, pairs=2, size=SIZE)
    return root


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return flowbench.load("raft_small", None, ["network.eval_iterations=2"])


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    return save_ours(model, tmp_path_factory.mktemp("checkpoints") / "ours.ckpt")


@pytest.fixture
def predicted(checkpoint, trees, tmp_path, monkeypatch):
    """Runs predict.py on the trees; gives what it told and the run's folder."""
    monkeypatch.setenv("FLOWBENCH_DATA", str(trees))

    def run(*words, code=0):
        words = (f"+ckpt={checkpoint}", f"hydra.run.dir={tmp_path}/run", "device=cpu", *words)
        ended = run_here(predict, "predict", *words)
        assert ended.code == code, ended.told
        return ended, tmp_path / "run"

    return run


def estimated(model, first, second, reuse=None, updates=2, padding="sintel"):
    model.follow(EvalProtocol(padding=padding, updates=updates))
    output = model.estimate(read_image(first), read_image(second), reuse)
    return output.flow[0].permute(1, 2, 0).numpy(), output.reuse


def files_under(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_sintel_gets_its_two_passes_as_flo(predicted, model, trees):
    _, run = predicted("data=sintel", "submission=true", "iterations=2")
    submission = run / FOLDER
    names = [f"{scene}/frame0001" for scene in ("ambush_1", "ambush_2")]
    assert files_under(submission) == [f"{kind}/{name}.flo" for kind in ("clean", "final") for name in names]
    for pair in Sintel(trees / "Sintel", split="test").pairs:
        expected, _ = estimated(model, pair.image1, pair.image2)
        written = read_flo(submission / f"{pair.key.removeprefix('sintel/').replace('frame_', 'frame')}.flo")
        np.testing.assert_allclose(written, expected, atol=TOLERANCE)


@pytest.mark.parametrize(("data", "kind", "folder"), [("kitti", Kitti, "flow/"), ("kitti2012", Kitti2012, "")])
def test_kitti_gets_16_bit_pictures_that_are_valid_everywhere(predicted, model, trees, data, kind, folder):
    ended, run = predicted(f"data={data}", "submission=true", "iterations=2")
    assert files_under(run / FOLDER) == [f"{folder}000000_10.png", f"{folder}000001_10.png"]
    for pair in kind(trees / data.upper(), split="test").pairs:
        file = run / FOLDER / f"{folder}{pair.image1.name}"
        stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert (stored.dtype, stored.shape, stored[..., 0].min()) == (np.uint16, (*SIZE, 3), 1)
        expected, _ = estimated(model, pair.image1, pair.image2, padding="kitti")
        np.testing.assert_allclose(read_flow(file)[0], expected, atol=HALF_STEP_OF_KITTI + TOLERANCE)
    assert (
        f"zip {'-r ' * (data == 'kitti')}../{'kitti2015.zip flow' if folder else 'kitti2012.zip *.png'}" in ended.told
    )


def test_spring_gets_both_cameras_and_directions_at_the_size_of_the_pictures(predicted, model, trees):
    h5py = pytest.importorskip("h5py")
    ended, run = predicted("data=spring", "submission=true", "iterations=1")
    assert files_under(run / FOLDER) == sorted(
        f"{sequence}/flow_{name}/flow_{name}_{frame}.flo5"
        for sequence in ("0001", "0002")
        for way, frame in (("FW", "0001"), ("BW", "0002"))
        for name in (f"{way}_left", f"{way}_right")
    )
    frames = trees / "Spring" / "test" / "0002" / "frame_right"
    first, second = (frames / f"frame_right_000{number}.png" for number in (1, 2))
    with h5py.File(run / FOLDER / "0002" / "flow_BW_right" / "flow_BW_right_0002.flo5") as file:
        assert (file["flow"].shape, file["flow"].dtype) == ((*SIZE, 2), np.float32)
        np.testing.assert_allclose(file["flow"][()], estimated(model, second, first, updates=1)[0], atol=TOLERANCE)
    assert f"flow_subsampling '{run / FOLDER}'" in ended.told


def test_the_protocol_of_the_data_decides_unless_updates_are_given(predicted, model, trees, monkeypatch):
    followed = []
    monkeypatch.setattr(type(model), "follow", lambda self, protocol: followed.append((self, protocol)))
    predicted("data=kitti", "submission=true", "limit=1")
    predicted("data=kitti", "submission=true", "limit=1", "iterations=1")
    assert [protocol for _, protocol in followed] == [EvalProtocol("kitti", 24, ["epe_per_image", "fl_all"])] * 2
    assert [model.iterations for model, _ in followed] == [2, 1]


def test_a_submission_tells_what_is_missing_and_what_to_do_next(predicted, trees):
    ended, run = predicted("data=sintel", "submission=true", "iterations=1", "limit=3")
    submission = run / FOLDER
    assert len(files_under(submission)) == 3
    assert "not complete: 3 of 4 files were written" in ended.told
    assert f"clean: the server wants 552 pairs, but 2 were found in '{trees / 'Sintel'}'" in ended.told
    assert f"tools/check_submission.py data=sintel submission='{submission}'" in ended.told
    assert f"bundler '{submission}/clean' '{submission}/final' sintel.lzma" in ended.told
    assert not (run / "flow").exists()
    assert not (run / "pictures").exists()


def test_pictures_of_a_submission_are_drawn_where_asked_for(predicted):
    _, run = predicted("data=kitti", "submission=true", "iterations=1", "pictures=true")
    assert files_under(run / "pictures") == ["kitti/testing/000000_10.png", "kitti/testing/000001_10.png"]


def test_flow_beyond_kittis_range_is_clipped_and_counted_once(predicted, model, monkeypatch):
    estimate = type(model).estimate

    def far(self, *images, **options):
        output = estimate(self, *images, **options)
        output.flow.zero_()
        output.flow[:, 0, :2, :5], output.flow[:, 1, 1, 4:6] = 600.0, -1000.0
        return output

    monkeypatch.setattr(type(model), "estimate", far)
    ended, run = predicted("data=kitti", "submission=true", "iterations=1")
    flow, valid = read_flow(run / FOLDER / "flow" / "000000_10.png")
    assert valid.all()
    assert (flow[0, 0].tolist(), flow[1, 5].tolist()) == ([511.984375, 0.0], [0.0, -512.0])
    assert ended.told.count("Warning") == 1
    assert "22 pixels in 2 files were clipped" in ended.told


def write_pan(folder, names, starts):
    """Frames cut from one picture, further right by a pixel each."""
    random = np.random.default_rng(3).integers(0, 255, (16, 32, 3), np.uint8)
    picture = cv2.resize(random, (128, 64), interpolation=cv2.INTER_CUBIC)
    for name, start in zip(names, starts):
        write_image(folder / name, picture[:60, start : start + 72])
    return [folder / name for name in names]


def test_a_warm_start_ends_with_its_sequence(predicted, model, tmp_path):
    """The second scene begins with the very picture that the first one ends with."""
    first = write_pan(tmp_path / "Sintel/test/clean/a", [f"frame_000{n}.png" for n in (1, 2, 3)], (0, 3, 6))
    second = write_pan(tmp_path / "Sintel/test/clean/b", [f"frame_000{n}.png" for n in (1, 2)], (6, 9))
    words = (
        "data=sintel",
        "~data.submission.final",
        f"paths.sintel={tmp_path}/Sintel",
        "submission=true",
        "iterations=2",
    )
    ended, run = predicted(*words, "warm_start=true", "compare_cold=true")
    assert "1 of 3 pairs from the one before" in ended.told
    told = json.loads((run / "summary.json").read_text())["warm_start"]
    assert (told["pairs_from_the_one_before"], told["compare_cold"]["pairs"]) == (1, 1)
    cold, reuse = estimated(model, first[0], first[1])
    warm, _ = estimated(model, first[1], first[2], reuse)
    afresh, _ = estimated(model, *second)
    expected = {"a/frame0001": cold, "a/frame0002": warm, "b/frame0001": afresh}
    for name, flow in expected.items():
        np.testing.assert_allclose(read_flo(run / FOLDER / "clean" / f"{name}.flo"), flow, atol=TOLERANCE)
    assert np.abs(warm - estimated(model, first[1], first[2])[0]).max() > 0.01


def test_a_split_is_named_by_its_keys(predicted, model, trees):
    ended, run = predicted("data=kitti", "split=val", "iterations=2", "backward=true", "format=npz")
    names = ["kitti/training/000000_10", "kitti/training/000001_10"]
    for folder, suffix in (
        ("flow", "npz"),
        ("backward_flow", "npz"),
        ("pictures", "png"),
        ("backward_pictures", "png"),
    ):
        assert files_under(run / folder) == [f"{name}.{suffix}" for name in names]
    pair = Kitti(trees / "KITTI", split="train").pairs[1]
    for folder, pictures in (("flow", (pair.image1, pair.image2)), ("backward_flow", (pair.image2, pair.image1))):
        expected, _ = estimated(model, *pictures, padding="kitti")
        np.testing.assert_allclose(read_flow(run / folder / f"{pair.key}.npz")[0], expected, atol=TOLERANCE)
    assert "2 pairs in" in ended.told
    assert "check_submission" not in ended.told


def test_all_data_sets_of_a_split_are_predicted(predicted):
    _, run = predicted("data=sintel", "iterations=1", "pictures=false")
    scenes = [f"{scene}/frame_0001.flo" for scene in ("alley_1", "alley_2")]
    assert files_under(run / "flow") == [f"sintel/{kind}/{scene}" for kind in ("clean", "final") for scene in scenes]


def test_the_built_in_scenes_are_predicted_like_any_data(predicted):
    _, run = predicted("data=synthetic", "data.scenes.size=[64,64]", "limit=1", "iterations=1")
    assert len(files_under(run / "flow")) == len(files_under(run / "pictures")) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["input=clip.mp4", "data=sintel"], r"input=clip\.mp4 and data=sintel exclude each other"),
        (["submission=true", "input=clip.mp4"], r"submission=true needs the data set .* add data=<name>"),
        (["data=sintel", "submission=true", "split=val"], r"split=val: submission=true predicts .* Set split=test"),
        (["data=sintel", "submission=true", "backward=true"], r"backward=true: no server takes it"),
        (["data=sintel", "submission=maybe"], r"submission=maybe: true or false is needed"),
        (["data=chairs", "submission=true"], r"No server takes results on data=chairs: .* MPI Sintel, KITTI 2015"),
        (["data=synthetic", "submission=true"], r"No server takes results on data=synthetic"),
        (["data=sintel", "split=tset"], r"split=tset: one of train, val, test is needed"),
        (["data=sintel", "batch_size=2"], r"batch_size=2: the pairs of a data set"),
        (["data=sintel", "video=true"], r"video=true: a data set's pairs are no video"),
        (["data=[sintel,kitti]"], r"data=\[sintel,kitti\]: one data set at a time"),
        (["+data.workers=0"], r"add data=<name>"),
        (["data=sintel", "submission=true", "paths.sintel=gone"], r"no folder 'gone'.*paths\.sintel"),
        ([], r"No input was given: add input=.* or data=<name>"),
    ],
)
def test_a_mistake_is_one_sentence(predicted, words, sentence):
    ended, _ = predicted(*words, code=1)
    assert ended.stderr.count("error:") == 1
    assert re.search(sentence, ended.told), ended.told


def test_an_error_of_the_model_names_the_pair(predicted, tmp_path):
    write_pan(tmp_path / "KITTI/testing/image_2", ["000000_10.png", "000000_11.png"], (0, 3))
    for path in (tmp_path / "KITTI/testing/image_2").iterdir():
        write_image(path, read_image(path)[:4, :4])
    ended, _ = predicted("data=kitti", "submission=true", f"paths.kitti={tmp_path}/KITTI", code=1)
    assert "error: kitti/testing/000000_10: An image of 4x4" in ended.told

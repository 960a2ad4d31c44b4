"""Prediction from pictures and videos to files."""

import re
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from support.runs import run as run_program
from support.runs import run_here

import flowbench
from flowbench.engine import predict as predict_module
from flowbench.engine.predict import predict
from flowbench.engine.prediction import writers
from flowbench.engine.prediction.predictor import PairPredictor, frame_runs
from flowbench.engine.prediction.writers import SteadyScale
from flowbench.errors import FlowBenchError
from flowbench.io import Frame, open_frames, read_flow, read_image, write_image, write_video
from flowbench.report.colour import flow_to_image

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("frame_0016", "frame_0017", "frame_0018")
HEIGHT, WIDTH = 70, 91


@pytest.fixture(scope="module")
def frames():
    """The apple of assets/sintel, at a size that is no multiple of the network's stride."""
    pictures = [read_image(ROOT / "assets" / "sintel" / f"{name}.png") for name in NAMES]
    return [picture[220 : 220 + HEIGHT, 800 : 800 + WIDTH].copy() for picture in pictures]


@pytest.fixture(scope="module")
def folder(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    for name, frame in zip(NAMES, frames):
        write_image(folder / f"{name}.png", frame)
    return folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return flowbench.load("raft_small", None, ["network.eval_iterations=3"])


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "ours.ckpt"
    state = {f"network.{name}": tensor for name, tensor in model.network.state_dict().items()}
    torch.save({"hyper_parameters": model.settings, "state_dict": state}, path)
    return path


def run(checkpoint, *overrides):
    ended = predicted(checkpoint, *overrides)
    assert ended.code == 0, ended.told
    return ended.result


def predicted(checkpoint, *overrides):
    own_folder = f"hydra.run.dir={checkpoint.parent / 'run'}"
    return run_here(predict, "predict", f"+ckpt={checkpoint}", "device=cpu", own_folder, *overrides)


def flows(folder, suffix="flo"):
    return {path.stem: read_flow(path)[0] for path in sorted(folder.glob(f"*.{suffix}"))}


def estimated(model, image1, image2, reuse=None):
    output = model.estimate(image1, image2, reuse)
    return output.flow[0].permute(1, 2, 0).numpy(), output.reuse


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_flow_is_the_models_estimate_in_every_batch_size(model, checkpoint, folder, frames, tmp_path, batch_size):
    result = run(checkpoint, f"input={folder}", f"output={tmp_path}", f"batch_size={batch_size}")
    written = flows(tmp_path / "flow")
    assert list(written) == ["frame_0016", "frame_0017"]
    for place, flow in enumerate(written.values()):
        expected, _ = estimated(model, frames[place], frames[place + 1])
        np.testing.assert_allclose(flow, expected, atol=1e-4)
    lengths = np.linalg.norm(np.stack(list(written.values())), axis=-1)
    assert (result.pairs, result.mean_flow) == (2, pytest.approx(lengths.mean(), rel=1e-4))
    assert result.written == [tmp_path / name for name in ("flow", "pictures", "motion.csv", "index.html")]


def test_warm_start_goes_on_from_the_previous_pair(model, checkpoint, folder, frames, tmp_path):
    run(checkpoint, f"input={folder}", f"output={tmp_path}", "warm_start=true", "pictures=false")
    first, second = flows(tmp_path / "flow").values()
    cold, reuse = estimated(model, frames[0], frames[1])
    warm, _ = estimated(model, frames[1], frames[2], reuse)
    np.testing.assert_allclose(first, cold, atol=1e-4)
    np.testing.assert_allclose(second, warm, atol=1e-4)
    assert np.abs(warm - estimated(model, frames[1], frames[2])[0]).max() > 0.01


def test_backward_flow_is_named_for_the_second_frame(model, checkpoint, folder, frames, tmp_path):
    run(checkpoint, f"input={folder}", f"output={tmp_path}", "backward=true", "limit=1")
    assert list(flows(tmp_path / "flow")) == ["frame_0016"]
    backward = flows(tmp_path / "backward_flow")
    assert list(backward) == ["frame_0017"]
    np.testing.assert_allclose(backward["frame_0017"], estimated(model, frames[1], frames[0])[0], atol=1e-4)
    assert (tmp_path / "backward_pictures" / "frame_0017.png").is_file()


@pytest.mark.parametrize(("file_format", "tolerance"), [("flo", 1e-4), ("png", 1 / 128 + 1e-4), ("npz", 1e-4)])
def test_formats(model, checkpoint, folder, frames, tmp_path, file_format, tolerance):
    pair = f"[{folder / 'frame_0018.png'},{folder / 'frame_0016.png'}]"
    run(checkpoint, f"input={pair}", f"output={tmp_path}", f"format={file_format}", "pictures=false")
    assert {path.name for path in tmp_path.rglob("*.*")} == {f"frame_0018.{file_format}", "motion.csv", "index.html"}
    (flow,) = flows(tmp_path / "flow", file_format).values()
    np.testing.assert_allclose(flow, estimated(model, frames[2], frames[0])[0], atol=tolerance)


def test_pictures_have_the_scale_that_was_asked_for(checkpoint, folder, tmp_path):
    for name, scale in (("own", "null"), ("common", "2.5")):
        run(checkpoint, f"input='{folder}/*.png'", f"output={tmp_path / name}", f"max_flow={scale}")
    flow = flows(tmp_path / "own" / "flow")["frame_0017"]
    pictures = [read_image(tmp_path / name / "pictures" / "frame_0017.png") for name in ("own", "common")]
    np.testing.assert_array_equal(pictures[0], flow_to_image(flow))
    np.testing.assert_array_equal(pictures[1], flow_to_image(flow, max_flow=2.5))


def test_video_of_pictures_shows_every_pair(checkpoint, folder, tmp_path):
    run(checkpoint, f"input={folder}", f"output={tmp_path}", "video=true", "fps=5", "format=none", "pictures=false")
    assert {path.name for path in tmp_path.iterdir()} == {"side_by_side.webm", "motion.csv", "index.html"}
    video = open_frames(tmp_path / "side_by_side.webm")
    # Frames enlarged to 256x197, with a caption of 30, a gap of 4 between them, and one row more to make it even.
    assert [frame.image.shape for frame in video] == [(197 + 30 + 1, 256 + 4 + 256, 3)] * 2
    assert video.fps == 5


def test_no_more_frames_are_held_than_a_batch_needs(checkpoint, tmp_path, monkeypatch):
    held = []

    class Source:
        count, fps = 8, None

        def __iter__(self):
            made = []
            for index in range(self.count):
                image = np.full((64, 64, 3), index, np.uint8)
                made.append(weakref.ref(image))
                held.append(sum(reference() is not None for reference in made))
                yield Frame(f"frame_{index}", image)

    monkeypatch.setattr(predict_module, "open_frames", lambda paths, white: Source())
    result = run(checkpoint, "input=any", f"output={tmp_path}", "batch_size=2", "iterations=1")
    assert result.pairs == 7
    assert max(held) == 3


def test_runs_share_their_border_frame_and_read_nothing_ahead():
    read = []

    def stream():
        for name in "abcdef":
            read.append(name)
            yield name

    runs = frame_runs(stream(), pairs=2)
    assert "".join(next(runs)) == "".join(read) == "abc"
    assert ["".join(run) for run in runs] == ["cde", "ef"]
    assert list(frame_runs(iter("a"), pairs=2)) == []


def test_official_checkpoint_with_its_model(model, checkpoint, folder, tmp_path):
    official = tmp_path / "raft-small.pth"
    torch.save({f"module.{name}": tensor for name, tensor in model.network.state_dict().items()}, official)
    common = (f"input={folder}", "pictures=false", "iterations=2")
    run(official, "model=raft_small", f"output={tmp_path / 'official'}", *common)
    run(checkpoint, f"output={tmp_path / 'ours'}", *common)
    for theirs, ours in zip(flows(tmp_path / "official" / "flow").values(), flows(tmp_path / "ours" / "flow").values()):
        np.testing.assert_array_equal(theirs, ours)


def test_half_precision_stays_close(model, frames):
    full, half = (
        PairPredictor(model, precision=precision)(frames[0][None], frames[1][None]) for precision in (32, "bf16")
    )
    assert half.dtype == np.float32
    assert 0 < np.abs(full - half).mean() < 0.05 * np.abs(full).mean()


def test_flow_that_is_not_finite_is_an_error(frames):
    broken = flowbench.load("raft_small", None, ["network.eval_iterations=1"])
    with torch.no_grad():
        next(broken.network.update_block.parameters()).fill_(float("nan"))
    with pytest.raises(FlowBenchError, match="raft_small gave flow that is not finite"):
        PairPredictor(broken)(frames[0][None], frames[1][None])


def test_scale_of_a_video_is_steady():
    def moving(length):
        return np.full((10, 10, 2), (length, 0.0), np.float32)

    scale = SteadyScale()
    assert [scale(moving(0.01)) for _ in range(3)] == [1.0] * 3
    scale = SteadyScale()
    assert scale(moving(10)) == pytest.approx(10)
    assert scale(moving(100)) == pytest.approx(19)
    assert [scale(moving(10)) for _ in range(50)][-1] == pytest.approx(10, rel=0.01)


def test_a_few_wrong_pixels_do_not_move_the_scale():
    flow = np.full((20, 20, 2), (10.0, 0.0), np.float32)
    flow[0, :3] = 1e4
    assert SteadyScale()(flow) == pytest.approx(10)


def test_a_video_by_the_command_line(checkpoint, frames, tmp_path):
    with write_video(tmp_path / "clip.avi", fps=12.5) as video:
        for frame in (*frames, frames[0]):
            video.write(frame)
    output = tmp_path / "run"
    words = f"+ckpt={checkpoint}", f"input={tmp_path / 'clip.avi'}", f"hydra.run.dir={output}", "warm_start=true"
    done = run_program("predict.py", *words)
    assert done.code == 0, done.stderr
    assert "3 pairs in" in done.stdout
    assert "FFMPEG" not in done.stderr
    assert f"side by side: {output / 'side_by_side.webm'}" in done.stdout
    names = [f"frame_{index:06d}" for index in range(3)]
    assert list(flows(output / "flow")) == names
    assert sorted(path.stem for path in (output / "pictures").iterdir()) == names
    video = open_frames(output / "side_by_side.webm")
    assert (len(list(video)), video.fps) == (3, 12.5)


def test_a_cascade_that_shrinks_too_far_names_the_factor(checkpoint, folder, tmp_path):
    ended = run_here(
        predict, "predict", f"ckpt={checkpoint}", f"input={folder}", "cascade=[2,1]", f"hydra.run.dir={tmp_path}"
    )
    assert ended.code == 1
    assert f"cascade=[2,1] shrinks images of {WIDTH}x{HEIGHT} pixels (width x height) by 2" in ended.told
    assert "leave 2 out" in ended.told


def test_a_mistake_on_the_command_line_is_one_sentence(checkpoint, tmp_path):
    words = f"+ckpt={checkpoint}", f"input={tmp_path / 'gone.mp4'}", f"hydra.run.dir={tmp_path / 'run'}"
    done = run_program("predict.py", *words)
    assert done.code == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'gone.mp4'}: no such video")
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def bad_inputs(frames, tmp_path):
    write_image(tmp_path / "sizes" / "a.png", frames[0])
    write_image(tmp_path / "sizes" / "b.png", frames[1][:-1])
    write_image(tmp_path / "tiny" / "a.png", frames[0][:5, :5])
    write_image(tmp_path / "tiny" / "b.png", frames[1][:5, :5])
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    return tmp_path


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["input={bad}/sizes"], r"sizes/b\.png is 91x69, .*sizes/a\.png is 91x70: all frames must have one size"),
        (["input=[{bad}/tiny/a.png,{bad}/tiny/b.png]"], r"tiny/b\.png, from frame a: An image of 5x5 .* enlarge"),
        (["input={bad}/noise.mp4"], r"noise\.mp4: no readable video"),
        (["input={bad}/empty"], r"empty: no images found"),
        ([], r"No input was given: add input="),
        (["input={bad}/sizes", "ckpt={bad}/gone.ckpt"], r"no checkpoint file '.*gone\.ckpt'"),
        (["input={bad}/sizes", "ckpt=null", "model=raft"], r"FlowBench ships no weights of raft"),
        (["input={bad}/sizes", "warm_start=true", "batch_size=2"], r"warm_start=true .*batch_size=2"),
        (["input={bad}/sizes", "format=jpg"], r"format=jpg: one of flo, png, npz, none is needed"),
        (["input={bad}/sizes", "batch_size=0"], r"batch_size=0: a whole number above zero"),
        (["input={bad}/sizes", "batch_size=null"], r"batch_size=null: a whole number above zero"),
        (["input={bad}/sizes", "max_flow=-1"], r"max_flow=-1: a number above zero"),
        (["input={bad}/sizes", "device=gpu"], r"device=gpu is not available here"),
        (["input={bad}/sizes", "bach_size=2"], r"bach_size"),
    ],
)
def test_bad_input_is_one_sentence(checkpoint, bad_inputs, overrides, sentence):
    ended = predicted(checkpoint, *(override.format(bad=bad_inputs) for override in overrides))
    assert ended.code == 1
    assert ended.stderr.count("error:") == 1
    assert re.search(sentence, ended.stderr), ended.stderr


def test_a_failed_prediction_leaves_no_video(checkpoint, bad_inputs, tmp_path):
    ended = predicted(checkpoint, f"input={bad_inputs / 'sizes'}", f"output={tmp_path / 'out'}", "video=true")
    assert ended.code == 1
    assert "one size" in ended.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_video_without_vp8_is_an_mp4_and_said_to_be(checkpoint, folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(writers, "can_write", lambda suffix: False)
    run(checkpoint, f"input={folder}", f"output={tmp_path}", "video=true", "format=none", "pictures=false")
    assert (tmp_path / "side_by_side.mp4").is_file()
    assert "cannot write WebM (VP8): the video is an MPEG-4" in caplog.text

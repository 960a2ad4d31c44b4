"""Videos and pictures that OpenCV decodes to something else than they show: refused or warned of, never taken silently."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.runs import ROOT, run, run_here

import flowbench
from flowbench.engine.predict import predict
from flowbench.io import image, read_flow, write_image, write_video

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    model = flowbench.load("raft_small", None, ["network.eval_iterations=2"])
    path = tmp_path_factory.mktemp("checkpoints") / "ours.ckpt"
    state = {f"network.{name}": tensor for name, tensor in model.network.state_dict().items()}
    torch.save({"hyper_parameters": model.settings, "state_dict": state}, path)
    return path


@pytest.fixture
def predicted(checkpoint, tmp_path):
    def run(*words):
        out = f"output={tmp_path / 'out'}"
        words = (
            f"+ckpt={checkpoint}",
            "video=false",
            "pictures=false",
            out,
            *words,
            f"hydra.run.dir={tmp_path / 'run'}",
        )
        return run_here(predict, "predict", *words)

    return run


def moving(count, size=(72, 96)):
    noise = np.random.default_rng(0).integers(0, 256, (size[0], size[1] + 2 * count, 3), np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    return [noise[:, 2 * number : 2 * number + size[1]].copy() for number in range(count)]


def save_video(path, frames):
    with write_video(path, fps=25) as video:
        for frame in frames:
            video.write(frame)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the interlaced video in ../shared/cases")
def test_interlaced_video_is_refused(predicted):
    ended = predicted(f"input={CASES / 'interlaced/interlaced.mp4'}")
    assert ended.code == 1
    assert "all frames that OpenCV decodes are the same image" in ended.told
    assert "deinterlace it first" in ended.told


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the interlaced video in ../shared/cases")
@pytest.mark.slow
def test_ffmpeg_writes_nothing_between_the_user_and_the_sentence(checkpoint, tmp_path):
    """In a process of its own: FFmpeg writes to the terminal itself."""
    video = CASES / "interlaced/interlaced.mp4"
    ended = run("predict.py", f"ckpt={checkpoint}", f"input={video}", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert ended.stderr.startswith(f"error: {video}: all frames that OpenCV decodes are the same image"), ended.told
    assert len(ended.stderr.splitlines()) == 1


def test_a_video_of_one_image_is_refused_and_one_that_begins_with_it_is_not(predicted, tmp_path):
    frames = moving(4)
    save_video(tmp_path / "still.avi", frames[:1] * 30)
    ended = predicted(f"input={tmp_path / 'still.avi'}")
    assert ended.code == 1
    assert "still.avi: all frames that OpenCV decodes are the same image" in ended.told
    save_video(tmp_path / "start.avi", frames[:1] * 5 + frames)
    ended = predicted(f"input={tmp_path / 'start.avi'}")
    assert ended.code == 0, ended.told
    assert "Warning: 5 of 9 frames are the same as the frame before" in ended.told


def test_a_failure_of_opencv_within_a_video_is_a_sentence(predicted, tmp_path, monkeypatch):
    save_video(tmp_path / "clip.avi", moving(6))
    capture, reads = cv2.VideoCapture, []

    class Failing:
        def __init__(self, name):
            self.own = capture(name)

        def __getattr__(self, name):
            return getattr(self.own, name)

        def read(self):
            reads.append(None)
            if len(reads) > 5:
                raise cv2.error("Insufficient memory")
            return self.own.read()

    monkeypatch.setattr(cv2, "VideoCapture", Failing)
    ended = predicted(f"input={tmp_path / 'clip.avi'}")
    assert ended.code == 1
    assert f"error: {tmp_path / 'clip.avi'}: a frame cannot be decoded (Insufficient memory)" in ended.told


def test_twelve_bits_in_sixteen_are_warned_of_and_can_be_set_right(predicted, tmp_path, caplog):
    frames = moving(2)
    for number, frame in enumerate(frames):
        write_image(tmp_path / f"eight/{number}.png", frame)
        (tmp_path / "twelve").mkdir(exist_ok=True)
        twelve = np.rint(frame[..., ::-1] * (4095 / 255)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"twelve/{number}.png"), twelve)
    image._warned.clear()
    ended = predicted(f"input={tmp_path / 'twelve'}")
    assert ended.code == 0, ended.told
    (warning,) = [record.getMessage() for record in caplog.records if "16-bit" in record.getMessage()]
    assert "so almost black. If it holds 12 bits, set white=4095" in warning
    dark, _ = read_flow(tmp_path / "out/flow/0.flo")
    assert predicted(f"input={tmp_path / 'eight'}").code == 0
    expected, _ = read_flow(tmp_path / "out/flow/0.flo")
    assert predicted(f"input={tmp_path / 'twelve'}", "white=4095").code == 0
    flow, _ = read_flow(tmp_path / "out/flow/0.flo")
    np.testing.assert_allclose(flow, expected, atol=1e-4)
    assert np.abs(dark - expected).max() > 0.1
    ended = predicted(f"input={tmp_path / 'twelve'}", "white=1023")
    assert ended.code == 1
    assert "white=1023, but the image has 16 bits per channel and values up to" in ended.told


def save_pages(path, kind):
    pages = [Image.fromarray(frame) for frame in moving(3)]
    pages[0].save(path, format=kind, save_all=True, append_images=pages[1:])


@pytest.mark.parametrize(("name", "kind"), [("pages.tif", "TIFF"), ("frames.png", "PNG"), ("frames.webp", "WEBP")])
def test_a_picture_of_several_is_refused(predicted, tmp_path, name, kind):
    """But for a TIFF stack by itself."""
    save_pages(tmp_path / name, kind)
    write_image(tmp_path / "z.png", moving(1)[0])
    for source in (tmp_path,) if kind == "TIFF" else (tmp_path / name, tmp_path):
        ended = predicted(f"input={source}")
        assert ended.code == 1
        assert f"{tmp_path / name}: holds 3 images (pages or frames)" in ended.told


def test_one_picture_is_no_video(predicted, tmp_path):
    write_image(tmp_path / "0001.png", moving(1)[0])
    write_image(tmp_path / "0002.png", moving(1)[0])
    ended = predicted(f"input={tmp_path / '0001.png'}")
    assert ended.code == 1
    assert "0001.png: one image; flow needs at least two" in ended.told


def test_a_cascade_beside_a_warm_start_is_refused(tmp_path):
    words = (f"ckpt={ROOT}/weights/fastflownet.safetensors", "model=fastflownet", f"input={ROOT}/assets/sintel")
    ended = run_here(predict, "predict", *words, "cascade=[2,1]", "warm_start=true", f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "A cascade starts each pair anew, but warm_start=true: leave one of them out." in ended.told

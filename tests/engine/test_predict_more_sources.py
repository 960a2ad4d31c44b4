"""Predictions of GIFs, TIFF stacks, JPEG 2000 frames and cameras."""

import os
import signal

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import run_here

from flowbench.engine.predict import predict
from flowbench.errors import FlowBenchError
from flowbench.io import open_frames, read_image
from flowbench.io.pages import TiffPages

NOISE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (72, 120, 3), np.uint8), (0, 0), 2)
FRAMES = [NOISE[:, 3 * number : 3 * number + 96].copy() for number in range(5)]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("sources")
    model = short_model("raft_small", iterations=1).eval()
    words = f"+ckpt={save_ours(model, folder / 'ours.ckpt')}", "device=cpu", f"hydra.run.dir={folder / 'run'}"
    return lambda *more: run_here(predict, "predict", *words, "pictures=false", *more)


def save_frames(path, **options):
    images = [Image.fromarray(frame) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:], **options)


def test_a_gif_is_a_video(predicted, tmp_path):
    save_frames(tmp_path / "clip.gif", duration=100)
    source = open_frames(tmp_path / "clip.gif")
    assert (source.count, source.fps) == (5, 10)
    for frame, expected in zip(source, FRAMES, strict=True):
        assert np.abs(frame.image.astype(int) - expected).mean() < 8
    ended = predicted(f"input={tmp_path / 'clip.gif'}", f"output={tmp_path / 'out'}")
    assert ended.code == 0, ended.told
    assert len(list((tmp_path / "out" / "flow").iterdir())) == 4
    assert (tmp_path / "out" / "side_by_side.webm").is_file()


def test_a_stack_is_a_sequence(predicted, tmp_path):
    save_frames(tmp_path / "stack.tif")
    ended = predicted(f"input={tmp_path / 'stack.tif'}", f"output={tmp_path / 'out'}")
    assert ended.code == 0, ended.told
    assert sorted(path.stem for path in (tmp_path / "out" / "flow").iterdir()) == [f"page_{n:06d}" for n in range(4)]
    assert not (tmp_path / "out" / "side_by_side.webm").exists()
    for _ in range(2):
        for frame, expected in zip(open_frames(tmp_path / "stack.tif"), FRAMES, strict=True):
            np.testing.assert_array_equal(frame.image, expected)


def test_a_stack_of_twelve_bits_with_a_preview_between_its_pages(tmp_path):
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in FRAMES[:2]]
    pages = [Image.fromarray(np.rint(page * (4095 / 255)).astype(np.uint16)) for page in grey]
    preview = Image.fromarray(grey[0][::4, ::4])
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "stack.tiff", save_all=True, append_images=[preview, pages[1]])
    source = open_frames(tmp_path / "stack.tiff", white=4095)
    assert source.count == 2
    for frame, expected in zip(source, grey, strict=True):
        np.testing.assert_allclose(frame.image[..., 0].astype(int), expected, atol=1)


def test_a_stack_that_is_broken_or_of_two_sizes_is_one_sentence(tmp_path):
    pages = [Image.fromarray(FRAMES[0]), Image.fromarray(FRAMES[1][:40])]
    pages[0].save(tmp_path / "sizes.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(FlowBenchError, match=r"sizes\.tif: page 1 is 96x40, the first 96x72"):
        list(open_frames(tmp_path / "sizes.tif"))
    save_frames(tmp_path / "stack.tif")
    data = (tmp_path / "stack.tif").read_bytes()
    (tmp_path / "short.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(FlowBenchError, match=r"short\.tif: truncated"):
        open_frames(tmp_path / "short.tif")
    source = TiffPages(tmp_path / "stack.tif")
    (tmp_path / "stack.tif").write_bytes(b"II*\0")
    with pytest.raises(FlowBenchError, match=r"stack\.tif: page 0 cannot be read"):
        list(source)


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
def test_jpeg_2000_frames(predicted, tmp_path, suffix):
    for number, frame in enumerate(FRAMES[:2]):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(frame).save(
            tmp_path / "frames" / f"{number}{suffix}", format="JPEG2000", no_jp2=suffix == ".j2k"
        )
        np.testing.assert_array_equal(read_image(tmp_path / "frames" / f"{number}{suffix}"), frame)
    ended = predicted(f"input={tmp_path / 'frames'}", f"output={tmp_path / 'out'}")
    assert ended.code == 0, ended.told
    data = (tmp_path / "frames" / f"0{suffix}").read_bytes()
    (tmp_path / f"short{suffix}").write_bytes(data[:-20])
    with pytest.raises(FlowBenchError, match=r"truncated: the end of the JPEG 2000 image is missing"):
        read_image(tmp_path / f"short{suffix}")


class Camera:
    """Stands for cv2.VideoCapture(0): FRAMES over and over. presses_at: the frame during which the user presses Ctrl-C."""

    presses_at = None

    def __init__(self, source):
        self.there, self.given = source == 0, 0

    def isOpened(self):  # noqa: N802
        return self.there

    def get(self, what):
        return 20.0

    def read(self):
        self.given += 1
        if self.given == self.presses_at:
            os.kill(os.getpid(), signal.SIGINT)
        return True, FRAMES[self.given % 5][..., ::-1].copy()

    def release(self):
        pass


def test_a_camera_ends_well_at_its_limit_and_at_ctrl_c(predicted, tmp_path, monkeypatch):
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Camera(source) if type(source) is int else capture(source))
    before = signal.getsignal(signal.SIGINT)
    ended = predicted("input=camera:0", "limit=2", f"output={tmp_path / 'limit'}")
    assert ended.code == 0, ended.told
    assert ended.result.pairs == 2
    monkeypatch.setattr(Camera, "presses_at", 5)
    ended = predicted("input=camera:0", f"output={tmp_path / 'pressed'}")
    assert ended.code == 0, ended.told
    assert ended.result.pairs == 3
    assert open_frames(tmp_path / "pressed" / "side_by_side.webm").count == 3
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("source", "message"),
    [("camera:99", "camera:99: no such camera"), ("camera:front", "a camera is named by its number, such as camera:0")],
)
def test_no_camera_is_one_sentence(predicted, source, message):
    ended = predicted(f"input={source}")
    assert ended.code == 1
    assert message in ended.told


def test_one_gif_frame_is_not_enough(predicted, tmp_path):
    Image.fromarray(FRAMES[0]).save(tmp_path / "one.gif")
    ended = predicted(f"input={tmp_path / 'one.gif'}")
    assert ended.code == 1
    assert "one.gif: 1 readable frames; flow needs at least two" in ended.told

"""Frames from videos, folders, patterns and lists; videos written and read back."""

import os

import cv2
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import open_frames, write_image, write_video


def grey(level, height=48, width=64):
    return np.full((height, width, 3), level, np.uint8)


def levels(frames):
    return [round(float(frame.image.mean())) for frame in frames]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "frames"
    for number in (1, 2, 9, 10, 100):
        write_image(folder / f"frame_{number}.png", grey(number))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


def test_folder_is_read_in_natural_order(folder):
    source = open_frames(folder)
    assert (source.count, source.fps) == (5, None)
    assert levels(source) == [1, 2, 9, 10, 100]
    assert [frame.name for frame in source] == ["frame_1", "frame_2", "frame_9", "frame_10", "frame_100"]


def test_pattern_picks_pictures(folder):
    assert levels(open_frames(str(folder / "frame_1*"))) == [1, 10, 100]


def test_list_keeps_its_order(folder):
    assert levels(open_frames([folder / "frame_10.png", str(folder / "frame_2.png")])) == [10, 2]


def test_equal_names_in_two_folders_are_told_apart(tmp_path):
    for name in ("a/1.png", "b/1.png", "b/1.bmp"):
        write_image(tmp_path / name, grey(1))
    pictures = [tmp_path / "a/1.png", tmp_path / "b/1.png"]
    assert [frame.name for frame in open_frames(pictures)] == ["a/1", "b/1"]
    assert [frame.name for frame in open_frames([*pictures, tmp_path / "b/1.bmp"])] == ["a/1.png", "b/1.png", "b/1.bmp"]
    with pytest.raises(FlowBenchError, match=r"1\.png: listed more than once"):
        open_frames([*pictures, pictures[0]])


def test_pictures_are_read_one_at_a_time(folder):
    (folder / "frame_10.png").write_bytes(b"damaged")
    frames = iter(open_frames(folder))
    assert [next(frames).name for _ in range(3)] == ["frame_1", "frame_2", "frame_9"]
    with pytest.raises(FlowBenchError, match=r"frame_10\.png"):
        next(frames)


def test_differing_sizes_are_an_error_that_names_both(folder):
    write_image(folder / "frame_9.png", grey(9, height=32))
    with pytest.raises(FlowBenchError, match=r"frame_9\.png is 64x32, .*frame_1\.png is 64x48"):
        list(open_frames(folder))


def test_sources_without_two_pictures_are_errors(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", str(tmp_path / "*.png")):
        with pytest.raises(FlowBenchError, match="no images found"):
            open_frames(source)
    with pytest.raises(FlowBenchError, match=r"one image \(frame_2\.png\) only"):
        open_frames(str(folder / "frame_2*"))
    with pytest.raises(FlowBenchError, match=r"frame_3\.png: no such file \(1 of 2"):
        open_frames([folder / "frame_2.png", folder / "frame_3.png"])
    with pytest.raises(FlowBenchError, match=r"gone\.mp4: no such video"):
        open_frames(tmp_path / "gone.mp4")
    with pytest.raises(FlowBenchError, match=r"frame_2\.png: one image; flow needs at least two"):
        open_frames(folder / "frame_2.png")


def test_unreadable_video_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"this is no video" * 100)
    with pytest.raises(FlowBenchError, match=r"clip\.mp4: no readable video"):
        open_frames(path)


@pytest.mark.parametrize("suffix", [".webm", ".mp4", ".avi"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (47, 65)])
def test_video_survives_a_round_trip(tmp_path, suffix, height, width):
    path = tmp_path / f"clip{suffix}"
    with write_video(path, fps=12.5) as video:
        for level in (40, 80, 120, 160):
            video.write(grey(level, height, width) // np.array([1, 2, 4], np.uint8))
    assert os.listdir(tmp_path) == [path.name]
    source = open_frames(path)
    assert (source.count, source.fps) == (4, 12.5)
    for _ in range(2):
        frames = list(source)
        assert [frame.name for frame in frames] == [f"frame_{index:06d}" for index in range(4)]
        assert frames[0].image.shape == (height + height % 2, width + width % 2, 3)
        reds, blues = ([float(frame.image[..., channel].mean()) for frame in frames] for channel in (0, 2))
        np.testing.assert_allclose(reds, [40, 80, 120, 160], atol=4)
        np.testing.assert_allclose(blues, [10, 20, 30, 40], atol=4)


def test_failed_video_leaves_no_file(tmp_path):
    def write(suffix, frames, fps=25):
        with write_video(tmp_path / f"clip{suffix}", fps) as video:
            for frame in frames:
                video.write(frame)

    with pytest.raises(FlowBenchError, match=r"clip\.gif.*Known: \.webm, \.mp4, \.avi"):
        write(".gif", [])
    with pytest.raises(FlowBenchError, match=r"clip\.mp4: 0 frames per second"):
        write(".mp4", [], fps=0)
    with pytest.raises(FlowBenchError, match=r"clip\.mp4: no frame was given"):
        write(".mp4", [])
    with pytest.raises(FlowBenchError, match=r"clip\.mp4: frame 1 has shape \(32, 64, 3\), the first \(48, 64, 3\)"):
        write(".mp4", [grey(1), grey(2, height=32)])
    with pytest.raises(FlowBenchError, match=r"clip\.mp4: frame of \(48, 64\)"):
        write(".mp4", [grey(1)[..., 0]])
    assert os.listdir(tmp_path) == []


def test_absent_codec_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, "fourcc", lambda *code: cv2.VideoWriter_fourcc(*"zzzz"))
    with (
        pytest.raises(FlowBenchError, match=r"clip\.mp4: OpenCV cannot write mp4v.*Try"),
        write_video(tmp_path / "clip.mp4", 25) as video,
    ):
        video.write(grey(1))
    assert os.listdir(tmp_path) == []

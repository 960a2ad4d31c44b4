"""What surfaces look like: patterns, palettes, shapes, photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from flowbench.data.scenes import SyntheticScenes
from flowbench.data.scenes.palettes import draw_palette
from flowbench.data.scenes.photographs import draw_photograph, list_photographs, read_photograph
from flowbench.data.scenes.shapes import SHAPES, bar, draw_outlines, rasterise
from flowbench.data.scenes.textures import PATTERNS, draw_texture
from flowbench.errors import FlowBenchError

# A colour that no natural palette holds.
MAGENTA = (255, 0, 255)


@pytest.fixture
def photographs(tmp_path):
    """Three pictures of magenta with a black cross, one of them smaller than any surface."""
    for name, size in (("a.png", (200, 300)), ("b.png", (1500, 900)), ("deep/c.png", (20, 30))):
        picture = np.full((*size, 3), MAGENTA, np.uint8)
        picture[size[0] // 2], picture[:, size[1] // 2] = 0, 0
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), picture[..., ::-1])
    return tmp_path


def magenta_share(image: np.ndarray) -> float:
    return float(np.mean(np.abs(image.astype(int) - MAGENTA).max(-1) < 30))


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in PATTERNS], ids=lambda pattern: pattern.__name__)
@pytest.mark.parametrize("size", [(5, 9), (60, 200)])
def test_patterns_use_the_range_of_values(pattern, size):
    fields = [pattern(np.random.default_rng(seed), size, 0.5) for seed in range(10)]
    assert all(field.shape == size and field.dtype == np.uint8 for field in fields)
    assert np.median([np.ptp(field) for field in fields]) > 100


def test_textures_are_as_smooth_as_resampling_needs():
    """Half a pixel of shift and back again changes a texture little."""
    losses = []
    for seed in range(30):
        texture = draw_texture(np.random.default_rng(seed), (120, 160), 1.0).astype(float)
        blurred = (texture[:, :-2] + 2 * texture[:, 1:-1] + texture[:, 2:]) / 4
        losses.append(np.abs(blurred - texture[:, 1:-1]).mean())
    assert np.mean(losses) < 2


def test_palettes_run_from_dark_to_light():
    for seed in range(30):
        palette = draw_palette(np.random.default_rng(seed))
        assert palette.shape == (256, 3)
        assert palette[-1].max() - palette[0].max() > 30


@pytest.mark.parametrize("radius", [4.0, 60.0])
def test_masks_hold_their_shape_with_room_around_it(radius):
    for seed in range(60):
        mask, centre = rasterise(draw_outlines(np.random.default_rng(seed), radius), radius)
        assert mask.max() > 200
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
        assert ((centre >= 0) & (centre < mask.shape[::-1])).all()


@pytest.mark.parametrize("shape", [shape for shape, _ in SHAPES], ids=lambda shape: shape.__name__)
def test_shapes_lie_in_the_unit_circle(shape):
    for seed in range(20):
        assert np.hypot(*shape(np.random.default_rng(seed)).T).max() < 1.1


def test_the_thinnest_bars_are_seen_along_their_whole_length():
    for seed in range(20):
        mask, _ = rasterise([bar(np.random.default_rng(seed), thinnest=3 / 20)], 20.0)
        assert (mask.max(0) > 127).sum() >= 38


def test_some_shapes_have_holes():
    outlines = [draw_outlines(np.random.default_rng(seed), 80.0) for seed in range(60)]
    with_holes = [parts for parts in outlines if len(parts) > 1]
    assert 5 < len(with_holes) < 25
    for parts in with_holes:
        assert (rasterise(parts, 80.0)[0] > 0).sum() < (rasterise(parts[:1], 80.0)[0] > 0).sum()


def test_photographs_cover_surfaces(photographs):
    def dataset(textures):
        return SyntheticScenes(size=(96, 128), count=12, split="train", textures=textures, effects=None)

    with_photographs = dataset(f"{photographs}/**/*.png")
    without = dataset(None)
    assert np.mean([magenta_share(with_photographs[index].image1) for index in range(12)]) > 0.3
    assert np.mean([magenta_share(without[index].image1) for index in range(12)]) < 0.01
    for index in range(12):
        np.testing.assert_array_equal(with_photographs[index].flow, without[index].flow)


def test_photographs_are_cut_to_any_size(photographs):
    paths = list_photographs(f"{photographs}/**/*.png")
    for size in ((10, 400), (300, 20), (64, 64)):
        for seed in range(6):
            texture = draw_photograph(np.random.default_rng(seed), paths, size)
            assert texture.shape == (*size, 3)
            assert magenta_share(texture) > 0.5


def test_photographs_are_read_once(photographs, monkeypatch):
    for index in range(40):
        cv2.imwrite(f"{photographs}/many{index}.png", np.full((40, 60, 3), index, np.uint8))
    reads = []
    monkeypatch.setattr(cv2, "imread", lambda path, flags, read=cv2.imread: (reads.append(path), read(path, flags))[1])
    paths = list_photographs(f"{photographs}/many*.png")
    rng = np.random.default_rng(0)
    for _ in range(300):
        draw_photograph(rng, paths, (10, 10))
    assert sorted(reads) == sorted(paths)


def test_large_photographs_are_shrunk_and_small_ones_are_not_enlarged(tmp_path):
    cv2.imwrite(f"{tmp_path}/large.png", np.zeros((1500, 3000, 3), np.uint8))
    assert read_photograph(f"{tmp_path}/large.png", 0).shape == (320, 640, 3)
    # Columns one pixel wide stay one pixel wide on a larger surface.
    cv2.imwrite(f"{tmp_path}/small.png", np.tile(np.array([0, 255], np.uint8)[None, :, None], (30, 20, 3)))
    texture = draw_photograph(np.random.default_rng(0), [f"{tmp_path}/small.png"], (100, 150))
    steps = np.abs(np.diff(texture[..., 0].astype(int), axis=1))
    assert np.mean(steps > 60) > 0.6


def test_photographs_are_listed_in_one_order(photographs):
    names = [str(photographs / name) for name in ("a.png", "b.png", "deep/c.png")]
    assert list_photographs(f"{photographs}/**/*.png") == tuple(names)
    assert list_photographs(names[::-1]) == tuple(names)
    assert list_photographs(f"{photographs}/*.png") == tuple(names[:2])


@pytest.mark.parametrize("textures", ["/nowhere/*.jpg", []])
def test_textures_that_match_no_file_are_refused(textures):
    with pytest.raises(FlowBenchError, match=r"No file matches textures=.*give a glob"):
        list_photographs(textures)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    with pytest.raises(FlowBenchError, match=r"notes\.jpg is not an image"):
        draw_photograph(np.random.default_rng(0), [str(path)], (10, 10))

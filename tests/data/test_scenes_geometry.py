"""The pictures, the flow and the occlusion of a scene agree with each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from support.scenes import write_pictures

from flowbench.data.scenes.cutouts import list_cutouts
from flowbench.data.scenes.layers import Layer
from flowbench.data.scenes.motion import Motion, Wave
from flowbench.data.scenes.parallax import _homographies
from flowbench.data.scenes.photographs import list_photographs
from flowbench.data.scenes.render import Frame, exact_flow, render
from flowbench.data.scenes.scene import draw_scene
from flowbench.data.scenes.settings import SceneSettings, Shares

SIZE = (192, 256)
SETTINGS = SceneSettings(size=SIZE, layers=(3, 12), max_displacement=100.0, static_fraction=0.0)
SCENES = range(24)
KINDS = ("default", "rich")


@dataclass(frozen=True, eq=False)
class Rendered:
    layers: list[Layer]
    frames: tuple[Frame, Frame]
    forward: np.ndarray
    forward_occluded: np.ndarray
    backward: np.ndarray


def draw(index: int, settings: SceneSettings = SETTINGS) -> list[Layer]:
    return draw_scene(settings, np.random.default_rng((1, index)), np.random.default_rng((2, index)))


@pytest.fixture(scope="module")
def rich(tmp_path_factory) -> SceneSettings:
    """All that scenes can have."""
    pictures = write_pictures(tmp_path_factory.mktemp("pictures"))
    return replace(
        SETTINGS,
        layers=(4, 20),
        max_displacement=200.0,
        photographs=list_photographs(pictures["textures"]),
        cutouts=list_cutouts(pictures["cutouts"]),
        shares=Shares(photographs=0.7, plain=0.1, cutouts=0.4, thin=0.3, parallax=0.5),
        motions=(3, 10),
    )


@pytest.fixture(scope="module", params=KINDS)
def rendered(request, rich) -> list[Rendered]:
    settings = {"default": SETTINGS, "rich": rich}[request.param]
    scenes = []
    for index in SCENES:
        layers = draw(index, settings)
        frames = render(layers, 1, SIZE), render(layers, 2, SIZE)
        forward, occluded = exact_flow(layers, frames[0])
        scenes.append(Rendered(layers, frames, forward, occluded, exact_flow(layers, frames[1])[0]))
    return scenes


def destinations(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float64)
    return x + flow[..., 0], y + flow[..., 1]


def sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear values of an (H, W, C) image, without OpenCV's rounding of coordinates."""
    channels = [map_coordinates(channel, [y, x], order=1) for channel in np.moveaxis(image.astype(float), -1, 0)]
    return np.stack(channels, -1)


def away_from_edges(scene: Rendered, margin: int = 3) -> np.ndarray:
    """Pixels of image1 whose surroundings show one layer, there and at their destination in image2."""
    window = np.ones((2 * margin + 1,) * 2, np.uint8)
    edges = [cv2.morphologyEx(frame.owner, cv2.MORPH_GRADIENT, window) > 0 for frame in scene.frames]
    at_destination = sample(edges[1][..., None], *destinations(scene.forward))[..., 0]
    return ~edges[0] & (at_destination == 0)


def test_image2_warped_by_the_flow_is_image1(rendered):
    errors = []
    for scene in rendered:
        warped = sample(scene.frames[1].image, *destinations(scene.forward))
        seen = ~scene.forward_occluded & away_from_edges(scene)
        error = np.abs(warped - scene.frames[0].image).mean(-1)[seen]
        errors.append(error.mean())
        assert np.mean(error > 25) < 2e-3
    assert np.mean(errors) < 1.0
    assert np.max(errors) < 2.5


def test_a_wrong_flow_would_be_noticed(rendered):
    """The textures tell flows apart that differ by a pixel: the warp test above is not passed by flat surfaces."""
    errors = []
    for scene in rendered:
        x, y = destinations(scene.forward)
        seen = ~scene.forward_occluded & away_from_edges(scene)
        error = np.abs(sample(scene.frames[1].image, x + 1, y) - scene.frames[0].image).mean(-1)
        errors.append(error[seen].mean())
    assert np.mean(errors) > 3


def test_the_flow_back_leads_to_where_the_flow_came_from(rendered):
    for scene in rendered:
        back = sample(scene.backward, *destinations(scene.forward))
        seen = ~scene.forward_occluded & away_from_edges(scene)
        distance = np.hypot(*np.moveaxis(scene.forward + back, -1, 0))[seen]
        assert distance.mean() < 1e-3
        assert np.quantile(distance, 0.999) < 0.03


def test_occluded_points_are_not_found_again(rendered):
    """Where something covers the destination, image2 shows another layer there."""
    for scene in rendered:
        x, y = destinations(scene.forward)
        tested = (x >= 0) & (x <= SIZE[1] - 1) & (y >= 0) & (y <= SIZE[0] - 1) & away_from_edges(scene)
        column, row = np.round(x[tested]).astype(int), np.round(y[tested]).astype(int)
        found_again = scene.frames[1].owner[row, column] == scene.frames[0].owner[tested]
        np.testing.assert_array_equal(found_again, ~scene.forward_occluded[tested])


def test_occlusion_equals_an_evaluation_of_every_layer_at_every_point(rendered):
    """In double precision, by another interpolation, without windows, boxes or pictures."""
    differing = [np.mean(brute_force_occlusion(scene) != scene.forward_occluded) for scene in rendered[:8]]
    # What is left lies within the 1/32 pixel to which OpenCV rounds coordinates.
    assert np.max(differing) < 5e-4


def brute_force_occlusion(scene: Rendered) -> np.ndarray:
    x, y = destinations(scene.forward)
    occluded = (x < 0) | (x > SIZE[1] - 1) | (y < 0) | (y > SIZE[0] - 1)
    for index, layer in enumerate(scene.layers[1:], start=1):
        canvas_x, canvas_y = layer.locate(2, x, y)
        if layer.mask is None:
            covers = np.all([a * canvas_x + b * canvas_y + c > 0 for a, b, c in layer.edges], axis=0)
        else:
            mask = layer.mask.astype(float)
            covers = map_coordinates(mask, [canvas_y, canvas_x], order=1, mode="grid-constant") > 127.5
        occluded |= covers & (scene.frames[0].owner < index)
    return occluded


def test_flow_is_the_motion_of_the_topmost_layer(rendered):
    scene = rendered[0]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float64)
    for index, layer in enumerate(scene.layers):
        owned = scene.frames[0].owner == index
        moved_x, moved_y = layer.motion.forward(x[owned], y[owned])
        np.testing.assert_allclose(scene.forward[owned][:, 0], moved_x - x[owned], atol=1e-3)
        np.testing.assert_allclose(scene.forward[owned][:, 1], moved_y - y[owned], atol=1e-3)


def test_scenes_have_the_configured_layers_and_some_deform():
    scenes = [draw(index) for index in range(60)]
    foregrounds = [len(layers) - 1 for layers in scenes]
    assert (min(foregrounds), max(foregrounds)) == (3, 12)
    deformed = [bool(layer.motion.waves) for layers in scenes for layer in layers[1:]]
    assert 0.1 < np.mean(deformed) < 0.4
    assert not any(layers[0].motion.waves for layers in scenes)


def test_planes_of_one_camera_keep_their_edges_together(rich):
    """Parallax hides nothing of a room: where two planes meet in image1 they meet in image2, and nowhere is flow torn."""
    settings = replace(rich, layers=(0, 0), shares=Shares(parallax=1))
    ratios = []
    for index in range(20):
        layers = draw(index, settings)
        frames = render(layers, 1, SIZE), render(layers, 2, SIZE)
        flow, occluded = exact_flow(layers, frames[0])
        x, y = destinations(flow)
        inside = (x >= 0) & (x <= SIZE[1] - 1) & (y >= 0) & (y <= SIZE[0] - 1)
        assert np.mean(occluded & inside) < 2e-3
        speed = np.hypot(flow[..., 0], flow[..., 1])
        torn = max(np.abs(np.diff(flow, axis=axis)).max() for axis in (0, 1))
        assert torn < 0.2 * speed.max()
        ratios.append(speed.max() / np.median(speed))
    assert np.median(ratios) > 2


def test_planes_before_a_camera_that_only_turns_move_as_one():
    turning = np.array([0.01, -0.02, 0.005])
    camera = np.array([[200.0, 0, 127.5], [0, 200, 95.5], [0, 0, 1]])
    depths = [np.array([0, 0, 1.0]), np.array([0, 0.02, -1.91])]
    wall, ground = _homographies(camera, depths, np.zeros(3), turning)
    np.testing.assert_allclose(wall, ground)
    # Twice as near is twice as fast.
    far, near = _homographies(camera, [depths[0], 2 * depths[0]], np.array([0.1, 0, 0]), np.zeros(3))
    assert (far[0, 2] - 0, near[0, 2] - 0) == pytest.approx((20, 40))


@pytest.mark.parametrize("kind", KINDS)
def test_no_flow_exceeds_the_limit(kind, rich):
    for limit in (5.0, 100.0, 400.0):
        settings = replace({"default": SETTINGS, "rich": rich}[kind], size=(96, 128), max_displacement=limit)
        for index in range(25):
            layers = draw(index, settings)
            flow, _ = exact_flow(layers, render(layers, 1, settings.size))
            assert np.hypot(flow[..., 0], flow[..., 1]).max() <= settings.limit


def test_a_scene_at_half_the_size_is_the_same_scene():
    small = SceneSettings(size=(96, 128), layers=(3, 12), max_displacement=100.0, static_fraction=0.0)
    for index in range(5):
        large_layers, small_layers = draw(index), draw(index, small)
        flow, _ = exact_flow(large_layers, render(large_layers, 1, SIZE))
        half, _ = exact_flow(small_layers, render(small_layers, 1, small.size))
        difference = np.abs(cv2.resize(flow, small.size[::-1], interpolation=cv2.INTER_AREA) / 2 - half).max(-1)
        assert np.median(difference) < 0.05 * max(1.0, np.abs(half).max())


def test_edges_are_anti_aliased():
    """A white disc on black: between the two, greys, and as much white as the disc has area."""
    mask = np.zeros((81, 81), np.uint8)
    cv2.circle(mask, (40, 40), 30, 255, -1, cv2.LINE_AA)
    shift = np.array([[1, 0, 0.3], [0, 1, 0.6], [0, 0, 1]])
    black = Layer(np.zeros((96, 128, 3), np.uint8), None, np.eye(3), Motion(np.eye(3)))
    disc = Layer(np.full((81, 81, 3), 255, np.uint8), mask, np.eye(3), Motion(shift))
    image = render([black, disc], 2, (96, 128)).image[..., 0]
    greys = np.mean((image > 20) & (image < 235)) * image.size
    assert greys > 0.5 * 2 * np.pi * 30
    assert image.sum() == pytest.approx(mask.sum(), rel=2e-3)
    column = np.average(np.arange(128), weights=image.sum(0, dtype=float))
    assert column == pytest.approx(40.3, abs=0.02)


def test_a_deformed_motion_has_an_exact_inverse():
    matrix = np.array([[1.05, -0.1, 12.0], [0.12, 0.96, -7.0], [0, 0, 1]])
    waves = (Wave((3.0, 1.0), (0.03, 0.02), 0.5), Wave((-1.0, 2.0), (0.01, -0.05), 2.0))
    motion = Motion(matrix, waves)
    x, y = np.meshgrid(np.linspace(0, 511, 40), np.linspace(0, 383, 30))
    back_x, back_y = motion.inverse(*motion.forward(x, y))
    assert np.hypot(back_x - x, back_y - y).max() < 1e-2
    assert motion.reach == pytest.approx(np.sqrt(10) + np.sqrt(5))

"""Images in every form that callers have them, and those that must be refused rather than guessed at."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.batches import shifted_noise
from support.models import short_model

from flowbench.errors import FlowBenchError
from flowbench.io import write_image
from flowbench.structures import FlowBatch


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return short_model("raft_small").eval()


@pytest.fixture(scope="module")
def pair():
    """Two uint8 arrays (70, 91, 3)."""
    sample = shifted_noise(0, height=70, width=91)
    return sample.image1, sample.image2


def channels_first(array):
    return torch.from_numpy(array.copy()).movedim(-1, 0)


SAME = {
    "uint8 tensor": channels_first,
    "float tensor": lambda array: channels_first(array).float() / 255,
    "float64 array": lambda array: array / 255,
    "float32 array": lambda array: array.astype(np.float32) / 255,
    "uint16 array": lambda array: array.astype(np.uint16) * 257,
    "uint16 array of the other byte order": lambda array: (array.astype(np.uint16) * 257).astype(">u2"),
    "uint16 tensor": lambda array: torch.from_numpy(array.astype(np.uint16) * 257).movedim(-1, 0),
    "RGBA array": lambda array: np.dstack([array, np.zeros(array.shape[:2], np.uint8)]),
    "RGBA tensor": lambda array: torch.cat([channels_first(array), torch.zeros(1, 70, 91, dtype=torch.uint8)]),
    "batch of one": lambda array: array[None],
    "PIL image": Image.fromarray,
    "PIL image with transparency": lambda array: Image.fromarray(array).convert("RGBA"),
    "not in one piece": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
}
GREY = {
    "array": lambda array: array[..., 0],
    "array (H, W, 1)": lambda array: array[..., :1],
    "tensor": lambda array: torch.from_numpy(array[..., 0].copy()),
    "tensor (1, H, W)": lambda array: channels_first(array)[:1],
    "PIL image": lambda array: Image.fromarray(array[..., 0].copy()),
    "16-bit PIL image": lambda array: Image.fromarray(array[..., 0].astype(np.uint16) * 257),
}


@pytest.mark.parametrize("form", SAME.values(), ids=SAME)
def test_every_form_of_a_pair_gives_one_flow(model, pair, form):
    expected = model.estimate(*pair).flow
    torch.testing.assert_close(model.estimate(*map(form, pair)).flow, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", GREY.values(), ids=GREY)
def test_grey_becomes_three_equal_channels(model, pair, form):
    expected = model.estimate(*(np.repeat(array[..., :1], 3, axis=2) for array in pair)).flow
    torch.testing.assert_close(model.estimate(*map(form, pair)).flow, expected, rtol=1e-4, atol=1e-4)


def test_paths_are_read(model, pair, tmp_path):
    for number, array in enumerate(pair):
        write_image(tmp_path / f"{number}.png", array)
    expected = model.estimate(*pair).flow
    assert torch.equal(model.estimate(str(tmp_path / "0.png"), tmp_path / "1.png").flow, expected)


def test_an_overshoot_of_resampling_is_taken(model, pair):
    images = [channels_first(array).float() / 255 * 1.001 - 0.0005 for array in pair]
    assert model.estimate(*images).flow.isfinite().all()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda array: array.astype(np.float32), r"float32 image has values from 0 to 255: .* from 0 \(black\) to 1"),
        (lambda array: channels_first(array).float() / 127.5 - 1, "has values from -1 to 1"),
        (lambda array: np.where(array > 9, np.nan, 0.5), "has values from nan to nan"),
        (lambda array: array.astype(np.int64), "int64 values does not say which one is white: give uint8"),
        (lambda array: array > 9, "bool values"),
        (lambda array: array.astype(object), "array of object is no image"),
        (lambda array: array.transpose(2, 0, 1), r"shape \(3, 70, 91\): an array is \(H, W, C\).* np\.moveaxis"),
        (torch.from_numpy, r"shape \(70, 91, 3\): a tensor is \(C, H, W\).* image\.movedim\(-1, -3\)"),
        (lambda array: array[..., :2], r"shape \(70, 91, 2\)"),
        (lambda array: array[:0], r"shape \(0, 91, 3\)"),
        (lambda array: [array], r"A list is no image: .* np\.stack\(images\)"),
        (lambda array: None, "A NoneType is no image"),
        (lambda array: Image.fromarray(array).convert("P"), r"mode P: .* image\.convert\('RGB'\)"),
        (lambda array: "nowhere.png", "nowhere.png: no such file"),
    ],
)
def test_what_could_be_misunderstood_is_refused(model, pair, form, message):
    with pytest.raises(FlowBenchError, match=message):
        model.estimate(form(pair[0].copy()), form(pair[1].copy()))


def test_batches_of_two_lengths_are_refused(model, pair):
    with pytest.raises(FlowBenchError, match="1 first images, but 2 second ones"):
        model.estimate(pair[0], np.stack([pair[1], pair[1]]))


def test_validation_does_not_wait_for_the_values_of_its_images(model, monkeypatch):
    batch = FlowBatch.collate([shifted_noise(0)])
    expected = model.estimate(batch.image1, batch.image2).flow
    monkeypatch.setattr(torch.Tensor, "aminmax", None)
    assert torch.equal(model.estimate_batch(batch.image1, batch.image2).flow, expected)
    model.validation_step(batch, 0)
    model.metrics.reset()

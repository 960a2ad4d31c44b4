import numpy as np
import pytest
import torch
from support import golden
from support.batches import truth_batch
from torch import Tensor

from flowbench.metrics import FlowMetrics, sample_sums
from flowbench.structures import FlowBatch

CASE = golden.case("metrics_chairs_sintel_kitti")


def published_pair(number: int, height: int, width: int, *, sparse: bool = False) -> tuple[Tensor, FlowBatch]:
    y, x = np.mgrid[:height, :width]
    truth = golden.field(number, height, width)
    wave = np.stack([np.sin(0.3 * x + 0.2 * y + number), np.cos(0.25 * x - 0.15 * y)])
    estimate = (truth + (1 + number) * (0.5 + 6 * x / width) * wave).astype(np.float32)
    valid = (x + 3 * y + number) % (3 + number) != 0 if sparse else np.ones((height, width), bool)
    return torch.from_numpy(estimate)[None], truth_batch(torch.from_numpy(truth)[None], torch.from_numpy(valid)[None])


def measured(*pairs: tuple[Tensor, FlowBatch]) -> dict[str, float]:
    metrics = FlowMetrics()
    for estimate, batch in pairs:
        metrics.update(sample_sums(estimate, batch))
    return metrics.compute()


def random_pair(batch: int, height: int = 6, width: int = 7) -> tuple[Tensor, FlowBatch]:
    masks = torch.rand(2, batch, height, width) > 0.4
    truth = 20 * torch.randn(batch, 2, height, width)
    return truth + 4 * torch.randn_like(truth), truth_batch(truth, masks[0], masks[1])


def test_sintel_figures_equal_the_published_implementation():
    """There the shares are of pixels below a threshold, here of those above."""
    figures = measured(*(published_pair(number, *size) for number, size in enumerate(CASE["sizes"])))
    assert figures["epe"] == pytest.approx(CASE["outputs"]["sintel"]["raft"]["returned"]["clean"], rel=1e-5)
    assert figures["epe_per_image"] == pytest.approx(figures["epe"])
    below = {"1px": 0.059524, "3px": 0.282143, "5px": 0.479911}
    printed = CASE["outputs"]["sintel"]["raft"]["printed"][0]
    for name, share in below.items():
        assert f"{name}: {share:.6f}" in printed
        assert 100 - figures[name] == pytest.approx(100 * share, abs=1e-4)


def test_kitti_figures_equal_the_published_implementation():
    figures = measured(*(published_pair(k, *size, sparse=True) for k, size in enumerate(CASE["sizes_kitti"])))
    expected = CASE["outputs"]["kitti"]["raft"]["returned"]
    assert figures["epe_per_image"] == pytest.approx(expected["kitti-epe"], rel=1e-5)
    assert figures["fl_all"] == pytest.approx(expected["kitti-f1"], rel=1e-5)
    assert figures["epe"] != pytest.approx(figures["epe_per_image"], rel=0.01)


@pytest.mark.parametrize("number", range(3))
def test_figures_of_one_sparse_image_equal_the_published_ones(number):
    expected = CASE["per_image_kitti_sizes"][number]
    estimate, batch = published_pair(number, *expected["size"], sparse=True)
    total, count = sample_sums(estimate, batch)["epe"]
    assert count.item() == expected["n_valid"]
    assert (total / count).item() == pytest.approx(expected["epe_valid"], rel=1e-5)
    assert measured((estimate, batch))["fl_all"] == pytest.approx(expected["f1_all_valid"], rel=1e-5)


def test_every_measure_of_a_case_computed_by_hand():
    """Errors 0.5, 4, 4, 6 px of true lengths 0, 20, 100, 50 px; the first two are occluded."""
    truth = torch.tensor([0.0, 20.0, 100.0, 50.0])
    flow = torch.stack([truth, torch.zeros(4)]).view(1, 2, 1, 4)
    estimate = flow + torch.tensor([0.5, 4.0, 4.0, 6.0]) * torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    occluded = torch.tensor([[[True, True, False, False]]])
    assert measured((estimate, truth_batch(flow, occluded=occluded))) == pytest.approx(
        {
            "epe": 14.5 / 4,
            "epe_per_image": 14.5 / 4,
            "zero_epe": 170 / 4,
            "1px": 75.0,
            "3px": 75.0,
            "5px": 25.0,
            "fl_all": 50.0,
            "epe_matched": 5.0,
            "epe_unmatched": 2.25,
            "s0-10": 0.5,
            "s10-40": 4.0,
            "s40+": 5.0,
        }
    )


def test_unequal_batches_pool_to_the_figures_of_one_batch():
    estimate, whole = random_pair(5)
    parts = [
        (estimate[place], truth_batch(whole.flow[place], whole.valid[place], whole.occluded[place]))
        for place in (slice(0, 1), slice(1, 3), slice(3, 5))
    ]
    assert measured(*parts) == pytest.approx(measured((estimate, whole)), rel=1e-12)


def test_processes_that_saw_unequal_shares_add_up():
    first, second, third = (random_pair(count) for count in (1, 3, 2))
    shares = [FlowMetrics(), FlowMetrics()]
    for metrics, pairs in zip(shares, ([first], [second, third])):
        for estimate, batch in pairs:
            metrics.update(sample_sums(estimate, batch))
    shares[0].merge_state(shares[1])
    assert shares[0].compute() == pytest.approx(measured(first, second, third), rel=1e-12)


def test_a_measure_without_pixels_is_left_out():
    estimate, batch = random_pair(2)
    batch.valid[:] = False
    assert measured((estimate, batch)) == {}

    slow = truth_batch(torch.ones(1, 2, 4, 5), occluded=torch.zeros(1, 4, 5, dtype=torch.bool))
    figures = measured((slow.flow + 1, slow))
    assert {"s10-40", "s40+", "epe_unmatched"}.isdisjoint(figures)
    assert figures["epe_matched"] == pytest.approx(2**0.5)


def test_an_image_without_valid_pixels_does_not_enter_the_mean_of_images():
    known, unknown = random_pair(1), random_pair(1)
    unknown[1].valid[:] = False
    assert measured(known, unknown) == pytest.approx(measured(known))


@pytest.mark.parametrize("undefined", [float("inf"), float("nan")])
def test_undefined_truth_at_invalid_pixels_changes_nothing(undefined):
    estimate, batch = random_pair(2)
    expected = measured((estimate, batch))
    flow = torch.where(batch.valid[:, None], batch.flow, undefined)
    assert measured((estimate, truth_batch(flow, batch.valid, batch.occluded))) == expected


def test_an_error_of_exactly_the_threshold_is_not_above_it():
    """Errors of 1, 3 and 5 px; the last is exactly 5 % of the true length, too."""
    flow = torch.tensor([0.0, 0.0, 100.0]).view(1, 1, 1, 3) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    estimate = flow + torch.tensor([1.0, 3.0, 5.0]) * torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    figures = measured((estimate, truth_batch(flow)))
    expected = {"1px": 200 / 3, "3px": 100 / 3, "5px": 0.0, "fl_all": 0.0}
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_an_estimate_that_is_no_number_counts_as_wrong():
    batch = truth_batch(torch.zeros(1, 2, 4, 5))
    figures = measured((torch.full((1, 2, 4, 5), float("nan")), batch))
    assert (figures["1px"], figures["fl_all"]) == (100.0, 100.0)
    assert np.isnan(figures["epe"])


def test_without_occlusion_the_split_is_left_out():
    estimate, batch = random_pair(2)
    batch.occluded = None
    assert {"epe_matched", "epe_unmatched"}.isdisjoint(measured((estimate, batch)))


def test_reset_forgets():
    metrics = FlowMetrics()
    metrics.update(sample_sums(*random_pair(2)))
    metrics.reset()
    pair = random_pair(1)
    metrics.update(sample_sums(*pair))
    assert metrics.compute() == measured(pair)

"""DEQ-Flow's published recipes (arXiv 2204.08442 and its two codes), as configuration and as the objects that it becomes."""

import pytest
import torch
from support.hydra import GROUPS, composed

from flowbench import deq
from flowbench.configs import build
from flowbench.engine.config.models import build_model

CHAIRS, THINGS, SINTEL, KITTI = [368, 496], [400, 720], [368, 768], [288, 960]
# recipe: steps, batch, lr, crop, solver, solver steps, corrections, their number, phantom steps, through coords, gamma, head
PUBLISHED = {
    "b_v1_chairs": (120_000, 12, 4e-4, CHAIRS, deq.Anderson, 36, deq.IndexedCorrection, 6, 1, False, 0.8, 256),
    "b_v1_things": (120_000, 6, 1.25e-4, THINGS, deq.Anderson, 40, deq.IndexedCorrection, 2, 3, False, 0.8, 256),
    "b_v1_1step_things": (100_000, 6, 1.25e-4, THINGS, deq.Anderson, 40, deq.IndexedCorrection, 1, 1, False, 0.8, 256),
    "h_v1_1step_things": (120_000, 6, 1.25e-4, THINGS, deq.Anderson, 60, deq.IndexedCorrection, 1, 1, False, 0.8, 256),
    "h_v1_chairs": (120_000, 12, 4e-4, CHAIRS, deq.Broyden, 36, deq.SegmentedCorrection, 6, 1, False, 0.8, 256),
    "h_v1_things": (120_000, 6, 1.25e-4, THINGS, deq.Broyden, 36, deq.SegmentedCorrection, 6, 3, False, 0.8, 256),
    "h_v1_sintel": (120_000, 6, 1.25e-4, SINTEL, deq.Broyden, 36, deq.SegmentedCorrection, 6, 3, False, 0.9, 256),
    "h_v1_kitti": (50_000, 6, 1e-4, KITTI, deq.Broyden, 36, deq.SegmentedCorrection, 6, 1, False, 0.9, 256),
    "h_v2_chairs": (120_000, 12, 4e-4, CHAIRS, deq.FixedPoint, 36, deq.SegmentedCorrection, 6, 1, False, 0.8, 512),
    "h_v2_things": (120_000, 6, 1.25e-4, THINGS, deq.FixedPoint, 40, deq.SegmentedCorrection, 2, 3, True, 0.8, 512),
    "h_v2_things_3x": (360_000, 6, 1.25e-4, THINGS, deq.FixedPoint, 40, deq.SegmentedCorrection, 2, 3, True, 0.8, 512),
    "h_v2_1step_chairs": (
        120_000,
        12,
        4e-4,
        CHAIRS,
        deq.FixedPoint,
        36,
        deq.SegmentedCorrection,
        1,
        1,
        False,
        0.8,
        512,
    ),
    "h_v2_1step_things": (
        120_000,
        6,
        1.25e-4,
        THINGS,
        deq.FixedPoint,
        40,
        deq.SegmentedCorrection,
        1,
        1,
        True,
        0.8,
        512,
    ),
}
# What a pair gets without `recipe=`.
STANDARD = {
    ("deqflow_h", "chairs"): "h_v2_chairs",
    ("deqflow_h", "things"): "h_v2_things",
    ("deqflow_b", "chairs"): "h_v2_chairs",
    ("deqflow_b", "things"): "h_v2_things",
}


def test_no_recipe_is_left_out():
    written = {name for name in GROUPS["recipe"] if name.startswith("deqflow") and {"v1", "v2"} & set(name.split("_"))}
    assert written == {f"deqflow_{name}" for name in PUBLISHED}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_is_what_was_published(recipe):
    steps, batch, lr, crop, solver, limit, corrections, count, phantom, through_coords, gamma, head = PUBLISHED[recipe]
    size = recipe[0]
    config = composed("train", f"model=deqflow_{size}", f"recipe=deqflow_{recipe}")
    schedule = config.schedule
    assert (schedule.steps, schedule.batch_size, schedule.lr, list(schedule.crop)) == (steps, batch, lr, crop)
    assert (schedule.weight_decay, schedule.gradient_clip) == (1e-4, 1.0)
    assert build(schedule.optimisation).freeze_batch_norm == ("chairs" not in recipe)
    with torch.device("meta"):
        model = build_model(config.model)
    assert model.objective.gamma == gamma
    network = model.network
    assert (type(network.deq.solver), network.deq.solver.max_steps) == (solver, limit)
    assert (type(network.deq.corrections), network.deq.corrections.count) == (corrections, count)
    if corrections is deq.SegmentedCorrection:
        assert network.deq.corrections.start == ("solved" if "_v1_" in recipe else "supervised")
    assert network.deq.gradient == deq.PhantomGradient(steps=phantom)
    assert network.deq.eval_limit == int(1.5 * limit)
    assert network.through_coords == through_coords
    assert network.update_block.flow_head.conv1.out_channels == head
    assert getattr(network.deq.solver, "returned", None) == ("iterate" if solver is deq.Anderson else None)


@pytest.mark.parametrize(("pair", "recipe"), STANDARD.items())
def test_the_standard_recipe_of_a_model_and_its_data(pair, recipe):
    words = (f"model={pair[0]}", f"data={pair[1]}")
    found, published = (composed("train", *words, *more) for more in ([], [f"recipe=deqflow_{recipe}"]))
    assert (found.model, found.schedule, found.source) == (published.model, published.schedule, published.source)

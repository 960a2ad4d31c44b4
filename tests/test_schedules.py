from collections.abc import Iterator

import pytest
import torch
from support import golden
from support.hydra import composed
from torch import nn

from flowbench.configs import build
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel, Optimisation
from flowbench.networks.base import FlowNetwork
from flowbench.networks.lightflow import LightFlow
from flowbench.objectives import SequenceLoss
from flowbench.ops.padding import InputPadder
from flowbench.schedules import TimedOneCycle, multi_step_epochs, one_cycle

# steps, batch, crop, first rate, where it halves
MULTI_STEP = {
    "s_long": (1_200_000, 8, [320, 448], 1e-4, [400_000, 600_000, 800_000, 1_000_000]),
    "s_fine": (600_000, 4, [384, 768], 1e-5, [200_000, 300_000, 400_000, 500_000]),
    "fastflownet_sintel": (300_000, 4, [384, 768], 3e-5, []),
    "fastflownet_kitti": (300_000, 4, [320, 896], 3e-5, []),
}


def rates_of(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> Iterator[float]:
    """The learning rate of each step of a run."""
    for _ in range(steps):
        yield scheduler.optimizer.param_groups[0]["lr"]
        scheduler.optimizer.step()
        scheduler.step()


def weight() -> nn.Parameter:
    return nn.Parameter(torch.zeros(1))


class Layers(FlowNetwork):
    """Any layers in the place of a network that estimates flow."""

    stride = InputPadder().multiple

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def normalise(self, image1, image2):
        raise NotImplementedError

    def forward(self, image1, image2, reuse=None, *, normalised=False):
        raise NotImplementedError


def model_of(layers: nn.Module, schedule: str, *overrides: str) -> FlowModel:
    """A model that is to be trained as a schedule of conf/ says."""
    network = layers if isinstance(layers, FlowNetwork) else Layers(layers)
    padder = InputPadder(multiple=network.stride)
    model = FlowModel(name="small", network=network, objective=SequenceLoss(), padder=padder)
    model.optimisation = build(composed("train", f"schedule={schedule}", *overrides).schedule.optimisation)
    return model


def normalised() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Sequential(nn.Conv2d(3, 2, 1, bias=False)))


def test_learning_rates_equal_the_published_schedule():
    expected = golden.case("recipe_text")["onecycle_lr_4e-4_num_steps_2000"]
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=4e-4)
    scheduler = one_cycle(optimizer, steps=2000)
    rates = []
    for _ in range(2001):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert {step: rates[int(step)] for step in expected} == pytest.approx(expected, rel=1e-6)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_groups_keep_their_own_peaks():
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": peak} for peak in (1e-3, 1e-4)]
    optimizer = torch.optim.SGD(groups)
    scheduler = one_cycle(optimizer, steps=100, warm_up=0.5)
    highest = [0.0, 0.0]
    for _ in range(150):
        optimizer.step()
        scheduler.step()
        highest = [max(found, group["lr"]) for found, group in zip(highest, optimizer.param_groups)]
    assert highest == pytest.approx([1e-3, 1e-4], rel=0.02)


def test_without_an_overhang_the_decay_ends_with_the_run():
    parameter = torch.nn.Parameter(torch.zeros(1))
    rates = {}
    for extra_steps in (0, 100):
        optimizer = torch.optim.SGD([parameter], lr=1e-3)
        scheduler = one_cycle(optimizer, steps=100, extra_steps=extra_steps)
        for _ in range(100):
            rates[extra_steps] = optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()
    assert rates[0] < 1e-8
    assert rates[100] == pytest.approx(1e-3 * 100 / 190, rel=0.02)


@pytest.mark.parametrize("name", MULTI_STEP)
def test_a_multi_step_schedule_is_the_published_one(name):
    steps, batch, crop, rate, milestones = MULTI_STEP[name]
    schedule = composed("train", f"schedule={name}").schedule
    assert (schedule.steps, schedule.batch_size, list(schedule.crop)) == (steps, batch, crop)
    assert schedule.gradient_clip is None
    optimisation = build(schedule.optimisation)
    optimizer = optimisation.optimizer([weight()])
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], tuple(group["betas"])) == (rate, 4e-4, (0.9, 0.999))
    scheduler = optimisation.lr_scheduler(optimizer)
    assert sorted(scheduler.milestones.elements()) == milestones
    assert scheduler.gamma == 0.5


def test_the_rate_halves_at_the_step_that_is_named():
    optimisation = build(composed("train", "schedule=s_long", "schedule.milestones=[3,5]").schedule.optimisation)
    rates = rates_of(optimisation.lr_scheduler(optimisation.optimizer([weight()])), 7)
    assert list(rates) == pytest.approx([1e-4] * 3 + [5e-5] * 2 + [2.5e-5] * 2)


@pytest.mark.parametrize("name", ["fastflownet_sintel", "fastflownet_kitti"])
def test_the_second_round_of_fine_tuning_starts_lower(name):
    optimisation = build(composed("train", f"schedule={name}", "schedule.lr=2e-5").schedule.optimisation)
    rates = list(rates_of(optimisation.lr_scheduler(optimisation.optimizer([weight()])), 5))
    assert rates == [2e-5] * 5


def test_lightflow_is_trained_at_the_published_rates_epoch_by_epoch():
    case = golden.case("lightflow_schedule")
    schedule = composed("train", "schedule=lightflow_chairs").schedule
    assert schedule.steps == case["epochs"] * case["epoch_size"]
    assert (schedule.lr, schedule.batch_size, list(schedule.crop)) == (case["base_lr"], 128, [320, 448])
    assert schedule.gradient_clip is None
    optimisation = build(schedule.optimisation)
    scheduler = optimisation.lr_scheduler(optimisation.optimizer([weight()]))
    changes, before = [], None
    for step, rate in enumerate(rates_of(scheduler, schedule.steps)):
        if rate != before:
            assert step % case["epoch_size"] == 0
            changes.append([step // case["epoch_size"], rate])
        before = rate
    assert changes == [[epoch, pytest.approx(rate)] for epoch, rate in case["lr_change_points"]]


def test_milestones_in_epochs_count_from_zero():
    optimizer = torch.optim.SGD([weight()], lr=1.0)
    scheduler = multi_step_epochs(optimizer, milestones=[1, 2], steps_per_epoch=2, gamma=0.1)
    assert list(rates_of(scheduler, 6)) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_lightflow_decays_what_the_public_code_decays():
    case = golden.case("lightflow_schedule")["adam"]
    with torch.device("meta"):
        model = model_of(LightFlow(predictor_activation=True), "lightflow_chairs")
    optimizer = model.configure_optimizers()["optimizer"]
    assert type(optimizer) is torch.optim.Adam
    found = {group["weight_decay"]: len(group["params"]) for group in optimizer.param_groups}
    assert found == {group["weight_decay"]: group["n"] for group in case["param_groups"]}
    assert all(list(group["betas"]) == case["betas"] for group in optimizer.param_groups)
    assert all(group["lr"] == 1e-3 for group in optimizer.param_groups)


def test_undecayed_parameters_are_a_group_of_their_own():
    model = model_of(normalised(), "s_long", "schedule.optimisation.no_weight_decay=[bias]")
    decayed, undecayed = model.configure_optimizers()["optimizer"].param_groups
    names = {parameter: name.removeprefix("layers.") for name, parameter in model.network.named_parameters()}
    assert [names[parameter] for parameter in decayed["params"]] == ["0.weight", "1.weight", "2.0.weight"]
    assert [names[parameter] for parameter in undecayed["params"]] == ["0.bias", "1.bias"]
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (4e-4, 0)


def test_weight_decay_is_l2_in_the_gradient():
    # Adam moves by the learning rate against the sign of gradient + decay * weight; decoupled decay would move by less.
    network = nn.Linear(1, 1)
    nn.init.ones_(network.weight)
    nn.init.ones_(network.bias)
    model = model_of(network, "s_long", "schedule.optimisation.no_weight_decay=[bias]")
    optimizer = model.configure_optimizers()["optimizer"]
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert network.weight.item() == pytest.approx(1 - 1e-4, abs=1e-6)
    assert network.bias.item() == 1


def test_without_undecayed_parameters_all_are_in_one_group():
    (group,) = model_of(normalised(), "s_long").configure_optimizers()["optimizer"].param_groups
    assert len(group["params"]) == 5


def test_an_undecayed_name_that_no_parameter_has_is_an_error():
    optimisation = Optimisation(optimizer=torch.optim.Adam, lr_scheduler=None, no_weight_decay=["bias", "scale"])
    with pytest.raises(FlowBenchError, match=r"names 'scale', but .* called bias, weight: choose"):
        optimisation.parameters(normalised())


def test_a_rate_by_the_clock_follows_whatever_is_further_steps_or_time():
    optimizer = torch.optim.AdamW([weight()], lr=1.0)
    scheduler = one_cycle(optimizer, steps=100, warm_up=0.1, extra_steps=0, hours=1.0)
    assert isinstance(scheduler, TimedOneCycle)

    def rate_after(steps, seconds):
        scheduler.elapsed = seconds
        while scheduler.last_epoch < steps:
            optimizer.step()
            scheduler.step()
        return optimizer.param_groups[0]["lr"]

    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.04)
    assert rate_after(5, 0) == pytest.approx(0.52)
    assert rate_after(10, 0) == pytest.approx(1.0)
    assert rate_after(11, 36 * 55) == pytest.approx(0.5)  # 55% of the hour: time leads
    assert rate_after(80, 36 * 60) == pytest.approx(2 / 9)  # steps lead
    assert rate_after(81, 3600) == 0
    assert rate_after(82, 7200) == 0


def test_time_spent_is_remembered_with_the_rate():
    schedulers = [one_cycle(torch.optim.SGD([weight()], lr=1.0), steps=10, hours=2.0) for _ in range(2)]
    schedulers[0].elapsed = 3600.0
    schedulers[1].load_state_dict(schedulers[0].state_dict())
    assert schedulers[1].progress == schedulers[0].progress == 0.5

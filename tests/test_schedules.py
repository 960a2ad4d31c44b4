import pytest
import torch
from support import golden

from flowbench.schedules import one_cycle


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
    for overhang in (0, 100):
        optimizer = torch.optim.SGD([parameter], lr=1e-3)
        scheduler = one_cycle(optimizer, steps=100, overhang=overhang)
        for _ in range(100):
            rates[overhang] = optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()
    assert rates[0] < 1e-8
    assert rates[100] == pytest.approx(1e-3 * 100 / 190, rel=0.02)

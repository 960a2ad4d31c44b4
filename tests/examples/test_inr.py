"""A picture as an equilibrium: dense, with the delta rule, and what each costs."""

import re

import cv2
import pytest
import torch
from support.golden import ASSETS

from examples.inr.__main__ import main
from examples.inr.measure import COMPARABLE, cheapest_comparable, measure, saved
from examples.inr.network import FREQUENCIES, ImplicitImage, InrSettings
from examples.inr.solve import (
    MAX_STEPS,
    TOLERANCE,
    DeltaStep,
    solve_densely,
    solve_pixel_by_pixel,
    solve_with_delta,
    solve_without_zeros,
)
from examples.inr.training import colours, fit_image, positions, psnr
from flowbench.io import read_image
from flowbench.ops.delta.convolution import Delta

KINDS = ["siren", "fourier"]
MEMORIES = ["reference", "bounded"]
SIZE = (16, 24)
HIDDEN = 24


def element(threshold, memory):
    return Delta(threshold=threshold, rule="element", memory=memory)


def network(kind, dtype=torch.float32):
    torch.manual_seed(0)
    settings = InrSettings(kind=kind, features=32, hidden=HIDDEN, frequency=FREQUENCIES[kind] / 8)
    return ImplicitImage(settings).to(dtype)


@pytest.fixture(scope="module")
def photograph():
    frame = cv2.cvtColor(cv2.imread(str(ASSETS / "tears_of_steel_0890" / "frame_1.png")), cv2.COLOR_BGR2RGB)
    return cv2.resize(frame, (24, 16), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, photograph):
    """A network, fitted for half a second, in float64."""
    fresh = network(request.param)
    history = fit_image(fresh, photograph, epochs=150)
    return fresh.double(), history


def test_places_run_row_by_row_over_the_picture_in_square_units():
    table = positions(2, 4).reshape(2, 4, 2)
    assert table[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert table[:, 0, 1].tolist() == [-0.25, 0.25]


def test_colours_and_places_have_one_order(photograph):
    row, column = 5, 7
    index = row * 24 + column
    assert colours(photograph)[index].tolist() == pytest.approx((photograph[row, column] / 255).tolist())
    x, y = positions(16, 24)[index].tolist()
    assert (x, y) == pytest.approx((2 * 7.5 / 24 - 1, (2 * 5.5 - 16) / 24))


def test_psnr_of_an_error_of_a_tenth_is_twenty_decibels():
    wanted = torch.full((5, 3), 0.5)
    assert psnr(wanted + 0.1, wanted) == pytest.approx(20, abs=1e-4)
    assert psnr(torch.full((5, 3), 9.0), torch.full((5, 3), 0.9)) == pytest.approx(20, abs=1e-4)


def test_the_fit_beats_the_mean_colour_by_far_and_the_cold_solve_gives_what_was_fitted(fitted, photograph):
    trained, history = fitted
    wanted = colours(photograph).double()
    solved = solve_densely(trained, SIZE)
    assert history[-1] > psnr(wanted.mean(dim=0).expand_as(wanted), wanted) + 5
    assert psnr(solved.colour, wanted) == pytest.approx(history[-1], abs=0.3)
    assert solved.residual < TOLERANCE
    assert solved.steps < MAX_STEPS


@torch.no_grad()
def test_the_dense_solution_is_an_equilibrium(fitted):
    trained, _ = fitted
    injected = trained.inject(positions(*SIZE).double())
    z = torch.zeros_like(injected)
    for _ in range(500):
        (z,) = trained.step(injected)((z,))
    torch.testing.assert_close(trained.step(injected)((z,))[0], z, rtol=0, atol=1e-9)
    assert psnr(solve_densely(trained, SIZE).colour, trained.output(z)) > 45


@pytest.mark.parametrize("memory", MEMORIES)
def test_without_a_threshold_the_delta_rule_gives_the_dense_colours(fitted, memory):
    trained, _ = fitted
    dense, delta = solve_densely(trained, SIZE), solve_with_delta(trained, SIZE, element(0, memory))
    assert delta.steps == dense.steps
    torch.testing.assert_close(delta.colour, dense.colour, rtol=0, atol=1e-12)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_larger_threshold_saves_more_and_errs_more(fitted, photograph, memory):
    trained, _ = fitted
    rules = [element(threshold, memory) for threshold in (1e-4, 1e-2, 0.2)]
    dense, _, _, *deltas = measure(trained, photograph, rules)
    shares = [saved(each, dense) for each in deltas]
    assert shares == sorted(shares)
    errors = [(each.solved.colour - dense.solved.colour).square().mean() for each in deltas]
    assert errors == sorted(errors)
    assert errors[0] < 1e-6
    assert all(everything < solve for solve, everything in shares)


@pytest.mark.parametrize("memory", MEMORIES)
def test_multiply_accumulates_are_those_of_a_solve_by_hand(fitted, memory):
    trained, _ = fitted
    threshold = 0.02
    solved = solve_with_delta(trained, SIZE, element(threshold, memory))
    injected = trained.inject(positions(*SIZE).double())
    z = seen = product = torch.zeros_like(injected)
    multiplied = 0
    for _ in range(round(solved.steps)):
        change = torch.where((z - seen).abs() > threshold, z - seen, 0)
        multiplied += (change != 0).sum().item()
        seen = z if memory == "reference" else seen + change
        product = product + change @ trained.hidden.weight.T
        z = trained.activation(product + injected)
    assert solved.multiplied.sum().item() == multiplied
    torch.testing.assert_close(solved.colour, trained.output(z), rtol=0, atol=1e-9)


def test_the_dense_count_is_every_element_of_every_step_but_the_first(fitted, photograph):
    trained, _ = fitted
    dense, *_ = measure(trained, photograph, [])
    assert dense.solve_macs == 16 * 24 * HIDDEN * HIDDEN * (dense.solved.steps - 1)
    assert dense.total_macs - dense.solve_macs == 16 * 24 * trained.fixed_macs()


def test_a_pixel_that_leaves_by_itself_ends_where_it_would_alone(fitted):
    trained, _ = fitted
    solved = solve_pixel_by_pixel(trained, SIZE)
    injected = trained.inject(positions(*SIZE).double())[100:101]
    z, steps = torch.zeros_like(injected), 0
    while True:
        before, (z,), steps = z, trained.step(injected)((z,)), steps + 1
        if (z - before).norm() < TOLERANCE * z.norm():
            break
    assert solved.multiplied[100].item() == (steps - 1) * HIDDEN
    torch.testing.assert_close(solved.colour[100:101], trained.output(z), rtol=0, atol=1e-9)


def test_zeros_are_counted_as_they_are(fitted):
    trained, _ = fitted
    solved = solve_without_zeros(trained, SIZE)
    injected = trained.inject(positions(*SIZE).double())
    z, nonzero = torch.zeros_like(injected), 0
    for _ in range(round(solved.steps)):
        nonzero += (z != 0).sum().item()
        (z,) = trained.step(injected)((z,))
    assert solved.multiplied.sum().item() == nonzero
    torch.testing.assert_close(solved.colour, solve_densely(trained, SIZE).colour)


def test_the_pixel_rule_multiplies_whole_pixels_and_equals_its_dense_execution(fitted):
    trained, _ = fitted
    sparse, dense = (
        solve_with_delta(trained, SIZE, Delta(threshold=0.02, execution=execution)) for execution in ("sparse", "dense")
    )
    assert (sparse.multiplied % HIDDEN == 0).all()
    assert torch.equal(sparse.multiplied, dense.multiplied)
    torch.testing.assert_close(sparse.colour, dense.colour, rtol=0, atol=1e-12)


def test_the_cheapest_of_those_that_lose_little_is_chosen(fitted, photograph):
    trained, _ = fitted
    measured = measure(trained, photograph, [element(each, "bounded") for each in (1e-3, 0.01, 5.0)])
    best = cheapest_comparable(measured)
    assert best is measured[4]
    assert best.psnr > measured[0].psnr - COMPARABLE > measured[5].psnr


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_outside_the_solve_is_counted_from_the_layers(kind):
    fresh = network(kind)
    distinct = 32 if kind == "siren" else 16
    assert fresh.fixed_macs() == 2 * distinct + 32 * HIDDEN + HIDDEN * 3


def test_only_relu_leaves_zeros_that_cost_nothing_anyway(photograph):
    siren, fourier = (measure(network(kind), photograph, []) for kind in KINDS)
    assert saved(siren[1], siren[0])[0] == pytest.approx(0, abs=0.1)
    assert saved(fourier[1], fourier[0])[0] > 20


def test_the_bounded_rule_keeps_the_product_within_its_bound_at_every_step(fitted):
    trained, _ = fitted
    threshold = 0.05
    injected = trained.inject(positions(*SIZE).double())
    step = DeltaStep(trained, injected.view(1, *SIZE, -1).permute(0, 3, 1, 2), element(threshold, "bounded"))
    bound = threshold * trained.hidden.weight.abs().sum(dim=1) + 1e-9
    z = torch.zeros_like(step.injected)
    with torch.no_grad():
        for _ in range(30):
            (after,) = step((z,))
            assert (z - step.memory.input).abs().max() <= threshold
            wanted = trained.hidden(z.permute(0, 2, 3, 1))
            found = step.memory.padded - step.injected.permute(0, 2, 3, 1)
            assert ((wanted - found).abs() <= bound).all()
            z = after


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_prints_the_table_and_writes_its_page(kind, tmp_path, capsys):
    main(["--kind", kind, "--width", "16", "--epochs", "2", "--threshold", "0.01", "0.1", "--output", str(tmp_path)])
    page = (tmp_path / f"inr_{kind}.html").read_text()
    assert re.findall("<h2>(.*)</h2>", page) == ["Pictures", "Ways of solving", "Quality against cost", "Settings"]
    rows = re.search('<table id="ways".*?</table>', page, flags=re.DOTALL)[0].count("<tr>") - 1
    assert rows == 3 + 3 * 2
    assert page.count("data:image/webp;base64,") == 1
    assert read_image(tmp_path / f"inr_{kind}.png").shape[2] == 3
    assert str(tmp_path / f"inr_{kind}.html") in capsys.readouterr().out


def test_a_photograph_that_is_missing_is_told_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"nothing\.png"):
        main(["--image", str(tmp_path / "nothing.png"), "--output", str(tmp_path)])

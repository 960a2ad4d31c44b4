"""The sine demonstration learns what the published notebook learns, and its figures show it."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from support import golden

from examples.sine.__main__ import main
from examples.sine.network import STEPS, UNITS
from examples.sine.page import STILL
from examples.sine.state_analysis import dimensions_a_step, explained_variance, first_still_step, movements
from examples.sine.training import EPOCHS, fit_sine, new_network, sine_points

CASE = golden.case("fitting_sin")


@pytest.fixture(scope="module", params=[0, 1])
def trained(request):
    """The network, its history, and the published figures of the same seed, all in float64."""
    network = new_network(request.param, torch.float64)
    return network, fit_sine(network), request.param, CASE["runs_f64"][str(request.param)]


@pytest.fixture(scope="module")
def drawn(trained):
    """The states at the 1000 places that the notebook draws for its histogram, the second it draws."""
    network, _, seed, _ = trained
    draws = np.random.RandomState(seed)
    first, second = (draws.uniform(-2 * np.pi, 2 * np.pi, 1000) for _ in range(2))
    return tuple(network.states(torch.from_numpy(places)[:, None]) for places in (first, second))


def test_the_weights_start_as_the_notebook_draws_them(trained):
    _, _, seed, wanted = trained
    weights = {name.replace("cell.", "rnn."): value for name, value in new_network(seed).state_dict().items()}
    assert weights.keys() == wanted["init"].keys()
    for name, described in wanted["init"].items():
        assert list(weights[name].shape) == described["shape"]
        assert weights[name].flatten()[:4].tolist() == pytest.approx(described["first4"], rel=1e-6)


def test_the_whole_history_is_that_of_the_notebook_in_float64(trained):
    _, history, _, wanted = trained
    assert len(history) == EPOCHS
    for epoch, (loss, sigma) in wanted["loss_at_printed_epochs"].items():
        assert history[int(epoch)].loss == pytest.approx(loss, rel=1e-4), epoch
        assert history[int(epoch)].sigma == pytest.approx(sigma, rel=1e-5), epoch


def test_the_trained_network_errs_as_published_after_any_number_of_steps(trained):
    network, _, _, wanted = trained
    x, y = sine_points(torch.float64)
    states = network.states(x, steps=30)
    for step, error in wanted["mse_after_training_on_200_points"].items():
        measured = (network.output(states[int(step) - 1]) - y).square().mean().item()
        assert measured == pytest.approx(error, rel=1e-3), step
    assert network.largest_singular_value.item() == pytest.approx(wanted["sigma_max_W_hh"], rel=1e-5)


def test_the_solver_goes_the_way_of_the_unrolled_network(trained):
    network = trained[0]
    x, _ = sine_points(torch.float64)
    assert torch.equal(network.output(network.states(x)[-1]), network(x))


def test_the_components_explain_what_is_published(trained):
    network, _, _, wanted = trained
    shares = explained_variance(network.states(sine_points(torch.float64)[0]))
    assert shares[:8].tolist() == pytest.approx(wanted["pca_full_cumulative8"], rel=1e-5)
    assert shares[-1].item() == pytest.approx(1)


def test_dimensions_move_and_come_to_rest_as_published(trained, drawn):
    wanted = trained[3]
    first, second = drawn
    assert movements(first).mean(dim=(1, 2)).tolist() == pytest.approx(wanted["mean_abs_diff_per_step"], rel=1e-3)
    counts = dimensions_a_step(first_still_step(second, STILL), STEPS)
    assert counts.tolist() == pytest.approx(wanted["first_step_hist_mean"], abs=1e-9)
    assert counts.sum().item() == pytest.approx(UNITS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_float32_starts_alike_and_ends_with_a_small_loss(seed):
    history = fit_sine(new_network(seed), EPOCHS if seed == 0 else 51)
    for epoch in (0, 50):
        loss, sigma = CASE["runs"][str(seed)]["loss_at_printed_epochs"][str(epoch)]
        assert history[epoch].loss == pytest.approx(loss, rel=1e-3)
        assert history[epoch].sigma == pytest.approx(sigma, rel=1e-4)
    if seed == 0:
        assert history[-1].loss < 5e-3


def test_a_dimension_is_at_rest_at_the_first_step_that_moves_it_little():
    one = torch.tensor([0.0, 0.5, 0.505, 0.9, 0.9])
    never = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    at_once = torch.tensor([1.0, 1.0, 5.0, 5.0, 5.0])
    states = torch.stack([one, never, at_once], dim=1)[:, None]
    assert first_still_step(states, 0.01).tolist() == [[2, 5, 1]]
    assert dimensions_a_step(first_still_step(states, 0.01), 5).tolist() == [1, 1, 0, 0, 1]


def test_the_program_writes_a_page_of_four_figures_and_the_training(tmp_path, capsys):
    main(["--output", str(tmp_path), "--epochs", "3"])
    page = (tmp_path / "sine.html").read_text()
    plots = re.findall("<svg.*?</svg>", page, flags=re.DOTALL)
    told = [ElementTree.fromstring(plot).get("aria-label") for plot in plots]
    assert told == [
        "answer against x, 5 lines",
        "variance explained (%) against principal components, 2 lines",
        "state against step, 20 lines",
        "|change| to the next step against step, 20 lines",
        "dimensions of 20 first at rest against step, 15 bars",
        "mean squared error against step, 1 lines",
        "loss against epoch, 1 lines",
        "largest singular value against epoch, 1 lines",
    ]
    assert str(tmp_path / "sine.html") in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"file/sine\.html: cannot be written"):
        main(["--output", str(tmp_path / "file"), "--epochs", "1"])

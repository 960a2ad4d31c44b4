"""What every network is, and what is refused when one is made."""

import pytest
import torch
from support.models import ARCHITECTURES, short_model

from flowbench.errors import FlowBenchError
from flowbench.networks.base import FlowNetwork, IterativeNetwork
from flowbench.networks.deqflow import deqflow
from flowbench.networks.encoders import Encoder
from flowbench.networks.raft import raft, raft_h, raft_small


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_family_is_a_flow_network(name):
    with torch.device("meta"):
        network = short_model(name).network
    assert isinstance(network, FlowNetwork)
    iterates = name.startswith(("raft", "deq", "delta"))
    assert isinstance(network, IterativeNetwork) == iterates
    assert (network.iterations, network.eval_iterations) == ((2, 2) if iterates else (None, None))
    assert network.warm_startable == iterates


@pytest.mark.parametrize("made", [raft, raft_small, raft_h])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"iterations": -3}, "iterations=-3: a whole number above zero"),
        ({"eval_iterations": 0}, "eval_iterations=0: a whole number above zero"),
        ({"iterations": 2.0}, "iterations=2.0: a whole number above zero"),
        ({"correlation": "al_pairs"}, "correlation=al_pairs: choose one of all_pairs, on_demand"),
    ],
)
def test_raft_refuses_settings_when_it_is_made(made, settings, told):
    with torch.device("meta"), pytest.raises(FlowBenchError, match=told):
        made(**settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": "m"}, "size=m: choose one of tiny, b, l, h, g"),
        ({"size": "tiny", "warm": "hot"}, "warm=hot: choose one of state, flow"),
        ({"size": "tiny", "correlation": "al_pairs"}, "correlation=al_pairs: choose one of all_pairs, on_demand"),
    ],
)
def test_deq_flow_refuses_settings_when_it_is_made(settings, told):
    with torch.device("meta"), pytest.raises(FlowBenchError, match=told):
        deqflow(deq=None, **settings)


def test_an_encoder_refuses_an_unknown_norm():
    with pytest.raises(FlowBenchError, match="norm=bath: choose one of instance, batch, none"):
        Encoder(outputs=8, norm="bath")


@pytest.mark.parametrize("name", ["raft_small", "deqflow_tiny"])
def test_iterations_stay_whole_numbers_above_zero(name):
    with torch.device("meta"):
        network = short_model(name).network
    for attribute in ("iterations", "eval_iterations"):
        with pytest.raises(FlowBenchError, match=f"{attribute}=0: a whole number above zero"):
            setattr(network, attribute, 0)


def test_a_network_without_its_methods_is_none():
    class Half(FlowNetwork):
        stride = 8

    with pytest.raises(TypeError, match="abstract"):
        Half()

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from flowbench.checkpoints.read import is_ours, load_weights, read_checkpoint
from flowbench.errors import FlowBenchError


class Malicious:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_tensors_and_plain_values_survive_the_round_trip(tmp_path):
    contents = {"state_dict": {"weight": torch.rand(3, 4)}, "hyper_parameters": {"model": {"name": "raft"}}, "step": 7}
    torch.save(contents, tmp_path / "our.ckpt")
    found = read_checkpoint(tmp_path / "our.ckpt")
    assert torch.equal(found["state_dict"].pop("weight"), contents["state_dict"].pop("weight"))
    assert found == contents


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(zipped, tmp_path):
    path, trace = tmp_path / "malicious.ckpt", tmp_path / "was_run"
    torch.save({"state_dict": Malicious(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(FlowBenchError, match=r"malicious\.ckpt' holds more than tensors .* could run any code"):
        read_checkpoint(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize("kept", [0, 1, 10, 500, -500, -1])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_an_error_that_names_it(zipped, kept, tmp_path):
    path = tmp_path / "cut.ckpt"
    torch.save({"weight": torch.rand(1000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FlowBenchError, match=r"cut\.ckpt"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"version https://git-lfs\n", b"<!DOCTYPE html>", b"\x89PNG\r\n", bytes(100)])
def test_a_file_of_another_kind_is_an_error_that_names_it(content, tmp_path):
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    with pytest.raises(FlowBenchError, match=r"page\.pth"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(FlowBenchError, match=r"no checkpoint file .*absent\.ckpt"):
        read_checkpoint(tmp_path / "absent.ckpt")
    with pytest.raises(FlowBenchError, match="no checkpoint file"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("contents", [torch.zeros(3), [torch.zeros(3)]])
def test_contents_that_are_no_mapping_are_an_error(contents, tmp_path):
    torch.save(contents, tmp_path / "list.pth")
    with pytest.raises(FlowBenchError, match=f"holds {type(contents).__name__}, but a checkpoint holds a mapping"):
        read_checkpoint(tmp_path / "list.pth")


def test_ours_are_told_by_their_settings():
    ours = {"hyper_parameters": {"model": {}}, "state_dict": {}}
    assert is_ours(ours)
    assert not is_ours({"state_dict": {}})
    assert not is_ours(ours | {"hyper_parameters": {"lr": 1e-3}})


def test_every_entry_that_does_not_fit_is_listed():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = network.state_dict() | {"extra": torch.zeros(1), "0.bias": torch.zeros(5)}
    del state["1.bias"]
    before = network[0].weight.clone()
    state["0.weight"] = before + 1
    with pytest.raises(FlowBenchError) as raised:
        load_weights(network, state, source="odd.pth")
    message = "'odd.pth' is not of this network: of 4 entries, 1 missing (1.bias); 1 unknown (extra); "
    assert message + "1 of another shape (0.bias)" in str(raised.value)
    assert torch.equal(network[0].weight, before)


def test_weights_that_fit_are_copied():
    source, target = nn.Linear(2, 3), nn.Linear(2, 3)
    load_weights(target, source.state_dict(), source="even.pth")
    assert torch.equal(source.weight, target.weight)

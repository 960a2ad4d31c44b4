import os

import pytest
import torch

from flowbench.checkpoints.files import AtomicCheckpointIO
from flowbench.errors import FlowBenchError


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint({"weight": torch.arange(4)}, path)
    assert torch.equal(files.load_checkpoint(path)["weight"], torch.arange(4))
    assert os.listdir(path.parent) == ["last.ckpt"]
    files.remove_checkpoint(path)
    assert not path.exists()


def test_a_save_that_fails_midway_leaves_the_old_file(tmp_path):
    path, files = tmp_path / "last.ckpt", AtomicCheckpointIO()
    files.save_checkpoint({"weight": torch.arange(4)}, path)
    with pytest.raises(Exception, match=r"pickle|local object"):
        files.save_checkpoint({"weight": torch.zeros(100_000), "unpicklable": lambda: None}, path)
    assert torch.equal(files.load_checkpoint(path)["weight"], torch.arange(4))
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_reading_refuses_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FlowBenchError, match="no checkpoint file"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "absent.ckpt")

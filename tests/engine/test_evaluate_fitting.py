"""The size to which evaluate.py resizes the pictures of a data set."""

import json

import numpy as np
import torch
from support import golden
from support.runs import run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.evaluate import evaluate


def figures(folder, *words) -> dict:
    ended = run_here(
        evaluate,
        "evaluate",
        *words,
        "pictures=0",
        "data.workers=0",
        "trainer.accelerator=cpu",
        f"hydra.run.dir={folder}",
    )
    assert ended.code == 0, ended.told
    return json.loads((folder / "metrics.json").read_text())


def test_fastflownet_is_evaluated_on_kitti_at_the_size_that_is_asked_for(tmp_path):
    torch.save(golden.official_state("fastflownet_v2"), tmp_path / "official.pth")
    write_tree("kitti", tmp_path / "kitti", pairs=2, size=(72, 132))
    words = (
        f"+ckpt={tmp_path / 'official.pth'}",
        "model=fastflownet",
        "data=kitti",
        f"paths.kitti={tmp_path / 'kitti'}",
    )
    enlarged = figures(tmp_path / "enlarged", *words)
    resized = figures(tmp_path / "resized", *words, "model.padder.size=[128,128]")
    same = figures(tmp_path / "same", *words, "model.padder.size=[128,192]")
    assert "size=[128, 128]" in json.dumps(resized["settings"])
    assert resized["metrics"]["epe_per_image"] != enlarged["metrics"]["epe_per_image"]
    np.testing.assert_allclose(same["metrics"]["epe_per_image"], enlarged["metrics"]["epe_per_image"], rtol=1e-6)

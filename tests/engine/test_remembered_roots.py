"""Where the data of a checkpoint lies: the forms of today's files and of older ones."""

import json

import pytest
import torch
from support.checkpoints import save_ours
from support.runs import run_here

import flowbench
from flowbench.data.sample_trees import write_tree
from flowbench.engine.evaluate import evaluate

TODAY = ("{paths.chairs}", "{paths.chairs_split}")
OLD = ("{roots.chairs}", "{roots.chairs_split}")
OLDER = ("${roots.chairs}", "${roots.chairs_split}")
ENVIRONMENT = "${oc.env:FLOWBENCH_DATA,datasets}/FlyingChairs_release"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return flowbench.load("raft_small", None, ["network.eval_iterations=1"])


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    write_tree("chairs", folder / "FlyingChairs_release", pairs=3, size=(64, 80))
    return folder


def remembered(root, split_file):
    samples = {"_target_": "flowbench.data.sets.chairs.Chairs", "root": root, "split": "val", "split_file": split_file}
    data = {"_target_": "flowbench.data.datamodule.FlowDataModule", "name": "chairs", "workers": 0, "protocol": {}}
    return data | {"test": {"chairs": samples}, "eval_batch_size": 1}


@pytest.mark.parametrize(
    ("form", "roots"),
    [
        (TODAY, {"chairs_split": None}),
        (OLD, {"chairs_split": None}),
        (TODAY, {"chairs": "THERE", "chairs_split": None}),
        (OLDER, {"chairs": ENVIRONMENT, "chairs_split": None}),
        (OLDER, {"chairs": "THERE", "chairs_split": None}),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_the_data_are_found(form, roots, given, model, datasets, tmp_path, monkeypatch):
    folder = datasets / "FlyingChairs_release"
    roots = {name: str(folder) if root == "THERE" else root for name, root in roots.items()}
    if given:
        roots, words = roots | {"chairs": "/nowhere"}, [f"paths.chairs={folder}"]
    else:
        words = []
        monkeypatch.setenv("FLOWBENCH_DATA", str(datasets))
    remember = {"data": remembered(*form), ("paths" if form is TODAY else "roots"): roots}
    path = save_ours(model, tmp_path / "ours.ckpt", **remember)
    ended = run_here(evaluate, "evaluate", f"+ckpt={path}", "pictures=0", f"hydra.run.dir={tmp_path}/run", *words)
    assert ended.code == 0, ended.told
    assert json.loads((tmp_path / "run/metrics.json").read_text())["settings"]["data"] == "chairs"


def test_a_root_that_nobody_knows_is_asked_for(model, tmp_path):
    data = remembered("{paths.mine}", None)
    path = save_ours(model, tmp_path / "ours.ckpt", data=data, paths={})
    ended = run_here(evaluate, "evaluate", f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "add +paths.mine=<folder>" in ended.told

"""What is exported gives PyTorch's flow, and the table of docs/export.md is true."""

import gc
import json
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from support.checkpoints import save_ours
from support.hydra import GROUPS
from support.models import short_model
from support.runs import ROOT, run, run_here

from flowbench.engine.export import export
from flowbench.engine.exporting import network as export_module
from flowbench.engine.exporting.formats import FORMATS
from flowbench.engine.exporting.network import check_exportable, export_model
from flowbench.engine.exporting.support_table import EXPORTABLE, FORMAT_NAMES, markdown_table
from flowbench.errors import FlowBenchError

# One network of each kind at any size; the others, which differ in their widths, at one size, which takes less time.
ANY_SIZE = ("lightflow_05", "fastflownet", "raft_small")
# Half of the time is ONNX's, which takes a wider network as it takes the narrower one of its kind.
AT_ONE_SIZE = [
    ("fastflownet", "onnx"),
    *(
        (name, form)
        for name, row in EXPORTABLE.items()
        for form in row.formats
        if name not in ANY_SIZE and form != "onnx"
    ),
    pytest.param("raft", "onnx", marks=pytest.mark.exhaustive),
]
cached_trace, flow_alone = cache(export_module._traced), cache(export_module._FlowAlone)
WORKING = [(name, form) for name, row in EXPORTABLE.items() for form in row.formats]


@cache
def small_model(name):
    return short_model(name, iterations=1).eval()


@pytest.fixture(autouse=True, scope="module")
def _forgotten_afterwards():
    """Traces are gigabytes of small objects, which would slow down whatever else the process tests."""
    yield
    for cached in (cached_trace, flow_alone, small_model):
        cached.cache_clear()
    gc.collect()


@pytest.fixture(autouse=True)
def _traced_once(monkeypatch):
    """Both formats of a network begin with the same trace, which takes most of the time."""
    monkeypatch.setattr(export_module, "_traced", cached_trace)
    monkeypatch.setattr(export_module, "_FlowAlone", flow_alone)


def saved(folder: Path, name: str) -> Path:
    return save_ours(small_model(name), folder / "ours.ckpt")


def exported(model, form, folder, *, dynamic):
    size = (128, 192) if dynamic else (64, 128)
    return export_model(model, FORMATS[form], folder / f"it{FORMATS[form].suffix}", size, dynamic=dynamic)


def told_here(folder: Path, *words):
    ended = run_here(export, "export", f"hydra.run.dir={folder}", *words)
    assert ended.code == 1, ended.told
    assert not [*folder.glob("*.onnx"), *folder.glob("*.pt2")]
    return ended.told


def test_the_table_names_every_model_and_stands_in_the_documentation():
    assert set(EXPORTABLE) == {name for name in GROUPS["model"] if "/" not in name}
    assert set(FORMATS) == set(FORMAT_NAMES)
    assert markdown_table() in (ROOT / "docs" / "export.md").read_text()
    for row in EXPORTABLE.values():
        assert bool(row.reason) == (set(row.formats) != set(FORMAT_NAMES) or not row.dynamic)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(*pair, marks=pytest.mark.exhaustive if pair == ("fastflownet", "onnx") else pytest.mark.slow)
        for pair in WORKING
        if pair[0] in ANY_SIZE
    ],
)
def test_one_network_of_each_kind_exports_for_any_size(name, form, tmp_path):
    assert EXPORTABLE[name].dynamic
    rows = exported(small_model(name), form, tmp_path, dynamic=True)
    smallest = {"onnx": "64x64", "torch_export": "128x128"}[form]
    assert [(row["batch"], row["size"]) for row in rows] == [(1, smallest), (2, "128x320"), (1, "256x256")]
    assert all(row["largest difference (px)"] <= export_module.TOLERANCE for row in rows)
    assert all(row["mean |flow| (px)"] > 0.01 for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), AT_ONE_SIZE)
def test_the_others_export_for_one_size(name, form, tmp_path):
    (row,) = exported(small_model(name), form, tmp_path, dynamic=False)
    assert (row["batch"], row["size"]) == (1, "64x128")
    assert row["largest difference (px)"] <= export_module.TOLERANCE


@pytest.mark.parametrize("name", [name for name in EXPORTABLE if not EXPORTABLE[name].formats])
@pytest.mark.parametrize("form", FORMATS)
def test_every_model_that_the_table_says_no_to_is_refused(name, form):
    with pytest.raises(FlowBenchError, match=f"{name} cannot be exported to {form}: its solver stops"):
        check_exportable(small_model(name), form, dynamic=False)


def test_the_reason_of_the_refusal_is_true(tmp_path):
    with pytest.raises(FlowBenchError, match="could not export deqflow_tiny"):
        exported(small_model("deqflow_tiny"), "torch_export", tmp_path, dynamic=False)
    assert not list(tmp_path.iterdir())


def test_vectors_of_zeros_keep_a_length(tmp_path):
    """ONNX's optimiser drops what is added to a length against a division by zero; pictures of one colour show it."""
    model = small_model("fastflownet")
    exported(model, "onnx", tmp_path, dynamic=False)
    pictures = torch.full((1, 3, 64, 128), 0.5), torch.full((1, 3, 64, 128), 0.5)
    flow = FORMATS["onnx"].load(tmp_path / "it.onnx")(*pictures)
    torch.testing.assert_close(flow, model.estimate(*pictures).flow, rtol=0, atol=export_module.TOLERANCE)


def test_features_of_any_length_export_as_well(tmp_path):
    model = short_model("fastflownet").eval()
    model.network.unit_features = False
    (row,) = exported(model, "onnx", tmp_path, dynamic=False)
    assert row["largest difference (px)"] <= export_module.TOLERANCE


def test_the_program(tmp_path):
    checkpoint = saved(tmp_path, "lightflow_05")
    words = (f"+ckpt={checkpoint}", "size=[64,128]", "dynamic=false", f"hydra.run.dir={tmp_path / 'run'}")
    ended = run("tools/export.py", *words)
    assert ended.code == 0, ended.told
    assert "onnxruntime against PyTorch" in ended.told
    assert "one pair of this size only" in ended.told
    assert "Warning" not in ended.told
    assert (tmp_path / "run" / "lightflow_05.onnx").is_file()
    described = json.loads((tmp_path / "run" / "lightflow_05.json").read_text())
    assert described["inputs"]["image1"]["shape"] == [1, 3, 64, 128]
    assert described["outputs"]["flow"]["shape"] == [1, 2, 64, 128]
    assert (described["multiple"], described["opset"], described["iterations"]) == (64, 20, None)
    assert described["differences"][0]["largest difference (px)"] <= export_module.TOLERANCE


def test_help_is_readable():
    ended = run("tools/export.py", "--help")
    assert ended.code == 0
    assert "Export a checkpoint's network" in ended.stdout
    assert re.search(r"^    format +onnx", ended.stdout, re.M)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No checkpoint was given"),
        (["format=tflite"], "format=tflite: one of onnx, torch_export is needed."),
        (["size=[100,128]"], "size=[100,128]: give height and width as multiples of 64, at least 128 each."),
        (["size=512"], "size=512: a list of two whole numbers above zero is needed"),
        (["dynamic=maybe"], "dynamic=maybe: true or false is needed."),
        (["iterations=3"], "lightflow_05 does not iterate"),
    ],
)
def test_what_the_user_can_mend_is_told_in_a_sentence(words, message, tmp_path):
    checkpoint = [f"+ckpt={saved(tmp_path, 'lightflow_05')}"] if words else []
    assert message in told_here(tmp_path / "run", *checkpoint, *words)


def test_a_correlation_on_demand_is_exchanged_first(tmp_path):
    changes = [f"+ckpt={saved(tmp_path, 'raft_small')}", "+model.network.correlation=on_demand"]
    assert "add +model.network.correlation=all_pairs" in told_here(tmp_path / "run", *changes)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_remedy(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    told = told_here(tmp_path / "run", f"+ckpt={saved(tmp_path, 'lightflow_05')}")
    assert f"The package {package} is missing" in told
    assert "pip install 'optical-flowbench[onnx]'" in told


def test_a_file_that_is_off_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "TOLERANCE", -1.0)
    words = [f"+ckpt={saved(tmp_path, 'lightflow_05')}", "size=[64,64]", "dynamic=false", "format=torch_export"]
    assert "differs from PyTorch by" in told_here(tmp_path / "run", *words)

"""docs/adding_a_model.md, done word for word: its files are put where it says, and its own test is run."""

import re

import pytest
import pytorch_lightning as pl
import torch
from support.batches import Samples
from support.plugins import MODEL_PAGE, blocks, write_plugin

import flowbench
from flowbench.checkpoints.files import AtomicCheckpointIO
from flowbench.configs import build
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel
from flowbench.plugins import plugins_of_its_own

_, FAMILY, TEST = blocks(MODEL_PAGE, "python")


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """The page's package, in the working folder."""
    with write_plugin(tmp_path), plugins_of_its_own():
        monkeypatch.chdir(tmp_path)
        yield


@pytest.fixture(autouse=True)
def _named(tiny):
    flowbench.use_plugins("mymodels")


def page_functions(code: str, **names) -> dict:
    exec(compile(code, str(MODEL_PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("name", re.findall(r"def (test_\w+)", TEST))
def test_the_test_of_the_page_passes(name):
    page_functions(TEST)[name]()


def test_a_variant_names_what_differs():
    narrow, wide = (flowbench.load(name, None).network for name in ("tiny", "tiny_wide"))
    assert (narrow.features[0].out_channels, wide.features[0].out_channels) == (32, 64)
    assert wide.eval_iterations == narrow.eval_iterations


def test_a_family_of_its_own_reads_official_checkpoints():
    family = page_functions(FAMILY, FlowModel=FlowModel, Tensor=torch.Tensor)["TinyModel"]
    assert family.from_official({"module.update.0.bias": 1}) == {"update.0.bias": 1}


def test_the_model_trains_validates_and_comes_back_from_its_checkpoint(tmp_path):
    model = flowbench.load("tiny", None).train()
    model.optimisation = build(
        {
            "_target_": "flowbench.models.base.Optimisation",
            "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3},
            "lr_scheduler": {"_target_": "flowbench.schedules.one_cycle", "_partial_": True, "steps": 2},
        }
    )
    data = FlowDataModule(
        name="noise", train={"noise": Part(Samples(3))}, val=Samples(2), batch_size=2, steps=2, workers=0
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        plugins=[AtomicCheckpointIO()],
    )
    before = [parameter.clone() for parameter in model.parameters()]
    trainer.fit(model, datamodule=data)
    assert trainer.global_step == 2
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters()))
    assert {"train/loss", "train/epe", "val/epe", "val/fl_all"} <= trainer.callback_metrics.keys()
    assert trainer.callback_metrics["val/zero_epe"] == pytest.approx(3.0)

    trainer.save_checkpoint(tmp_path / "tiny.ckpt")
    loaded = flowbench.load("tiny", tmp_path / "tiny.ckpt")
    images = torch.rand(2, 3, 70, 91)
    assert torch.equal(loaded.estimate(*images).flow, model.estimate(*images).flow)
    assert torch.equal(flowbench.load(tmp_path / "tiny.ckpt").estimate(*images).flow, loaded.estimate(*images).flow)
    with (
        plugins_of_its_own(),
        pytest.raises(FlowBenchError, match=r"'mymodels\.tiny\.TinyFlow' is refused.* plugins=mymodels"),
    ):
        flowbench.load(tmp_path / "tiny.ckpt")

"""Settings under their former names: on the command line, in config files, and in checkpoints and runs of before."""

import pytest
from omegaconf import OmegaConf

import flowbench
from flowbench.checkpoints.settings import build_remembered, plain_settings
from flowbench.configs import with_current_settings
from flowbench.engine.config.arguments import hydra_words
from flowbench.engine.config.value_checks import check_plain_group
from flowbench.engine.run.resumed_settings import read_settings
from flowbench.engine.run.settings import settings_of
from flowbench.engine.training.settings import TrainSettings
from flowbench.errors import FlowBenchError
from flowbench.former_names import FORMER, current_key, with_current_names
from flowbench.ops.padding import InputPadder


@pytest.mark.parametrize(
    ("word", "current"),
    [
        ("schedule.optimisation.lr_scheduler.overhang=0", "schedule.optimisation.lr_scheduler.extra_steps=0"),
        ("++schedule.optimisation.undecayed=[bias]", "++schedule.optimisation.no_weight_decay=[bias]"),
        ("model.fitting.mode=kitti", "model.padder.mode=kitti"),
        ("data.protocol.headline=[epe]", "data.protocol.reported_metrics=[epe]"),
    ],
)
def test_words_of_the_command_line(word, current, capsys):
    assert hydra_words([word], config="train") == [current]
    key, now = (text.partition("=")[0].lstrip("+") for text in (word, current))
    assert capsys.readouterr().err == f"{key}= is called {now}= today; the old name still works.\n"


def test_a_former_name_counts_beside_todays_wherever_it_stands():
    def merged(*names):
        lr_scheduler = {name: number for number, name in enumerate(names)}
        return with_current_names({"schedule": {"optimisation": {"lr_scheduler": lr_scheduler}}})

    for names, expected in ((("extra_steps", "overhang"), 1), (("overhang", "extra_steps"), 0), (("overhang",), 0)):
        assert merged(*names)["schedule"]["optimisation"]["lr_scheduler"] == {"extra_steps": expected}


def test_a_config_keeps_its_references():
    config = OmegaConf.create({"seed": 3, "schedule": {"optimisation": {"undecayed": "${seed}"}}})
    assert with_current_settings(config).schedule.optimisation == {"no_weight_decay": 3}
    current = OmegaConf.create({"schedule": {"optimisation": {"no_weight_decay": []}}})
    assert with_current_settings(current) is current


def test_a_run_of_before_is_resumed_under_todays_names(tmp_path):
    own = OmegaConf.create({})
    written = OmegaConf.create({"schedule": {"optimisation": {"lr_scheduler": {"overhang": 7}, "undecayed": ["bias"]}}})
    OmegaConf.save(written, tmp_path / "config.yaml")
    expected = {"optimisation": {"lr_scheduler": {"extra_steps": 7}, "no_weight_decay": ["bias"]}}
    assert read_settings(tmp_path / "config.yaml", own).schedule == expected


def test_a_checkpoint_of_before_is_read_under_todays_names():
    settings = {"model": {"name": "raft", "network": {}}, "data": {"protocol": {"headline": ["1px"]}}}
    assert plain_settings(settings)["data"] == {"protocol": {"reported_metrics": ["1px"]}}


def test_no_setting_of_today_has_a_former_name():
    assert len({*FORMER, *map(current_key, FORMER)}) == 2 * len(FORMER)


def test_a_model_of_before_pads_as_it_did():
    again = {"_target_": "flowbench.ops.fitting.Padding", "mode": "kitti"}
    settings = plain_settings({"model": {"name": "raft", "network": {}, "fitting": again}})
    assert build_remembered(settings["model"]["padder"]) == InputPadder(mode="kitti")


def test_a_file_of_before_changes_one_setting_of_the_padder():
    merged = {
        "padder": {"_target_": "flowbench.ops.padding.InputPadder", "mode": "sintel"},
        "fitting": {"mode": "kitti"},
    }
    expected = {"_target_": "flowbench.ops.padding.InputPadder", "mode": "kitti"}
    assert with_current_names({"model": merged}) == {"model": {"padder": expected}}


def test_overrides_of_load_by_their_former_name():
    assert flowbench.load("raft_small", None, ["fitting.mode=kitti"]).padder.mode == "kitti"


def test_a_file_with_a_former_name_does_not_overrule_the_command_line():
    config = OmegaConf.create({"model": {"fitting": {"mode": "kitti"}, "padder": {"mode": "sintel"}}})
    with pytest.raises(
        FlowBenchError, match=r"model\.padder\.mode was given, but a config file sets it as model\.fitting"
    ):
        settings_of(TrainSettings, config, ["model.padder.mode=sintel"])


def test_references_and_deletions_are_read_under_todays_names(capsys):
    words = hydra_words(["data.textures=${roots.sintel}/*.png", "~model.fitting"], config="train")
    assert words == ["data.textures=${paths.sintel}/*.png", "~model.padder"]
    assert capsys.readouterr().err == "model.fitting= is called model.padder= today; the old name still works.\n"
    config = OmegaConf.create({"data": {"folder": "${roots.sintel}/a"}, "paths": {"sintel": "b"}})
    assert with_current_settings(config).data.folder == "b/a"


def test_a_notebook_may_use_former_names_and_is_refused_in_a_sentence():
    assert TrainSettings.composed("model=raft_small", "roots.sintel=/a").paths.sintel == "/a"
    with pytest.raises(FlowBenchError, match=r"schedule\.stepz=1 does not fit conf/train\.yaml"):
        TrainSettings.composed("schedule.stepz=1")


def test_the_kinds_of_a_moved_target_are_those_of_its_arguments():
    folder = {"_target_": "flowbench.data.folder.folder_data", "name": "mine", "val": {"images": None}}
    check_plain_group("data", folder)
    with pytest.raises(FlowBenchError, match=r"data\.validation_share=many"):
        check_plain_group("data", folder | {"validation_share": "many"})

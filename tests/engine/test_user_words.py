"""The programs, given what users type: odd file names, choices that are not there, values of a wrong kind."""

import json

import pytest
import torch
from support.batches import shifted_noise
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import NETWORK, SMALL, TWO_PROCESSES, run, run_here

from flowbench.engine.benchmark import benchmark
from flowbench.engine.check_submission import check_submission
from flowbench.engine.contact_sheet import contact_sheet
from flowbench.engine.doctor import doctor
from flowbench.engine.evaluate import evaluate
from flowbench.engine.export import export
from flowbench.engine.predict import predict
from flowbench.engine.train import train
from flowbench.io import write_image

SETTINGS = (*NETWORK, *SMALL, "schedule.steps=1", "callbacks.pictures=null")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return short_model("raft_small")


def pictures(folder):
    folder.mkdir(parents=True)
    sample = shifted_noise(0)
    for number, image in enumerate((sample.image1, sample.image2)):
        write_image(folder / f"{number}.png", image)
    return folder


def refused(ended):
    assert ended.code == 1, ended.told
    assert ended.stderr.count("error:") == 1, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    return " ".join(ended.stderr.split())


def test_names_of_any_kind_are_predicted_from_and_to(model, tmp_path):
    save_ours(model, tmp_path / "a=b (1).ckpt")
    folder = pictures(tmp_path / "-Größe, it's (1) & #2!")
    words = ("ckpt=a=b (1).ckpt", "output=2024_11_27", "device=cpu", "hydra.run.dir=1.10")
    ended = run("predict.py", folder.name, *words, cwd=tmp_path)
    assert ended.code == 0, ended.told
    assert [file.name for file in (tmp_path / "2024_11_27" / "flow").iterdir()] == ["0.flo"]
    assert (tmp_path / "1.10").is_dir()


def test_every_process_of_a_run_gets_the_names_as_they_are(model, tmp_path):
    save_ours(model, tmp_path / "it's (1), ${x} = 2.ckpt")
    words = [word for word in SETTINGS if not word.startswith("trainer.accelerator")]
    folder = tmp_path / "Lauf 'eins', (1)"
    ended = run(
        "train.py", *words, *TWO_PROCESSES, f"+init={tmp_path}/it's (1), ${{x}} = 2.ckpt", f"hydra.run.dir={folder}"
    )
    assert ended.code == 0, ended.told
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    # Complete: there is nothing to go on with, but the folder was found, through the same words.
    assert "is complete (1 of 1 steps)" in refused(run_here(train, "train", f"+resume={folder}"))


def test_a_sweep_over_checkpoints_stays_one(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.settings["data"] = {}
    for name in ("a.ckpt", "b (1).ckpt"):
        save_ours(model, tmp_path / name)
    data = ("data=synthetic", "data.scenes.size=[64,64]", "data.counts.test=1", "data.workers=0")
    words = ("-m", "+ckpt=a.ckpt,b (1).ckpt", *data, "trainer.accelerator=cpu", "hydra.sweep.dir=all (1)", "pictures=0")
    ended = run_here(evaluate, "evaluate", *words)
    assert ended.code == 0, ended.told
    settings = [json.loads(path.read_text())["settings"] for path in sorted(tmp_path.glob("all (1)/*/metrics.json"))]
    assert [each["checkpoint"] for each in settings] == ["a.ckpt", "b (1).ckpt"]


@pytest.mark.parametrize(
    ("task", "config", "words", "told"),
    [
        (train, "train", ["experiment=demoo"], "There is no experiment 'demoo': did you mean demo?"),
        (train, "train", ["recipe=raft_sintell"], "There is no recipe 'raft_sintell': did you mean raft_sintel or "),
        (train, "train", ["recipe=raft_synthetic"], "There is no recipe 'raft_synthetic'"),
        (train, "train", ["recipe=null"], "recipe=null: null is no choice; leave the group out with ~recipe."),
        (train, "train", ["schedule=things_2x"], "There is no schedule 'things_2x': did you mean things_1x or "),
        (train, "train", ["paths=here"], "paths=here: a mapping {name: value} or null is needed."),
        (train, "train", ["trainer=dpp"], "There is no trainer 'dpp': did you mean ddp?"),
        (train, "train", ["callbacks=defaults"], "There is no callbacks 'defaults': did you mean default?"),
        (train, "train", ["logger=[wandbb,tensorboard]"], "There is no logger 'wandbb': did you mean wandb?"),
        (
            train,
            "train",
            ["model=deqflow_b", "model/solver=andersen"],
            "There is no model/solver 'andersen': did you mean and",
        ),
        (train, "train", ["--cfg", "job", "experiment=demoo"], "There is no experiment 'demoo': did you mean demo?"),
        (
            train,
            "train",
            ["-m", "seed=0,1", "experiment=demo,demoo"],
            "There is no experiment 'demoo': did you mean demo?",
        ),
        (evaluate, "evaluate", ["ckpt=x", "data=sintell"], "There is no data 'sintell': did you mean sintel?"),
        (evaluate, "evaluate", ["ckpt=x", "data=[kitti,sintell]"], "There is no data 'sintell': did you mean sintel?"),
        (evaluate, "evaluate", ["ckpt=x", "model=raftt"], "There is no model 'raftt': did you mean raft or raft_h?"),
        (predict, "predict", ["ckpt=x", "data=kittti"], "There is no data 'kittti': did you mean kitti"),
        (export, "export", ["ckpt=x", "model=raftt"], "There is no model 'raftt': did you mean raft"),
        (benchmark, "benchmark", ["data=kittti"], "There is no data 'kittti': did you mean kitti"),
        (doctor, "doctor", ["data=[sintel,kittti]"], "There is no data 'kittti': did you mean kitti"),
        (contact_sheet, "contact_sheet", ["data=kittti"], "There is no data 'kittti': did you mean kitti"),
        (check_submission, "check_submission", ["data=kittti"], "There is no data 'kittti': did you mean kitti"),
    ],
)
def test_a_choice_that_is_not_there(tmp_path, task, config, words, told):
    folder = tmp_path / "run"
    assert told in refused(run_here(task, config, *words, f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"))
    assert not folder.exists()


def test_a_choice_of_an_experiment_that_is_not_there(tmp_path):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "quick.yaml"
    file.write_text("# @package _global_\ndefaults:\n  - override /recipe: raft_sintell\n")
    ended = run_here(train, "train", "--config-dir", tmp_path, "experiment=quick", f"hydra.run.dir={tmp_path / 'run'}")
    assert "There is no recipe 'raft_sintell', which experiment=quick names: did you mean raft_sintel or" in refused(
        ended
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["schedule.lr=abc"], "schedule.lr=abc: a number above zero is needed."),
        (["schedule.lr=-1"], "schedule.lr=-1: a number above zero is needed."),
        (["schedule.steps=1.5"], "schedule.steps=1.5: a whole number above zero is needed."),
        (
            ["schedule.crop=[64,-1]"],
            "schedule.crop=[64,-1]: a list of two whole numbers above zero, or null, is needed.",
        ),
        (
            ["schedule.optimisation.no_weight_decay=bias"],
            "schedule.optimisation.no_weight_decay=bias: a list, each member text, is",
        ),
        (["trainer.accelerator=tpu"], "trainer.accelerator=tpu: PyTorch finds none on this machine."),
        (["trainer.accelerator=foo"], "trainer.accelerator=foo: choose one of auto, cpu, cuda, gpu, mps, tpu."),
        (["trainer.devices=0"], "trainer.devices=0: a whole number above zero, -1 or auto for all, is needed."),
        (["trainer.devices=x"], "trainer.devices=x: a whole number above zero, -1 or auto for all, is needed."),
        (["trainer.precision=foo"], "trainer.precision=foo: one of 64, 32, 16, "),
        (["seed=x"], "seed=x: a whole number from 0 to 4294967295 is needed."),
        (["seed=-1"], "seed=-1: a whole number from 0 to 4294967295 is needed."),
        (["data.scenes.size=abc"], "data.scenes.size=abc: a list of two whole numbers above zero is needed."),
        (["data.scenes.layers=[a,b]"], "data.scenes.layers=[a,b]: a list, each member a whole number, is needed."),
        (["data.counts.val=abc"], "data.counts.val=abc: a whole number above zero is needed."),
        (["data.workers=-1"], "data.workers=-1: a whole number from 0 to 1024 is needed."),
        (
            ["data.augmentations=[{a: 1}]"],
            "data.augmentations=[{'a': 1}]: a list, each member an object with _target_, is",
        ),
        (["model.network.iterations=-3"], "model.network.iterations=-3: a whole number above zero is needed."),
        (["model.network.correlation=al_pairs"], "model.network.correlation=al_pairs: one of all_pairs, on_demand is"),
        (["callbacks.pictures=5"], "callbacks.pictures=5: a mapping {name: value} or null is needed."),
        (["debug=maybe"], "debug=maybe: true or false is needed."),
        (["seed=0,1"], "seed was given several values: write seed=[0,1] for a list, or add -m for one run of each."),
        (["seed=(1"], "The value of seed=(1 cannot be read: text with brackets, commas, quotes"),
    ],
)
def test_values_of_a_wrong_kind(tmp_path, words, told):
    folder = tmp_path / "run"
    assert told in refused(run_here(train, "train", *SETTINGS, *words, f"hydra.run.dir={folder}"))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("schedule.optimisation.optimizer.eps=-1", "Invalid epsilon value: -1."),
        ("+schedule.optimisation.optimizer.foo=1", "got an unexpected keyword argument 'foo'."),
        ("schedule.optimisation.lr_scheduler.warm_up=2", "Expected float between 0 and 1 pct_start, but got 2."),
    ],
)
def test_what_only_the_optimiser_itself_refuses(tmp_path, word, told):
    ended = refused(run_here(train, "train", *SETTINGS, word, f"hydra.run.dir={tmp_path / 'run'}"))
    assert "The optimiser or its schedule of learning rates cannot be made: " in ended
    assert ended.endswith(told)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = refused(run_here(train, "train", "trainer.accelerator=gpu"))
    assert "trainer.accelerator=gpu: PyTorch finds none on this machine. Leave it out, or write cpu." in told
    assert not list((tmp_path / "outputs").rglob("train/*"))


@pytest.mark.parametrize(
    ("task", "config", "words", "told"),
    [
        (contact_sheet, "contact_sheet", ["count=-1"], "count=-1: a whole number above zero is needed."),
        (benchmark, "benchmark", ["size=abc"], "size=abc: a list of two whole numbers above zero is needed."),
        (evaluate, "evaluate", ["ckpt=x", "pictures=x"], "pictures=x: a whole number from 0 up is needed."),
        (
            evaluate,
            "evaluate",
            ["ckpt=x", "+data.counts.test=x"],
            "data.counts.test=x: a whole number above zero is needed.",
        ),
    ],
)
def test_values_of_a_wrong_kind_in_other_programs(tmp_path, task, config, words, told):
    assert told in refused(run_here(task, config, *words, f"hydra.run.dir={tmp_path / 'run'}"))


def test_a_setting_that_is_like_none_is_given_no_hint(tmp_path):
    words = ("data=chairs", "data.scenes.size=[64,64]", f"hydra.run.dir={tmp_path / 'run'}")
    assert "There is no setting 'data.scenes.size': --cfg job shows all" in refused(run_here(train, "train", *words))


def test_the_folder_of_a_sweep_may_be_called_anything(tmp_path):
    ended = run_here(train, "train", "-m", "seed=0,1", "schedule.lr=abc", f"hydra.sweep.dir={tmp_path / 'a, (b) #1'}")
    assert "2 of 2 jobs failed" in ended.told
    assert sorted(path.name for path in (tmp_path / "a, (b) #1").iterdir()) == ["0", "1", "multirun.yaml"]


@pytest.mark.parametrize(
    ("task", "config", "key", "meant"),
    [
        (train, "train", "lr", "schedule.lr"),
        (train, "train", "learning_rate", "schedule.lr"),
        (train, "train", "optimizer.lr", "schedule.lr"),
        (train, "train", "batch_size", "schedule.batch_size"),
        (train, "train", "epochs", "schedule.steps"),
        (train, "train", "max_steps", "schedule.steps"),
        (train, "train", "iterations", "model.network.iterations"),
        (train, "train", "weights", "init"),
        (train, "train", "ckpt", "init"),
        (train, "train", "gpus", "trainer.devices"),
        (train, "train", "device", "trainer.accelerator"),
        (train, "train", "num_workers", "data.workers"),
        (train, "train", "model/solvr", "model/solver"),
        (train, "train", "~data.conts", "data.counts"),
        (evaluate, "evaluate", "checkpoint", "ckpt"),
        (evaluate, "evaluate", "gpus", "trainer.devices"),
        (predict, "predict", "weights", "ckpt"),
        (predict, "predict", "gpu", "device"),
        (predict, "predict", "video_path", "input"),
        (predict, "predict", "out", "output"),
        (contact_sheet, "contact_sheet", "num_workers", "data.workers"),
    ],
)
def test_hints_know_what_other_programs_call_a_setting(tmp_path, task, config, key, meant):
    ended = run_here(task, config, key if key.startswith("~") else f"{key}=1", f"hydra.run.dir={tmp_path / 'run'}")
    assert f"There is no setting '{key.lstrip('~')}': did you mean {meant}?" in refused(ended)


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_what_a_checkpoint_remembers_is_changed_with_any_sign(tmp_path, sign):
    words = ("ckpt=gone.ckpt", f"{sign}data.counts.test=3", f"{sign}model.network.iterations=1")
    told = refused(run_here(evaluate, "evaluate", *words, f"hydra.run.dir={tmp_path / 'run'}"))
    assert "There is no checkpoint file 'gone.ckpt'" in told


def test_a_typing_error_in_a_group_that_was_chosen_is_found(tmp_path):
    words = ("ckpt=x", "data=synthetic", "data.conts.test=3", f"hydra.run.dir={tmp_path / 'run'}")
    assert "There is no setting 'data.conts.test'" in refused(run_here(evaluate, "evaluate", *words))


def test_a_refused_run_leaves_no_folder_that_it_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "There is no checkpoint file" in refused(run_here(evaluate, "evaluate", "ckpt=gone.ckpt"))
    assert not list(tmp_path.glob("outputs/*/*"))
    (tmp_path / "mine").mkdir()
    refused(run_here(evaluate, "evaluate", "ckpt=gone.ckpt", "hydra.run.dir=mine"))
    assert (tmp_path / "mine").is_dir()


def test_a_run_that_began_keeps_its_folder(tmp_path):
    words = ("schedule.lr=1e30", "schedule.steps=2", f"hydra.run.dir={tmp_path / 'run'}")
    assert "The loss became nan at step 1" in refused(run_here(train, "train", *SETTINGS, *words))
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_stray_words(tmp_path):
    ended = run_here(evaluate, "evaluate", "best.ckpt", f"hydra.run.dir={tmp_path / 'run'}")
    assert "'best.ckpt' is no setting: did you mean ckpt=best.ckpt?" in refused(ended)
    ended = run("tools/benchmark.py", "lokup", cwd=tmp_path)
    assert "Unknown subject 'lokup': choose model, train, lookup" in refused(ended)
    assert not list(tmp_path.glob("outputs/*/*"))


def test_a_sweep_resumes_nothing(tmp_path):
    assert "leave -m out" in refused(run_here(train, "train", "-m", f"resume={tmp_path}/a,{tmp_path}/b"))

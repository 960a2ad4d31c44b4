"""What a user can mend is one sentence and exit status 1: what was found, what was expected, what to do."""

import resource

import pytest
import torch
from support.runs import NETWORK, SMALL, finished, run, run_here, start
from torch.utils.data import DataLoader

from flowbench.engine.evaluate import evaluate
from flowbench.engine.run.error_messages import sentence
from flowbench.engine.train import train
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowDataset

SETTINGS = (*NETWORK, *SMALL, "schedule.steps=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert run_here(train, "train", *SETTINGS, f"hydra.run.dir={folder}").code == 0
    return folder / "checkpoints/last.ckpt"


class Code:
    def __reduce__(self):
        return (print, ("code from a checkpoint was run",))


@pytest.fixture(scope="module")
def malicious(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("malicious") / "weights.ckpt"
    torch.save(torch.load(trained, weights_only=True) | {"extra": Code()}, path)
    return path


@pytest.fixture(scope="module")
def strange_target(trained, tmp_path_factory):
    """A checkpoint whose settings name a function that is none of ours."""
    path = tmp_path_factory.mktemp("strange") / "weights.ckpt"
    contents = torch.load(trained, weights_only=True)
    contents["hyper_parameters"]["model"]["objective"]["_target_"] = "os.system"
    torch.save(contents, path)
    return path


def one_sentence(ended):
    assert ended.code == 1, ended.told
    assert ended.stderr.count("error:") == 1, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    return " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["modle=raft"], "There is no setting 'modle': did you mean model?"),
        (["model.network.iteratons=3"], "'model.network.iteratons': did you mean model.network.iterations?"),
        (["schedule.stepz=1"], "There is no setting 'schedule.stepz': did you mean schedule.steps?"),
        (["model=deqflow_tiny", "model/solver=newton"], "There is no model/solver 'newton': choose one of anderson, "),
        (
            ["model=deqflow_tiny", "model/gradient=magic"],
            "There is no model/gradient 'magic': choose one of implicit, ",
        ),
        (["model=rift"], "There is no model 'rift': did you mean raft or raft_h? --help all lists them."),
        (["schedule.steps=ten"], "schedule.steps=ten: a whole number above zero is needed."),
        (["schedule.batch_size=0"], "schedule.batch_size=0: a whole number above zero is needed."),
        (
            ["schedule.crop=[128,128]"],
            "The crop of 128x128 (height x width) is larger than sample synthetic/train/000000",
        ),
        (
            ["data.scenes.size=[64,68]"],
            "Training samples are 64x68 (height x width), but raft_small needs multiples of 8",
        ),
        (["data.counts.val=0"], "data.counts.val=0: a whole number above zero is needed."),
        (["init=gone.ckpt"], "There is no checkpoint file 'gone.ckpt'"),
        (["init={trained}", "model=raft"], "is not of this network"),
        (["trainer.precision=17"], "trainer.precision=17: one of 64, 32, 16, "),
        (["logger=wandb", "+logger.wandb.id=a/b"], "error: W&B refuses this run: Run ID cannot contain the characters"),
        (["hydra.run.dir=/proc/none"], "/proc/none: No such file or directory. Check the path"),
    ],
)
def test_training(trained, tmp_path, words, told):
    given = [word.format(trained=trained) for word in words]
    ended = run_here(train, "train", *SETTINGS, f"hydra.run.dir={tmp_path}", *given)
    assert told in one_sentence(ended)


def test_another_run_is_not_overwritten(trained):
    ended = run_here(train, "train", *SETTINGS, f"hydra.run.dir={trained.parents[1]}")
    assert f"already holds a run: continue that run with resume={trained.parents[1]}" in one_sentence(ended)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "No checkpoint was given, and fresh weights would score noise: add ckpt=<file>."),
        (["ckpt=x.ckpt"], "There is no checkpoint file 'x.ckpt'"),
        (["+ckpt=gone.ckpt"], "There is no checkpoint file 'gone.ckpt'"),
        (["+ckpt={trained}", "model=raft"], "holds the model 'raft_small', but model=raft was asked for"),
        (["+ckpt={malicious}"], "holds more than tensors and plain values"),
        (["+ckpt={strange_target}"], "The target 'os.system' is refused"),
        (["+ckpt={trained}", "split=tset"], "split=tset: one of train, val, test is needed."),
        (
            ["+ckpt={trained}", "iterations=0"],
            "iterations=0: a whole number above zero, or a list of them, or null, is needed",
        ),
        (["+ckpt={trained}", "iterations=[]"], "iterations=[]: a whole number above zero, or a list of them"),
        (["+ckpt={trained}", "iterations=abc"], "iterations=abc: a whole number above zero, or a list of them"),
        (["+ckpt={trained}", "iterations=[2,1.5]"], "iterations=[2,1.5]: a whole number above zero, or a list of them"),
        (["+ckpt={trained}", "iterations=true"], "iterations=true: a whole number above zero, or a list of them"),
        (["+ckpt={trained}", "steps=0"], "iterations=0: a whole number above zero, or a list of them"),
    ],
)
def test_evaluation(trained, malicious, strange_target, tmp_path, words, told):
    paths = {"trained": trained, "malicious": malicious, "strange_target": strange_target}
    given = [word.format(**paths) for word in words]
    ended = run_here(evaluate, "evaluate", f"hydra.run.dir={tmp_path}", *given)
    assert told in one_sentence(ended)
    assert "code from a checkpoint was run" not in ended.stdout


class Damaged(FlowDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise FlowBenchError("frame_1.png: damaged, fetch it again.")


def test_a_sample_that_a_loading_process_cannot_read():
    with pytest.raises(FlowBenchError, match="Original Traceback") as caught:
        next(iter(DataLoader(Damaged(), num_workers=1)))
    assert sentence(caught.value, config="train", arguments=[]) == "frame_1.png: damaged, fetch it again."


def test_debug_shows_where_it_happened(tmp_path):
    ended = run("evaluate.py", "+ckpt=gone.ckpt", "debug=true", f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert "Traceback" in ended.stderr
    assert "FlowBenchError: There is no checkpoint file 'gone.ckpt'" in ended.stderr


def no_large_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_checkpoint(tmp_path):
    words = (*SETTINGS, "callbacks.best=null", "callbacks.pictures=null", f"hydra.run.dir={tmp_path}")
    assert run_here(train, "train", *words).code == 0
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text().replace("steps: 1\n", "steps: 2\n"))
    failing = finished(start("train.py", f"resume={tmp_path}", preexec_fn=no_large_files))
    told = one_sentence(failing)
    assert f"{tmp_path}/checkpoints/last.ckpt: cannot be written (File too large). Check the free space" in told
    older, kept = sorted((tmp_path / "checkpoints").iterdir())
    assert (older.name, kept.name) == ("last.ckpt", "previous.ckpt")
    assert torch.load(older, weights_only=True)["global_step"] == 1

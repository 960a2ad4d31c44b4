"""Checkpoints that somebody else wrote: none runs, writes or tells anything but what its weights are for."""

import copy
import json

import pytest
import torch
from support.checkpoints import save_ours
from support.runs import run, run_here

import flowbench
from flowbench.engine.analyse import analyse
from flowbench.engine.config.models import start_from
from flowbench.engine.evaluate import evaluate
from flowbench.engine.export import export
from flowbench.engine.predict import predict
from flowbench.errors import FlowBenchError

SECRET = "do-not-tell"
PADDING = "flowbench.ops.padding.InputPadder"
PICTURES = "input=[assets/sintel/frame_0016.png,assets/sintel/frame_0017.png]"


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv("FLOWBENCH_TEST_SECRET", SECRET)


@pytest.fixture(scope="module")
def small():
    return flowbench.load("raft_small", None, ["network.eval_iterations=1"])


@pytest.fixture
def written(small, tmp_path):
    """Writes a checkpoint of raft_small whose settings are changed at a dotted place."""

    def write(place, value, **settings):
        model = copy.deepcopy(small.settings) | {"data": copy.deepcopy(SCENES)} | settings
        *parents, last = place.split(".")
        node = model
        for name in parents:
            node = node[name]
        node[last] = value
        state = {f"network.{name}": tensor for name, tensor in small.network.state_dict().items()}
        torch.save({"hyper_parameters": model, "state_dict": state}, tmp_path / "odd.ckpt")
        return tmp_path / "odd.ckpt"

    return write


SCENES = {
    "_target_": "flowbench.data.synthetic_data.synthetic_data",
    "name": "synthetic",
    "workers": 0,
    "counts": {"train": 1, "val": 1, "test": 1},
    "scenes": {"size": [64, 64]},
}


def payloads(mark):
    """Every way that is known to make OmegaConf or Hydra call something, here os.mkdir(mark)."""
    call = {"_target_": "os.mkdir", "path": mark}
    create = f"${{oc.create:{{_target_: os.mkdir, path: '{mark}'}}}}"
    nested = f"${{oc.create:{{_target_: {PADDING}, mode: {{_target_: os.mkdir, path: '{mark}'}}}}}}"
    return {
        "target": call,
        "positional": {"_target_": "os.mkdir", "_args_": [mark]},
        "inside positional": {"_target_": PADDING, "_args_": [call]},
        "argument": {"_target_": PADDING, "mode": call},
        "in lists": [[[call]]],
        "not recursive": {"_target_": PADDING, "_recursive_": False, "mode": create},
        "converted": {"_target_": PADDING, "_convert_": "object", "mode": create},
        "partial": {"_target_": "os.mkdir", "_partial_": True, "path": mark},
        "list of targets": {"_target_": ["os.mkdir"], "path": mark},
        "target that is called": {"_target_": call, "path": mark},
        "target that is resolved": {"_target_": "${oc.decode:os.mkdir}", "path": mark},
        "instantiate": {"_target_": "hydra.utils.instantiate", "config": call},
        "get_method": {"_target_": "hydra.utils.get_method", "path": "os.mkdir"},
        "resolved": create,
        "escaped": "\\" + create,
        "escaped twice": "\\\\\\" + create,
        "escaped backslash": "\\\\" + create,
        "nested": nested,
        "nested and escaped": "\\" + nested.replace("mode: {", "mode: {a: \\\\${oc.env:HOME}, "),
        "in text": f"kitti{create}",
        "key": {create: 1},
        "escaped key": {"_target_": PADDING, "\\" + create: 1},
        "decoded": "${oc.decode:" + create + "}",
        "selected": "${oc.select:absent," + create + "}",
        "writes a folder": {"_target_": "flowbench.data.sample_trees.write_tree", "name": "chairs", "root": mark},
        "caches": {"_target_": "flowbench.data.cache.SampleCache", "folder": mark, "gigabytes": 1},
        "logs": {"_target_": "flowbench.engine.training.loggers.tensorboard_logger", "save_dir": mark},
        "trains": {"_target_": "pytorch_lightning.Trainer", "default_root_dir": mark},
        "loads": {"_target_": "torch.hub.load", "repo_or_dir": mark, "source": "local", "model": "x"},
        "another module's name": {"_target_": "flowbench.models.base.torch.load", "f": mark},
    }


KINDS = list(payloads("x"))


FEW = ["target", "escaped", "nested and escaped", "key"]
PLACES = ["model.name", "model.network.correlation", "model.objective.gamma"]


@pytest.mark.parametrize(
    ("place", "kind"),
    [*(("model.padder", kind) for kind in KINDS), *((place, kind) for place in PLACES for kind in FEW)],
)
def test_a_loaded_checkpoint_calls_nothing(place, kind, written, tmp_path):
    mark = tmp_path / "mark"
    path = written(place, payloads(str(mark))[kind])
    for arguments in ((path,), ("raft_small", path)):
        try:
            flowbench.load(*arguments)
        except FlowBenchError:
            continue
        # What the user names himself takes the place of what the file says.
        assert arguments[0] == "raft_small"
        assert place != "model.name"
    assert not mark.exists()


@pytest.mark.parametrize("place", ["data.name", "data.textures", "data.scenes.effects", "data.augmentations"])
@pytest.mark.parametrize("kind", FEW)
def test_an_evaluation_on_remembered_data_calls_nothing(kind, place, written, tmp_path):
    mark = tmp_path / "mark"
    path = written(place, payloads(str(mark))[kind])
    ended = run_here(evaluate, "evaluate", f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run", "pictures=0")
    assert (ended.code, ended.stdout) == (1, "")
    assert "error: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not mark.exists()


PROGRAMS = {
    "evaluate": (evaluate, ("data=synthetic", "data.counts.test=1", "data.workers=0", "pictures=0")),
    "predict": (predict, (PICTURES, "pictures=false")),
    "export": (export, ("format=torch_export", "size=[64,64]", "dynamic=false")),
    "analyse": (analyse, ()),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", ["resolved", "escaped", "inside positional"])
def test_no_program_calls_anything(kind, program, written, tmp_path):
    mark, (task, words) = tmp_path / "mark", PROGRAMS[program]
    path = written("model.padder.mode", payloads(str(mark))[kind])
    ended = run_here(task, program, f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run", *words)
    assert ended.code == 1
    refusal = "'os.mkdir' is refused" if kind == "inside positional" else "is not followed in somebody's file"
    assert refusal in ended.told
    assert not mark.exists()


@pytest.mark.slow
def test_the_program_as_a_process_calls_nothing(written, tmp_path):
    path = written("model.padder.mode", payloads(str(tmp_path / "mark"))["escaped"])
    ended = run("evaluate.py", f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1, ended.stderr
    assert "such a reference is not followed in somebody's file" in ended.stderr
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("text", ["${oc.env:FLOWBENCH_TEST_SECRET}", "\\${oc.env:FLOWBENCH_TEST_SECRET}"])
@pytest.mark.parametrize("place", ["model.name", "data.name"])
def test_the_environment_is_not_read(place, text, written, tmp_path):
    path = written(place, text)
    ended = run_here(evaluate, "evaluate", f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run", "pictures=0")
    assert ended.code == 1
    assert f"remembers {place}=" in ended.told
    files = [
        file.read_text() for file in tmp_path.rglob("*") if file.suffix in (".json", ".yaml", ".csv", ".html", ".log")
    ]
    assert SECRET not in "".join([ended.stdout, ended.stderr, *files])


def test_a_root_reads_no_environment_but_the_folder_of_all_data(written, tmp_path):
    words = (f"hydra.run.dir={tmp_path}/run", "pictures=0")
    secret = written("data.textures", "{roots.mine}", roots={"mine": "${oc.env:FLOWBENCH_TEST_SECRET}"})
    ended = run_here(evaluate, "evaluate", f"+ckpt={secret}", *words)
    assert ended.code == 1
    assert SECRET not in ended.told
    assert "++data.textures=<value>" in ended.told
    create = f"${{oc.env:FLOWBENCH_DATA,x}}${{oc.create:{{_target_: os.mkdir, path: '{tmp_path}/mark'}}}}"
    both = written("data.textures", "${roots.chairs}/*.jpg", roots={"chairs": create})
    ended = run_here(evaluate, "evaluate", f"+ckpt={both}", *words)
    assert not (tmp_path / "mark").exists()
    # The user's own folder was taken.
    assert "datasets/FlyingChairs_release" in ended.told


@pytest.mark.parametrize("name", ["gma", "head", "weight_norm"])
@pytest.mark.parametrize("kind", ["escaped", "resolved", "target", "in lists"])
def test_settings_that_come_over_to_another_family_are_numbers(kind, name, tmp_path):
    saved = flowbench.load("deqflow_tiny", None)
    saved.settings["model"]["network"][name] = payloads(str(tmp_path / "mark"))[kind]
    path = save_ours(saved, tmp_path / "odd.ckpt")
    with pytest.raises(FlowBenchError, match=rf"network\.{name}=.*a number or a boolean was expected"):
        flowbench.load("deltadeq_tiny", path)
    assert not (tmp_path / "mark").exists()


def test_a_start_from_its_weights_calls_nothing(written, small, tmp_path):
    start_from(small, written("model.network.correlation", payloads(str(tmp_path / "mark"))["escaped"]))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("value", [torch.zeros(3), torch.float16, b"kitti", {1, 2}])
def test_settings_are_plain_values(value, written):
    with pytest.raises(FlowBenchError, match=r"settings hold a|more than tensors and plain values"):
        flowbench.load(written("model.padder.mode", value))


def test_settings_without_end_are_refused(written):
    deep, wide = ["x"], ["x"]
    deep.append(deep)
    for _ in range(30):
        wide = [wide] * 10
    for value in (deep, wide):
        with pytest.raises(FlowBenchError, match="nested too deep or too many"):
            flowbench.load(written("model.padder.mode", value))


@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", "a/../../elsewhere", "..\\elsewhere"])
def test_an_export_stays_in_its_folder(name, written, tmp_path):
    words = ("format=torch_export", "size=[64,64]", "dynamic=false", f"hydra.run.dir={tmp_path}/a/b/run")
    ended = run_here(export, "export", f"+ckpt={written('model.name', name)}", *words)
    assert ended.code == 1
    assert "cannot name a file in" in ended.told
    assert not [file for file in tmp_path.rglob("*elsewhere*") if "run" not in file.parts]


def test_the_remembered_cache_is_not_written(written, tmp_path):
    path = written("data.cache", {"folder": str(tmp_path / "cache"), "gigabytes": 1})
    words = (f"+ckpt={path}", f"hydra.run.dir={tmp_path}/run", "split=train", "pictures=0", "trainer.accelerator=cpu")
    ended = run_here(evaluate, "evaluate", *words)
    assert ended.code == 0, ended.told
    assert json.loads((tmp_path / "run/metrics.json").read_text())["settings"]["pairs"] == 1
    assert not (tmp_path / "cache").exists()


def test_a_size_that_pytorch_refuses_is_a_line(written, tmp_path):
    """PyTorch's own message goes on with the frames of its C++ code."""
    ckpt = written("model.network", {"_target_": "flowbench.networks.lightflow.LightFlow", "width": 1e27})
    ended = run_here(predict, "predict", f"ckpt={ckpt}", PICTURES, f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "flowbench.networks.lightflow.LightFlow cannot be made of its settings" in ended.told
    assert "frame #" not in ended.told


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("data.counts.test", 10**40, "a number of 41 digits"),
        ("model.name", "a\udcff", "hold 'a\\udcff', which is no text"),
        ("data.\udcff", 1, "hold '\\udcff', which is no text"),
        (
            "model.padder.multiple",
            8 * 10**5,
            "model.padder.multiple=800000, but no model counts or measures beyond 65,536",
        ),
        (
            "model.padder.multiple",
            8 * 10**3,
            "The padder makes sizes multiples of 8000: raft_small takes images in multiples of 8, ",
        ),
        ("model.network.eval_iterations", 10**9, "model.network.eval_iterations=1000000000, but no model counts"),
        ("model.network.eval_iterations", "x", "model.network.eval_iterations=x: a whole number above zero is needed"),
    ],
)
def test_odd_values_are_a_sentence(place, value, told, written, tmp_path):
    ckpt = written(place, value)
    with pytest.raises(FlowBenchError) as refusal:
        flowbench.load(ckpt)
    assert told in str(refusal.value)
    for task, name in ((evaluate, "evaluate"), (predict, "predict"), (export, "export")):
        ended = run_here(
            task, name, f"ckpt={ckpt}", *([PICTURES] if task is predict else []), f"hydra.run.dir={tmp_path}/r"
        )
        assert ended.code == 1
        assert told in ended.told


def test_a_network_that_would_need_terabytes_is_never_made(tmp_path):
    model = flowbench.load("lightflow_05", None)
    model.settings["model"]["network"]["width"] = 200.0
    ckpt = save_ours(model, tmp_path / "odd.ckpt")
    ended = run_here(predict, "predict", f"ckpt={ckpt}", PICTURES, f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "is not of this network: of 203 entries, 165 of another shape" in ended.told


@pytest.mark.parametrize(
    "odd", [torch.zeros(1).expand(10**6, 10**6), torch.eye(3).to_sparse(), torch.empty(3, device="meta")]
)
def test_tensors_that_the_file_does_not_hold_are_refused(odd, small, tmp_path):
    state = {f"network.{name}": tensor for name, tensor in small.network.state_dict().items()}
    torch.save(
        {"hyper_parameters": small.settings, "state_dict": state | {"network.\udcff": odd}}, tmp_path / "odd.ckpt"
    )
    ended = run_here(predict, "predict", f"ckpt={tmp_path}/odd.ckpt", PICTURES, f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "does not hold all of its tensor 'network.\\udcff'" in ended.told


def test_only_paths_refer_to_roots(written, tmp_path):
    samples = {"_target_": "flowbench.data.sets.chairs.Chairs", "root": "{roots.chairs}", "split": "val"}
    data = {
        "_target_": "flowbench.data.datamodule.FlowDataModule",
        "name": "{roots.chairs}",
        "test": {"chairs": samples},
    }
    ckpt = written("data", data, roots={"chairs": str(tmp_path / "private")})
    ended = run_here(evaluate, "evaluate", f"ckpt={ckpt}", "split=val", f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 1
    assert "The data '{roots.chairs}' has no val pairs" in ended.told

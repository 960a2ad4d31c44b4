"""The command `flowbench`: its list of programs, their short help, and the words that a person types."""

import os
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from support.runs import ROOT

import flowbench
from flowbench.console import main
from flowbench.console.help import explanation, short_help
from flowbench.engine.config.arguments import hydra_words
from flowbench.errors import FlowBenchError
from flowbench.programs import PROGRAMS, restarting, started_as, typed

LINES, COLUMNS = 42, 120


def typing(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["bin/flowbench", *words])


def test_the_programs_are_listed_without_waiting_for_pytorch():
    code = "import sys, flowbench.console as c; sys.argv = ['flowbench']; c.main(); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[-1] == "False"
    assert len(told) < 25
    for name, program in PROGRAMS.items():
        assert any(line.split(maxsplit=1) == [name, program.about] for line in told)


def test_every_program_with_settings_is_in_the_table():
    files = {file.stem for file in (ROOT / "conf").glob("*.yaml")} - {"paths"}
    # The demo needs a checkout.
    assert set(PROGRAMS) == files - {"demo"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_help_of_a_program_fits_on_a_screen_and_explains_each_setting(name, monkeypatch):
    typing(monkeypatch, name, "--help")
    told = short_help(name).splitlines()
    assert len(told) <= LINES
    assert max(map(len, told)) <= COLUMNS
    assert any(line.startswith(f"flowbench {name} ") for line in told)
    assert f"flowbench {name} --help all    shows all settings and choices" in told
    # In the words of whoever started it.
    assert "python tools/" not in "\n".join(told)
    for setting in PROGRAMS[name].settings:
        assert explanation(name, setting), f"{setting} has no comment in conf/"
        assert any(line.split()[:1] == [setting] for line in told)


def test_the_help_of_a_script_names_the_script(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/anywhere/train.py", "--help"])
    assert "\npython train.py model=raft_h" in short_help("train")
    assert typed("check_submission") == "python tools/check_submission.py"


def test_comments_of_several_lines_are_read_whole():
    assert explanation("predict", "cascade").endswith("null: full resolution only")
    header = yaml.safe_load((ROOT / "conf" / "predict.yaml").read_text())["hydra"]["help"]["header"]
    assert header.splitlines()[0] in short_help("predict")


def test_a_misspelt_program_is_refused_with_the_nearest(monkeypatch):
    typing(monkeypatch, "trian")
    with pytest.raises(SystemExit, match=r"There is no program 'trian': did you mean train\?"):
        main()
    typing(monkeypatch, "xyz")
    with pytest.raises(SystemExit, match="There is no program 'xyz': choose one of train, evaluate, "):
        main()


def test_the_version_is_that_of_the_package(monkeypatch, capsys):
    assert flowbench.__version__ == metadata.version("optical-flowbench")
    assert {"load", "__version__", "flow_to_image"} <= set(dir(flowbench))
    typing(monkeypatch, "--version")
    main()
    assert capsys.readouterr().out == f"FlowBench {flowbench.__version__}\n"


@pytest.mark.parametrize(
    ("file", "shown", "again"),
    [
        ("bin/flowbench", "flowbench train", ["-P", "-m", "flowbench", "train"]),
        ("flowbench/__main__.py", "python -m flowbench train", ["-m", "flowbench", "train"]),
    ],
)
def test_a_program_is_started_again_as_it_was_started(file, shown, again):
    assert started_as("train", file) == shown
    assert restarting(shown) == [sys.executable, *again]
    assert restarting("/a b/train.py") == [sys.executable, "/a b/train.py"]


@pytest.mark.parametrize(
    ("config", "words", "meant"),
    [
        ("predict", ["clip.mp4", "-o", "my (1)"], ["output='my (1)'", "input=clip.mp4"]),
        ("predict", ["-o=my flow", "clip.mp4"], ["output=my flow", "input=clip.mp4"]),
        ("predict", ["a.png", "b.png"], ["input=[a.png,b.png]"]),
        ("evaluate", ["best.ckpt"], ["ckpt=best.ckpt"]),
        ("export", ["best.ckpt"], ["ckpt=best.ckpt"]),
        ("doctor", ["sintel", "kitti"], ["data=[sintel,kitti]"]),
        ("check_submission", ["data=sintel", "out/submission"], ["data=sintel", "submission=out/submission"]),
    ],
)
def test_words_without_a_name_are_what_one_would_think(config, words, meant):
    assert hydra_words(words, config=config, positional=PROGRAMS[config].positional) == meant


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("flowbench ev", "evaluate"),
        ("flowbench train model=raft_", "model=raft_h model=raft_small"),
        ("flowbench evaluate thresh", "threshold="),
    ],
)
def test_the_shell_completes_programs_choices_and_settings(line, offered):
    code = "import sys; from flowbench.console import main; sys.argv = ['bin/flowbench', *sys.argv[1:]]; main()"
    command = [sys.executable, "-c", code, "-sc", "query=bash"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"COMP_LINE": line})
    assert ended.stdout.strip() == offered


def test_a_short_option_belongs_to_the_programs_that_have_its_setting():
    with pytest.raises(FlowBenchError, match="There is no option '-o': settings are written without dashes"):
        hydra_words(["-o", "out"], config="evaluate")
    with pytest.raises(FlowBenchError, match="output= is empty: give a name"):
        hydra_words(["clip.mp4", "-o"], config="predict", positional="input")

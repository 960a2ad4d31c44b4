"""What a user types arrives as it was meant: file names of any kind, lists, sweeps, words without a name."""

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flowbench.configs import config_folder
from flowbench.engine.config.arguments import FLAGS, WITH_VALUE, hydra_words
from flowbench.engine.run.cli import job_overrides
from flowbench.errors import FlowBenchError

# All that a file's name may hold; a slash makes folders of it.
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS | st.sampled_from("'\"\\${}()[],=:#&!~ %*?@|+-/._0123456789"), min_size=1, max_size=12)
ODD = [
    "2024_11_27",
    "1.10",
    "clip (1).mp4",
    "Größe",
    "a=b.ckpt",
    "it's.mp4",
    "a,b & #c!~.mp4",
    "${x}.mp4",
    "\\${oc.env:HOME}",
    "{a: 1}",
    "true",
    " x ",
    "'a' or 'b'",
    "x\\",
    "x'\\",
    "日本.mp4",
    "choice(a,b)",
]


def examples(test):
    for name in ODD:
        test = example(name)(test)
    return test


def is_name(name):
    """Whether the text is no null, and not quoted as a whole, which is Hydra's own way to say text."""
    return name.lower() != "null" and not (name[0] == name[-1] and name[0] in "'\"" and len(name) > 1)


def composed(words, config="predict"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(config, words, return_hydra_config=True)


def values(words):
    """The settings as a program reads them, with references resolved, but without the files of conf/."""
    config = OmegaConf.create()
    for override in OverridesParser.create().parse_overrides(words):
        OmegaConf.update(config, override.key_or_group, override.value())
    return config


def parsed(words):
    """The plain value of each setting."""
    return {word.key_or_group: word.value() for word in OverridesParser.create().parse_overrides(words)}


def read(word, config="predict", positional="input"):
    return hydra_words([word], config=config, positional=positional)


@settings(max_examples=60, deadline=None)
@examples
@given(NAMES)
def test_any_file_name_is_read_as_it_was_typed(name):
    assume(is_name(name) and not (name[0] == "[" and name[-1] == "]"))
    config = values(hydra_words([f"input={name}", f"+ckpt={name}", f"output={name}"], config="predict"))
    assert (config.input, config.ckpt, config.output) == (name, name, name)


@settings(max_examples=40, deadline=None)
@examples
@given(NAMES)
def test_what_is_in_hydras_grammar_already_stays(name):
    assume(is_name(name))
    words = hydra_words([f"init={name}", f"paths.sintel={name}", f"hydra.run.dir={name}"], config="train")
    assert hydra_words(words, config="train") == words


@settings(max_examples=40, deadline=None)
@examples
@given(NAMES)
def test_roots_and_run_folders_take_any_name_but_for_references(name):
    assume(is_name(name) and "${" not in name)
    keys = ("paths.sintel", "hydra.run.dir", "data.images", "data.val.flow", "data.lists.test")
    words = [f"{key}={name}" for key in keys]
    config = values(hydra_words(words, config="train"))
    assert {OmegaConf.select(config, key) for key in keys} == {name}


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4))
def test_words_without_a_name_are_a_list_of_files(names):
    assume(not any(name.startswith(("-", "~", "+")) or "=" in name for name in names))
    assert list(values(hydra_words(names, config="predict", positional="input")).input) == names


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_list_holds_any_names_without_commas(names):
    names = [name.strip() or "x" for name in names]
    assume(all(is_name(name) and not set(name) & set(",'\"[]") for name in names))
    assert list(values(read(f"input=[{','.join(names)}]")).input) == names


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=3))
def test_a_sweep_stays_a_sweep_of_names(names):
    names = [name.strip() or "x" for name in names]
    assume(all(is_name(name) and not set(name) & set(",'\"[]$") for name in names))
    _, word = hydra_words(["-m", f"+ckpt={','.join(names)}"], config="evaluate")
    override = OverridesParser.create().parse_override(word)
    assert override.is_sweep_override()
    assert [getattr(each, "text", each) for each in override.sweep_iterator()] == names


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("input=[a.png,b.png]", ["a.png", "b.png"]),
        ("input=[b (1).png, '2,5.png']", ["b (1).png", "2,5.png"]),
        ("input='a b.mp4'", "a b.mp4"),
        ('input="it\'s.mp4"', "it's.mp4"),
        ("input=null", None),
        ("clip.mp4", "clip.mp4"),
        ("Größe (1)/clip.mp4", "Größe (1)/clip.mp4"),
        ("~/clip.mp4", "~/clip.mp4"),
    ],
)
def test_values_that_are_more_than_a_name(word, meant):
    assert parsed(read(word)) == {"input": meant}


@pytest.mark.parametrize("config", ["evaluate", "predict", "export", "analyse", "benchmark"])
def test_a_checkpoint_is_given_with_and_without_a_plus(config):
    words = [hydra_words([f"{sign}ckpt=${{x}}, 1.ckpt"], config=config) for sign in ("", "+", "++")]
    assert words[0] == words[1] == words[2]
    assert composed(words[0], config).ckpt == "${x}, 1.ckpt"


def test_settings_that_name_no_file_are_left_alone():
    words = ["-m", "seed=0,1", "model=raft", "schedule.crop=[64,64]", "~data.train.hd1k", "data.scenes.size=[2_0,3]"]
    assert hydra_words(words, config="train") == words


def test_references_in_folders_stay_references():
    words = ["hydra.run.dir=outputs/${now:%Y}/a", "paths.sintel=${oc.env:DATA}/Sintel"]
    assert hydra_words(words, config="train") == words


def test_a_file_that_is_there_is_no_setting_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a=1.png", "~b.png", "'c.png'"):
        (tmp_path / name).touch()
    assert parsed(read("a=1.png")) == {"input": "a=1.png"}
    assert parsed(read("~b.png")) == {"input": "~b.png"}
    assert parsed(read("input='c.png'")) == {"input": "'c.png'"}


def test_a_resumed_run_goes_on_in_its_folder(tmp_path):
    folder = tmp_path / "it's (1) = 2"
    folder.mkdir()
    words = hydra_words([f"resume={folder}"], config="train")
    assert parsed(words) == {"resume": str(folder), "hydra.run.dir": str(folder), "hydra.output_subdir": None}


def test_options_may_stand_anywhere():
    words = hydra_words(["model=raft", "--cfg", "job", "seed=1", "-m"], config="train")
    assert words == ["--cfg", "job", "-m", "model=raft", "seed=1"]
    assert hydra_words(["--info", "defaults"], config="train") == ["--info", "defaults"]
    assert parsed(hydra_words(["--", "-x.mp4"], config="predict", positional="input")) == {"input": "-x.mp4"}


def test_hydras_options_are_known():
    actions = [action for action in get_args_parser()._actions if action.option_strings]
    takes_value = {name for action in actions if action.nargs is None for name in action.option_strings}
    assert takes_value == WITH_VALUE
    assert {name for action in actions for name in action.option_strings} - takes_value == FLAGS


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["best.ckpt"], "'best.ckpt' is no setting: did you mean ckpt=best.ckpt?"),
        (["sintel"], "'sintel' is no setting: write <name>=<value>; --help lists the names."),
        (
            ["--ckpt", "b.pt"],
            "There is no option '--ckpt': settings are written without dashes, such as ckpt=b.pt.",
        ),
        (
            ["--batch-size=4"],
            "There is no option '--batch-size=4': settings are written without dashes, such as batch_size=4.",
        ),
        (["ckpt="], "ckpt= is empty: give a name, or leave ckpt out."),
        (["hydra.run.dir="], "hydra.run.dir= is empty: give a name, or leave hydra.run.dir out."),
    ],
)
def test_words_that_mean_nothing_are_refused(words, told):
    with pytest.raises(FlowBenchError) as refused:
        hydra_words(words, config="evaluate")
    assert str(refused.value) == told


def test_an_input_is_given_once():
    with pytest.raises(FlowBenchError, match=r"'a.mp4' and input=b.mp4 both say what input is: give one of them"):
        hydra_words(["a.mp4", "input=b.mp4"], config="predict", positional="input")


@pytest.fixture
def hydra_config():
    before = HydraConfig.instance().cfg
    yield HydraConfig.instance()
    HydraConfig.instance().cfg = before


@pytest.mark.parametrize("name", ["${x}.ckpt", "it's.ckpt"])
def test_other_processes_are_given_the_same_words(hydra_config, name):
    words = hydra_words([f"ckpt={name}"], config="evaluate")
    hydra_config.set_config(composed(words, "evaluate"))
    assert list(job_overrides()) == words
    assert composed(job_overrides(), "evaluate").ckpt == name


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_the_folders_of_data_sets_are_known_by_their_old_name(sign, capsys):
    assert hydra_words([f"{sign}roots.sintel=a"], config="evaluate") == [f"{sign}paths.sintel=a"]
    assert "roots.sintel= is called paths.sintel= today; the old name still works." in capsys.readouterr().err

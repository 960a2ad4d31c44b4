"""docs/data.md says of the data sets and their protocols what the code and conf/ say."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flowbench.configs import config_folder
from flowbench.data.sets.chairs import Chairs
from flowbench.data.sets.hd1k import Hd1k
from flowbench.data.sets.kitti import Kitti, Kitti2012
from flowbench.data.sets.middlebury import Middlebury
from flowbench.data.sets.sintel import Sintel
from flowbench.data.sets.spring import Spring
from flowbench.data.sets.tartanair import TartanAir
from flowbench.data.sets.things import Things
from flowbench.structures import EvalProtocol

DATA = config_folder() / "data"
PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text()
SETS = {
    "chairs": Chairs,
    "things": Things,
    "sintel": Sintel,
    "kitti": Kitti,
    "kitti2012": Kitti2012,
    "hd1k": Hd1k,
    "middlebury": Middlebury,
    "spring": Spring,
    "tartanair": TartanAir,
}


@pytest.mark.parametrize("name", SETS)
def test_a_data_set_is_told_as_the_code_has_it(name):
    kind = SETS[name]
    row = re.search(rf"^\| `{name}` \| (.*) \|$", PAGE, re.M)[1]
    title, _, truth, root_key, *_ = row.split(" | ")
    assert (title, truth, root_key) == (kind.title, "sparse" if kind.sparse else "dense", f"`{kind.root_key}`")
    assert f"\n{kind.title}\n{kind.tree}\n" in PAGE


def test_every_protocol_is_told():
    section = PAGE.partition("## Protocols")[2].partition("## ")[0]
    told = {
        name: (padding.strip(" `"), updates.strip(), reported)
        for names, padding, updates, reported in re.findall(r"^\| (`.*`) \|(.*)\|(.*)\| (`.*) \|$", section, re.M)
        if "data=" not in names
        for name in re.findall(r"`(\w+)`", names)
    }
    assert sorted(told) == sorted(path.stem for path in DATA.glob("*.yaml"))
    for name, (padding, updates, reported) in told.items():
        protocol = EvalProtocol(**OmegaConf.load(DATA / f"{name}.yaml").get("protocol", {}))
        assert (padding, updates) == (protocol.padding or "", str(protocol.updates or "")), name
        assert re.findall(r"`(\w+)`", reported) == list(protocol.reported_metrics), name

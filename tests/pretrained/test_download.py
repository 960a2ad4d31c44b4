"""Published weights by name, from a server of this machine that breaks off, sends something else, or is not there."""

import errno
import hashlib
import io
import socket
import subprocess
import sys
import threading

import pytest
import torch
from support import golden
from support.file_server import serving

import flowbench
from flowbench.errors import FlowBenchError
from flowbench.pretrained import Weights, all_weights, download, locate

STAGE = "things-elsewhere"


@pytest.fixture(scope="module")
def content():
    """RAFT small as ptlflow publishes it: the authors' names below `state_dict`, beside plain values."""
    file = io.BytesIO()
    torch.save({"epoch": 3, "state_dict": golden.official_state("raft_small")}, file)
    return file.getvalue()


@pytest.fixture
def entry(content, monkeypatch):
    digits = hashlib.sha256(content).hexdigest()[:8]
    entry = Weights(
        names=(f"raft_small-{STAGE}",),
        model="raft_small",
        file=f"small-{digits}.ckpt",
        source="a test",
        trained_on="nothing",
        url="http://127.0.0.1:9/never-asked",
        sha256=digits,
    )
    monkeypatch.setattr("flowbench.pretrained.names.all_weights", lambda: (entry, *all_weights()))
    return entry


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def server(entry, content, cache, monkeypatch):
    with serving({entry.file: content}) as server:
        monkeypatch.setenv("FLOWBENCH_WEIGHTS_MIRROR", server.url)
        yield server


def there(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


def test_a_name_gives_the_published_weights_which_are_downloaded_once(server, entry, cache):
    first = flowbench.load("raft_small", STAGE, ["network.eval_iterations=1"])
    again = flowbench.load(entry.name)
    assert server.requests == [None]
    assert there(cache) == [entry.file]
    theirs = golden.official_state("raft_small")["module.fnet.conv1.weight"]
    for model in (first, again):
        assert torch.equal(model.network.fnet.conv1.weight, theirs)


def test_a_download_that_breaks_off_goes_on_where_it_was(server, entry, cache, content):
    server.breaks_off = [1000]
    assert locate(entry.name).path.read_bytes() == content
    assert server.requests == [None, "bytes=1000-"]


def test_a_download_that_breaks_off_again_is_never_a_file_and_goes_on_next_time(server, entry, cache, content):
    server.breaks_off = [1000, 500]
    with pytest.raises(
        FlowBenchError, match=r"broke off after 1,500 of [\d,]+ bytes, twice: run the same command again"
    ):
        locate(entry.name)
    assert there(cache) == [f"{entry.file}.part"]
    assert locate(entry.name).path.read_bytes() == content
    assert server.requests == [None, "bytes=1000-", "bytes=1500-"]
    assert there(cache) == [entry.file]


def test_a_server_without_ranges_sends_all_of_it_again(server, entry, content):
    server.takes_ranges, server.breaks_off = False, [1000]
    assert locate(entry.name).path.read_bytes() == content


def test_a_partial_file_that_was_complete_is_used(server, entry, cache, content):
    cache.mkdir(parents=True)
    (cache / f"{entry.file}.part").write_bytes(content)
    assert locate(entry.name).path.read_bytes() == content
    assert server.requests == [f"bytes={len(content)}-"]


@pytest.mark.parametrize("announces", [True, False])
def test_another_file_under_this_name_is_deleted(server, entry, cache, announces):
    server.files[entry.file], server.announces = b"an HTML page", announces
    with pytest.raises(
        FlowBenchError, match=r"is not small-.*its sha256 begins with \w{8}, not with \w{8}, and it was"
    ):
        locate(entry.name)
    assert there(cache) == []


def test_an_answer_of_unknown_length_that_breaks_off_is_not_taken_for_the_file(server, entry, cache):
    server.announces, server.breaks_off = False, [1000]
    with pytest.raises(FlowBenchError, match="its sha256 begins with"):
        locate(entry.name)
    assert there(cache) == []


def test_a_file_that_is_gone_is_one_sentence(server, entry, cache):
    server.files.clear()
    with pytest.raises(FlowBenchError, match=rf"/{entry.file}: the server answers 404 .* put it into {cache}"):
        locate(entry.name)
    assert there(cache) == []


def test_without_a_network_the_sentence_says_what_to_fetch_and_where_to_put_it(entry, content, cache, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FLOWBENCH_WEIGHTS_MIRROR", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(
            FlowBenchError, match=rf"cannot be reached \(.*refused\): .* put it into {cache} as {entry.file}"
        ):
            locate(entry.name)
        # As the sentence says.
        (cache / entry.file).write_bytes(content)
        assert locate(entry.name).path == cache / entry.file
        (cache / entry.file).write_bytes(content[:-1])
        with pytest.raises(FlowBenchError, match=r"is not the file of .* Delete it"):
            locate(entry.name)


def test_a_full_disk_is_one_sentence(server, entry, cache, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "open", lambda *_: Full(), raising=False)
    with pytest.raises(FlowBenchError, match=r"cannot be written \(the disk is full\)"):
        locate(entry.name)
    assert there(cache) == []


def test_what_only_a_browser_can_fetch_is_said_with_link_and_folder(cache, caplog):
    with pytest.raises(
        FlowBenchError,
        match=rf"no direct link: get raft-small\.pth with a browser from https://github\.com/\S+, and put it into {cache}",
    ):
        locate("raft_small-things-princeton")
    cache.mkdir(parents=True)
    torch.save(golden.official_state("raft_small"), cache / "raft-small.pth")
    assert flowbench.load("raft_small-things-princeton").name == "raft_small"
    assert "was not checked" in caplog.text


PROCESS = "from flowbench.pretrained import locate; print(locate('raft_small-things-princeton').path)"


def test_two_processes_download_a_file_once(content, cache, monkeypatch):
    with serving({"raft-small.pth": content}) as server:
        monkeypatch.setenv("FLOWBENCH_WEIGHTS_MIRROR", server.url)
        server.slow = threading.Event()
        both = [subprocess.Popen([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        # The second has time to come while the first waits for the server.
        threading.Timer(3, server.slow.set).start()
        told = [process.communicate(timeout=60)[0] for process in both]
    assert told == [f"{cache / 'raft-small.pth'}\n"] * 2
    assert server.requests == [None]
    assert there(cache) == ["raft-small.pth"]

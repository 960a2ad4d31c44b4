"""Cached samples are those that the files give, whatever happens to the cache."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from support.batches import Samples, addressed_sample
from torch.utils.data import DataLoader

from flowbench.data import cache as cache_module
from flowbench.data import pair_files
from flowbench.data.cache import CachedSamples, SampleCache
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.pair_files import PairFiles, PairPaths, read_pair
from flowbench.errors import FlowBenchError
from flowbench.io import write_flow, write_image
from flowbench.structures import FlowBatch, FlowSample

COUNT, HEIGHT, WIDTH = 6, 40, 56
# Processes that are forked need not load everything again.
FORK = multiprocessing.get_context("fork")


class Numbered(PairFiles):
    """Pairs of noise; the last one has no mask of occlusions."""

    title, root_key, tree = "Numbered", "paths.numbered", "    0_flow.flo, ..."

    def list_pairs(self) -> list[PairPaths]:
        return [self._pair(number) for number in range(COUNT)]

    def _pair(self, number: int) -> PairPaths:
        names = [self.root / f"{number}_{part}" for part in ("1.png", "2.ppm", "flow.flo", "occluded.png")]
        return PairPaths(f"numbered/{number}", *names[:3], occluded=names[3] if number < COUNT - 1 else None)


@pytest.fixture
def samples(tmp_path) -> Numbered:
    found = Numbered(tmp_path / "files")
    found.root.mkdir()
    generator = np.random.default_rng(0)
    for paths in found.pairs:
        for file in (paths.image1, paths.image2):
            write_image(file, generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        flow = generator.normal(0, 9, (HEIGHT, WIDTH, 2)).astype(np.float32)
        write_flow(paths.flow, flow, generator.random((HEIGHT, WIDTH)) < 0.8)
        if paths.occluded is not None:
            mask = generator.random((HEIGHT, WIDTH, 1)) < 0.2
            write_image(paths.occluded, mask.repeat(3, axis=2) * np.uint8(255))
    return found


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def unreadable(monkeypatch):
    """From when it is called, who reads a file fails."""

    def forbid() -> None:
        def refuse(paths: PairPaths) -> FlowSample:
            raise AssertionError(f"{paths.key} was read")

        monkeypatch.setattr(pair_files, "read_pair", refuse)

    return forbid


def cached(samples: PairFiles, folder: Path, gigabytes: float = 1.0) -> CachedSamples:
    """As a process has them that has just started."""
    return CachedSamples(samples, SampleCache(folder, gigabytes))


def fill(samples: CachedSamples) -> None:
    for index in range(len(samples)):
        _ = samples[index]


def stored(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.pair"))


def bytes_of_all(folder: Path) -> int:
    """With hidden ones."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix == ".pair")


def number_in_lock(folder: Path) -> int:
    return int((folder / "bytes_kept.lock").read_text())


def assert_equal(found: FlowSample, expected: FlowSample) -> None:
    for field in fields(FlowSample):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(one, other)
        if isinstance(other, np.ndarray):
            assert (type(one), one.dtype, one.flags.c_contiguous) == (np.ndarray, other.dtype, True)


def assert_as_read(found: CachedSamples) -> None:
    assert len(found) == COUNT
    for index, paths in enumerate(found.samples.pairs):
        assert_equal(found[index], read_pair(paths))


def test_a_flipped_bit_is_read_from_the_files_again(samples, folder):
    fill(cached(samples, folder))
    draws = random.Random(0)
    for paths in samples.pairs:
        path = folder / f"{cache_module._name(paths)}.pair"
        whole = path.read_bytes()
        for bit in draws.sample(range(8 * len(whole)), 40):
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            path.unlink()
            path.write_bytes(content)
            assert SampleCache(folder, 1.0).get(path.stem, cache_module._stamp(paths)) is None
        assert_equal(cached(samples, folder)[samples.pairs.index(paths)], read_pair(paths))


def in_processes(count: int, task, *words) -> list[int]:
    """Exit codes of processes that run a task at the same time; each is told its number."""
    processes = [FORK.Process(target=task, args=(number, *words)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    return [process.exitcode for process in processes]


def test_both_passes_give_what_the_files_give(samples, folder):
    assert_as_read(cached(samples, folder))
    assert len(stored(folder)) == COUNT
    assert_as_read(cached(samples, folder))
    assert number_in_lock(folder) == bytes_of_all(folder)


def test_the_second_pass_reads_no_file(samples, folder, unreadable):
    expected = [samples[index] for index in range(COUNT)]
    fill(cached(samples, folder))
    unreadable()
    again = cached(samples, folder)
    for index in range(COUNT):
        assert_equal(again[index], expected[index])


def test_a_sample_is_mapped_and_not_copied(samples, folder):
    fill(cached(samples, folder))
    flow = cached(samples, folder)[0].flow
    assert flow.base is not None
    assert not flow.flags.owndata
    while isinstance(flow, np.ndarray):
        flow = flow.base
    assert type(flow).__name__ == "mmap"


def test_whoever_changes_a_sample_changes_it_for_himself(samples, folder):
    fill(cached(samples, folder))
    again = cached(samples, folder)
    mine = again[0]
    mine.image1[:] = 0
    mine.flow[:] += 1
    assert_as_read(again)


@pytest.mark.parametrize("part", ["image1", "image2", "flow", "occluded"])
def test_a_file_that_changes_is_read_again(samples, folder, part):
    fill(cached(samples, folder))
    file = getattr(samples.pairs[0], part)
    before, status = file.read_bytes(), file.stat()
    if part == "flow":
        write_flow(file, np.full((HEIGHT, WIDTH, 2), 7, np.float32))
    else:
        write_image(file, np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file.read_bytes() != before
    again = cached(samples, folder)
    assert_as_read(again)
    # The outdated file was replaced.
    assert len(stored(folder)) == COUNT
    assert number_in_lock(folder) == bytes_of_all(folder)


def test_a_missing_file_is_an_error_as_without_the_cache(samples, folder):
    fill(cached(samples, folder))
    samples.pairs[0].image2.unlink()
    with pytest.raises(FlowBenchError, match=r"0_2\.ppm: no such file"):
        _ = cached(samples, folder)[0]


def test_data_sets_of_other_names_share_what_the_files_give(samples, folder, unreadable):
    fill(cached(samples, folder))
    other = Numbered(samples.root)
    other.pairs = [replace(paths, key=f"other/{number}") for number, paths in enumerate(samples.pairs)]
    expected = samples[0]
    unreadable()
    assert_equal(cached(other, folder)[0], replace(expected, key="other/0"))


def test_files_that_are_used_otherwise_are_another_sample(samples, folder):
    fill(cached(samples, folder))
    paths = samples.pairs[0]
    other = Numbered(samples.root)
    other.pairs = [replace(paths, occluded=None), replace(paths, occluded=None, invalid=paths.occluded)]
    for index in range(2):
        assert_equal(cached(other, folder)[index], read_pair(other.pairs[index]))


def test_what_does_not_fit_is_read_each_time(samples, folder, caplog):
    fill(cached(samples, folder))
    size = bytes_of_all(folder) // COUNT
    for file in stored(folder):
        file.unlink()
    with caplog.at_level(logging.INFO):
        small = cached(samples, folder, gigabytes=3.5e-9 * size)
        assert_as_read(small)
        assert_as_read(small)
    assert len(stored(folder)) == 3
    assert number_in_lock(folder) == bytes_of_all(folder) <= 3.5 * size
    assert [record.message for record in caplog.records if "is full" in record.message] == caplog.messages
    assert len(caplog.messages) == 1


def test_the_bound_holds_over_several_processes(samples, folder, tmp_path):
    fill(cached(samples, folder))
    size = bytes_of_all(folder) / COUNT
    shared = tmp_path / "shared"
    assert in_processes(3, _fill_and_check, samples, shared, 4.4e-9 * size, 4.4 * size) == [0, 0, 0]
    assert len(stored(shared)) == 4
    assert number_in_lock(shared) == bytes_of_all(shared) <= 4.4 * size


def _fill_and_check(number: int, samples: Numbered, folder: Path, gigabytes: float, most: float) -> None:
    mine = cached(samples, folder, gigabytes)
    for step in range(4 * COUNT):
        index = (step + 2 * number) % COUNT
        assert_equal(mine[index], samples[index])
        # Everything, also what is just being written.
        assert sum(_size(path) for path in folder.glob("*.pair")) <= most


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_two_processes_that_miss_one_sample_store_it_once(samples, folder):
    late = cached(samples, folder)
    fill(cached(samples, folder))
    times = {path: path.stat().st_mtime_ns for path in stored(folder)}
    paths = samples.pairs[0]
    late.cache.put(cache_module._name(paths), cache_module._stamp(paths), samples[0])
    assert {path: path.stat().st_mtime_ns for path in stored(folder)} == times


def test_a_process_killed_while_it_writes_leaves_nothing_wrong_behind(samples, folder):
    _ = cached(samples, folder)[0]
    assert in_processes(1, _die_while_writing, samples, folder) == [-signal.SIGKILL]
    (unfinished,) = folder.glob(".*.pair")
    assert unfinished.stat().st_size > 0
    assert len(stored(folder)) == 1
    # Until then, what lies there is counted.
    assert bytes_of_all(folder) <= number_in_lock(folder)
    assert_as_read(cached(samples, folder))
    assert not unfinished.exists()
    assert len(stored(folder)) == COUNT
    assert number_in_lock(folder) == bytes_of_all(folder)


def _die_while_writing(number: int, samples: Numbered, folder: Path) -> None:
    def write_half(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Path.write_bytes = write_half
    _ = cached(samples, folder)[1]


def test_a_process_killed_at_any_moment_leaves_whole_samples(samples, folder):
    for moment in range(4):
        process = FORK.Process(target=_store_for_ever, args=(samples, folder))
        process.start()
        process.join(0.05 + 0.013 * moment)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        for file in stored(folder):
            np.load(file, mmap_mode="r")
        assert len(list(folder.glob(".*.pair"))) <= 1
        assert_as_read(cached(samples, folder))
        assert number_in_lock(folder) == bytes_of_all(folder)


def _store_for_ever(samples: Numbered, folder: Path) -> None:
    while True:
        for file in stored(folder):
            file.unlink()
        fill(cached(samples, folder))


def test_a_stopped_process_that_holds_the_lock_stops_nobody(samples, folder, monkeypatch):
    monkeypatch.setattr(cache_module, "_PATIENCE", 0.05)
    with SampleCache(folder, 1)._alone():
        assert_equal(cached(samples, folder)[0], samples[0])
        assert not stored(folder)
    late = cached(samples, folder)
    fill(late)
    assert len(stored(folder)) == COUNT


@pytest.mark.parametrize("left", [0, 5, 100, 300, 2000, -1])
def test_a_damaged_file_is_replaced(samples, folder, left, unreadable):
    fill(cached(samples, folder))
    for file in stored(folder):
        file.write_bytes(file.read_bytes()[:left])
    assert_as_read(cached(samples, folder))
    assert number_in_lock(folder) == bytes_of_all(folder)
    unreadable()
    fill(cached(samples, folder))


def test_a_file_of_another_format_is_replaced(samples, folder):
    fill(cached(samples, folder))
    for file, content in zip(stored(folder), [b"\x93NUMPY\x01\x00\xff\xff" + bytes(70_000), b"pickle" * 99] * 3):
        file.write_bytes(content)
    np.save(stored(folder)[0].open("wb"), np.zeros(3))
    assert_as_read(cached(samples, folder))
    assert_as_read(cached(samples, folder))
    assert number_in_lock(folder) == bytes_of_all(folder)


def test_an_older_version_of_the_format_is_replaced(samples, folder, monkeypatch):
    monkeypatch.setattr("flowbench.data.cache_files.VERSION", 0)
    fill(cached(samples, folder))
    old = {file: file.read_bytes() for file in stored(folder)}
    monkeypatch.undo()
    assert_as_read(cached(samples, folder))
    new = {file: file.read_bytes() for file in stored(folder)}
    assert old.keys() == new.keys()
    assert all(new[file] != old[file] for file in old)


def test_a_full_disk_ends_the_storing_with_one_warning(samples, folder, monkeypatch, caplog):
    def no_space(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    full = cached(samples, folder)
    assert_as_read(full)
    (warning,) = caplog.messages
    assert "training goes on without" in warning
    assert "No space left on device" in warning
    assert not list(folder.glob("*.pair"))
    monkeypatch.undo()
    assert_as_read(cached(samples, folder))
    assert number_in_lock(folder) == bytes_of_all(folder)


def test_without_file_locks_nothing_is_stored(samples, folder, monkeypatch, caplog):
    monkeypatch.setattr(cache_module, "fcntl", None)
    assert_as_read(cached(samples, folder))
    (warning,) = caplog.messages
    assert "no file locks" in warning
    assert not folder.exists()


def test_workers_share_what_they_store(samples, folder, unreadable):
    expected = [samples[index].image1 for index in range(COUNT)]
    loading = {"num_workers": 2, "collate_fn": FlowBatch.collate}
    for _ in DataLoader(cached(samples, folder), **loading):
        pass
    assert len(stored(folder)) == COUNT
    unreadable()
    for batch, image in zip(DataLoader(cached(samples, folder), **loading), expected, strict=True):
        np.testing.assert_array_equal(batch.image1[0].mul(255).round().permute(1, 2, 0), image)


def test_training_is_cached_and_nothing_else_writes(samples, folder):
    data = FlowDataModule(
        name="numbered",
        train={"numbered": Part(samples)},
        val=samples,
        test={"numbered": samples},
        cache={"folder": folder, "gigabytes": 1},
    )
    for split in ("train", "val", "test"):
        for found in data.split(split).values():
            _ = found[0]
    data.counts()
    data.setup("validate")
    assert not folder.exists()
    data.setup("fit")
    assert len(stored(folder)) == 1
    assert_equal(data.train[0, 0], samples[0])


def test_samples_of_no_files_cannot_be_cached(folder):
    data = FlowDataModule(
        name="made", train={"made": Part(Samples(3, addressed_sample))}, cache={"folder": folder, "gigabytes": 1}
    )
    with pytest.raises(FlowBenchError, match=r"Samples has none: set data\.cache=null"):
        _ = data.train


@pytest.mark.parametrize("gigabytes", [0, -1, "50", True, float("nan")])
def test_a_size_that_is_none_is_refused(folder, gigabytes):
    with pytest.raises(FlowBenchError, match="gigabytes="):
        SampleCache(folder, gigabytes)

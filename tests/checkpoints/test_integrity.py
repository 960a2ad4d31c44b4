"""Files that are no whole checkpoint, and what is said of each."""

import random
import shutil
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from flowbench.checkpoints.read import read_checkpoint
from flowbench.errors import FlowBenchError

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"
PAGE = "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"
CONTENTS = {"state_dict": {f"layer{n}.weight": torch.randn(20, 30) for n in range(4)}, "step": 7}


def flipped(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    copy = path.with_name("flipped.ckpt")
    copy.write_bytes(content)
    return copy


def same(found, expected):
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[name], expected[name]) for name in expected)
    return torch.equal(found, expected) if isinstance(expected, torch.Tensor) else found == expected


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    torch.save(CONTENTS, path := tmp_path / "whole.ckpt")
    draws, refused = random.Random(0), 0
    for bit in draws.sample(range(8 * path.stat().st_size), 300):
        try:
            found = read_checkpoint(flipped(path, bit))
        except FlowBenchError:
            refused += 1
        else:
            assert same(found, CONTENTS)
    assert refused > 200


def test_a_damaged_record_is_named(tmp_path):
    torch.save(CONTENTS, path := tmp_path / "whole.ckpt")
    place = path.read_bytes().index(CONTENTS["state_dict"]["layer2.weight"].numpy().tobytes())
    with pytest.raises(
        FlowBenchError, match=r"flipped\.ckpt' is damaged: its record 'whole/data/2' does not match its checksum"
    ):
        read_checkpoint(flipped(path, 8 * place + 100))


def test_safetensors_are_read_and_checked(tmp_path):
    save_file(CONTENTS["state_dict"], path := tmp_path / "weights.safetensors")
    assert same(read_checkpoint(path), CONTENTS["state_dict"])
    shutil.copy(path, tmp_path / "weights.pth")
    assert same(read_checkpoint(tmp_path / "weights.pth"), CONTENTS["state_dict"])
    whole = path.read_bytes()
    for content in (
        whole[:50],
        whole[:-1],
        whole + b"x",
        whole.replace(b"F32", b"F31", 1),
        whole.replace(b"[20,30]", b"[20,31]", 1),
    ):
        path.write_bytes(content)
        with pytest.raises(FlowBenchError, match=r"weights\.safetensors' is damaged or cut short"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LFS, "a pointer of git-lfs, .* git lfs pull"),
        (PAGE, r"a web page \('Google Drive - Virus scan warning'\)"),
        ("\ufeff  <html lang=de>", "a web page: the download gave a page"),
        ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
        ('{"message": "Not Found"}', r"a text that begins with '\{\"message\": \"Not Found\"\}'"),
        ("Größe: " + "x" * 5000, "a text that begins with 'Größe: x"),
        ("", "an empty file"),
        (b"\x1f\x8b\x08\0" + bytes(20), r"an archive \(gzip\): unpack it first"),
    ],
)
def test_what_is_no_checkpoint_is_called_by_its_name(content, told, tmp_path):
    path = tmp_path / "raft-things.pth"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FlowBenchError, match=f"raft-things\\.pth' is no checkpoint, but {told}") as raised:
        read_checkpoint(path)
    assert "run any code" not in str(raised.value)


def test_an_archive_of_checkpoints_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
        archive.writestr("models/raft-things.pth", b"x")
    with pytest.raises(FlowBenchError, match=r"a ZIP archive of models/raft-things\.pth: unpack it first"):
        read_checkpoint(tmp_path / "models.zip")


def test_compressed_records_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(100_000)}, whole := tmp_path / "whole.ckpt")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(FlowBenchError, match="compressed records"):
        read_checkpoint(tmp_path / "bomb.ckpt")

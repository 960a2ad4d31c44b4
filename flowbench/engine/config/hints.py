"""The setting that was meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from types import MappingProxyType

# What other programs call a setting: our name first, then theirs. The last part of a key is looked up.
_NAMES = (
    ("lr", "learning_rate base_lr max_lr peak_lr"),
    ("batch_size", "batch batchsize bs train_batch_size"),
    ("schedule.steps", "epochs num_epochs max_epochs n_epochs max_steps num_steps n_steps total_steps max_iter iters"),
    ("iterations", "steps iters num_iters max_steps"),
    ("ckpt", "checkpoint ckpt_path checkpoint_path weights pretrained restore restore_ckpt load model_path init"),
    ("init", "checkpoint ckpt ckpt_path checkpoint_path weights pretrained restore restore_ckpt load load_weights"),
    ("resume", "resume_from resume_from_checkpoint continue"),
    ("device", "gpu gpus cuda accelerator devices"),
    ("trainer.devices", "gpus num_gpus ngpus n_gpus num_devices"),
    ("trainer.accelerator", "device gpu cuda"),
    ("trainer.strategy", "ddp distributed"),
    ("workers", "num_workers n_workers nworkers"),
    ("schedule.crop", "crop_size image_size img_size resolution"),
    ("size", "image_size img_size resolution"),
    ("weight_decay", "wdecay wd"),
    ("gradient_clip", "clip grad_clip clip_grad gradient_clip_val max_grad_norm"),
    ("val_interval", "val_freq val_every eval_every val_check_interval"),
    ("precision", "amp fp16 bf16 half mixed_precision dtype"),
    ("input", "source path video video_path image image_path input_path images frames file files clip"),
    ("output", "out out_dir outdir output_dir save_dir output_path"),
    ("hydra.run.dir", "output out out_dir outdir output_dir save_dir log_dir run_dir"),
    ("data", "dataset datasets"),
    ("model", "arch network net"),
    ("schedule", "scheduler"),
    ("seed", "random_seed"),
    ("debug", "verbose"),
)
_OURS = MappingProxyType(
    {
        theirs: tuple(ours for ours, names in _NAMES if theirs in names.split())
        for _, all_ in _NAMES
        for theirs in all_.split()
    }
)

# Of difflib's ratio; at its default, size is like sintel.
_ALIKE = 0.7


def meant_setting(key: str, known: Sequence[str]) -> str | None:
    """The known setting that is most likely meant by a key; None where nothing is near.

    Args:
        key: with dots, such as schedule.stepz or learning_rate.
        known: all settings and groups that there are.
    """
    known = [path for path in known if path != key]
    last = key.rpartition(".")[2]
    for name in (last, *_OURS.get(last.lower(), ())):
        if found := _called(name, key, known):
            return found
    lasts = [path.rpartition(".")[2] for path in known]
    near = difflib.get_close_matches(last, lasts, n=5, cutoff=_ALIKE)
    alike = difflib.get_close_matches(key, [path for path, name in zip(known, lasts) if name in near], n=1)
    return alike[0] if alike else _called(near[0], key, known) if near else None


def _called(name: str, key: str, known: Sequence[str]) -> str | None:
    """The setting of this name, or the one with a value whose key ends with it: near the given key, and not deep."""
    if name in known:
        return name
    parents = {path.rpartition(".")[0] for path in known}
    found = [path for path in known if path.endswith(f".{name}") and path not in parents]
    return min(found, key=lambda path: (path.split(".")[0] != key.split(".")[0], path.count(".")), default=None)

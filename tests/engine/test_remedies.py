"""What lower layers say without knowing of settings, the programs end with the settings that mend it."""

import pytest
from support.runs import NETWORK, SMALL, run_here

from flowbench.engine.train import train

TRANSLATED = "data.augmentations=[{_target_: flowbench.data.augmentation.geometric.RandomTranslate, max: 10}]"


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_several_sizes_are_told_with_the_settings_that_make_them_one(workers, tmp_path):
    words = (*NETWORK, *SMALL, TRANSLATED, f"data.workers={workers}", "schedule.steps=4")
    ended = run_here(train, "train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert "The samples of a batch differ in size" in ended.told
    assert ended.told.endswith("Set schedule.crop for training, data.eval_batch_size=1 for evaluation.")

import os

import cv2
import pytest
import torch

# Two pytest processes share two cores; more threads would fight over them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
torch.set_num_threads(1)
cv2.setNumThreads(0)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)

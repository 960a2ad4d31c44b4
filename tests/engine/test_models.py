import torch
from omegaconf import OmegaConf
from support.checkpoints import save_ours

from flowbench import deq
from flowbench.engine.callbacks import StepSeed
from flowbench.engine.model_config import model_config
from flowbench.engine.models import build_model, load_model


def test_a_part_of_another_kind_takes_the_place_of_the_remembered_one(tmp_path):
    path = save_ours(build_model(model_config("deqflow_tiny", ["solver=anderson"])), tmp_path / "ours.ckpt")
    damped = model_config("deqflow_tiny", ["solver=damped", "network.deq.solver.damping=0.5"])
    changes = OmegaConf.create({"network": {"deq": {"solver": damped.network.deq.solver, "eval_steps": 7}}})
    model, _ = load_model(path, changes)
    assert isinstance(model.network.deq.solver, deq.Damped)
    assert (model.network.deq.solver.damping, model.iterations) == (0.5, 7)
    assert isinstance(model.network.deq.corrections, deq.Sliced)


def test_every_part_of_an_accumulated_step_draws_its_own():
    class Trainer:
        global_step, global_rank, accumulate_grad_batches = 3, 0, 2

    drawn = []
    for batch in range(4):
        StepSeed(0).on_train_batch_start(Trainer(), None, None, batch)
        drawn.append(torch.rand(1).item())
    assert drawn[0] != drawn[1]
    assert drawn[:2] == drawn[2:]

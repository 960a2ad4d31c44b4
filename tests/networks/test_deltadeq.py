import dataclasses

import cv2
import pytest
import torch
from support import golden
from support.batches import shifted_noise
from support.checkpoints import save_ours
from support.official import estimate, freeze_batch_norm, official_model

import flowbench
from flowbench.deq.normalisation import weights_computed_once
from flowbench.errors import FlowBenchError
from flowbench.objectives import SequenceLoss
from flowbench.ops.delta.convolution import Delta
from flowbench.ops.delta.counting import uses_of_pixels
from flowbench.structures import FlowBatch

WEIGHTS = {
    "deltadeq_tiny_wn": "deq2_tiny_wn",
    "deltadeq_train_tiny": "deq2_tiny_wn",
    "deltadeq_huge_wn": "deq2_huge_wn",
    "deltadeq_huge_wn_fh": "deltadeq_huge_wn_fh0.1",
}
RUNS = [
    ("deltadeq_tiny_wn", "0"),
    ("deltadeq_tiny_wn", "0.005"),
    ("deltadeq_huge_wn", "0.005"),
    ("deltadeq_huge_wn_fh", "0.005"),
]
SIZES = {"tiny": "tiny", "base": "b", "large": "l", "huge": "h", "gigantic": "g"}


def delta_model(name: str, folder, *changes: str):
    """The model of a reference case, with the rule of the published code, in float64."""
    args = golden.case(name)["args"]
    overrides = [
        "network.delta.rule=element",
        "network.delta.memory=reference",
        "network.delta.scale=absolute",
        "network.delta.threshold=0.005",
        f"network.deq.eval_steps={args.get('eval_f_thres', args.get('f_thres'))}",
        f"network.deq.solver.tolerance={args['f_eps']}",
        f"network.deq.solver.damping={args['f_alpha']}",
    ]
    size = "tiny" if args["tiny"] else "h"
    return official_model(f"deltadeq_{size}", WEIGHTS[name], folder, [*overrides, *changes]).double()


@pytest.mark.parametrize(("name", "threshold"), RUNS)
def test_flow_and_residuals_equal_the_published_implementation(name, threshold, tmp_path):
    expected = golden.case(name)["delta"][threshold]
    output = estimate(delta_model(name, tmp_path, f"network.delta.threshold={threshold}"), "A", torch.float64)
    difference = output.reuse.flow - golden.array(expected["files"]["flow_low_f64"])
    assert difference.abs().max() < expected["tolerance"]["flow_low_abs_f64"]
    published = torch.tensor(expected["f64"]["rel_trace"][1:], dtype=torch.float64)
    torch.testing.assert_close(output.stats["rel_trace"][0], published, rtol=1e-7, atol=0)


def test_flow_of_the_bounded_rule_equals_the_reference(tmp_path):
    expected = golden.case("deltadeq_tiny_wn")["delta"]["0.005"]["classical_NOT_OFFICIAL_f64"]
    model = delta_model("deltadeq_tiny_wn", tmp_path, "network.delta.memory=bounded")
    output = estimate(model, "A", torch.float64)
    assert (output.reuse.flow - golden.array(expected["file"])).abs().max() < 1e-8


@pytest.mark.parametrize("name", ["deltadeq_tiny_wn", "deltadeq_huge_wn"])
def test_counts_by_layer_and_step_equal_the_reference(name, tmp_path):
    """But for the first look-up: windows that touch the border are zero outside, in the published code nearly zero."""
    case = golden.case(name)
    model = delta_model(name, tmp_path)
    steps = model.network.work(*(golden.image(f"A_{number}", torch.float64) for number in (1, 2)))
    for layer, published in case["delta"]["0.005"]["f64"]["layer_rows"].items():
        first = 1 if layer == "encoder.convc1" else 0
        rows = [[int(step[layer].zeros), step[layer].inputs, int(step[layer].macs)] for step in steps]
        assert rows[first:] == published[first:], layer
        assert steps[0][layer].dense == case["layer_info"][layer]["dense_mac_no_padding"]


def test_the_figures_of_a_sample_sum_up_its_work(tmp_path):
    case = golden.case("deltadeq_tiny_wn")
    model = delta_model("deltadeq_tiny_wn", tmp_path, "network.count=true")
    images = [golden.image(f"A_{number}", torch.float64) for number in (1, 2)]
    stats = model.estimate(*images).stats
    work = [layer for step in model.network.work(*images) for layer in step.values()]
    for name, macs in (("update_gmacs", "macs"), ("update_gmacs_relu", "raw_macs"), ("update_gmacs_dense", "dense")):
        assert stats[name].item() == pytest.approx(sum(int(getattr(layer, macs)) for layer in work) / 1e9, rel=1e-5)
    assert stats["update_gmacs_dense"].item() * 1e9 == pytest.approx(
        case["delta"]["0.005"]["true"]["dense_mac_no_padding"]
    )
    # A third of what the recurrent unit sees is context, which changes at no step.
    saved = sum(
        case["layer_info"][f"gru.conv{gate}{number}"]["dense_mac_no_padding"] for gate in "zrq" for number in (1, 2)
    )
    shared = stats["update_gmacs_dense"].item() - 7 * saved / 3 / 1e9
    assert stats["update_gmacs_dense_shared"].item() == pytest.approx(shared)


@pytest.mark.parametrize("row", golden.case("deltadeq_flops")["rows"])
def test_the_dense_count_of_every_size_equals_the_reference(row):
    expected = golden.case("deltadeq_flops")["rows"][row]
    with torch.device("meta"):
        block = flowbench.load(f"deqflow_{SIZES[row.split('/')[0]]}", None).network.update_block
    total = 0
    for name, layer in block.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            uses = int(uses_of_pixels(expected["h8"], expected["w8"], layer.kernel_size).sum())
            macs = layer.in_channels * layer.out_channels * uses
            total += macs
            assert expected["per_layer"] is None or macs == expected["per_layer"][name][2]
    assert total == expected["true_mac_no_padding_per_iter"]


def real_pair(height: int, width: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    frames = (cv2.imread(str(golden.ASSETS / "sintel" / f"frame_00{number}.png")) for number in (16, 17))
    crops = (frame[140 : 140 + height, 380 : 380 + width, ::-1].copy() for frame in frames)
    return [torch.from_numpy(crop).permute(2, 0, 1)[None].to(dtype) / 255 for crop in crops]


def filled_model(folder, *changes: str):
    """Weights with which the state comes to rest: those of the reference cases, with a weak flow head."""
    path = folder / "weights.pth"
    state = golden.official_state("deq2_tiny_wn")
    state["module.update_block.flow_head.conv2.weight_g"] *= 0.02
    state["module.update_block.flow_head.conv2.bias"] *= 0
    torch.save(state, path)
    return flowbench.load("deltadeq_tiny", path, ["network.deq.solver.tolerance=1e-9", *changes])


@pytest.mark.parametrize("threshold", [0.005, 0.02])
def test_sparse_execution_equals_dense_over_a_whole_solve(threshold, tmp_path):
    images, found = real_pair(128, 192), {}
    for execution in ("dense", "sparse", "auto"):
        changes = (
            f"network.delta.threshold={threshold}",
            f"network.delta.execution={execution}",
            "network.deq.eval_steps=30",
        )
        found[execution] = filled_model(tmp_path, *changes).estimate(*images)
    assert found["dense"].stats["propagated"] < 0.7
    for execution in ("sparse", "auto"):
        assert (found[execution].flow - found["dense"].flow).abs().max() < 1e-4


@pytest.mark.parametrize("rule", ["element", "pixel"])
def test_a_threshold_of_zero_is_the_dense_network(rule, tmp_path):
    images = real_pair(64, 96, torch.float64)
    changes = ("network.delta.threshold=0", f"network.delta.rule={rule}", "network.deq.eval_steps=12")
    model = filled_model(tmp_path, *changes).double()
    with_rule = model.estimate(*images).flow
    dense = flowbench.load(
        "deqflow_tiny",
        tmp_path / "weights.pth",
        ["solver=damped", "network.deq.eval_steps=12", "network.deq.solver.tolerance=1e-9"],
    ).double()
    assert (with_rule - dense.estimate(*images).flow).abs().max() < 1e-9


def test_the_map_under_the_rule_is_a_map_of_state_and_memories(tmp_path):
    """f(b) with the memories of z is the same whether or not f was evaluated at a in between. Memories serve once."""
    network = filled_model(tmp_path).double().network
    with torch.no_grad(), weights_computed_once(network.update_block):
        refine, z = network.problem(*real_pair(64, 96, torch.float64))
        under_the_rule = network.solver_map(refine)
        f = under_the_rule.f
        a, of_z = f(z, under_the_rule.memory)
        copies = [of_z.clone() for _ in range(2)]
        b = a[0] + 0.01 * torch.randn_like(a[0]), a[1] + 0.1 * torch.randn_like(a[1])
        at_once, _ = f(b, copies[0])
        f(a, of_z)
        afterwards, _ = f(b, copies[1])
        for mine, others in zip(at_once, afterwards, strict=True):
            assert torch.equal(mine, others)
        dense = refine(b)
        assert not torch.equal(dense[0], at_once[0])
        with pytest.raises(RuntimeError, match="used up by an evaluation"):
            f(b, of_z)


def test_solves_that_take_turns_do_not_touch_each_other(tmp_path):
    network = filled_model(tmp_path).double().network
    pairs = [real_pair(64, 96, torch.float64), [image.flip(-1) for image in real_pair(64, 96, torch.float64)]]

    def states(taking_turns: bool) -> list[torch.Tensor]:
        with torch.no_grad(), weights_computed_once(network.update_block):
            solves = [network.problem(*pair) for pair in pairs]
            maps, now = [network.solver_map(refine) for refine, _ in solves], [start for _, start in solves]
            memories = [under_the_rule.memory for under_the_rule in maps]
            order = [0, 1] * 6 if taking_turns else [0] * 6 + [1] * 6
            for number in order:
                now[number], memories[number] = maps[number].f(now[number], memories[number])
        return [part for state in now for part in state]

    for together, alone in zip(states(True), states(False), strict=True):
        assert torch.equal(together, alone)


@pytest.mark.parametrize("converged", ["freeze", "drop"])
def test_each_pair_of_a_batch_is_solved_as_if_alone(converged, tmp_path):
    model = filled_model(tmp_path, f"network.deq.solver.converged={converged}", "network.deq.eval_steps=14").double()
    samples = [shifted_noise(index) for index in range(2)]
    first = [torch.from_numpy(sample.image1).permute(2, 0, 1)[None].double() / 255 for sample in samples]
    second = [torch.from_numpy(sample.image2).permute(2, 0, 1)[None].double() / 255 for sample in samples]
    # Pictures that do not move, which come to rest sooner.
    first.append(torch.full_like(first[0], 0.5))
    second.append(first[-1])
    trace = model.estimate(torch.cat(first), torch.cat(second)).stats["rel_trace"]
    tolerance = trace[:, 5].sort().values[:2].mean().item()
    solver = dataclasses.replace(model.network.deq.solver, tolerance=tolerance)
    model.network.deq = dataclasses.replace(model.network.deq, solver=solver)
    together = model.estimate(torch.cat(first), torch.cat(second))
    assert together.stats["steps"].min() < together.stats["steps"].max()
    for place, pair in enumerate(zip(first, second, strict=True)):
        alone = model.estimate(*pair)
        for name in ("steps", "rel_residual", "propagated"):
            torch.testing.assert_close(together.stats[name][place], alone.stats[name][0], rtol=1e-5, atol=1e-9)
        assert (together.flow[place] - alone.flow[0]).abs().max() < 1e-6


def training_pair() -> FlowBatch:
    images = [golden.image(f"A_{number}", torch.float64) for number in (1, 2)]
    height, width = images[0].shape[-2:]
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    u = 6 * torch.sin(2 * torch.pi * x / width) + 0.03 * y - 2
    v = 4 * torch.cos(2 * torch.pi * y / height) - 0.02 * x + 1.5
    valid = torch.ones(1, height, width, dtype=torch.bool)
    return FlowBatch(images[0], images[1], torch.stack([u, v])[None], valid, ["A"])


def trained(model) -> tuple[float, dict[str, float]]:
    model.network.train()
    freeze_batch_norm(model)
    batch = training_pair()
    loss = SequenceLoss(gamma=0.8)(model.network(batch.image1, batch.image2), batch).total
    loss.backward()
    return loss.item(), {name: parameter.grad.norm().item() for name, parameter in model.network.named_parameters()}


def training_model(folder, threshold: float):
    changes = (
        "network.deq.solver.max_steps=8",
        "network.deq.corrections.count=1",
        f"network.delta.threshold={threshold}",
    )
    return delta_model("deltadeq_train_tiny", folder, *changes)


def test_at_threshold_zero_training_equals_the_published_dense_one(tmp_path):
    published = golden.case("deltadeq_train_tiny")["runs"]["dense"]["f64"]
    loss, norms = trained(training_model(tmp_path, 0))
    assert loss == pytest.approx(published["loss"], rel=1e-7)
    total = sum(norm**2 for norm in norms.values()) ** 0.5
    assert total == pytest.approx(published["total_grad_norm"], rel=1e-7)


def test_the_gradient_is_that_of_the_dense_update_at_the_state_found(tmp_path):
    """The published code's goes through the changes alone, and leaves the context encoder and the biases without."""
    model = training_model(tmp_path, 0.005)
    loss, norms = trained(model)
    dense_loss, dense_norms = trained(training_model(tmp_path, 0))
    assert loss != pytest.approx(dense_loss, rel=1e-7)
    assert loss == pytest.approx(dense_loss, rel=0.05)
    for name, norm in norms.items():
        assert norm == pytest.approx(dense_norms[name], rel=0.2, abs=1e-9), name


def test_memories_that_go_on_to_the_next_pair_save_its_first_steps(tmp_path):
    images = real_pair(128, 192)
    found = {}
    for across in ("false", "true"):
        model = filled_model(tmp_path, f"network.across_frames={across}", "network.deq.eval_steps=10")
        first = model.estimate(*images)
        before = {name: memory.padded.clone() for name, memory in getattr(first.reuse, "memories", {}).items()}
        found[across] = model.estimate(*images, reuse=first.reuse)
        for name, padded in before.items():
            assert torch.equal(first.reuse.memories[name].padded, padded)
    assert found["true"].stats["propagated"] < found["false"].stats["propagated"] - 0.02
    assert (found["true"].flow - found["false"].flow).norm(dim=1).mean() < 0.05


@pytest.mark.parametrize("solver", ["anderson", "broyden"])
def test_solvers_that_mix_states_are_refused(solver):
    with pytest.raises(Exception, match="its steps mix states of the past, but a delta update follows one state"):
        flowbench.load("deltadeq_tiny", None, [f"solver={solver}"])


def test_our_checkpoints_of_deqflow_serve_deltadeq_and_the_other_way_round(tmp_path):
    plain = flowbench.load("deqflow_tiny", None, ["network.gma=true", "network.weight_norm=false"])
    delta = flowbench.load("deltadeq_tiny", save_ours(plain, tmp_path / "plain.ckpt"), ["network.delta.threshold=0.02"])
    assert delta.network.delta == Delta(threshold=0.02, scale="relative")
    for name, tensor in plain.network.state_dict().items():
        assert torch.equal(delta.network.state_dict()[name], tensor)
    back = flowbench.load("deqflow_tiny", save_ours(delta, tmp_path / "delta.ckpt"))
    assert back.settings["model"]["network"]["gma"] is True
    with pytest.raises(FlowBenchError, match="holds the model 'deqflow_tiny', but model=deltadeq_b was asked for"):
        flowbench.load("deltadeq_b", tmp_path / "plain.ckpt")


def test_a_checkpoint_of_deltadeq_knows_its_rule(tmp_path):
    model = flowbench.load("deltadeq_tiny", None, ["network.delta.rule=element", "network.delta.memory=reference"])
    again = flowbench.load(save_ours(model, tmp_path / "ours.ckpt"))
    assert again.network.delta == model.network.delta
    assert model.network.delta == Delta(rule="element", memory="reference", threshold=0.01, scale="relative")


def test_the_global_motion_of_gma_is_propagated_like_the_rest():
    changes = ["network.gma=true", "network.delta.threshold=0", "network.deq.eval_steps=4"]
    model = flowbench.load("deltadeq_tiny", None, changes)
    torch.nn.init.ones_(model.network.update_block.gma.gamma)
    images = real_pair(64, 96)
    with_rule = model.estimate(*images).flow
    with torch.no_grad(), weights_computed_once(model.network.update_block):
        refine, state = model.network.problem(*images)
        solution = model.network.deq.solve(refine, state)
    assert (with_rule - model.network.decode(solution.z, refine.grid)).abs().max() < 1e-4

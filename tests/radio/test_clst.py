"""ClST against its formulae written out in loops, and against counts worked out by hand."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.radio.small import TASK, clst, clst_config, noise

from tamis.radio.clst import PSCA, ClST
from tamis.radio.config import ClSTConfig
from tamis.radio.cost import parameters

Array = NDArray[np.float64]
State = dict[str, Array]


def arrays(module: torch.nn.Module) -> State:
    """A module's numbers in float64, with the trivial ones of a new module made different from one another."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith(("running_var", "temperature")):
                value.uniform_(0.5, 2.0, generator=generator)
            elif value.is_floating_point() and "weight" not in name:
                value.normal_(0, 0.5, generator=generator)
    module.eval()
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def softmax(rows: Array) -> Array:
    rows = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return rows / rows.sum(axis=-1, keepdims=True)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def linear(state: State, name: str, tokens: Array) -> Array:
    return tokens @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def project(state: State, name: str, tokens: Array, stride: int) -> Array:
    """W BN(DWConv(U)) of one frame, with a loop over tokens, channels and taps; W alone if there is no convolution."""
    if f"{name}.convolution.0.weight" not in state:
        return linear(state, f"{name}.linear", tokens)
    weight = state[f"{name}.convolution.0.weight"][:, 0, 0]
    count, channels = tokens.shape
    out = np.zeros(((count - 1) // stride + 1, channels))
    for row, channel, tap in itertools.product(range(len(out)), range(channels), range(3)):
        at = row * stride + tap - 1
        if 0 <= at < count:
            out[row, channel] += weight[channel, tap] * tokens[at, channel]
    norm = {one: state[f"{name}.convolution.1.{one}"] for one in ("running_mean", "running_var", "weight", "bias")}
    out = (out - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) * norm["weight"] + norm["bias"]
    return linear(state, f"{name}.linear", out)


def psca(state: State, config: ClSTConfig, tokens: Array, heads: int) -> Array:
    """PSCA of one frame, head by head and token by token."""
    q = project(state, "query", tokens, 1)
    k, v = (project(state, name, tokens, config.kv_stride) for name in ("key", "value"))
    width = tokens.shape[1] // heads
    spatial, crossed = np.zeros_like(tokens), np.zeros_like(tokens)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for row in range(len(tokens)):
            weights = softmax(np.array([q[row, own] @ key / math.sqrt(width) for key in k[:, own]]))
            spatial[row, own] = sum(weight * value for weight, value in zip(weights, v[:, own], strict=True))
        if config.channel == "xca":
            one, other = (part[:, own] / np.linalg.norm(part[:, own], axis=0) for part in (k, q))
            for column in range(width):  # each column of softmax(K^T Q / tau) adds up to 1: a mixture of channels of V
                mixture = np.array([one[:, i] @ other[:, column] for i in range(width)])
                crossed[:, head * width + column] = v[:, own] @ softmax(mixture / state["temperature"][head, 0, 0])
    if config.channel == "none":
        return linear(state, "out", spatial)
    if config.channel == "se":
        squeezed = np.maximum(linear(state, "excite.0", tokens.mean(axis=0)), 0)
        crossed = tokens * sigmoid(linear(state, "excite.2", squeezed))
    if config.fusion == "gate":
        gate = sigmoid(state["gate"])
        return linear(state, "out", gate * spatial + (1 - gate) * crossed)
    if config.fusion == "sum":
        return linear(state, "out", spatial + crossed)
    return linear(state, "out", np.concatenate([spatial, crossed], axis=1))


CASES = [
    {"channel": channel, "fusion": fusion, "kv_stride": stride, "projection": projection}
    for channel, fusion in itertools.product(("se", "xca", "none"), ("gate", "sum", "concat"))
    for stride, projection in ((1, "conv"), (2, "conv"), (1, "linear"))
    if not (channel == "xca" and stride == 2)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
@pytest.mark.parametrize("tokens", [6, 7])
def test_psca_is_its_formulae(case: dict[str, Any], tokens: int) -> None:
    torch.manual_seed(0)
    config = clst_config(**case)
    module = PSCA(config, 8, 2)
    state = arrays(module)
    frames = torch.randn(3, tokens, 8)
    with torch.inference_mode():
        out = module(frames).numpy()
    for frame, got in zip(frames.double().numpy(), out, strict=True):
        np.testing.assert_allclose(got, psca(state, config, frame, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("tokens", [1, 6, 7])
def test_the_projection_is_the_loop_over_its_taps(tokens: int, stride: int) -> None:
    torch.manual_seed(1)
    module = PSCA(clst_config(kv_stride=stride), 8, 2)
    state = arrays(module)
    frames = torch.randn(2, tokens, 8)
    with torch.inference_mode():
        for name, step in (("query", 1), ("key", stride), ("value", stride)):
            got = getattr(module, name)(frames, 0).numpy()
            wanted = np.stack([project(state, name, frame, step) for frame in frames.double().numpy()])
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_a_new_gate_mixes_both_branches_equally() -> None:
    gate = clst().stages[0][0].attention.gate
    assert gate.shape == (8,)
    assert gate.sigmoid().eq(0.5).all()


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_tokens_at_the_front_are_not_convolved(extra: int) -> None:
    torch.manual_seed(2)
    module = PSCA(clst_config(kv_stride=2), 8, 2).eval()
    frames = torch.randn(2, 6 + extra, 8)
    with torch.inference_mode():
        for name, length in (("query", 6), ("key", 3), ("value", 3)):
            whole = getattr(module, name)(frames, extra)
            assert whole.shape == (2, extra + length, 8)
            torch.testing.assert_close(whole[:, :extra], getattr(module, name).linear(frames[:, :extra]))
            torch.testing.assert_close(whole[:, extra:], getattr(module, name)(frames[:, extra:], 0))


def count(dims: list[int], depths: list[int], kernels: list[int], classes: int) -> int:
    """Parameters of radio networks with "se", "gate", the mean token and an MLP of four widths, stage by stage."""
    total, before = 0, 2
    for dim, depth, kernel in zip(dims, depths, kernels, strict=True):
        squeezed = max(8, dim // 8)
        projections = 3 * (3 * dim + 2 * dim + dim * dim + dim)
        excite = 2 * squeezed * dim + squeezed + dim
        mlp = 8 * dim * dim + 5 * dim
        block = 2 * 2 * dim + projections + excite + dim + dim * dim + dim + mlp
        total += kernel * before * dim + dim + 2 * dim + depth * block
        before = dim
    return total + 2 * before + (before + 1) * classes


@pytest.mark.parametrize(
    ("config", "golden"),
    [
        (ClSTConfig.tiny(), 533_595),
        (ClSTConfig.small(), 1_305_547),
        (ClSTConfig.base(), 3_931_123),
        (ClSTConfig.large(), 19_609_379),
        (clst_config(), None),
    ],
)
def test_a_preset_has_the_parameters_of_a_sum_by_hand(config: ClSTConfig, golden: int | None) -> None:
    with torch.device("meta"):
        network = ClST(config)
    assert parameters(network) == count(
        list(config.dims), list(config.depths), list(config.kernels), len(config.classes)
    )
    assert golden in (None, parameters(network))


@pytest.mark.parametrize("samples", [128, 100, 1024])
def test_every_stage_halves_the_tokens(samples: int) -> None:
    network = ClST(ClSTConfig(samples=samples, dims=(8, 8, 8), heads=(1, 1, 1))).eval()
    tokens, length = noise(1, samples=samples).transpose(1, 2), samples
    with torch.inference_mode():
        for embedding, kernel in zip(network.embeddings, (7, 3, 3), strict=True):
            tokens = embedding(tokens)
            length = (length + 2 * (kernel // 2) - kernel) // 2 + 1
            assert tokens.shape == (1, length, 8)
    assert samples != 128 or length == 16


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_an_embedding_is_a_convolution_over_time_then_a_norm_over_channels(activation: str) -> None:
    network = clst(norm="layer", activation=activation).eval()
    state = arrays(network)
    frame = noise(1)[0].double().numpy()
    weight, bias = state["embeddings.0.conv.weight"][:, :, 0], state["embeddings.0.conv.bias"]
    padded = np.pad(frame, ((0, 0), (3, 3)))
    wanted = np.array([[(w * padded[:, 2 * t : 2 * t + 7]).sum() for w in weight] for t in range(16)]) + bias
    wanted = (wanted - wanted.mean(axis=1, keepdims=True)) / np.sqrt(wanted.var(axis=1, keepdims=True) + 1e-5)
    wanted = wanted * state["embeddings.0.norm.weight"] + state["embeddings.0.norm.bias"]
    assert (wanted < 0).any()
    wanted = wanted.clip(0) if activation == "relu" else wanted
    with torch.inference_mode():
        got = network.embeddings[0](noise(1).transpose(1, 2))[0].numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_block_adds_attention_then_the_perceptron_each_to_what_came_in() -> None:
    block = clst().stages[1][1].eval()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        z = tokens + block.attention(block.norm1(tokens))
        first, _, second = block.mlp
        y = z + second(torch.nn.functional.gelu(first(block.norm2(z))))
        torch.testing.assert_close(block(tokens, 0), y)
    assert first.out_features == 4 * 8


def test_the_head_reads_the_mean_of_the_normalised_tokens() -> None:
    network = clst(norm="layer").eval()
    tokens = noise().transpose(1, 2)
    with torch.inference_mode():
        network.norm.weight.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
        for embedding, blocks in zip(network.embeddings, network.stages, strict=True):
            tokens = embedding(tokens)
            for block in blocks:
                tokens = block(tokens, 0)
        assert tokens.shape == (4, 8, 8)
        torch.testing.assert_close(network.embed(noise()), network.norm(tokens).mean(dim=1))
        other_order = network.norm(tokens.mean(dim=1))
        assert not torch.allclose(network.embed(noise()), other_order, atol=1e-3)


def test_the_class_token_joins_in_the_last_stage_and_is_what_the_head_reads() -> None:
    network = clst(pool="cls").eval()
    assert network.token is not None
    tokens = noise().transpose(1, 2)
    with torch.inference_mode():
        network.token.normal_(generator=torch.Generator().manual_seed(0))
        tokens = network.embeddings[0](tokens)
        tokens = network.stages[0][0](tokens, 0)
        tokens = network.embeddings[1](tokens)
        tokens = torch.cat([network.token.repeat(4, 1, 1), tokens], dim=1)
        for block in network.stages[1]:
            tokens = block(tokens, 1)
        torch.testing.assert_close(network.embed(noise()), network.norm(tokens)[:, 0])
        before = network.embed(noise())
        network.token[..., 0] += 1
        assert not torch.allclose(network.embed(noise()), before, atol=1e-3)


def test_without_blocks_of_its_own_input_the_class_token_adds_one_token_of_parameters() -> None:
    assert parameters(clst(pool="cls")) == parameters(clst()) + 8


def test_i_and_q_as_a_picture_of_two_rows_are_the_same_map() -> None:
    flat, picture = clst().eval(), clst(seed=1, layout="2d").eval()
    weights = flat.state_dict()
    stem = weights["embeddings.0.conv.weight"]
    weights["embeddings.0.conv.weight"] = stem.squeeze(2).unsqueeze(1)
    picture.load_state_dict(weights)
    assert parameters(flat) == parameters(picture)
    with torch.inference_mode():
        torch.testing.assert_close(picture(noise()), flat(noise()))


def test_rms_norm_replaces_every_norm_of_tokens() -> None:
    network = clst(norm="rms")
    assert not [module for module in network.modules() if isinstance(module, torch.nn.LayerNorm)]
    tokens = torch.randn(3, 8)
    with torch.inference_mode():
        wanted = tokens / tokens.square().mean(dim=1, keepdim=True).sqrt()
        torch.testing.assert_close(network.norm(tokens), wanted, rtol=1e-4, atol=1e-5)
        assert network.eval()(noise()).isfinite().all()


def test_batch_norm_normalises_channels_over_all_tokens_and_keeps_the_strength_of_a_token() -> None:
    network = clst(norm="batch")
    assert not [module for module in network.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert parameters(network) == parameters(clst(norm="layer"))
    tokens = torch.randn(200, 5, 8, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 6.0)[:, None]
    with torch.no_grad():
        got = network.norm(tokens)
    rows = tokens.reshape(1000, 8).numpy()
    wanted = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)
    np.testing.assert_allclose(got.reshape(1000, 8).numpy(), wanted, rtol=1e-4, atol=1e-5)
    strength = torch.linalg.vector_norm(got, dim=2).mean(dim=0)
    assert (strength.diff() > 0).all()


def test_a_branch_is_skipped_as_often_as_it_should_be_and_is_what_it_was_on_average() -> None:
    block = clst(drop_path=0.3).stages[1][-1]
    assert block.skip == pytest.approx(0.3)
    branch = torch.ones(20_000, 1, 2)
    torch.manual_seed(0)
    dropped = block._drop(branch)
    assert torch.equal(dropped[:, :, 0], dropped[:, :, 1])
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.eq(0).float().mean() == pytest.approx(0.3, abs=0.01)  # three standard errors
    assert dropped.mean() == pytest.approx(1.0, abs=0.015)
    assert block.eval()._drop(branch) is branch


def test_skipping_grows_from_the_first_block_to_the_last() -> None:
    stages = clst(depths=(2, 3), drop_path=0.4).stages
    assert [block.skip for blocks in stages for block in blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [block.skip for blocks in clst(depths=(1, 1), drop_path=0.4).stages for block in blocks] == [0, 0.4]


@pytest.mark.parametrize(
    "changes",
    [
        {"dims": (8,), "depths": (1,), "heads": (2,), "kernels": (15,), "strides": (8,)},
        {"samples": 16},
        {"samples": 257, "kernels": (1, 5), "strides": (1, 3)},
        {"channel": "xca", "kv_stride": 1, "fusion": "concat", "pool": "cls", "norm": "rms", "layout": "2d"},
    ],
)
def test_other_shapes_give_finite_logits_and_learn(changes: dict[str, Any]) -> None:
    network = clst(**changes)
    logits = network(noise(4, samples=changes.get("samples", TASK["samples"])))
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    missed = [
        name for name, value in network.named_parameters() if value.grad is None or not value.grad.isfinite().all()
    ]
    assert missed == []


def test_time_matters_without_a_positional_embedding() -> None:
    network = clst().eval()
    with torch.inference_mode():
        assert not torch.allclose(network(noise().flip(2)), network(noise()), atol=1e-3)

"""The CLSR loss against loops over its definition, and against what it must become when its parts are off."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.audio.batches import pairs

from tamis.audio.baselines.infonce import InfoNCE
from tamis.audio.baselines.ntxent import NTXent
from tamis.audio.baselines.triplet import Triplet
from tamis.audio.clsr import CLSRLoss, likeness, scaled, uniformity
from tamis.audio.config import CLSRConfig
from tamis.audio.objective import Pairs, same_clip
from tamis.core.errors import ConfigError

OFF: dict[str, Any] = {"separability": "none", "temperature": "fixed", "reconstruction": 0.0}
TWINS = [3, 4, 3, 5, 4, 3]


def loss(**changes: Any) -> CLSRLoss:
    made = CLSRLoss(CLSRConfig(**{**OFF, **changes}))
    made.prepare(joint=8, audio=5, text=7)
    return made.double()


def naive_joint(batch: Pairs, tau: torch.Tensor, weight: float, opposites: float | None = None) -> float:
    """The joint contrast as the definition writes it, pair by pair."""
    total, n = 0.0, len(batch)
    for anchor, other in ((batch.audio, batch.text), (batch.text, batch.audio)):
        for i in range(n):
            below = 0.0
            for j in range(n):
                if j != i and batch.clips[i] == batch.clips[j]:
                    continue
                for side, counts in ((other, 1.0), (anchor, weight if j != i else 0.0)):
                    s = float(anchor[i] @ side[j])
                    below += counts * math.exp(s / (opposites if opposites and s < 0 else float(tau[i, j])))
            total -= math.log(math.exp(float(anchor[i] @ other[i]) / float(tau[i, i])) / below)
    return total / (2 * n)


@pytest.mark.parametrize("clips", [None, TWINS])
def test_with_all_parts_off_it_is_nt_xent(clips: list[int] | None) -> None:
    batch = pairs(clips=clips)
    torch.testing.assert_close(loss()(batch), NTXent()(batch))
    torch.testing.assert_close(loss(separability="joint", separability_weight=0.0)(batch), NTXent()(batch))


def test_with_a_learned_temperature_alone_it_is_infonce() -> None:
    batch = pairs(clips=TWINS)
    torch.testing.assert_close(loss(temperature="learned")(batch), InfoNCE().double()(batch))


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("clips", [None, TWINS])
def test_the_joint_contrast_is_its_definition(weight: float, clips: list[int] | None) -> None:
    batch = pairs(clips=clips)
    wanted = naive_joint(batch, torch.full((6, 6), 0.07), weight)
    assert float(loss(separability="joint", separability_weight=weight)(batch)) == pytest.approx(wanted)


@pytest.mark.parametrize(("guidance", "sharpness"), [(0.5, 1.0), (2.0, 4.0), (-0.5, 1.0)])
def test_a_semantic_temperature_is_its_definition(guidance: float, sharpness: float) -> None:
    batch = pairs(clips=TWINS)
    cosine = torch.nn.functional.cosine_similarity(batch.text_latents[:, None], batch.text_latents[None], dim=2)
    tau = 0.07 * (1 + guidance * cosine.clamp_min(0) ** sharpness)
    tau.fill_diagonal_(0.07)
    made = loss(separability="joint", temperature="semantic", guidance=guidance, sharpness=sharpness, centred=False)
    torch.testing.assert_close(made.temperatures(batch), tau)
    assert float(made(batch)) == pytest.approx(naive_joint(batch, tau, 1.0, opposites=0.07))


def test_guidance_never_turns_the_order_of_negatives_round() -> None:
    """Dividing a negative similarity by a higher temperature alone would raise it."""
    similarity = torch.linspace(-1, 1, 41)[None]
    logits = scaled(similarity, torch.full((1, 41), 0.14), torch.tensor([[0.07]]))
    assert (logits.diff() > 0).all()
    assert float(logits[0, 0]) == pytest.approx(-1 / 0.07)
    assert float(logits[0, -1]) == pytest.approx(1 / 0.14)


@pytest.mark.parametrize("clips", [None, TWINS])
def test_a_row_temperature_is_that_of_the_nearest_sentences(clips: list[int] | None) -> None:
    batch = pairs(clips=clips)
    made = loss(temperature="semantic-row", neighbours=2, tau_range=(0.05, 0.25))
    alike = likeness(batch.text_latents, centred=True)
    for i, row in enumerate(made.temperatures(batch)):
        apart = [0.0 if batch.clips[i] == batch.clips[j] else float(alike[i, j]) for j in range(6) if j != i]
        others = sorted(apart, reverse=True)
        assert row.tolist() == pytest.approx([0.05 + 0.2 * sum(others[:2]) / 2] * 6)


def test_a_cosine_temperature_goes_from_the_greatest_to_the_least_and_back() -> None:
    made = loss(temperature="cosine", tau_range=(0.05, 0.15), period=4.0)
    reached = []
    for epoch in (0.0, 1.0, 2.0, 4.0):
        made.at(epoch)
        reached.append(float(made.temperatures(pairs())[0, 1]))
    assert reached == pytest.approx([0.15, 0.10, 0.05, 0.15])


def test_a_learned_temperature_learns_and_its_scale_stops_at_a_hundred() -> None:
    made = loss(temperature="learned")
    made(pairs()).backward()
    assert made.scale is not None
    assert made.scale.grad is not None
    assert made.scale.grad.abs() > 0
    with torch.no_grad():
        made.scale.fill_(50.0)
    assert made.temperatures(pairs())[0, 0].item() == pytest.approx(0.01)


def test_uniformity_is_its_definition_and_rows_without_others_count_nothing() -> None:
    batch = pairs(clips=TWINS)
    excluded = same_clip(batch.clips)
    tau = torch.full((6, 6), 0.1, dtype=torch.float64)
    wanted = 0.0
    for i in range(6):
        terms = [
            math.exp(float(batch.audio[i] @ batch.audio[j]) / 0.1) for j in range(6) if batch.clips[i] != batch.clips[j]
        ]
        wanted += math.log(sum(terms) / len(terms)) / 6
    assert float(uniformity(batch.audio, tau, excluded)) == pytest.approx(wanted)
    everything = torch.ones(6, 6, dtype=torch.bool)
    assert float(uniformity(batch.audio, tau, everything)) == 0.0


def test_separate_terms_are_the_contrast_and_the_uniformity_of_both_modalities() -> None:
    batch = pairs(clips=TWINS)
    terms = loss(separability="separate", separability_weight=0.5).terms(batch)
    tau = torch.full((6, 6), 0.07, dtype=torch.float64)
    apart = [uniformity(own, tau, same_clip(batch.clips)) for own in (batch.audio, batch.text)]
    torch.testing.assert_close(terms["contrast"], NTXent()(batch))
    torch.testing.assert_close(terms["separability"], 0.25 * (apart[0] + apart[1]))


def test_views_are_contrasted_within_each_modality() -> None:
    batch = pairs()
    terms = loss(separability="views").terms(batch)
    logits = [a @ b.T / 0.07 for a, b in ((batch.audio, batch.audio_views), (batch.text, batch.text_views))]
    wanted = torch.stack([-one.log_softmax(dim=1).diagonal().mean() for one in logits]).mean()
    torch.testing.assert_close(terms["separability"], wanted)


@pytest.mark.parametrize("part", ["joint", "semantic", "all"])
def test_the_order_of_the_batch_does_not_matter(part: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "joint": {"separability": "joint"},
        "semantic": {"temperature": "semantic"},
        "all": {"separability": "joint", "temperature": "semantic", "reconstruction": 0.1},
    }
    made, batch = loss(**changes[part]), pairs(clips=TWINS)
    made.at(1.0)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = Pairs(**{field.name: getattr(batch, field.name)[order] for field in dataclasses.fields(batch)})
    torch.testing.assert_close(made(batch), made(shuffled))


def test_no_gradient_reaches_the_latents() -> None:
    batch = pairs()
    leaves = {
        name: getattr(batch, name).clone().requires_grad_()
        for name in ("audio", "text", "audio_latents", "text_latents")
    }
    made = loss(separability="joint", temperature="semantic", reconstruction=0.1, self_reconstruction=0.5)
    made.at(1.0)
    made(dataclasses.replace(batch, **leaves)).backward()
    assert leaves["audio_latents"].grad is None
    assert leaves["text_latents"].grad is None
    assert leaves["audio"].grad is not None
    assert leaves["text"].grad is not None


@pytest.mark.parametrize("own", [0.0, 0.5])
def test_reconstruction_is_the_error_of_the_standardised_latents_across_modalities(own: float) -> None:
    batch = pairs(clips=TWINS)
    made = loss(reconstruction=0.1, self_reconstruction=own)
    made.at(7.0)
    decoders = made.decoders
    assert decoders is not None

    def error(decoder: Any, embedding: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        standard = (latents - latents.mean(dim=0)) / (latents.var(dim=0, unbiased=False) + 1e-5).sqrt()
        return (decoder(embedding) - standard).square().mean()

    wanted = error(decoders.audio_from_text, batch.text, batch.audio_latents)
    wanted = wanted + error(decoders.text_from_audio, batch.audio, batch.text_latents)
    if own:
        wanted = wanted + own * error(decoders.audio_from_audio, batch.audio, batch.audio_latents)
        wanted = wanted + own * error(decoders.text_from_text, batch.text, batch.text_latents)
    torch.testing.assert_close(made.terms(batch)["reconstruction"], 0.1 * wanted)


def test_a_cosine_distance_does_not_depend_on_the_scale_of_the_latents() -> None:
    batch = pairs()
    made = loss(reconstruction=0.1, distance="cosine")
    made.at(1.0)
    larger = dataclasses.replace(batch, audio_latents=3 * batch.audio_latents, text_latents=9 * batch.text_latents)
    torch.testing.assert_close(made(batch), made(larger))


def test_reconstruction_warms_up_over_the_first_epoch() -> None:
    made, batch = loss(reconstruction=0.1), pairs()
    reached = []
    for epoch in (0.0, 0.25, 1.0, 5.0):
        made.at(epoch)
        reached.append(made.terms(batch)["reconstruction"].item())
    assert reached[0] == 0.0
    assert reached[1:] == pytest.approx([reached[2] / 4, reached[2], reached[2]])


def test_likeness_of_latents_that_are_all_alike_is_told_apart_when_centred() -> None:
    latents = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 1.0]])
    plain, centred = likeness(latents, centred=False), likeness(latents, centred=True)
    assert plain.min() > 0.7
    assert centred[0, 2] == 0
    assert centred[0, 1] > 0.8


@pytest.mark.parametrize(
    ("changes", "missing", "said"),
    [
        ({"temperature": "semantic"}, ["text_latents"], "temperature='semantic' needs text_latents"),
        ({"separability": "views"}, ["audio_views"], "needs audio_views and text_views"),
        ({"reconstruction": 0.1}, ["audio_latents"], "reconstruction needs audio_latents"),
    ],
)
def test_what_a_part_needs_and_lacks_is_said(changes: dict[str, Any], missing: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loss(**changes)(pairs(**dict.fromkeys(missing)))


def test_a_reconstruction_that_was_not_prepared_is_said() -> None:
    with pytest.raises(ConfigError, match="call prepare"):
        CLSRLoss()(pairs())


@pytest.mark.parametrize(
    ("field", "value"),
    [("separability", "both"), ("temperature", "hot"), ("distance", "l1"), ("tau", 0.0), ("tau", math.nan),
     ("tau_range", (0.2, 0.1)), ("tau_range", (0.0, 0.1)), ("neighbours", 0), ("reconstruction", -1.0),
     ("guidance", math.inf), ("period", 0.0)],
)  # fmt: skip
def test_a_value_that_makes_no_loss_is_refused(field: str, value: Any) -> None:
    config = CLSRConfig()
    object.__setattr__(config, field, value)  # past the type checker of the tests, as the value of a file comes
    with pytest.raises(ConfigError, match=field):
        config.__post_init__()


def test_a_loss_outside_of_a_training_has_all_its_parts() -> None:
    assert loss(reconstruction=1.0).terms(pairs())["reconstruction"].item() > 0


def test_a_pair_alone_and_half_precision_have_a_loss() -> None:
    assert math.isfinite(_default(pairs(1)))
    assert math.isfinite(_default(pairs(), torch.float16))


def _default(batch: Pairs, dtype: torch.dtype = torch.float32) -> float:
    made = CLSRLoss()
    made.prepare(joint=8, audio=5, text=7)
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    cast = {name: value.to(dtype) if value.is_floating_point() else value for name, value in fields.items()}
    return made(Pairs(**cast)).item()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CLSRConfig(tau=1e-300),
        lambda: CLSRConfig(guidance=1e300),
        lambda: CLSRConfig(separability_weight=1e300),
        lambda: CLSRConfig(neighbours=0),
        lambda: NTXent(0.0),
        lambda: InfoNCE(-1.0),
        lambda: Triplet("sum", math.nan),
    ],
)
def test_what_makes_no_loss_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        make()

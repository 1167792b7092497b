"""CLSR: contrastive latent space reconstruction (arXiv 2309.08839), as far as its abstract goes.

The abstract claims three things of a joint space of sounds and sentences, and no formula of the paper is public. What
follows is tamis's CLSR loss, built from those claims; every definition is our choice and a field of `CLSRConfig`.

- Intra-modal separability: sounds are told from sounds too, and sentences from sentences.
- Adaptive temperature under semantic guidance: the more alike two sentences are, the higher the temperature of their
  pair, so that a negative that is nearly a positive is pushed less. Likeness comes from the frozen sentence encoder.
- Latent reconstruction: small decoders rebuild the latent of one modality from the embedding of the other. They belong
  to the loss and not to the model, so nothing of them is left after training.

With all three off it is NT-Xent. Captions of one clip are never each other's negatives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from tamis.audio.config import CLSRConfig
from tamis.audio.objective import Objective, Pairs, same_clip
from tamis.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

_GREATEST_SCALE = 100.0  # of a learned temperature, as in CLIP


class CLSRLoss(Objective):
    """Contrast between and within modalities, at a temperature for each pair, with latent reconstruction.

    Relations:
        `separability="none"`, `temperature="fixed"` and `reconstruction=0` give `NTXent`; with `temperature="learned"`
        it is `InfoNCE`.

    Source:
        arXiv 2309.08839, abstract; see the module.
    """

    def __init__(self, config: CLSRConfig = CLSRConfig()) -> None:
        super().__init__()
        self.config = config
        self.name = "clsr"
        self.epoch = 1.0
        self.wants_views = config.separability == "views"
        self.scale = nn.Parameter(torch.tensor(-math.log(config.tau))) if config.temperature == "learned" else None
        self.decoders: Decoders | None = None

    def prepare(self, *, joint: int, audio: int, text: int) -> None:
        """Make the decoders.

        Args:
            joint: Width of the joint space.
            audio: Width of the sounds' latents.
            text: Width of the sentences' latents.
        """
        if self.config.reconstruction:
            self.decoders = Decoders(joint, audio, text, own=self.config.self_reconstruction > 0)

    def at(self, epoch: float) -> None:
        """Set the schedules of temperature and reconstruction by the number of epochs that are done."""
        self.epoch = epoch

    def terms(self, pairs: Pairs) -> dict[str, Float[Tensor, ""]]:
        """Give "contrast" and, where they are on, "separability" and "reconstruction".

        Raises:
            ConfigError: If a term is on and the pairs lack what it needs, or `prepare` was not called.
        """
        config = self.config
        excluded = same_clip(pairs.clips)
        tau = self.temperatures(pairs)
        self.last_tau = tuple(float(value) for value in (tau.detach().mean(), tau.detach().min(), tau.detach().max()))
        joint = config.separability_weight if config.separability == "joint" else 0.0
        both = [
            contrast(anchor, other, tau, excluded, own_weight=joint, tau_of_opposites=self._base(tau))
            for anchor, other in ((pairs.audio, pairs.text), (pairs.text, pairs.audio))
        ]
        terms = {"contrast": torch.stack(both).mean()}
        if config.separability == "separate":
            apart = [uniformity(own, tau, excluded, self._base(tau)) for own in (pairs.audio, pairs.text)]
            terms["separability"] = config.separability_weight * torch.stack(apart).mean()
        if config.separability == "views":
            terms["separability"] = config.separability_weight * self._views(pairs, tau, excluded)
        if config.reconstruction:
            terms["reconstruction"] = config.reconstruction * min(1.0, self.epoch) * self._rebuilt(pairs)
        return terms

    def temperatures(self, pairs: Pairs) -> Float[Tensor, "pairs pairs"]:
        """Give the temperature of every pair of rows; no gradient reaches the latents.

        Raises:
            ConfigError: If it is semantic and the pairs have no latents of the sentences.
        """
        config, n = self.config, len(pairs)
        if self.scale is not None:
            return (1 / self.scale.exp().clamp(max=_GREATEST_SCALE)).expand(n, n)
        if config.temperature == "cosine":
            low, high = config.tau_range
            tau = low + (high - low) * (1 + math.cos(math.tau * self.epoch / config.period)) / 2
        else:
            tau = config.tau
        flat = pairs.audio.new_full((n, n), tau)
        if config.temperature not in ("semantic", "semantic-row"):
            return flat
        if pairs.text_latents is None:
            raise ConfigError(f"temperature={config.temperature!r} needs text_latents, and the pairs have none")
        alike = likeness(pairs.text_latents.detach(), centred=config.centred or config.temperature == "semantic-row")
        if config.temperature == "semantic":
            return (flat * (1 + config.guidance * alike**config.sharpness)).fill_diagonal_(tau)
        low, high = config.tau_range
        others = alike.masked_fill(same_clip(pairs.clips), 0).fill_diagonal_(0)
        nearest = others.topk(min(config.neighbours, max(1, n - 1)), dim=1).values.mean(dim=1)
        return (low + (high - low) * nearest)[:, None].expand(n, n)

    def _base(self, tau: Tensor) -> Tensor | None:
        """Temperature of pairs that point away from each other, to which guidance does not apply."""
        return tau.diagonal()[:, None] if self.config.temperature == "semantic" else None

    def _views(self, pairs: Pairs, tau: Tensor, excluded: Tensor) -> Tensor:
        if pairs.audio_views is None or pairs.text_views is None:
            raise ConfigError("separability='views' needs audio_views and text_views, and the pairs lack them")
        both = ((pairs.audio, pairs.audio_views), (pairs.text, pairs.text_views))
        return torch.stack(
            [contrast(one, two, tau, excluded, tau_of_opposites=self._base(tau)) for one, two in both]
        ).mean()

    def _rebuilt(self, pairs: Pairs) -> Tensor:
        if pairs.audio_latents is None or pairs.text_latents is None:
            raise ConfigError("reconstruction needs audio_latents and text_latents, and the pairs lack them")
        if self.decoders is None:
            raise ConfigError("reconstruction needs decoders: call prepare(joint=…, audio=…, text=…) first")
        weight = self.config.self_reconstruction
        rebuilt: Tensor = self.decoders(pairs, self.config.distance, own=False)
        return rebuilt + weight * self.decoders(pairs, self.config.distance, own=True) if weight else rebuilt


def contrast(
    anchor: Float[Tensor, "pairs joint"],
    other: Float[Tensor, "pairs joint"],
    tau: Float[Tensor, "pairs pairs"],
    excluded: Bool[Tensor, "pairs pairs"],
    *,
    own_weight: float = 0.0,
    tau_of_opposites: Float[Tensor, "pairs 1"] | None = None,
) -> Float[Tensor, ""]:
    """Tell each anchor's partner from the other pairs' partners and, with a weight, from the other anchors.

    -log e^(s(a,b)/τ) / (Σ e^(s(a,b')/τ') + w Σ e^(s(a,a')/τ')), averaged over the anchors a; b is the partner, b' runs
    over all partners that are not excluded, a' over the other anchors that are not.

    Args:
        anchor: Unit vectors, a row each pair.
        other: Unit vectors of the other modality or view; the partners stand in the same rows.
        tau: Temperature of each pair of rows.
        excluded: Pairs of rows that are no negatives.
        own_weight: w.
        tau_of_opposites: Temperature where s is negative; a higher one would raise such a term. By default `tau`.
    """
    logits = scaled(anchor @ other.T, tau, tau_of_opposites).masked_fill(excluded, -math.inf)
    if own_weight:
        alone = excluded | torch.eye(len(anchor), dtype=torch.bool, device=anchor.device)
        own = scaled(anchor @ anchor.T, tau, tau_of_opposites) + math.log(own_weight)
        logits = torch.cat([logits, own.masked_fill(alone, -math.inf)], dim=1)
    return functional.cross_entropy(logits, torch.arange(len(anchor), device=anchor.device))


def uniformity(
    own: Float[Tensor, "pairs joint"],
    tau: Float[Tensor, "pairs pairs"],
    excluded: Bool[Tensor, "pairs pairs"],
    tau_of_opposites: Float[Tensor, "pairs 1"] | None = None,
) -> Float[Tensor, ""]:
    """Average the logarithm of the mean of e^(s/τ) over the other rows that are not excluded; rows without any count 0.

    Source:
        The uniformity of Wang and Isola (arXiv 2005.10242) at a temperature, in the form that InfoNCE tends to.
    """
    alone = excluded | torch.eye(len(own), dtype=torch.bool, device=own.device)
    others = (~alone).sum(dim=1)
    logits = scaled(own @ own.T, tau, tau_of_opposites).masked_fill(alone, -math.inf)[others > 0]
    means = logits.logsumexp(dim=1) - others[others > 0].log()
    return means.sum() / len(own)


def scaled(
    similarity: Float[Tensor, "pairs pairs"],
    tau: Float[Tensor, "pairs pairs"],
    tau_of_opposites: Float[Tensor, "pairs 1"] | None,
) -> Float[Tensor, "pairs pairs"]:
    """Divide similarities by their temperatures; negative ones by `tau_of_opposites` if it is given."""
    if tau_of_opposites is None:
        return similarity / tau
    return similarity / torch.where(similarity > 0, tau, tau_of_opposites)


def likeness(latents: Float[Tensor, "pairs text"], *, centred: bool) -> Float[Tensor, "pairs pairs"]:
    """Say how alike sentences are, from 0 to 1: their cosine, opposites count as strangers.

    Args:
        latents: Of the sentences.
        centred: Whether the mean cosine of different sentences of the batch counts as 0.
    """
    unit = functional.normalize(latents, dim=1)
    cosine = unit @ unit.T
    if centred and len(latents) > 1:
        n = len(latents)
        mean = (cosine.sum() - cosine.diagonal().sum()) / (n * (n - 1))
        cosine = (cosine - mean) / (1 - mean).clamp_min(1e-6)
    return cosine.clamp(0, 1)


class Decoders(nn.Module):
    """Rebuild the latents of each modality from embeddings; used in training only."""

    def __init__(self, joint: int, audio: int, text: int, *, own: bool) -> None:
        super().__init__()
        self.audio_from_text, self.text_from_audio = _decoder(joint, audio), _decoder(joint, text)
        self.audio_from_audio = _decoder(joint, audio) if own else None
        self.text_from_text = _decoder(joint, text) if own else None
        self.audio_scale = nn.BatchNorm1d(audio, affine=False)
        self.text_scale = nn.BatchNorm1d(text, affine=False)

    def forward(self, pairs: Pairs, distance: str, *, own: bool) -> Float[Tensor, ""]:
        """Give the sum, over both modalities, of the mean distance between true and rebuilt latents.

        Args:
            pairs: With latents, to which no gradient flows: else constant latents would be the best ones.
            distance: "mse" or "cosine".
            own: Rebuild from the embedding of the same modality, or from that of the other.
        """
        audio_decoder = self.audio_from_audio if own else self.audio_from_text
        text_decoder = self.text_from_text if own else self.text_from_audio
        sides = (
            (audio_decoder, pairs.audio if own else pairs.text, pairs.audio_latents, self.audio_scale),
            (text_decoder, pairs.text if own else pairs.audio, pairs.text_latents, self.text_scale),
        )
        total = pairs.audio.new_zeros(())
        for decoder, embedding, latents, scale in sides:
            rebuilt = cast(nn.Module, decoder)(embedding.to(next(self.parameters()).dtype))
            wanted = cast("Tensor", latents).detach().to(rebuilt.dtype)
            scale.train(self.training and len(pairs) > 1)  # one pair has no deviation of its own
            if distance == "mse":
                total = total + functional.mse_loss(rebuilt, scale(wanted))
            else:
                total = total + (1 - functional.cosine_similarity(rebuilt, wanted, dim=1)).mean()
        return total


def _decoder(joint: int, latent: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(joint, 2 * joint), nn.GELU(), nn.Linear(2 * joint, latent))

"""What every token selector is: a rule that looks at the patches of a unit and marks those to keep.

A selector works before the language model, through `prepare`, and changes nothing in the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tamis.core.budget import Budget, Keep
from tamis.core.errors import ConfigError
from tamis.vision.config import Layout
from tamis.vision.view import Reads, View

if TYPE_CHECKING:
    from tamis.vision.prepare import Prepared


@dataclass(frozen=True)
class Selection:
    """Which patches are kept, and with which features."""

    mask: Bool[Tensor, "units patches"]
    """True where a patch is kept."""
    patches: Float[Tensor, "units patches width"] | None = None
    """Features to use in place of the view's, where a method merges dropped patches into kept ones."""


@dataclass(frozen=True)
class Selector(ABC):
    """A training-free rule that keeps some of the image tokens. Subclasses score and choose; this class applies."""

    keep: Keep
    """Budget of each unit (image, tile or frame): 58 tokens, 0.1 or "10%" of them; 1 is one token, 1.0 is all. Held as
    the `Budget` that it means, so that selectors that keep the same are equal."""
    layout: Layout = Layout()
    """How the kept tokens enter the prompt."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", Budget.parse(self.keep))

    def reads(self, depth: int, run: int) -> Reads:
        """Say what to read on the way through a tower.

        Args:
            depth: Blocks of the tower.
            run: Blocks that will be run; block `run - 1` makes the features.
        """
        return Reads()

    @abstractmethod
    def select(self, view: View, keep: int) -> Selection:
        """Choose the patches of each unit.

        Args:
            view: What one pass over the tower left behind.
            keep: How many to keep of each unit, fewer than there are.
        """

    def prepare(self, model: nn.Module, /, **inputs: Any) -> Prepared:
        """Turn a processor's batch into a shorter one for the same model.

        Gradients are kept only where they will be asked for: when the model is in training mode, when there are
        `labels`, or when pixel values require them.

        Args:
            model: A stock `LlavaForConditionalGeneration`, `LlavaNext…` or `VideoLlava…` of transformers.
            inputs: The processor's batch: `input_ids` (or `inputs_embeds`), `pixel_values` and so on, also `labels`.

        Returns:
            What `model.generate(**…)` and `model(**…)` take; `.kept` holds the kept patches of every unit.

        Raises:
            BudgetError: If the budget does not fit the number of patches.
            ConfigError: If the model is of an unknown family, or the layout does not fit it.
            InputError: If the prompt's placeholders and the images do not match.
        """
        from tamis.vision.prepare import prepare

        return prepare(self, model, inputs)


def choose(selector: Selector, view: View) -> Selection:
    """Apply a selector's budget to a view. A budget that keeps everything changes nothing, whatever the method.

    Raises:
        BudgetError: If the budget is a count above the number of patches.
    """
    keep = Budget.parse(selector.keep).of(view.total)
    if keep == view.total:
        return Selection(view.allowed)
    return selector.select(view, keep)


def keep_tokens(
    scores: Float[Tensor, "units patches"], keep: int, valid: Bool[Tensor, "units patches"] | None = None
) -> Bool[Tensor, "units patches"]:
    """Mark the highest-scoring patches. Of equal scores the earlier patch wins, so that every turn keeps the same.

    A mask is also an order: the kept patches stay in raster order, because a language model reads by position.

    Args:
        scores: Importance of each patch.
        keep: Patches to keep in each unit; a unit with fewer valid ones keeps those.
        valid: False where a patch must not be kept.

    Raises:
        ConfigError: If a score is not a number.

    >>> keep_tokens(torch.tensor([[0.3, 0.1, 0.6, 0.3]]), keep=2)
    tensor([[ True, False,  True, False]])
    """
    if bool(torch.isnan(scores).any()):
        raise ConfigError("scores contain NaN; the pixel values or the tower's weights are not finite numbers")
    if valid is not None:
        scores = scores.masked_fill(~valid, -torch.inf)
    order = torch.sort(scores, dim=-1, descending=True, stable=True).indices[:, :keep]
    mask = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device).scatter_(1, order, True)
    return mask if valid is None else mask & valid


def kept_indices(mask: Bool[Tensor, "units patches"]) -> list[Int[Tensor, " _"]]:
    """The kept patches of each unit, ascending."""
    return [unit.nonzero().squeeze(1) for unit in mask]

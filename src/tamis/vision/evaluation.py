"""What each budget costs in answers: a small model is examined on scenes, with all image tokens and with few.

All questions about a picture are read in one pass, with the tokens that a method kept of it: each question sees the
picture and itself, at the positions that it would have alone, so the answers are those of the stock route. A method
that looks at the question, or prunes inside the language model, is run question by question on the stock route.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tamis.core.budget import Budget
from tamis.core.errors import ConfigError, FileError, check_choice
from tamis.core.results import Run, dataset_hash
from tamis.vision.baselines.simple import All, TextOnly
from tamis.vision.context import pruned
from tamis.vision.in_llm import InLLMPruner
from tamis.vision.loading import Loaded
from tamis.vision.methods import reads_of
from tamis.vision.metrics import bootstrap
from tamis.vision.questions import Questions, contents
from tamis.vision.scenes import Scenes
from tamis.vision.selector import Selector, choose
from tamis.vision.tiny import TOKENS
from tamis.vision.tiny_data import KINDS, Kind, pack, prompts, tokens_of
from tamis.vision.tiny_variants import FAMILIES, UNITS, batch_of, order_of, read_units, stays_of, units
from tamis.vision.tower import extent, look
from tamis.vision.view import View
from tamis.vision.vocabulary import vocabulary

CONTROLS = ("prior", "background")
"""Kinds of questions for which no object matters; they are told apart and do not count in `accuracy`."""
_MOST = 1_000_000  # pictures, whose answers are all kept
_CHUNK = 64
"""Pictures at a time."""

Key = tuple[str, float, str]
"""Method, fraction of the tokens kept, and position ids ("original" or "contiguous")."""


@dataclass(frozen=True)
class Marks:
    """What one method at one budget answered; one entry a question."""

    right: Float[np.ndarray, " questions"]
    """1 where the answer is right, 0 where it is not; a mean over seeds where there are several."""
    same: Float[np.ndarray, " questions"]
    """Whether it is the unpruned model's."""
    divergence: Float[np.ndarray, " questions"]
    """Kullback–Leibler divergence of the next token's distribution from the unpruned model's, nats."""
    said: Int[np.ndarray, " questions"]
    """The answer, a token; of the first seed."""
    recall: Float[np.ndarray, " questions"]
    """Share of the patches that the answer rests on that were kept; NaN where it rests on none, or nothing is known."""
    tokens: float
    """Image tokens that the language model saw of a picture; inside of it, the mean over layers."""
    seeds: tuple[int, ...] = ()
    """Seeds of the selection, where chance enters."""


@dataclass(frozen=True)
class Sheet:
    """An examination: the questions, and the marks of every method at every budget."""

    model: str
    kind: Kind
    split: str
    seed: int
    dataset: str
    """Name and hash."""
    scene: Int[np.ndarray, " questions"]
    asked: list[str]
    """Kind of each question."""
    hard: Int[np.ndarray, " questions"]
    marks: dict[Key, Marks]
    seconds: dict[Key, float]
    """Wall time of each, over all seeds; what is read of the tower once for several counts for the first of them."""

    def about(self, *kinds: str) -> Float[np.ndarray, " questions"]:
        """Mark the questions of some kinds; without any, those that need an object or a label."""
        return np.array([one in kinds if kinds else one not in CONTROLS for one in self.asked], dtype=np.float64)

    def accuracy(self, key: Key, *kinds: str) -> float:
        """Share of right answers to the questions of some kinds."""
        return self.mean(self.marks[key].right, *kinds)

    def recall(self, key: Key) -> float | None:
        """Share of what answers rest on that was kept, over questions that need an object or a label, if known."""
        known = np.isfinite(self.marks[key].recall) & (self.about() > 0)
        return float(self.marks[key].recall[known].mean()) if known.any() else None

    def mean(self, values: Shaped[np.ndarray, " questions"], *kinds: str) -> float:
        """Mean of a number for each question over the questions of some kinds."""
        about = self.about(*kinds)
        return float((values * about).sum() / about.sum())

    @property
    def everything(self) -> Key:
        """The unpruned model."""
        return next(key for key in self.marks if key[0] == "all")


def examine(
    loaded: Loaded,
    pruners: Sequence[Selector | InLLMPruner],
    *,
    kind: Kind = "scenes",
    split: str = "test",
    count: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Sheet:
    """Examine a model that knows the scenes' vocabulary.

    Args:
        loaded: The model; `load("tiny")`, or a variant of it that was taught tiles or clips.
        pruners: Methods at their budgets; the unpruned model is always added. Several `Random` ones of the same budget
            with different seeds are averaged.
        kind: Composed scenes or sprites, for a LLaVA-NeXT canvases in tiles, for a Video-LLaVA clips.
        split: Of the scenes.
        count: Pictures.
        seed: Of the scenes.
        progress: Is told how many pictures are done, over all methods.

    Raises:
        ConfigError: If the model does not speak the scenes' vocabulary, the split is unknown, there are no pictures, or
            two pruners are the same method with the same number of tokens.
        FileError: If the font of the sprites is not installed, or the model's weights are damaged.
    """
    check_choice("kind", kind, Kind)
    check_vocabulary(loaded, kind)
    if not 1 <= count <= _MOST:
        raise ConfigError(f"count is {count}; expected 1 to {_MOST} pictures")
    made = [All(), *(one for one in pruners if not isinstance(one, All))]
    _check_distinct(made)
    parts: dict[Key, dict[tuple[int, ...], list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[Key, float] = defaultdict(float)
    asked: list[str] = []
    scene, hard = [], []
    told = []
    done = 0
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        drawn = KINDS[kind].draw(seed, split, start, stop)
        questions = KINDS[kind].ask(drawn)
        told.append(contents(drawn, questions))
        asked += questions.kind
        scene.append(questions.scene + start)
        hard.append(questions.hard)
        sight = _Sight(loaded, drawn, questions, kind)
        first: Tensor | None = None
        for pruner in made:
            clock = time.perf_counter()
            answers, kept = sight.answers(pruner)
            first = answers if first is None else first
            key = key_of(pruner)
            seeds = (pruner.seed,) if hasattr(pruner, "seed") else ()
            parts[key][seeds].append(sight.judge(answers, first, kept, pruner))
            seconds[key] += time.perf_counter() - clock
            done += stop - start
            progress(done)
    marks = {key: _joined(by_seed) for key, by_seed in parts.items()}
    dataset = dataset_hash(kind, b"".join(told))
    return Sheet(
        model=loaded.name,
        kind=kind,
        split=split,
        seed=seed,
        dataset=dataset,
        scene=np.concatenate(scene),
        asked=asked,
        hard=np.concatenate(hard),
        marks=marks,
        seconds=seconds,
    )


def _check_distinct(pruners: Sequence[Selector | InLLMPruner]) -> None:
    known: dict[tuple[Key, int | None], Any] = {}
    for pruner in pruners:
        name = key_of(pruner), getattr(pruner, "seed", None)
        if name in known:
            method, keep, _ = name[0]
            raise ConfigError(
                f"{method} is there twice with {round(keep * TOKENS)} of {TOKENS} tokens (keep {known[name].keep} and "
                f"{pruner.keep}); give one of them"
            )
        known[name] = pruner


def key_of(pruner: Selector | InLLMPruner) -> Key:
    """Name a method with its budget and positions.

    Positions are the original ones inside the language model, and where all tokens are kept or none. A start layer
    that was given is part of the name, and so is that the question is asked.
    """
    kept = 0 if isinstance(pruner, TextOnly) else Budget.parse(pruner.keep).of(TOKENS)
    positions = "original"
    if isinstance(pruner, Selector) and not isinstance(pruner, All | TextOnly):
        positions = pruner.layout.positions
    start = getattr(pruner, "start_layer", None)
    name = pruner.name if start is None else f"{pruner.name} from block {start}"
    name += " by question" if getattr(pruner, "question", False) is True else ""
    return name, round(kept / TOKENS, 4), positions


def _joined(by_seed: Mapping[tuple[int, ...], Sequence[dict[str, Any]]]) -> Marks:
    columns = {
        name: np.mean([np.concatenate([part[name] for part in parts]) for parts in by_seed.values()], axis=0)
        for name in ("right", "same", "divergence", "recall")
    }
    tokens = float(np.mean([part["tokens"] for parts in by_seed.values() for part in parts]))
    said = np.concatenate([part["said"] for part in next(iter(by_seed.values()))])
    return Marks(**columns, said=said, tokens=tokens, seeds=tuple(seed for seeds in by_seed for seed in seeds))


def check_vocabulary(loaded: Loaded, kind: Kind = "scenes") -> None:
    """Refuse a model for which the scenes' questions are no language, or which does not take such pictures.

    Args:
        loaded: The model.
        kind: Of the scenes.

    Raises:
        ConfigError: If it is none of ours.
    """
    if loaded.model is None or loaded.family != FAMILIES[kind]:
        raise ConfigError(
            f"{loaded.name} is a {loaded.family} model; {kind} are for a {FAMILIES[kind]} that was taught on them: "
            + ("tiny" if FAMILIES[kind] == "llava" else "what tamis vision tune-tiny writes")
        )
    words = vocabulary(video=kind == "scenes-video")
    if loaded.tokenizer is None or loaded.tokenizer.convert_tokens_to_ids(words) != list(range(len(words))):
        raise ConfigError(
            f"{loaded.name} does not speak the vocabulary of the scenes; give tiny, or one trained like it"
        )


class _Sight:
    """A few pictures with their questions, looked at once for all methods."""

    def __init__(self, loaded: Loaded, drawn: Scenes, questions: Questions, kind: Kind) -> None:
        self.loaded, self.questions = loaded, questions
        self.model: Any = loaded.model
        self.pixels = units(torch.from_numpy(drawn.images), loaded.family).to(loaded.device)
        self.order = order_of(self.model)
        packed = pack(questions, len(drawn), KINDS[kind].room)
        self.packed = {name: tensor.to(loaded.device) for name, tensor in packed.items()}
        places = packed["questions"] >= 0
        if int(places.sum()) != len(questions):
            raise ConfigError(f"{len(questions) - int(places.sum())} questions have no room in their row")
        self._order = packed["questions"][places].argsort()
        self._places = places.to(loaded.device)
        self.answer = torch.tensor([tokens_of(answer)[0] for answer in questions.answer])
        self._views: dict[Any, View] = {}

    def view(self, pruner: Selector) -> View:
        """Look at the pictures for one method; what was read once is not read again."""
        reads = reads_of([pruner], *extent(self.loaded.tower, self.loaded.layers))
        if reads not in self._views:
            self._views[reads] = look(self.loaded.tower, self.pixels, reads, self.loaded.layers)
        return self._views[reads]

    @torch.inference_mode()
    def answers(self, pruner: Selector | InLLMPruner) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of the answer to every question, and which tokens of each picture stay if that is known."""
        if isinstance(pruner, InLLMPruner) or pruner.reads(*extent(self.loaded.tower, self.loaded.layers)).question:
            return self._one_by_one(pruner), None
        view = self.view(pruner)
        selection = choose(pruner, view)
        features = view.features.whole
        if selection.patches is not None:
            features = torch.cat([features[:, :1], selection.patches], dim=1)
        stays = stays_of(selection.mask, self.order, self.loaded.family, pruner.layout)
        contiguous = pruner.layout.positions == "contiguous"
        logits = read_units(self.model, features, self.order, self.packed, stays, contiguous=contiguous)
        answers = logits[self._places][self._order.to(logits.device)].float().log_softmax(dim=-1).cpu()
        if not torch.isfinite(answers).all():
            raise FileError(f"{self.loaded.name}: answers with NaN or infinity; its weights are damaged")
        return answers, stays.cpu()

    @torch.inference_mode()
    def _one_by_one(self, pruner: Selector | InLLMPruner) -> Tensor:
        """Ask every question by itself on the stock route, those of one length together."""
        config = self.model.config
        answers = torch.zeros(len(self.questions), config.get_text_config().vocab_size)
        token = config.video_token_id if self.loaded.family == "video_llava" else config.image_token_id
        pixels = self.pixels.view(-1, UNITS[self.loaded.family], *self.pixels.shape[1:])
        for chosen, ids in prompts(self.questions.text, _CHUNK, [token] * len(self.order)):
            batch = {
                "input_ids": ids.to(self.loaded.device),
                "attention_mask": torch.ones_like(ids).to(self.loaded.device),
                **batch_of(pixels[self.questions.scene[chosen]].flatten(0, 1), self.loaded.family),
            }
            if isinstance(pruner, Selector):
                logits = self.model(**pruner.prepare(self.model, **batch)).logits[:, -1]
            else:
                with pruned(self.model, pruner):
                    logits = self.model(**batch).logits[:, -1]
            answers[chosen] = logits.float().log_softmax(dim=-1).cpu()
        return answers

    def judge(
        self, answers: Tensor, first: Tensor, stays: Tensor | None, pruner: Selector | InLLMPruner
    ) -> dict[str, Any]:
        """Compare answers with the truth and with the unpruned model's."""
        said = answers.argmax(dim=1)
        rests_on = torch.from_numpy(self.questions.patches)
        recall = torch.full((len(said),), torch.nan)
        if stays is not None:
            kept = self._patches(stays)[:, -rests_on.shape[1] :]  # of a canvas the tiles, which come last
            held = (kept[self.questions.scene] & rests_on).sum(1) / rests_on.sum(1).clamp(min=1)
            recall = torch.where(rests_on.any(1), held, torch.nan)
            tokens = float(stays.sum(1).float().mean())
        elif isinstance(pruner, InLLMPruner):
            tokens = float(
                np.mean(pruner.tokens(len(self.order), self.model.config.get_text_config().num_hidden_layers))
            )
        else:
            tokens = self._tokens(pruner)
        return {
            "right": (said == self.answer).double().numpy(),
            "same": (said == first.argmax(dim=1)).double().numpy(),
            "divergence": (first.exp() * (first - answers)).sum(1).clamp(min=0).double().numpy(),
            "said": said.numpy(),
            "recall": recall.double().numpy(),
            "tokens": tokens,
        }

    def _tokens(self, pruner: Selector) -> float:
        """Count what the language model sees of a picture when so many patches of each unit are kept."""
        mask = torch.zeros(UNITS[self.loaded.family], TOKENS, dtype=torch.bool)
        mask[:, : Budget.parse(pruner.keep).of(TOKENS)] = True
        return float(stays_of(mask, self.order.cpu(), self.loaded.family, pruner.layout).sum())

    def _patches(self, stays: Tensor) -> Tensor:
        """Say which patches stay, (pictures, units · 144)."""
        kept = torch.zeros(len(stays), UNITS[self.loaded.family] * (TOKENS + 1), dtype=torch.bool)
        known = self.order >= 0
        kept[:, self.order[known]] = stays[:, known]
        return kept.view(len(stays), -1, TOKENS + 1)[:, :, 1:].flatten(1)


def lines(sheet: Sheet) -> list[Run]:
    """Make the result lines of an examination, one a method and budget.

    Args:
        sheet: The examination.
    """
    return [_line(sheet, key) for key in sheet.marks]


def _line(sheet: Sheet, key: Key) -> Run:
    method, keep, positions = key
    marks, about = sheet.marks[key], sheet.about()
    kinds = sorted(set(sheet.asked))
    metrics = {"accuracy": sheet.accuracy(key), "agreement": sheet.mean(marks.same)}
    metrics["divergence_nats"] = sheet.mean(marks.divergence)
    if (recall := sheet.recall(key)) is not None:
        metrics["answer_token_recall"] = recall
    metrics |= {f"accuracy_{kind}": sheet.accuracy(key, kind) for kind in kinds}
    metrics["image_tokens"] = marks.tokens
    intervals = {"accuracy": bootstrap(marks.right, about, sheet.scene)}
    intervals |= {
        f"accuracy_{kind}": bootstrap(marks.right, sheet.about(kind), sheet.scene) for kind in CONTROLS if kind in kinds
    }
    if key != sheet.everything:
        lost = sheet.marks[sheet.everything].right - marks.right
        metrics["accuracy_lost"] = sheet.mean(lost)
        intervals["accuracy_lost"] = bootstrap(lost, about, sheet.scene)
    ours = ("tamis", keep, positions)
    if ours in sheet.marks and method not in ("tamis", "all"):
        metrics["behind_tamis"], intervals["behind_tamis"] = difference(sheet, ours, key)
    config = {"keep": keep, "positions": positions, "model": sheet.model, "scenes_seed": sheet.seed}
    return Run.measured(
        "vision/accuracy",
        method,
        dataset=sheet.dataset,
        split=sheet.split,
        n=int(about.sum()),
        metrics=metrics,
        intervals=intervals,
        config=config,
        seeds=marks.seeds,
        seconds=sheet.seconds[key],
    )


def difference(sheet: Sheet, better: Key, worse: Key, *kinds: str) -> tuple[float, list[float]]:
    """How much more often one method is right than another, on the same questions, and its 95 % interval.

    Args:
        sheet: The examination.
        better: The first method.
        worse: The second method.
        kinds: Kinds of questions; without any, those that need an object or a label.
    """
    gain = sheet.marks[better].right - sheet.marks[worse].right
    return sheet.mean(gain, *kinds), bootstrap(gain, sheet.about(*kinds), sheet.scene)

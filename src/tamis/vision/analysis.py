"""Where a vision–language model looks: [CLS] in the tower, the prompt's words and the response in the language model.

Both papers argue from this. FasterVLM says that the attention of text to image tokens shifts towards the end of the
picture and disperses, and so is a poor guide; VTC-CLS says that the prompt's attention misses what the response needs,
and that [CLS] knows. Where the patches that an answer rests on are known, as in composed scenes, both can be tested.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tamis.core.errors import ConfigError
from tamis.core.report import Cell, Details, Facts, Picture, Report, Section, Table, quantity
from tamis.core.results import Run, dataset_hash
from tamis.vision import questions, scenes
from tamis.vision.ask import batch_for
from tamis.vision.evaluation import CONTROLS, check_vocabulary
from tamis.vision.loading import Loaded
from tamis.vision.metrics import bootstrap
from tamis.vision.panel import heat
from tamis.vision.tiny import TOKENS
from tamis.vision.tiny_data import prompts
from tamis.vision.tower import extent, look
from tamis.vision.view import Reads

SOURCES = {
    "cls": "[CLS] in the tower",
    "prompt": "the prompt's words in the language model",
    "response": "the response in the language model",
}
"""Who looks."""
_CHUNK = 64
_COLUMNS = 8
"""Maps in a line of the picture at most."""


@dataclass(frozen=True)
class Looks:
    """Who looks where at one picture: source → attention to its patches, layer by layer, each row summing to 1."""

    answer: str
    grid: tuple[int, int]
    maps: dict[str, Float[Tensor, "layers patches"]]

    def tokens(self, source: str) -> list[float]:
        """Over how many patches attention is spread, layer by layer: two to the power of its entropy in bits."""
        return spread(self.maps[source]).tolist()


def spread(maps: Float[Tensor, "*rows patches"]) -> Float[Tensor, "*rows"]:
    """Over how many patches attention is spread: 1 if it all goes to one, their number if to all alike."""
    entropy: Tensor = torch.special.entr(maps).sum(-1)
    return entropy.exp()


def place(maps: Float[Tensor, "*rows patches"]) -> Float[Tensor, "*rows"]:
    """Where in raster order attention lies on average: 0 is the first patch, 1 the last, 0.5 the middle."""
    return maps @ torch.linspace(0, 1, maps.shape[-1])


def auc(scores: Float[Tensor, " patches"], wanted: Bool[Tensor, " patches"]) -> float:
    """Chance that a wanted patch has a higher score than another one; ties count half.

    >>> auc(torch.tensor([0.1, 0.5, 0.3]), torch.tensor([False, True, False]))
    1.0
    """
    difference = scores[wanted][:, None] - scores[~wanted][None]
    return float((difference > 0).double().mean() + (difference == 0).double().mean() / 2)


def analyze(loaded: Loaded, picture: Image.Image, question: str, *, max_new_tokens: int = 16) -> Looks:
    """Look at who looks where, for one picture and question.

    Args:
        loaded: A vision–language model. Of LLaVA-NeXT the small copy of the whole is shown, not its tiles.
        picture: The picture.
        question: The question.
        max_new_tokens: Length of the response.

    Raises:
        ConfigError: If the model is a tower only.
    """
    batch = batch_for(loaded, picture, question)
    model: Any = loaded.model
    tower = model.model.image_tower if loaded.family == "video_llava" else model.model.vision_tower
    pixels = batch["pixel_values"][:, 0] if batch["pixel_values"].ndim == 5 else batch["pixel_values"]
    _, run = extent(tower, loaded.layers)
    with torch.inference_mode():
        view = look(tower, pixels, Reads(rows=tuple(range(run))), loaded.layers)
        output = model.generate(**batch, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens)
        full = {**batch, "input_ids": output[:, :-1], "attention_mask": torch.ones_like(output[:, :-1])}
        start = int((batch["input_ids"][0] == model.config.image_token_id).nonzero()[0])
        after = int((batch["input_ids"][0] == model.config.image_token_id).nonzero()[-1]) + 1
        said = batch["input_ids"].shape[1] - 1
        words = slice(after, max(said, after + 1))  # the last token looks for the response, unless it is the only one
        prompt, response = _rows(model, full, slice(start, start + view.total), words, slice(said, None))
    cls = torch.stack([view.rows[block].mean(1)[0] for block in range(run)])
    tokenizer: Any = loaded.tokenizer
    answer = tokenizer.decode(output[0, said + 1 :], skip_special_tokens=True).strip()
    maps = {"cls": cls.cpu(), "prompt": prompt[0], "response": response[0]}
    return Looks(answer, view.grid, {name: one / one.sum(-1, keepdim=True) for name, one in maps.items()})


def _rows(
    model: Any, batch: Mapping[str, Tensor], image: slice, prompt: slice, response: slice
) -> tuple[Float[Tensor, "batch layers patches"], Float[Tensor, "batch layers patches"]]:
    """Attention to the image tokens, mean over heads and over the tokens that look."""
    with _eager(model):
        layers = model(**batch, output_attentions=True, use_cache=False).attentions
    if not layers:
        raise ConfigError("the language model gives no attention; its attention implementation does not know 'eager'")
    means = [layer.float().mean(1)[:, :, image] for layer in layers]
    looks = (torch.stack([mean[:, part].mean(1) for mean in means], dim=1).cpu() for part in (prompt, response))
    return next(looks), next(looks)


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Make the language model compute its attention in the open, for as long as the block lasts."""
    before = model.config.get_text_config()._attn_implementation
    model.model.language_model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.model.language_model.set_attn_implementation(before)


@dataclass(frozen=True)
class Premises:
    """How well each source finds the patches that answers rest on, layer by layer, over many questions."""

    model: str
    dataset: str
    split: str
    questions: int
    auc: dict[str, Float[np.ndarray, "layers questions"]]
    spread: dict[str, Float[np.ndarray, "layers questions"]]
    place: dict[str, Float[np.ndarray, "layers questions"]]
    scene: np.ndarray


@torch.inference_mode()
def premises(loaded: Loaded, *, split: str = "test", count: int = 100, seed: int = 0) -> Premises:
    """Test both papers' premises on composed scenes.

    Only questions that rest on patches count, and the response is its one token.

    Args:
        loaded: A model that knows the scenes' vocabulary.
        split: Of the scenes.
        count: Pictures.
        seed: Of the scenes.

    Raises:
        ConfigError: If the model does not speak the scenes' vocabulary, or the split is unknown.
    """
    check_vocabulary(loaded)
    model: Any = loaded.model
    drawn = scenes.draw(seed, split, 0, count)
    asked = questions.ask(drawn)
    chosen = [i for i in range(len(asked)) if asked.kind[i] not in CONTROLS and asked.patches[i].any()]
    pixels = torch.from_numpy(drawn.images) / 127.5 - 1
    _, run = extent(loaded.tower, loaded.layers)
    view = look(loaded.tower, pixels.to(loaded.device), Reads(rows=tuple(range(run))), loaded.layers)
    of_scenes = torch.stack([view.rows[block].mean(1).cpu() for block in range(run)], dim=1)
    maps = {"cls": of_scenes[asked.scene[chosen]]}
    layers = model.config.get_text_config().num_hidden_layers
    maps |= {name: torch.zeros(len(chosen), layers, TOKENS) for name in ("prompt", "response")}
    image, words, response = slice(1, 1 + TOKENS), slice(1 + TOKENS, -1), slice(-1, None)
    for part, ids in prompts([asked.text[number] for number in chosen], _CHUNK):
        batch = {
            "input_ids": ids.to(loaded.device),
            "attention_mask": torch.ones_like(ids).to(loaded.device),
            "pixel_values": pixels[asked.scene[[chosen[number] for number in part]]].to(loaded.device),
        }
        maps["prompt"][part], maps["response"][part] = _rows(model, batch, image, words, response)
    maps = {name: one / one.sum(-1, keepdim=True) for name, one in maps.items()}
    wanted = torch.from_numpy(asked.patches[chosen])
    aucs = {
        name: np.array([[auc(layer, want) for layer in rows] for rows, want in zip(one, wanted, strict=True)]).T
        for name, one in maps.items()
    }
    return Premises(
        loaded.name,
        dataset_hash("scenes", questions.contents(drawn, asked)),
        split,
        len(chosen),
        aucs,
        {name: spread(one).numpy().T for name, one in maps.items()},
        {name: place(one).numpy().T for name, one in maps.items()},
        asked.scene[chosen],
    )


def lines(tested: Premises, chosen: Premises, seconds: float) -> list[Run]:
    """Make a result line of each source: the layer that is its best on other pictures, and curves over all of them.

    Args:
        tested: On the pictures to report on.
        chosen: On other pictures, by which the layers are chosen.
        seconds: Wall time of both.

    Raises:
        ConfigError: If both are of the same pictures, or of two models.
    """
    if chosen.dataset == tested.dataset or chosen.model != tested.model:
        raise ConfigError(
            f"layers of {tested.model} on {tested.split} are chosen with {chosen.model} on {chosen.split}; expected "
            "the same model on other pictures"
        )
    made = []
    for name, of_layers in tested.auc.items():
        means = of_layers.mean(axis=1)
        best = int(chosen.auc[name].mean(axis=1).argmax())
        made.append(
            Run.measured(
                "vision/attention",
                name,
                dataset=tested.dataset,
                split=tested.split,
                n=tested.questions,
                metrics={"auc": float(means[best]), "auc_last_layer": float(means[-1]), "best_layer": best},
                intervals={"auc": bootstrap(of_layers[best], np.ones(tested.questions), tested.scene)},
                curves={
                    "auc": dict(enumerate(means.tolist())),
                    "spread_tokens": dict(enumerate(tested.spread[name].mean(axis=1).tolist())),
                    "raster_place": dict(enumerate(tested.place[name].mean(axis=1).tolist())),
                },
                config={"model": tested.model, "layer_chosen_on": chosen.split},
                seconds=seconds,
            )
        )
    return made


def report_on(looks: Looks, picture: Image.Image, question: str, command: str) -> Report:
    """Lay out who looks where as a report.

    Args:
        looks: What `analyze` returned.
        picture: The picture.
        question: The question.
        command: The command line that gives the same.
    """
    report = Report("Who looks where", f"{question} — {looks.answer or '(no answer)'}")
    patches = looks.grid[0] * looks.grid[1]
    facts: dict[str, Cell] = {
        f"patches, {name}, last layer": f"{quantity(looks.tokens(name)[-1])} of {patches}" for name in looks.maps
    }
    report.add(Facts(facts), _drawn(looks, picture), Section("Layer by layer"), table(looks))
    report.add(
        Section("How to read this"),
        "Maps rank the patches by attention, mean over heads, from dark to bright; a line has the layers from first to "
        "last. The prompt's line is the mean over the words after the picture; the response's is that of the tokens "
        "from which the answer is made. Spread is over how many patches attention goes: two to the power of its "
        "entropy in bits. Place is where in raster order it lies on average, 0 for the first patch and 1 for the last. "
        "Shared is the part of the brightest tenth that [CLS] in the last block and this layer have in common.",
        Details("The same from the command line", command),
    )
    return report


def table(looks: Looks) -> Table:
    """Tell spread and place of every source, layer by layer, and what it shares with [CLS]."""
    rows: list[list[Cell]] = []
    tenth = max(1, looks.maps["cls"].shape[1] // 10)
    bright = set(looks.maps["cls"][-1].topk(tenth).indices.tolist())
    for name, one in looks.maps.items():
        for layer, row in enumerate(one):
            shared = len(bright & set(row.topk(tenth).indices.tolist())) / tenth
            numbers = [round(float(spread(row)), 1), round(float(place(row)), 3), round(shared, 2)]
            rows.append([name, layer, *numbers])
    return Table(["who", "layer", "spread, patches", "place", "shared with [CLS]"], rows)


def _drawn(looks: Looks, picture: Image.Image) -> Picture:
    cell, gap, label = 150, 8, 30
    shown = picture.convert("RGB").resize((cell, cell), Image.Resampling.LANCZOS)
    lines_of: list[tuple[str, Sequence[int], Tensor]] = []
    for name, one in looks.maps.items():
        layers = np.unique(np.linspace(0, len(one) - 1, _COLUMNS).round().astype(int)).tolist()
        lines_of.append((SOURCES[name], layers, one))
    columns = 1 + max(len(layers) for _, layers, _ in lines_of)
    panel = Image.new("RGBA", (columns * (cell + gap) - gap, len(lines_of) * (cell + label + gap)), (0, 0, 0, 0))
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(size=20)
    for row, (text, layers, one) in enumerate(lines_of):
        top = row * (cell + label + gap)
        pen.text((0, top + 2), f"{text}: layers {layers[0]} to {layers[-1]}", fill=(117, 122, 130, 255), font=font)
        panel.paste(shown, (0, top + label))
        for column, layer in enumerate(layers):
            panel.paste(heat(shown, one[layer], looks.grid), ((1 + column) * (cell + gap), top + label))
    buffer = io.BytesIO()
    panel.save(buffer, format="WEBP", quality=86)
    return Picture(buffer.getvalue(), "Attention to the patches, source by source and layer by layer", "")

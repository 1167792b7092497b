"""What a person looks at after an examination: accuracy against budget, kind by kind, and answers that went wrong."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tamis.core.errors import ConfigError
from tamis.core.report import PALETTE, Cell, Details, Facts, Picture, Report, Section, Table, plot_style, quantity
from tamis.core.results import Run
from tamis.vision.baselines.simple import BLIND
from tamis.vision.evaluation import CONTROLS, Key, Sheet, difference, key_of
from tamis.vision.loading import Loaded
from tamis.vision.panel import fogged
from tamis.vision.selector import Selector, choose
from tamis.vision.tiny import TOKENS
from tamis.vision.tiny_data import KINDS
from tamis.vision.tiny_variants import FAMILIES
from tamis.vision.tower import extent, look
from tamis.vision.vocabulary import vocabulary

_POSITIONS = ("original", "contiguous")
_ENDS = {"all": 1.0, "text-only": 0.0}
"""Methods whose budget is fixed: the fraction that they keep."""
_OF = {"llava": "", "llava_next": " a tile", "video_llava": " a frame"}
"""`model_type` → of what a budget is a budget, where it is not the picture."""
_NEAREST = ("cdpruner", "divprune")
_SHOWN = 3
"""Flips that are drawn of a method."""


def report_on(sheet: Sheet, command: str, panels: Iterable[Picture] = ()) -> Report:
    """Lay an examination out as a report.

    Args:
        sheet: The examination.
        command: The command line that gives the same.
        panels: Pictures of answers that went wrong, from `flips`.
    """
    everything = sheet.everything
    pictures = len(np.unique(sheet.scene))
    questions = int(sheet.about().sum())
    report = Report(
        "What each budget costs in answers",
        f"{sheet.model} on {questions} questions about {pictures} pictures ({sheet.kind}, split {sheet.split}).",
    )
    unit = _OF[FAMILIES[sheet.kind]]
    facts: dict[str, Cell] = {f"accuracy, all {TOKENS} tokens{unit}": f"{sheet.accuracy(everything):.1%}"}
    for keep in _budgets(sheet):
        best = _best(sheet, keep)
        facts[f"best at {_tokens(keep)}{unit}"] = f"{best[0]} {sheet.accuracy(best):.1%}"
    report.add(Facts(facts), *warnings(sheet))
    report.add(_curve(sheet), _bars(sheet), *panels, Section("Side by side"), table(sheet))
    report.add(
        Section("How to read this"),
        "Accuracy counts the questions that need an object or a label. Two kinds are controls and told apart: the text "
        "alone answers `prior`, and `background` asks for what no object shows, so a method that keeps objects only "
        "must lose there. Agreement is the share of answers that are those of the unpruned model. Intervals are 95 %, "
        "by bootstrap over pictures.",
        "Positions are those that the kept tokens had in the full prompt, or contiguous ones, as in both papers.",
        Details("The same from the command line", command),
    )
    return report


def table(sheet: Sheet) -> Table:
    """Set all methods side by side at every budget."""
    rows: list[list[Cell]] = []
    kinds = [kind for kind in CONTROLS if kind in sheet.asked]
    order = sorted(sheet.marks, key=lambda key: (-key[1], -sheet.accuracy(key)))
    for key in order:
        method, keep, positions = key
        marks = sheet.marks[key]
        chance = _against_chance(sheet, key)
        rows.append(
            [
                method,
                f"{keep:.1%}",
                positions,
                round(sheet.accuracy(key), 4),
                round(sheet.mean(marks.same), 4),
                _with_sign(chance) if chance else None if method in BLIND else "not run",
                *(round(sheet.accuracy(key, kind), 3) for kind in kinds),
                quantity(marks.tokens),
            ]
        )
    headers = ["method", "keep", "positions", "accuracy", "agreement", "against random", *kinds, "tokens"]
    return Table(headers, rows, caption="Higher is better")


def warnings(sheet: Sheet) -> list[str]:
    """Say where a method is not better than random selection, and what is the likely reason; and what is not known."""
    said, unknown = [], []
    for key in sheet.marks:
        chance = _against_chance(sheet, key)
        if chance is None and key[0] not in BLIND:
            unknown.append(f"`{key[0]}` at {key[1]:.1%} ({key[2]})")
        if chance is None or chance[1][0] > 0:
            continue
        held = sheet.recall(key)
        reason = "" if held is None else f"; it keeps {held:.0%} of the patches that answers rest on"
        said.append(f"`{key[0]}` at {key[1]:.1%} is not better than random selection ({chance[0]:+.3f}){reason}.")
    if unknown:
        said.append(f"Not compared with random selection of the same budget and positions: {', '.join(unknown)}.")
    return said


def _against_chance(sheet: Sheet, key: Key) -> tuple[float, list[float]] | None:
    """Compare with random selection of the same budget and the same position ids; None if that was not run."""
    chance = ("random", *key[1:])
    return None if key[0] in BLIND or chance not in sheet.marks else difference(sheet, key, chance)


def _with_sign(gain: tuple[float, list[float]]) -> str:
    return f"{gain[0]:+.3f} [{gain[1][0]:+.3f}, {gain[1][1]:+.3f}]"


def _budgets(sheet: Sheet) -> list[float]:
    return sorted({key[1] for key in sheet.marks if key[0] not in ("all", "text-only")}, reverse=True)


def _best(sheet: Sheet, keep: float) -> Key:
    return max((key for key in sheet.marks if key[1] == keep and key[0] != "text-only"), key=sheet.accuracy)


def _tokens(keep: float) -> str:
    return f"{round(keep * TOKENS)} tokens"


def _curve(sheet: Sheet) -> Picture:
    """Draw accuracy against tokens kept; the position ids are those that are best for each method."""
    import matplotlib
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(key[0] for key in sheet.marks if key[0] not in ("all", "text-only")))
    with matplotlib.rc_context(plot_style()):
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.subplots()
        full = sheet.accuracy(sheet.everything)
        axes.axhline(full, color=PALETTE[-1], linestyle="--", linewidth=1.2, label="all tokens")
        for place, method in enumerate(methods):
            points = {
                keep * TOKENS: max(sheet.accuracy(key) for key in sheet.marks if key[0] == method and key[1] == keep)
                for keep in _budgets(sheet)
                if any(key[0] == method and key[1] == keep for key in sheet.marks)
            }
            dash = "-" if place < len(PALETTE) else ":"
            axes.plot(list(points), list(points.values()), label=method, linestyle=dash)
        axes.set_xscale("log", base=2)
        ticks = [round(keep * TOKENS) for keep in _budgets(sheet)]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(f"image tokens kept{_OF[FAMILIES[sheet.kind]]}")
        axes.set_ylabel("accuracy")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    told = f"{methods[0] if methods else 'no method'} and {max(0, len(methods) - 1)} others"
    return Picture.of(figure, f"Accuracy against image tokens kept, for {told}")


def _bars(sheet: Sheet) -> Picture:
    """Draw the accuracy of each kind of question at the budget nearest to a tenth."""
    import matplotlib
    from matplotlib.figure import Figure

    keep = min(_budgets(sheet) or [1.0], key=lambda one: abs(one - 0.1))
    keys = sorted((key for key in sheet.marks if key[1] == keep), key=lambda key: -sheet.accuracy(key))
    best = {key[0]: key for key in reversed(keys)}  # of two position ids the better one
    keys = [sheet.everything, *(key for key in keys if best[key[0]] == key and key != sheet.everything)][:7]
    kinds = list(dict.fromkeys(sheet.asked))
    with matplotlib.rc_context(plot_style()):
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.subplots()
        width = 0.84 / len(keys)
        for place, key in enumerate(keys):
            x = np.arange(len(kinds)) + (place - (len(keys) - 1) / 2) * width
            color = PALETTE[-1] if key[0] == "all" else PALETTE[(place - 1) % (len(PALETTE) - 1)]
            axes.bar(x, [sheet.accuracy(key, kind) for kind in kinds], width, label=key[0], color=color)
        axes.set_xticks(np.arange(len(kinds)), kinds, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_ylabel("accuracy")
        axes.set_title(f"{_tokens(keep)} of {TOKENS}, by kind of question")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return Picture.of(figure, f"Accuracy of each kind of question at {_tokens(keep)}")


def flips(loaded: Loaded, sheet: Sheet, selector: Selector) -> Picture | None:
    """Draw questions that are answered rightly with all tokens and wrongly with those that a method kept.

    Args:
        loaded: The model.
        sheet: The examination, of which the method was a part.
        selector: The method at its budget.

    Returns:
        None if there is no such question.

    Raises:
        ConfigError: If the examination is of canvases or clips.
    """
    if FAMILIES[sheet.kind] != "llava":
        raise ConfigError(f"answers to {sheet.kind} are not drawn; give an examination of scenes or sprites")
    key, words = key_of(selector), vocabulary()
    everything = sheet.marks[sheet.everything]
    turned = (everything.right == 1) & (sheet.marks[key].said != everything.said) & (sheet.about() > 0)
    numbers = np.nonzero(turned)[0]
    numbers = numbers[np.unique(sheet.scene[numbers], return_index=True)[1]][:_SHOWN]
    if not len(numbers):
        return None
    side, gap, lines = 260, 20, 92
    font = ImageFont.load_default(size=20)
    panel = Image.new("RGBA", (len(numbers) * (side + gap) - gap, side + lines), (0, 0, 0, 0))
    pen = ImageDraw.Draw(panel)
    kind = KINDS[sheet.kind]
    for column, number in enumerate(numbers.tolist()):
        picture = int(sheet.scene[number])
        drawn = kind.draw(sheet.seed, sheet.split, picture, picture + 1)
        asked = kind.ask(drawn)
        text = asked.text[number - int(np.nonzero(sheet.scene == picture)[0][0])]
        pixels = loaded.processor(images=[Image.fromarray(drawn.images[0].transpose(1, 2, 0))], return_tensors="pt")
        reads = selector.reads(*extent(loaded.tower, loaded.layers))
        view = look(loaded.tower, pixels["pixel_values"].to(loaded.device), reads, loaded.layers)
        mask = choose(selector, view).mask[0].cpu().numpy().reshape(view.grid)
        shown = Image.fromarray(drawn.images[0].transpose(1, 2, 0)).resize((side, side), Image.Resampling.NEAREST)
        left = column * (side + gap)
        panel.paste(fogged(shown, mask), (left, 0))
        written = "\n".join(textwrap.wrap(text, 25))
        pen.multiline_text((left, side + 6), written, fill=(117, 122, 130, 255), font=font, spacing=3)
        answer = f"{words[sheet.marks[key].said[number]]}, not {words[everything.said[number]]}"
        pen.text((left, side + 60), answer, fill=(213, 94, 0, 255), font=font)
    buffer = io.BytesIO()
    panel.save(buffer, format="WEBP", quality=88)
    share = sheet.mean(turned)
    return Picture(
        buffer.getvalue(),
        f"Answers that went wrong with what {selector.name} kept",
        f"{selector.name} at {round(key[1] * TOKENS)} tokens: {share:.1%} of the answers turn from right to wrong.",
    )


def answers_table(runs: Iterable[Run], part: str, methods: Sequence[str] | None = None) -> Table | None:
    """Render accuracy by method and budget out of result lines, position ids as in the full prompt.

    All tokens and text only stand at every budget: between them the budgets lie.

    Args:
        runs: Lines of any kind.
        part: Which examination: the `part` of a line's config.
        methods: Of these methods only.

    Returns:
        None if there is no such line.
    """
    cells: dict[str, dict[float, Run]] = {}
    for run in runs:
        told = run.config
        shown = methods is None or run.method in (*methods, *_ENDS)
        if _is_of(run, part) and told["positions"] == "original" and shown:
            cells.setdefault(run.method, {})[told["keep"]] = run
    budgets = sorted({keep for of in cells.values() for keep in of if 0 < keep < 1}, reverse=True)
    if not budgets:
        return None
    tenth = min(budgets, key=lambda keep: abs(keep - 0.1))
    order = sorted(
        cells, key=lambda name: -(cells[name].get(tenth) or next(iter(cells[name].values()))).metrics["accuracy"]
    )
    background = any("accuracy_background" in run.metrics for of in cells.values() for run in of.values())
    rows: list[list[Cell]] = []
    first, last = ([name] if name in cells else [] for name in _ENDS)
    for name in (*first, *(name for name in order if name not in _ENDS), *last):
        of = {keep: cells[name].get(_ENDS.get(name, keep)) for keep in budgets}
        rows.append([name, *(None if run is None else _with_interval(run) for run in of.values())])
        if background:
            known = of[tenth]
            rows[-1].append(None if known is None else round(known.metrics["accuracy_background"], 3))
    dataset = next(run.dataset for of in cells.values() for run in of.values()).partition("@")[0]
    unit = next((_OF[family] for kind, family in FAMILIES.items() if kind == dataset), "")
    headers = ["method", *(f"{_tokens(keep)}{unit}" for keep in budgets)]
    headers += [f"background, {_tokens(tenth)}"] if background else []
    return Table(headers, rows)


def inside_table(runs: Iterable[Run]) -> Table | None:
    """Render pruners inside the language model beside token selectors, by what the language model really reads.

    A budget means another thing inside the language model, whose first layers read all tokens. So lines are ordered by
    image tokens, as the mean over its layers.

    Args:
        runs: Lines of any kind.

    Returns:
        None if there is no such line.
    """
    inside = [run for run in runs if _is_of(run, "inside") and run.config["positions"] == "original"]
    rows: list[list[Cell]] = [
        [
            run.method,
            f"{run.config['keep']:.1%}",
            quantity(run.metrics["image_tokens"]),
            _with_interval(run),
            round(run.metrics["accuracy_background"], 3),
        ]
        for run in sorted(inside, key=lambda run: (-run.metrics["image_tokens"], -run.metrics["accuracy"]))
    ]
    return Table(["method", "keep", "image tokens, mean over layers", "accuracy", "background"], rows) if rows else None


def behind_table(runs: Iterable[Run]) -> Table | None:
    """Render how far the nearest methods are behind ours on scenes, paired; None if there is no such line."""
    cells: dict[str, dict[float, str]] = {}
    for run in runs:
        told = run.config
        if (
            _is_of(run, "scenes")
            and told["positions"] == "original"
            and run.method in _NEAREST
            and told["keep"] <= 0.25
            and "behind_tamis" in run.metrics
        ):
            low, high = run.intervals["behind_tamis"]
            text = f"{run.metrics['behind_tamis']:+.4f} ({low:+.4f} to {high:+.4f})"
            cells.setdefault(run.method, {})[run.config["keep"]] = text
    if not cells:
        return None
    budgets = sorted({keep for of in cells.values() for keep in of}, reverse=True)
    rows: list[list[Cell]] = [[name, *(of.get(keep) for keep in budgets)] for name, of in cells.items()]
    return Table(["behind tamis", *map(_tokens, budgets)], rows)


def positions_table(runs: Iterable[Run]) -> Table | None:
    """Render what position ids change, at a tenth of the tokens, out of result lines; None if there are none."""
    cells: dict[str, dict[str, Run]] = {}
    for run in runs:
        if _is_of(run, "scenes") and abs(run.config["keep"] - 0.1) < 0.01:
            cells.setdefault(run.method, {})[run.config["positions"]] = run
    rows: list[list[Cell]] = [
        [
            name,
            *(round(of[how].metrics[metric], 3) for metric in ("accuracy", "accuracy_where") for how in _POSITIONS),
        ]
        for name, of in cells.items()
        if len(of) == 2
    ]
    if not rows:
        return None
    headers = [f"{what}, {how}" for what in ("accuracy", "where") for how in _POSITIONS]
    return Table(["method", *headers], sorted(rows, key=lambda row: -float(row[1] or 0)))


def _is_of(run: Run, part: str) -> bool:
    return run.task == "vision/accuracy" and run.config.get("part") == part and not run.dirty


def _with_interval(run: Run) -> str:
    low, high = run.intervals["accuracy"]
    return f"{run.metrics['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def attention_table(runs: Iterable[Run]) -> Table | None:
    """Render how well [CLS], prompt and response find what answers rest on, out of result lines; None without any."""
    rows: list[list[Cell]] = []
    for run in runs:
        if run.task != "vision/attention" or run.dirty:
            continue
        best = str(run.metrics["best_layer"])
        low, high = run.intervals["auc"]
        auc = f"{run.metrics['auc']:.3f} ({low:.3f} to {high:.3f})"
        spread, place = (run.curves[name][best] for name in ("spread_tokens", "raster_place"))
        rows.append(
            [run.method, auc, int(best), round(run.metrics["auc_last_layer"], 3), quantity(spread), round(place, 3)]
        )
    return Table(["who looks", "AUC", "layer", "AUC, last layer", "spread", "place"], rows) if rows else None

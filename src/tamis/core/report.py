"""What a person looks at: tables, plots, and reports that are one HTML file.

A `Report` is a title and blocks: a paragraph (`str`), `Section`, `Facts`, `Links`, `Table`, `Picture`, `Details`.
Each block knows its HTML, its Markdown and its text for a terminal. The HTML file is complete in itself: no script, no
font, no request, and its content security policy forbids all three.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import tamis
from tamis.core.errors import InputError
from tamis.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

Cell = str | int | float | bool | None

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A8088")
"""Colours of the series of a plot, in order: Okabe and Ito's, safe for colour-blind readers; the last is a grey."""

_INK = "#757A82"  # readable on white and on the dark page alike
_NUMBER = re.compile(r"[-−+±<>≤≥~]?\s?[0-9.]")
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_DASH = "–"


def plot_style() -> Any:
    """Give the matplotlib settings that make all plots of tamis look alike.

    The background is transparent and the ink a middle grey, so that one picture serves light and dark pages; every
    series has its own marker besides its colour. Use it as `with matplotlib.rc_context(plot_style()):`.
    """
    from matplotlib.rcsetup import cycler

    ink = {f"{name}.color": _INK for name in ("text", "xtick", "ytick")}
    return {
        **ink,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.titlecolor": _INK,
        "axes.titlesize": "medium",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.labelpad": 6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=PALETTE) + cycler(marker=("o", "s", "^", "D", "v", "P", "X")),
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "figure.figsize": (5.6, 3.6),
        "figure.constrained_layout.use": True,
        "font.size": 11.0,
        "grid.color": _INK,
        "grid.alpha": 0.22,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.labelcolor": _INK,
        "lines.linewidth": 2.0,
        "lines.markersize": 5.5,
    }


@dataclass(frozen=True)
class Section:
    """A heading; what follows belongs to it."""

    title: str
    """What the section says, in a few words."""

    def html(self) -> str:
        """Render as HTML."""
        return f"<h2>{_html(self.title)}</h2>"

    def markdown(self) -> str:
        """Render as Markdown."""
        return f"## {_markdown(self.title)}"

    def print(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.text import Text

        console.print(Text(_clean(self.title), style="bold"))


@dataclass(frozen=True)
class Paragraph:
    """Prose; `backticks` mark code, a blank line starts a new paragraph. A bare `str` in a report becomes one."""

    text: str
    """The prose."""

    def html(self) -> str:
        """Render as HTML."""
        return "\n".join(f"<p>{_html(part)}</p>" for part in re.split(r"\n\s*\n", self.text.strip()))

    def markdown(self) -> str:
        """Render as Markdown."""
        return _markdown(self.text.strip())

    def print(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.text import Text

        console.print(Text(_clean(self.text.strip())))


@dataclass(frozen=True)
class Facts:
    """The few figures that a reader came for, set large."""

    facts: Mapping[str, Cell]
    """What each figure is, and the figure with its unit: `{"tokens kept": "58 of 576"}`."""

    def html(self) -> str:
        """Render as HTML."""
        pairs = (f"<div><dt>{_html(name)}</dt><dd>{_html(_text(fact))}</dd></div>" for name, fact in self.facts.items())
        return f'<dl class="facts">{"".join(pairs)}</dl>'

    def markdown(self) -> str:
        """Render as Markdown."""
        return "\n".join(f"- {_markdown(name)}: **{_markdown(_text(fact))}**" for name, fact in self.facts.items())

    def print(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.table import Table as RichTable
        from rich.text import Text

        grid = RichTable.grid(padding=(0, 2))
        for name, fact in self.facts.items():
            grid.add_row(Text(_clean(name)), Text(_clean(_text(fact)), style="bold"))
        console.print(grid)


@dataclass(frozen=True)
class Links:
    """Other pages, one a line, each with what is to be found there."""

    pages: Mapping[str, tuple[str, str]]
    """Title of each page, where it lies relative to this one, and one sentence."""

    def html(self) -> str:
        """Render as HTML."""
        items = (
            f'<li><a href="{html.escape(quote(_clean(where)))}">{_html(title)}</a><br>{_html(said)}</li>'
            for title, (where, said) in self.pages.items()
        )
        return f'<ul class="links">{"".join(items)}</ul>'

    def markdown(self) -> str:
        """Render as Markdown."""
        lines = (
            f"- [{_markdown(title)}]({quote(_clean(where))}): {_markdown(said)}"
            for title, (where, said) in self.pages.items()
        )
        return "\n".join(lines)

    def print(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.text import Text

        for title, (where, _) in self.pages.items():
            console.print(Text(_clean(f"{title}: {where}")))


@dataclass(frozen=True)
class Table:
    """A table: columns of numbers stand right-aligned, the floats of a column with the same number of decimals."""

    headers: Sequence[str]
    """One heading a column."""
    rows: Sequence[Sequence[Cell]]
    """The cells; None is shown as a dash."""
    caption: str = ""
    """What the table shows."""
    notes: Sequence[str] = ()
    """Remarks below the table."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise InputError(
                    f"a row of the table {self.caption!r} has {len(row)} cells; expected {len(self.headers)}, "
                    f"one for each of {', '.join(self.headers)}"
                )

    @cached_property
    def _columns(self) -> list[list[str]]:
        return [_format_column([row[i] for row in self.rows]) for i in range(len(self.headers))]

    @cached_property
    def _numeric(self) -> list[bool]:
        return [_is_numeric(column) for column in self._columns]

    def html(self) -> str:
        """Render as HTML: the table in a box of its own that scrolls sideways where the page is too narrow."""
        kind = [' class="number"' if numeric else "" for numeric in self._numeric]
        head = "".join(f'<th scope="col"{k}>{_html(h)}</th>' for k, h in zip(kind, self.headers, strict=True))
        body = "\n".join(
            "<tr>" + "".join(f"<td{k}>{_html(cell)}</td>" for k, cell in zip(kind, row, strict=True)) + "</tr>"
            for row in zip(*self._columns, strict=True)
        )
        caption = f"<figcaption>{_html(self.caption)}</figcaption>" if self.caption else ""
        label = html.escape(_clean(self.caption or ", ".join(self.headers)))
        notes = "".join(f'<p class="note">{_html(note)}</p>' for note in self.notes)
        return (
            f'<figure class="table">{caption}<div class="scroll" role="region" tabindex="0" aria-label="{label}">'
            f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>{notes}</figure>"
        )

    def markdown(self) -> str:
        """Render as a GitHub table, in columns of equal width so that the source is readable too."""
        columns = [
            [_markdown_cell(header), *map(_markdown_cell, column)]
            for header, column in zip(self.headers, self._columns, strict=True)
        ]
        widths = [max(3, *map(len, column)) for column in columns]
        rule = ["-" * (w - 1) + ":" if n else "-" * w for w, n in zip(widths, self._numeric, strict=True)]
        lines = [
            [cell.rjust(w) if n else cell.ljust(w) for cell, w, n in zip(row, widths, self._numeric, strict=True)]
            for row in zip(*columns, strict=True)
        ]
        lines.insert(1, rule)
        parts = ["\n".join(f"| {' | '.join(line)} |" for line in lines), *map(_markdown, self.notes)]
        return "\n\n".join([_markdown(self.caption), *parts] if self.caption else parts)

    def print(self, console: Console | None = None) -> None:
        """Print to a terminal, folded to its width; to a pipe or a file in full width and without colour codes.

        Args:
            console: Where to; the standard output when absent.
        """
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        console = console or terminal()
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for header, numeric in zip(self.headers, self._numeric, strict=True):
            table.add_column(Text(_clean(header)), justify="right" if numeric else "left")
        for row in zip(*self._columns, strict=True):
            table.add_row(*(Text(_clean(cell)) for cell in row))
        if self.caption:
            console.print(Text(_clean(self.caption)))
        console.print(table)
        for note in self.notes:
            console.print(Text(_clean(note), style="dim"))


@dataclass(frozen=True)
class Picture:
    """A picture. Pictures that follow one another in a report stand side by side where there is room."""

    data: bytes
    """The bytes of a PNG, JPEG or WebP file."""
    alt: str
    """What is to be seen, for those who do not see it."""
    caption: str = ""
    """What is said below it."""
    width: int | None = None
    """Width on the page in CSS pixels; None is the picture's own."""

    def __post_init__(self) -> None:
        if not self.alt:
            raise InputError("a picture has no alternative text; say in `alt` what is to be seen")
        self._media_type()

    @classmethod
    def of(cls, figure: Figure, alt: str, caption: str = "") -> Picture:
        """Draw a matplotlib figure, at twice the resolution of the page.

        Args:
            figure: The figure, drawn under `plot_style`.
            alt: What is to be seen, for those who do not see it.
            caption: What is said below it.

        Returns:
            The picture, as wide on the page as the figure is in inches, at 96 pixels an inch.
        """
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=192, metadata={"Software": None})
        data = buffer.getvalue()
        return cls(data, alt, caption, width=struct.unpack(">I", data[16:20])[0] // 2)

    def html(self) -> str:
        """Render as HTML, the bytes within the page."""
        width = f' width="{self.width}"' if self.width else ""
        caption = f"<figcaption>{_html(self.caption)}</figcaption>" if self.caption else ""
        source = f"data:{self._media_type()};base64,{base64.b64encode(self.data).decode()}"
        return f'<figure><img src="{source}" alt="{html.escape(_clean(self.alt))}"{width}>{caption}</figure>'

    def markdown(self) -> str:
        """Render as Markdown: the words only, since Markdown holds no pictures."""
        return f"*Picture: {_markdown(self.alt)}*" + (f" {_markdown(self.caption)}" if self.caption else "")

    def print(self, console: Console) -> None:
        """Print to a terminal: nothing, the terminal shows no pictures."""

    def _media_type(self) -> str:
        if self.data.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png"
        if self.data.startswith(b"\xff\xd8\xff"):
            return "image/jpeg"
        if self.data[:4] == b"RIFF" and self.data[8:12] == b"WEBP":
            return "image/webp"
        raise InputError(
            f"the picture {self.alt!r} starts with {self.data[:8]!r}; expected the bytes of a PNG, JPEG or WebP file"
        )


@dataclass(frozen=True)
class Details:
    """Something long that opens on demand: code, or anything that JSON can hold."""

    summary: str
    """What is inside."""
    content: object
    """Text, shown as it is, or a value, shown as JSON."""

    def html(self) -> str:
        """Render as HTML."""
        return (
            f"<details><summary>{_html(self.summary)}</summary><pre>{html.escape(_clean(self._text()))}</pre></details>"
        )

    def markdown(self) -> str:
        """Render as Markdown."""
        text = _clean(self._text())
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        language = "" if isinstance(self.content, str) else "json"
        return f"{_markdown(self.summary)}\n\n{fence}{language}\n{text}\n{fence}"

    def print(self, console: Console) -> None:
        """Print to a terminal: nothing, the file has it."""

    def _text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return json.dumps(self.content, indent=2, ensure_ascii=False, allow_nan=False)


Block = Section | Paragraph | Facts | Links | Table | Picture | Details


class Report:
    """A title and blocks; `write` makes one HTML file of them that needs nothing else.

    Args:
        title: What the report is about.
        lead: One or two sentences that say the result.

    Examples:
        >>> report = Report("Receipt", "58 of 576 tokens kept.")
        >>> report.add(Section("Cost"), "Measured on this machine.", Table(["step", "ms"], [["tower", 12.5]]))
        >>> print(report.markdown())
        # Receipt
        <BLANKLINE>
        58 of 576 tokens kept.
        <BLANKLINE>
        ## Cost
        <BLANKLINE>
        Measured on this machine.
        <BLANKLINE>
        | step  |   ms |
        | ----- | ---: |
        | tower | 12.5 |
        <BLANKLINE>
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.lead = lead
        self.blocks: list[Block] = []

    def add(self, *blocks: Block | str) -> None:
        """Append blocks; a `str` is a paragraph."""
        self.blocks.extend(Paragraph(block) if isinstance(block, str) else block for block in blocks)

    def html(self) -> str:
        """Render the page: one HTML document with its style and pictures inside."""
        style = resources.files("tamis.core").joinpath("report.css").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        body: list[str] = []
        for pictures, blocks in groupby(self.blocks, key=lambda block: isinstance(block, Picture)):
            parts = "\n".join(block.html() for block in blocks)
            body.append(f'<div class="pictures">\n{parts}\n</div>' if pictures else parts)
        lead = f'<p class="lead">{_html(self.lead)}</p>' if self.lead else ""
        return "\n".join(
            [
                '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
                f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">',
                f"<title>{html.escape(_clean(self.title))}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>",
                f"<header><h1>{_html(self.title)}</h1>{lead}</header>",
                *body,
                f"</main>\n<footer>Written by tamis {tamis.__version__}; runs no script, asks no server.</footer>",
                "</body>\n</html>\n",
            ]
        )

    def markdown(self) -> str:
        """Render as GitHub Markdown; pictures are named by their alternative text."""
        head = [f"# {_markdown(self.title)}", *([_markdown(self.lead)] if self.lead else [])]
        return "\n\n".join([*head, *(block.markdown() for block in self.blocks)]) + "\n"

    def print(self, console: Console | None = None) -> None:
        """Print what a terminal can show: everything but pictures and details.

        Args:
            console: Where to; the standard output when absent.
        """
        from rich.text import Text

        console = console or terminal()
        console.print(Text(_clean(self.title), style="bold"))
        if self.lead:
            console.print(Text(_clean(self.lead)))
        for block in self.blocks:
            if not isinstance(block, Picture | Details):
                console.print()
                block.print(console)

    def write(self, path: str | Path) -> Path:
        """Write the HTML file, whole or not at all.

        Args:
            path: Where to; folders on the way are made, an older file is replaced.

        Returns:
            The path.

        Raises:
            FileError: If it cannot be written there.
        """
        return write_whole(path, self.html())


def terminal() -> Console:
    """Open the standard output; only where a person reads are lines folded and headings set bold."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)


def size(count: int | float) -> str:
    """Write a number of bytes as people do, in powers of 1000, to three digits.

    >>> size(46_210), size(999_700)
    ('46.2 KB', '1 MB')
    """
    for unit in ("B", "KB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def quantity(count: int | float) -> str:
    """Write how many there are: as it is where it is whole, a mean that is not with one decimal.

    >>> quantity(14.0), quantity(14.4), quantity(13.96)
    ('14', '14.4', '14.0')
    """
    return str(round(count)) if math.isclose(count, round(count), abs_tol=1e-6) else f"{count:.1f}"


def _format_column(cells: Sequence[Cell]) -> list[str]:
    floats = [abs(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    largest = max(floats, default=0.0)
    decimals = max(0, 3 - math.floor(math.log10(largest))) if largest else 0
    decimals = max((len(f"{value:.{min(decimals, 4)}f}".rstrip("0").partition(".")[2]) for value in floats), default=0)
    return [_text(cell, decimals) for cell in cells]


def _text(cell: Cell, decimals: int | None = None) -> str:
    if cell is None:
        return _DASH
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        shown = f"{cell:.4g}" if decimals is None else f"{cell:.{decimals}f}"
        return shown if float(shown) or not cell else f"{cell:.2g}"
    return str(cell)


def _is_numeric(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if cell not in (_DASH, "")]
    return bool(filled) and all(cell == "not run" or _NUMBER.match(cell) for cell in filled)


def _clean(text: str) -> str:
    """Show control characters, bidirectional overrides and lone surrogates as the replacement character."""
    return _UNSAFE.sub("\ufffd", text)


def _html(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(_clean(text)))


def _markdown(text: str) -> str:
    parts = re.split(r"(`[^`]+`)", _clean(text))
    return "".join(part if i % 2 else _escape_markdown(part) for i, part in enumerate(parts))


def _escape_markdown(text: str) -> str:
    text = re.sub(r"([\\`*\[\]<>])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def _markdown_cell(text: str) -> str:
    return re.sub(r"\s+", " ", _markdown(text)).replace("|", "\\|")

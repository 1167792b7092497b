import base64
import hashlib
import html.parser
import io
import os
import re
import struct
import zlib
from pathlib import Path

import pytest
from rich.console import Console

from tamis.core.errors import FileError, InputError
from tamis.core.report import PALETTE, Details, Facts, Links, Picture, Report, Section, Table, plot_style, size


def png(width: int = 2, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Page(html.parser.HTMLParser):
    """Every tag with its attributes, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def printed(block: Table | Links | Report, width: int = 80) -> str:
    file = io.StringIO()
    block.print(Console(file=file, width=width))
    return file.getvalue()


def cells(table: Table) -> list[str]:
    return [line.strip("| ") for line in table.markdown().splitlines()[2:]]


def test_markdown_tables_escape_pipes_and_align_numbers_to_the_right() -> None:
    table = Table(["file", "ms"], [["a|b", 12.5], ["c", 3.0]])
    assert table.markdown() == "| file |   ms |\n| ---- | ---: |\n| a\\|b | 12.5 |\n| c    |  3.0 |"


def test_a_line_break_in_a_cell_does_not_break_the_markdown_table() -> None:
    assert len(Table(["name"], [["two\nlines"]]).markdown().splitlines()) == 3


def test_floats_of_a_column_share_their_decimals() -> None:
    assert cells(Table(["x"], [[0.78523], [0.5], [None]])) == ["0.7852", "0.5000", "–"]
    assert cells(Table(["x"], [[12.0], [3.0]])) == ["12", "3"]


def test_a_value_too_small_for_its_column_is_not_shown_as_zero() -> None:
    assert cells(Table(["x"], [[1000.6], [0.00012], [0.0]])) == ["1001", "0.00012", "0"]


def test_a_row_of_the_wrong_length_is_refused_with_the_headings() -> None:
    with pytest.raises(InputError, match=r"has 1 cells; expected 2, one for each of a, b"):
        Table(["a", "b"], [["only one"]])


def test_an_empty_table_renders_everywhere() -> None:
    table = Table(["a", "b"], [])
    assert "| a" in table.markdown()
    assert "<tbody>" in table.html()
    assert "a" in printed(table)


def test_terminal_tables_fold_to_the_width_of_the_terminal() -> None:
    table = Table(["name", "what it says"], [["one", "word " * 40]])
    assert max(map(len, printed(table, width=60).splitlines())) <= 60


def test_a_pipe_gets_full_lines_without_colour_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Table(["name"], [["word " * 40 + "end"]]).print()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert any(line.strip().endswith("end") and len(line) > 200 for line in out.splitlines())


def test_square_brackets_are_text_and_not_rich_markup() -> None:
    assert "[bold]" in printed(Table(["[CLS]"], [["[bold]x"]]))


HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\x00\u202e\ud800"


def test_everything_hostile_is_text_in_the_page(tmp_path: Path) -> None:
    report = Report(HOSTILE, HOSTILE)
    report.add(
        Section(HOSTILE), HOSTILE, f"`{HOSTILE}`",
        Facts({HOSTILE: HOSTILE}), Table([HOSTILE], [[HOSTILE]], HOSTILE, [HOSTILE]),
        Picture(png(), HOSTILE, HOSTILE), Details(HOSTILE, HOSTILE), Details("json", {"name": HOSTILE}),
        Links({HOSTILE: ("page.html", HOSTILE)}),
    )  # fmt: skip
    text = report.write(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not {name for _, attributes in page.tags for name in attributes if name.startswith("on")}
    assert not re.search("[\x00\x1b\u202e]", text)
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in printed(report)
    assert "\x1b" not in report.markdown()


def test_the_page_needs_nothing_from_outside() -> None:
    report = Report("Title")
    report.add(Picture(png(), "grey"), Table(["a"], [[1]]), "See https://example.org for more.")
    page = Page(report.html())
    links = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href", "srcset")
    ]
    assert links
    assert all(link is not None and link.startswith("data:image/") for link in links)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert not re.search(r"@import|url\(", report.html())


def test_the_content_security_policy_allows_the_own_style_and_data_pictures_only() -> None:
    text = Report("Title").html()
    (policy,) = (a["content"] for _, a in Page(text).tags if a.get("http-equiv") == "Content-Security-Policy")
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (policy or "").split("; ")[:3] == ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'"]
    assert not any("style" in attributes for _, attributes in Page(text).tags)


def test_tables_scroll_in_their_own_box_and_can_be_reached_by_keyboard() -> None:
    report = Report("Title")
    report.add(Table(["a"], [[1]], "What it shows"))
    box = next(attributes for _, attributes in Page(report.html()).tags if attributes.get("class") == "scroll")
    assert (box["role"], box["tabindex"], box["aria-label"]) == ("region", "0", "What it shows")


def test_pictures_in_a_row_share_one_grid_and_keep_their_bytes() -> None:
    report = Report("Title")
    report.add(Picture(png(1), "one"), Picture(png(2), "two"), "between", Picture(png(3), "three"))
    tags = Page(report.html()).tags
    assert sum(attributes.get("class") == "pictures" for _, attributes in tags) == 2
    sources = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert [base64.b64decode((source or "").partition(",")[2]) for source in sources] == [png(1), png(2), png(3)]


@pytest.mark.parametrize(
    ("data", "kind"), [(png(), "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp")]
)
def test_the_kind_of_a_picture_is_read_from_its_bytes(data: bytes, kind: str) -> None:
    assert f'src="data:image/{kind};base64,' in Picture(data, "something").html()


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(InputError, match="expected the bytes of a PNG, JPEG or WebP file"):
        Picture(b"<svg onload='x'>", "vector")


def test_a_picture_without_alternative_text_is_refused() -> None:
    with pytest.raises(InputError, match="alternative text"):
        Picture(png(), "")


def test_a_figure_becomes_a_picture_of_its_size_in_css_pixels_with_the_same_bytes_every_time() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    figure_class = pytest.importorskip("matplotlib.figure").Figure

    def draw() -> Picture:
        with matplotlib.rc_context(plot_style()):
            figure = figure_class(figsize=(2, 1))
            figure.subplots().plot([0, 1], [0, 1])
            return Picture.of(figure, "a rising line")

    picture = draw()
    assert picture.width == 192
    assert struct.unpack(">II", picture.data[16:24]) == (384, 192)
    assert picture.data == draw().data


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_plot_ink_can_be_read_on_the_light_and_the_dark_page() -> None:
    ink = plot_style()["text.color"]
    assert min(contrast(ink, "#ffffff"), contrast(ink, "#131518")) > 4
    assert all(min(contrast(c, "#ffffff"), contrast(c, "#131518")) > 2.2 for c in PALETTE)


LINKS = Links({"radio": ("radio/index.html", "What a receiver *hears*."), "two": ("a b/[c].html", "More.")})


def test_links_lead_to_pages_beside_this_one_with_one_sentence_each() -> None:
    page = Page(LINKS.html())
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == [
        "radio/index.html",
        "a%20b/%5Bc%5D.html",
    ]
    assert page.text == "radioWhat a receiver *hears*.twoMore."
    assert LINKS.markdown() == (
        "- [radio](radio/index.html): What a receiver \\*hears\\*.\n- [two](a%20b/%5Bc%5D.html): More."
    )
    assert printed(LINKS) == "radio: radio/index.html\ntwo: a b/[c].html\n"


def test_a_link_can_neither_leave_its_attribute_nor_become_a_script() -> None:
    page = Page(Links({"a": ('" onclick="x', ""), "b": ("javascript:alert(1)", ""), "c": (HOSTILE, "")}).html())
    for tag, attributes in page.tags:
        assert tag in ("ul", "li", "a", "br")
        assert not {name for name in attributes if name.startswith("on")}
        assert not re.match(r"\s*\w+:", attributes.get("href") or "")


def test_links_are_part_of_the_page_as_printed() -> None:
    report = Report("Title")
    report.add(LINKS)
    assert "radio: radio/index.html" in printed(report)
    assert LINKS.html() in report.html()


def test_details_show_values_as_json_and_survive_backticks() -> None:
    block = Details("Kept", {"kept": [1, 2], "name": "```"})
    assert '"kept": [' in block.html().replace("&quot;", '"')
    assert "\n````json\n" in block.markdown()


def test_a_report_is_written_as_one_file_with_the_folders_on_the_way(tmp_path: Path) -> None:
    report = Report("Title")
    path = report.write(tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == report.html()
    assert os.listdir(path.parent) == ["report.html"]


def test_a_report_cannot_take_the_place_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        Report("title").write(tmp_path)


@pytest.mark.parametrize(
    ("count", "written"),
    [(1, "1 B"), (999, "999 B"), (1000, "1 KB"), (46_210, "46.2 KB"), (999_499, "999 KB"), (999_500, "1 MB"),
     (2_836_000, "2.84 MB"), (21e9, "21 GB")],
)  # fmt: skip
def test_sizes_are_written_with_three_digits(count: float, written: str) -> None:
    assert size(count) == written

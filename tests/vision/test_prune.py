"""The prune and ask verbs, from the command line to the files they write, on a small model directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tests.vision.small import PATCHES, build, save

from tamis.cli import main
from tamis.vision.ask import ask, batch_for
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.loading import load
from tamis.vision.methods import SELECTORS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(build("llava"), tmp_path_factory.mktemp("models") / "llava"))


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (50, 40)) -> Path:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def run(*arguments: object) -> int:
    return main(["vision", *map(str, arguments)])


def kept_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "kept.json").read_text())


def test_one_photo_gives_a_page_and_the_indices_that_the_library_gives(model: str, tmp_path: Path) -> None:
    file = photo(tmp_path / "cat.png")
    before = file.read_bytes()
    assert run("prune", file, "--keep", "25%,4", "--model", model, "--out", tmp_path / "out") == 0
    kept = kept_of(tmp_path / "out")
    loaded = load(model)
    ids = torch.full((1, PATCHES + 1), 100)
    ids[0, -1] = 5
    pixels = loaded.pixels([Image.open(file)])
    expected = FasterVLM("25%").prepare(loaded.model, input_ids=ids, pixel_values=pixels).kept[0].tolist()
    assert kept["pictures"][0]["kept"]["fastervlm"]["25%"] == expected
    assert set(kept["pictures"][0]["kept"]) == {"fastervlm", "vtc-cls", "tamis", "random"}
    assert {len(of) for of in kept["pictures"][0]["kept"]["tamis"].values()} == {4}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "cat.png" in page
    assert "data:image/webp" in page
    assert file.read_bytes() == before


def test_every_method_runs_and_random_is_always_there(model: str, tmp_path: Path) -> None:
    file = photo(tmp_path / "cat.png")
    names = ",".join(name for name in SELECTORS if name != "random")
    out = tmp_path / "out"
    assert run("prune", file, "--keep", "5", "--method", names, "--model", model, "--out", out) == 0
    kept = kept_of(out)["pictures"][0]["kept"]
    counts = {name: {keep: len(indices) for keep, indices in of.items()} for name, of in kept.items()}
    assert counts == {**{name: {"5": 5} for name in SELECTORS}, "all": {"100%": PATCHES}, "text-only": {"0": 0}}
    page = (out / "index.html").read_text()
    assert "text-only covers" not in page
    assert "all holds" not in page


def test_a_folder_continues_past_broken_files_and_lists_them(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for index in range(5):
        photo(folder / f"{index}.png", index, size=(30 + index, 60))
    photo(folder / "sub" / "deep.jpg")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:300])
    out = tmp_path / "out"
    assert run("prune", folder, "--keep", "4", "--model", model, "--out", out, "--batch", "3") == 0
    kept = kept_of(out)
    assert [one["file"] for one in kept["pictures"]] == ["0.png", "1.png", "2.png", "3.png", "4.png", "sub/deep.jpg"]
    assert sorted(one["file"] for one in kept["failed"]) == ["cut.png", "empty.png", "text.jpg"]
    captured = capsys.readouterr()
    assert captured.err.count("not read") == 3
    assert "text.jpg" in (out / "index.html").read_text()


def test_batches_of_any_size_keep_the_same_patches(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(4):
        photo(folder / f"{index}.png", index)
    for batch in (1, 3):
        assert (
            run("prune", folder, "--keep", "5", "--model", model, "--out", tmp_path / str(batch), "--batch", batch) == 0
        )
    one, three = (kept_of(tmp_path / str(batch)) for batch in (1, 3))
    assert one["pictures"] == three["pictures"]


def test_a_video_gives_its_frames(model: str, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    out = tmp_path / "out"
    assert run("prune", file, "--keep", "4", "--model", model, "--out", out, "--frames", "3") == 0
    assert [one["file"] for one in kept_of(out)["pictures"]] == [f"clip.mp4, frame {i} of 3" for i in (1, 2, 3)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--keep", "0"], 2, "budget is '0'"),
        (["--keep", "nan"], 2, "budget is 'nan'"),
        (["--keep", "17"], 2, "there are only 16"),
        (["--method", "magic"], 2, "no method 'magic'"),
        (["--keep", ",".join(f"{i / 100:.2f}" for i in range(1, 99))], 2, "at most 200"),
        (["--batch", "0"], 2, "batch"),
        (["--device", "toaster"], 2, "device"),
        (["--frames", "x"], 2, "frames"),
    ],
)
def test_bad_usage_is_one_clear_line_and_writes_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    out = tmp_path / "out"
    assert run("prune", photo(tmp_path / "a.png"), "--model", model, "--out", out, *arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (out / "index.html").exists()
    assert not (out / "kept.json").exists()


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"hello", None])
def test_a_single_file_that_is_no_picture_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "bad.jpg"
    if content is not None:
        file.write_bytes(content)
    assert run("prune", file, "--model", model, "--out", tmp_path / "out") == 2
    assert "bad.jpg" in capsys.readouterr().err


def test_a_picture_over_the_limit_has_its_own_exit_code(model: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.png"
    Image.new("1", (9000, 9000)).save(file)
    assert run("prune", file, "--model", model, "--out", tmp_path / "out") == 3


@pytest.mark.parametrize("name", ["llava", "llava_next", "video_llava"])
def test_an_answer_with_everything_kept_is_the_models_own(name: str, tmp_path: Path) -> None:
    stock = build(name)
    loaded = load(str(save(stock, tmp_path / name)))
    picture = Image.open(photo(tmp_path / "a.png", size=(70, 40)))
    answers = ask(loaded, picture, "What is this ?", [FasterVLM("25%")], max_new_tokens=4)
    batch = batch_for(loaded, picture, "What is this ?")
    expected = stock.generate(**batch, max_new_tokens=4, do_sample=False, pad_token_id=2)
    text = loaded.tokenizer.decode(expected[0, batch["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert answers[0].answer == text
    assert answers[0].same
    full, pruned = answers
    assert pruned.prompt_tokens == full.prompt_tokens - full.image_tokens + pruned.image_tokens
    assert pruned.image_tokens < full.image_tokens
    assert full.kv_bytes == full.prompt_tokens * loaded.bytes_per_token


def test_ask_prints_answers_and_costs(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = photo(tmp_path / "a.png")
    arguments = [
        "ask",
        file,
        "What is this ?",
        "--model",
        model,
        "--keep",
        "50%,4",
        "--method",
        "fastervlm,random,fastv",
    ]
    assert run(*arguments, "--max-new-tokens", "3", "--json") == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(one["method"], one["keep"], one["image_tokens"]) for one in answers] == [
        ("all", "100%", 16),
        ("fastervlm", "50%", 8),
        ("fastervlm", "4", 4),
        ("random", "50%", 8),
        ("random", "4", 4),
        ("fastv", "50%", pytest.approx((16 + 16 + 8) / 3)),  # three layers, of which the third is short
        ("fastv", "4", pytest.approx((16 + 16 + 4) / 3)),
    ]
    assert run(*arguments, "--max-new-tokens", "3") == 0
    assert "pruned answers differ" in capsys.readouterr().out


def test_a_question_that_holds_the_image_token_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", photo(tmp_path / "a.png"), "What is <image> ?", "--model", model) == 2
    assert "<image>" in capsys.readouterr().err

"""Published benchmarks are run through a double of lmms-eval: its interface and its habits, with a tiny real LLaVA."""

from __future__ import annotations

import argparse
import sys
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tests.vision.small import PATCHES, build, collate, sample, save
from transformers import LlavaForConditionalGeneration

import vision_accuracy
from tamis.core import results
from tamis.core.results import Run, read_runs
from tamis.core.tables import paper_table
from tamis.vision.methods import selectors_at

TASKS = {
    "gqa": ("testdev", {"exact_match,none": 0.5}),
    "pope": ("test", {"pope_accuracy,none": 0.9, "pope_f1_score,none": 0.75}),
    "mmbench_en_dev_static": ("dev", {"gpt_eval_score,none": 64.0}),
    "textvqa_val": ("validation", {"exact_match,none": 0.25}),
}
QUESTIONS = 2


@dataclass
class Seen:
    """What the double was asked, and what the language model saw of it, one entry a call of the harness."""

    created: dict[str, Any] = field(default_factory=dict)
    tasks: list[list[dict[str, Any]]] = field(default_factory=list)
    answers: list[list[list[int]]] = field(default_factory=list)
    lengths: list[list[int]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    broken: bool = False
    offline: Exception | None = None


def asked(model: Any) -> list[dict[str, torch.Tensor]]:
    return [collate([sample(model, images=1, seed=2 * seed)]) for seed in range(QUESTIONS)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Put the double where `import lmms_eval` finds it, and say what it sees."""
    seen = Seen()

    class LlavaHf:
        def __init__(self, **settings: Any) -> None:
            seen.created = settings
            self._model = LlavaForConditionalGeneration.from_pretrained(settings["pretrained"]).eval()

        @property
        def model(self) -> Any:
            return self._model

        def clean(self) -> None:
            del self._model

        def generate_until(self, inputs: dict[str, torch.Tensor]) -> list[int]:
            try:
                if seen.broken:
                    inputs = {**inputs, "input_ids": inputs["input_ids"][:, -1:]}
                output = self.model.generate(
                    **inputs, do_sample=False, num_beams=1, max_new_tokens=4, use_cache=True, pad_token_id=2
                )
                return output[0, inputs["input_ids"].shape[-1] :].tolist()
            except Exception:  # the harness's habit
                return []

    def simple_evaluate(
        model: LlavaHf,
        *,
        tasks: list[dict[str, Any]],
        limit: int | None,
        bootstrap_iters: int,
        log_samples: bool,
        cli_args: argparse.Namespace,
    ) -> dict[str, Any]:
        if seen.offline:
            raise seen.offline
        assert log_samples
        seen.tasks.append(deepcopy(tasks))
        seen.folders.append(Path(cli_args.output_path))
        lengths: list[int] = []
        hook = model.model.model.language_model.register_forward_pre_hook(
            lambda module, args, kwargs: lengths.append(kwargs["inputs_embeds"].shape[1]), with_kwargs=True
        )
        answers = [model.generate_until(inputs) for inputs in asked(model.model)[:limit]]
        hook.remove()
        seen.answers.append(answers)
        seen.lengths.append([length for length in lengths if length > 1])
        model.clean()
        names = [task.pop("task") for task in tasks]  # it takes the dictionaries apart
        return {
            "results": {name: {"alias": name, **TASKS[name][1]} for name in names},
            "configs": {name: {"test_split": TASKS[name][0]} for name in names},
            "samples": {
                name: [
                    {"doc_id": i, "arguments": [f"question {i}", {}, i], "target": "yes", "resps": [[answer]]}
                    for i, answer in reversed(list(enumerate(answers)))
                ]
                for name in names
            },
            "lmms_eval_version": "0.0-double",
        }

    def module(name: str, **content: Any) -> ModuleType:
        made = ModuleType(name)
        made.__spec__ = ModuleSpec(name, None)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    evaluator = module("lmms_eval.evaluator", simple_evaluate=simple_evaluate)
    llava_hf = module("lmms_eval.models.simple.llava_hf", LlavaHf=LlavaHf, VICUNA_CHAT_TEMPLATE="vicuna")
    simple = module("lmms_eval.models.simple", llava_hf=llava_hf)
    models = module("lmms_eval.models", simple=simple)
    module("lmms_eval", evaluator=evaluator, models=models)
    module("decord")
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(build("llava"), tmp_path_factory.mktemp("weights") / "llava-1.5-7b-hf")


def run(folder: Path, *more: str) -> int:
    return vision_accuracy.main(["--model", str(folder), "--device", "cpu", *more])


def only_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The message, which is one line; bars of transformers may stand before it."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line and "Loading weights" not in line]
    return line


def test_all_answers_as_the_stock_model_and_the_others_see_shorter_prompts(seen: Seen, folder: Path) -> None:
    assert run(folder, "--tasks", "gqa", "--keep", "25%", "--method", "fastervlm,text-only") == 0
    stock = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    prompts = asked(stock)
    expected = [
        stock.generate(**prompt, do_sample=False, max_new_tokens=4, pad_token_id=2)[0, prompt["input_ids"].shape[1] :]
        for prompt in prompts
    ]
    unpruned, random, fastervlm, text_only = seen.answers
    assert unpruned == [answer.tolist() for answer in expected]
    assert all(map(len, [*text_only, *random, *fastervlm]))
    full = [prompt["input_ids"].shape[1] for prompt in prompts]
    dropped = [0, PATCHES * 3 // 4, PATCHES * 3 // 4, PATCHES]
    assert seen.lengths == [[length - fewer for length in full] for fewer in dropped]


def test_lines_hold_every_benchmark_and_stand_beside_the_published_ones(
    seen: Seen, folder: Path, written: Path
) -> None:
    assert run(folder, "--tasks", "gqa,pope,mmb", "--keep", "4,8", "--write") == 0
    runs = read_runs(written)
    assert [(run.method, run.config["tokens"]) for run in runs] == [
        ("all", 16),
        ("random", 4),
        ("random", 8),
        ("fastervlm", 4),
        ("fastervlm", 8),
    ]
    for line in runs:
        assert (line.task, line.split, line.n) == ("vision/accuracy", "testdev+test+dev", 3 * QUESTIONS)
        assert line.metrics == {"gqa": 0.5, "pope": 0.75, "mmb": 0.64}
        assert line.config["keep"] == line.config["tokens"] / PATCHES
        assert line.config["model"] == "llava-1.5-7b"
        assert line.seeds == ([0] if line.method == "random" else [])
        assert line.dataset == runs[0].dataset
        assert line.dataset.startswith("gqa+pope+mmb@sha256:")
        assert not line.headline
    published = Run(
        task="vision/accuracy",
        method="fastervlm",
        dataset="ten-benchmarks",
        split="as published",
        n=None,
        metrics={"gqa": 0.4},
        config={"keep": 0.25, "model": "llava-1.5-7b", "tokens": 144},
        source={"paper": "arXiv:0000.00000", "table": "figure", "row": "row"},
    )
    (row,) = paper_table([published], runs, metrics=["gqa"], command="").rows
    assert row[3:5] == [0.4, 0.5]


def test_the_harness_is_told_the_prompt_the_ocr_words_and_a_folder_of_its_own(seen: Seen, folder: Path) -> None:
    assert run(folder, "--tasks", "textvqa", "--keep", "25%", "--limit", "1") == 0
    assert seen.created["chat_template"] == "vicuna"
    assert (seen.created["batch_size"], seen.created["device"], seen.created["device_map"]) == (1, "cpu", "cpu")
    assert len(seen.tasks) == 3
    for (task,) in seen.tasks:
        assert task["task"] == "textvqa_val"
        assert task["lmms_eval_specific_kwargs"]["default"]["ocr"] is True
    assert [len(answers) for answers in seen.answers] == [1, 1, 1]
    assert not any(path.exists() for path in seen.folders)


def test_a_method_that_is_not_better_than_chance_is_said_to_be_so(
    seen: Seen, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, "--tasks", "gqa,pope", "--keep", "4")
    assert "fastervlm, 4 tokens: not better than random in gqa, pope." in capsys.readouterr().out


def test_a_failed_generation_ends_the_run_instead_of_counting_as_a_wrong_answer(
    seen: Seen, folder: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen.broken = True
    assert run(folder, "--tasks", "gqa", "--keep", "4", "--write") == 2
    assert only_error(capsys).startswith("vision_accuracy: error: all failed in generate: ")
    assert not written.exists()


def test_data_that_cannot_be_had_is_one_line(seen: Seen, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retried = RuntimeError("retries")
    retried.__cause__ = ConnectionError("no route")
    seen.offline = retried
    assert run(folder, "--tasks", "gqa", "--keep", "4") == 2
    assert "gqa: the data cannot be had (no route)" in only_error(capsys)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tasks", "gpa"], "no benchmark 'gpa'; expected some of gqa, mmb"),
        (["--method", "best"], "no method 'best'"),
        (["--keep", "17"], "budget is 17, but there are only 16"),
        (["--limit", "5", "--write"], "--limit 5: a trial"),
        (["--limit", "0"], "--limit 0: a trial"),
        (["--model", "no/such/directory"], "no/such/directory: cannot be loaded on cpu"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_is_run(
    arguments: list[str], told: str, seen: Seen, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, *arguments) == 2
    assert told in only_error(capsys)
    assert not seen.tasks


def test_a_tree_that_is_not_clean_is_refused_before_anything_is_run(
    seen: Seen, folder: Path, written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "source_state", lambda: ("ab12cd3", True))
    assert run(folder, "--tasks", "gqa", "--keep", "4", "--write") == 2
    assert "the tree is not clean" in only_error(capsys)
    assert not seen.created
    assert not seen.tasks


def test_a_model_of_another_family_is_refused_by_name(
    seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(build("video_llava"), tmp_path / "video-llava")
    capsys.readouterr()  # the bars of saving
    assert run(folder) == 2
    assert "is a 'video_llava' model over 'llama'; expected llava or llava_next" in only_error(capsys)


def test_tiles_are_counted_among_the_tokens_of_llava_next(seen: Seen) -> None:
    class Lm:
        model = build("llava_next")

    chosen = selectors_at("all,random,fastervlm", "25%")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            vision_accuracy,
            "evaluate",
            lambda lm, selector, names, limit: {
                "results": {"gqa": TASKS["gqa"][1]},
                "configs": {"gqa": {"test_split": "testdev"}},
                "samples": {"gqa": []},
                "lmms_eval_version": "0.0-double",
            },
        )
        runs = list(vision_accuracy.measure(Lm(), "llava-next-7b", ["gqa"], chosen))
    tiles = 1 + 4  # the small copy of the whole, and the largest grid of the small configuration
    assert [run.config["tokens"] for run in runs] == [tiles * 16, tiles * 4, tiles * 4]


def test_without_the_harness_the_message_is_the_pip_command_and_the_exit_code_four(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lmms_eval", None)
    monkeypatch.setitem(sys.modules, "decord", None)
    assert run(Path("somewhere")) == 4
    assert capsys.readouterr().err == (
        "vision_accuracy: error: published benchmarks need more packages: pip install lmms-eval decord\n"
    )

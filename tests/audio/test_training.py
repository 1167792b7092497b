"""Training of a joint space: it learns, resumes, repeats, and refuses what it cannot use."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from tests.audio.encoding import RATE, SENTENCES, SOUNDS, described, encoded

from tamis.audio.ablation import LOSSES, loss_named
from tamis.audio.baselines.ntxent import NTXent
from tamis.audio.clsr import CLSRLoss
from tamis.audio.config import CLSRConfig, JointConfig, TrainConfig
from tamis.audio.data import Collection, Item
from tamis.audio.latents import Encoded, Rows
from tamis.audio.space import new_space
from tamis.audio.training import _collection, _Described, _Lesson, check_apart, fit, hold_out, train
from tamis.core.errors import ConfigError, FileError, InputError

SIZES = JointConfig(joint=8, hidden=16, heads=2, dropout=0.0)
UNMASKED = "nt-xent-unmasked"
QUICK = TrainConfig(epochs=3, batch=16, learning_rate=1e-2)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_to_find_tones_by_their_names(name: str) -> None:
    made, run = fit(
        encoded(96),
        encoded(12, 1),
        loss_named(name),
        TrainConfig(epochs=12, batch=32, learning_rate=1e-2),
        sizes=SIZES,
        method=name,
    )
    assert run.metrics["t2a_recall_at_10"] > 0.9
    assert run.metrics["t2a_map_at_10"] > 2 * sum(1 / k for k in range(1, 11)) / 12  # twice what chance has
    assert run.split == "val"
    assert list(run.curves["val_recall"]) == [str(epoch) for epoch in range(1, 13)]
    assert not made.training


def test_a_view_is_another_caption_and_some_of_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(16)
    lesson = _Lesson(new_space(data, SIZES), CLSRLoss(), dataclasses.replace(QUICK, noise=0.0), data)
    seen: dict[str, torch.Tensor] = {}
    for side in ("sound", "text"):
        head = getattr(lesson.space, f"{side}_head")
        spy = lambda latents, mask, noise, side=side: seen.update({side: latents, f"{side}_mask": mask}) or latents  # noqa: E731
        monkeypatch.setattr(head, "forward", spy)
    batch = _Described(data, 0).__getitems__(list(range(32)))
    lesson._views(batch)
    kept, all_of = seen["sound_mask"].sum(dim=1), batch["sounds_mask"].sum(dim=1)
    assert (kept >= 1).all()
    assert 0.6 < float(kept.sum() / all_of.sum()) < 0.95
    assert not (seen["sound_mask"] & ~batch["sounds_mask"]).any()
    assert torch.equal(seen["text"], batch["others"])
    lesson.loss = NTXent()
    assert lesson._views(batch) == {}


def test_views_are_learnt_to_be_alike() -> None:
    loss = CLSRLoss(CLSRConfig(separability="views"))
    _, run = fit(encoded(48), None, loss, QUICK, sizes=SIZES)
    assert run.curves["separability"]["3"] < run.curves["separability"]["1"]
    assert run.split == "train"


def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    data, val = encoded(48), encoded(8, 1)
    whole, _ = fit(data, val, CLSRLoss(), QUICK, sizes=SIZES, out=tmp_path / "whole")

    class Cut(CLSRLoss):
        def terms(self, pairs):  # type: ignore[no-untyped-def]
            if self.epoch >= 2:
                raise KeyboardInterrupt
            return super().terms(pairs)

    with pytest.raises(KeyboardInterrupt):
        fit(data, val, Cut(), QUICK, sizes=SIZES, out=tmp_path / "cut")
    resumed, _ = fit(data, val, CLSRLoss(), QUICK, sizes=SIZES, out=tmp_path / "cut")
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_same_seed_gives_the_same_space_and_another_does_not() -> None:
    spaces = [
        fit(encoded(32), None, NTXent(), TrainConfig(epochs=3, batch=16, learning_rate=1e-2, seed=seed), sizes=SIZES)[0]
        for seed in (0, 0, 1)
    ]
    one, same, other = (space.text_head.leave.weight for space in spaces)
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_a_loss_may_be_used_again() -> None:
    loss = CLSRLoss(CLSRConfig(temperature="learned"))
    one, other = (fit(encoded(32), None, loss, QUICK, sizes=SIZES)[0].text_head.leave.weight for _ in range(2))
    assert torch.equal(one, other)


def test_decoders_and_temperature_are_not_saved(tmp_path: Path) -> None:
    made, _ = fit(encoded(32), None, CLSRLoss(CLSRConfig(temperature="learned")), QUICK, sizes=SIZES, out=tmp_path)
    assert {key.split(".")[0] for key in made.state_dict()} == {"sound_head", "text_head"}


def test_a_folder_knows_its_training(tmp_path: Path) -> None:
    fit(encoded(32), None, NTXent(), QUICK, sizes=SIZES, out=tmp_path)
    with pytest.raises(ConfigError, match=r"another training: loss is \{'loss': 'nt-xent'"):
        fit(encoded(32), None, CLSRLoss(), QUICK, sizes=SIZES, out=tmp_path)


def test_what_cannot_be_trained_on_is_refused() -> None:
    with pytest.raises(InputError, match="1 described sound"):
        fit(encoded(1), None, NTXent(), QUICK, sizes=SIZES)
    data = encoded(8)
    broken = Rows(
        np.where(np.arange(len(data.sounds.values))[:, None] == 3, np.nan, data.sounds.values), data.sounds.starts
    )
    with pytest.raises(InputError, match="a latent is NaN"):
        fit(dataclasses.replace(data, sounds=broken), None, NTXent(), QUICK, sizes=SIZES)
    with pytest.raises(ConfigError, match="no loss"):
        loss_named("nt-xnet")


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch": 1},
        {"batch": 10**20},
        {"seed": -1},
        {"seed": 2**63},
        {"threads": 10**9},
        {"learning_rate": 0.0},
        {"learning_rate": 1e30},
        {"patience": 0},
        {"noise": -1.0},
        {"noise": math.inf},
    ],
)
def test_what_trains_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        TrainConfig(**changes)  # type: ignore[arg-type]


def files(folder: Path, count: int) -> list[tuple[str | Path, str]]:
    soundfile = pytest.importorskip("soundfile")
    pairs: list[tuple[str | Path, str]] = []
    for number, one in enumerate(described(count)):
        path = folder / f"{number}.wav"
        soundfile.write(path, one.sound.samples, RATE)
        pairs += [(path, caption) for caption in one.captions]
    return pairs


def test_pairs_may_be_a_list_or_a_table(tmp_path: Path) -> None:
    pairs = files(tmp_path, 24)
    made, run = train(pairs, NTXent(), QUICK, sound=SOUNDS, text=SENTENCES, sizes=SIZES, out=tmp_path / "space")
    assert run.split == "val"
    assert run.metrics["sounds"] == 2
    assert (tmp_path / "space" / "model.safetensors").is_file()
    table = tmp_path / "pairs.jsonl"
    table.write_text(
        "".join(f'{{"audio": "{Path(p).name}", "caption": "{c}"}}\n' for p, c in pairs[::2]), encoding="utf-8"
    )
    again, _ = train(table, config=QUICK, sound=SOUNDS, text=SENTENCES, sizes=SIZES)
    assert again.config.sound == made.config.sound == "tones"
    with pytest.raises(FileError, match="no such file"):
        train([(tmp_path / "none.wav", "low")], sound=SOUNDS, text=SENTENCES)


def test_no_source_is_on_both_sides() -> None:
    items = tuple(Item(f"{i}", Path(), ("x",), sources=(f"source-{i // 3}",)) for i in range(90))
    learnt, held = hold_out(Collection("all", items))
    assert held is not None
    assert {item.sources for item in learnt.items}.isdisjoint({item.sources for item in held.items})
    assert (len(learnt.items), len(held.items)) == (81, 9)
    assert hold_out(Collection("few", items[:30])) == (Collection("few", items[:30]), None)


def test_recordings_that_meet_in_a_mixture_stay_together() -> None:
    chain = tuple(Item(f"{i}", Path(), ("x",), sources=(f"{i}", f"{i + 1}")) for i in range(40))
    assert hold_out(Collection("chain", chain))[1] is None
    pairs = tuple(Item(f"{i}", Path(), ("x",), sources=(f"{i // 2}", f"other-{i // 2}")) for i in range(80))
    learnt, held = hold_out(Collection("pairs", pairs))
    assert held is not None
    assert (len(learnt.items), len(held.items)) == (72, 8)
    assert {s for item in learnt.items for s in item.sources}.isdisjoint(s for item in held.items for s in item.sources)


def test_no_more_than_the_share_is_held_out_whatever_hangs_together() -> None:
    mixed = tuple(Item(f"m{i}", Path(), ("x",), sources=("hub", f"r{i}")) for i in range(200))
    single = tuple(Item(f"s{i}", Path(), ("x",)) for i in range(40))
    for seed in range(20):
        learnt, held = hold_out(Collection("all", (*mixed, *single)), seed=seed)
        assert held is not None
        assert 2 <= len(held.items) <= 24
        assert len(learnt.items) + len(held.items) == 240
        assert not any(item.id.startswith("m") for item in held.items)


def test_other_cuts_of_one_recording_are_warned_of() -> None:
    learnt, judged = (
        Collection(name, (Item(f"{name}.wav", Path(name), ("x",), sources=("rec-1",)),)) for name in ("a", "b")
    )
    with pytest.warns(UserWarning, match=r"b: 1 of its recordings are in the training too \(rec-1\)"):
        check_apart(learnt, judged)


def test_validation_may_be_given_as_pairs_are(tmp_path: Path) -> None:
    pairs = files(tmp_path, 24)
    options = {"sound": SOUNDS, "text": SENTENCES, "sizes": SIZES}
    _, run = train(pairs[:32], NTXent(), QUICK, val=pairs[32:], **options)  # type: ignore[arg-type]
    assert (run.split, run.metrics["sounds"]) == ("val", 8)
    spelt = [(f"{Path(path).parent}/./{Path(path).name}", caption) for path, caption in pairs[30:]]
    with pytest.raises(ConfigError, match="1 of its sounds are those of the training"):
        train(pairs[:32], NTXent(), QUICK, val=spelt, **options)  # type: ignore[arg-type]


def test_every_caption_is_met_in_an_epoch_with_its_own_sound_and_another_caption_of_it() -> None:
    data = encoded(10)
    described = _Described(data, 0)
    assert len(described) == 20
    batch = described.__getitems__(list(range(20)))
    assert batch["clips"].tolist() == data.owners.tolist()
    for name, shift in (("sentences", 0), ("others", 1)):
        for i in range(20):
            row = i + (shift if i % 2 == 0 else -shift)
            np.testing.assert_array_equal(batch[name][i, 0].numpy(), data.sentences.item(row)[0])


def test_the_mask_of_captions_decides() -> None:
    masked, unmasked = (fit(encoded(32), None, loss_named(n), QUICK, sizes=SIZES)[0] for n in ("nt-xent", UNMASKED))
    assert not torch.allclose(masked.text_head.leave.weight, unmasked.text_head.leave.weight)


def test_a_training_stops_when_it_gets_no_better() -> None:
    recipe = TrainConfig(epochs=40, batch=16, learning_rate=1e-2, patience=2)
    _, run = fit(encoded(48), encoded(12, 1), NTXent(), recipe, sizes=SIZES)
    reached = list(run.curves["val_recall"].values())
    assert len(reached) < 40
    assert len(reached) - 1 - reached.index(max(reached)) == 2


def test_a_line_tells_the_time_of_the_training_however_often_it_is_judged(tmp_path: Path) -> None:
    first, again = (fit(encoded(32), None, NTXent(), QUICK, sizes=SIZES, out=tmp_path)[1] for _ in range(2))
    assert again.seconds == first.seconds > 0
    assert again.config["trained_at"] == first.config["trained_at"]
    assert len(first.config["trained_at"]) == 1


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("curves", [1]),
        ("seconds", "x"),
        ("commits", 5),
        ("loops", None),
        ("state_dict", {}),
        ("optimizer_states", None),
        ("optimizer_states", [{"a": 1}]),
        ("loops", {}),
        ("callbacks", []),
        ("pytorch-lightning_version", []),
        ("curves", {"val_recall": "x"}),
        ("state_dict", [1]),
        ("state_dict", {"space.sound_head.mean": "x"}),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path, part: str, value: object) -> None:
    fit(encoded(32), None, NTXent(), QUICK, sizes=SIZES, out=tmp_path)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.save({**kept, part: value}, tmp_path / "last.ckpt")
    with pytest.raises(FileError, match="does not fit this training"):
        fit(encoded(32), None, NTXent(), QUICK, sizes=SIZES, out=tmp_path)


def test_a_training_that_diverges_says_so_and_leaves_its_folder_free(tmp_path: Path) -> None:
    class Broken(NTXent):
        def terms(self, pairs):  # type: ignore[no-untyped-def]
            return {name: term / 0 for name, term in super().terms(pairs).items()}

    with pytest.raises(InputError, match="the training diverged: its loss is inf after 1 steps; train again with a"):
        fit(encoded(32), None, Broken(), QUICK, sizes=SIZES, out=tmp_path)
    fit(encoded(32), None, CLSRLoss(), QUICK, sizes=SIZES, out=tmp_path)


def test_what_cannot_work_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    pairs = files(tmp_path, 2)
    with pytest.raises(FileError, match="cannot be written"):
        train(pairs, out=tmp_path / "file" / "space", sound="none")
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        train(pairs, device="tpu", sound="none")
    fit(encoded(8), None, NTXent(), QUICK, sizes=SIZES, out=tmp_path / "other")
    with pytest.raises(ConfigError, match=r"another training: loss is \{'loss': 'nt-xent'"):
        train(pairs, config=QUICK, out=tmp_path / "other", sound="none")
    with pytest.raises(InputError, match=r"sentence 1 is 'b\\ud800', which is no Unicode text"):
        train([(pairs[0][0], "a"), (pairs[1][0], "b\ud800")], sound="none")
    with pytest.raises(InputError, match="no sound that is there has a caption"):
        train(Collection("mute", (Item("0.wav", tmp_path / "0.wav", ()),)), sound="none")


@pytest.mark.parametrize("name", ["gone.wav", "a\0b.wav", "x" * 300])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(FileError, match=r"no such file \(1 of 1 are missing\)"):
        train([(name, "a dog barks")], sound="none")


def test_pairs_are_pairs() -> None:
    pairs: Any = [("a.wav", "a dog barks", 3)]
    with pytest.raises((InputError, jaxtyping.TypeCheckError), match=r"a dog barks.*3"):
        _collection(pairs)


def test_clips_that_cannot_be_read_end_no_training_though_all_are_held_out(tmp_path: Path) -> None:
    pairs = files(tmp_path, 24)
    held = hold_out(_collection(pairs), seed=QUICK.seed)[1]
    assert held is not None
    for item in held.items:
        Path(str(item.path)).write_bytes(b"garbage")
    with pytest.warns(UserWarning, match="nothing is held out to choose the epoch by: .* no sound could be read"):
        _, run = train(pairs, NTXent(), QUICK, sound=SOUNDS, text=SENTENCES, sizes=SIZES)
    assert run.split == "train"
    assert run.metrics["sounds"] == 22


def test_val_and_pairs_are_of_one_kind() -> None:
    collection = Collection("x", ())
    with pytest.raises(ConfigError, match="encode both, or neither"):
        train(encoded(8), val=collection)


def test_a_set_without_captions_for_some_sounds_trains_on_the_others() -> None:
    data = encoded(20)
    said = [i for i, owner in enumerate(data.owners) if owner % 2 == 0]
    half = Encoded(
        **{
            **vars(data),
            "sentences": data.sentences.take(said),
            "owners": data.owners[said],
            "captions": tuple(data.captions[i] for i in said),
        }
    )
    _, run = fit(half, None, NTXent(), QUICK, sizes=SIZES)
    assert run.metrics["sounds"] == 10

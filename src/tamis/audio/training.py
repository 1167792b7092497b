"""Training of a joint space, with pytorch-lightning, on latents that were computed once."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tamis.audio.clsr import CLSRLoss
from tamis.audio.config import JointConfig, TrainConfig
from tamis.audio.data import Collection, Item, load, reader_of, shared
from tamis.audio.encoders import SoundEncoder, TextEncoder, load_sound_encoder, load_text_encoder
from tamis.audio.evaluation import evaluate, retrieval, with_captions
from tamis.audio.latents import Encoded, encode_collection
from tamis.audio.objective import Objective, Pairs, gathered
from tamis.audio.space import JointSpace, averaged, new_space
from tamis.core.errors import ConfigError, FileError, InputError, one_line
from tamis.core.files import check_writable, what_is
from tamis.core.lightning import KeepEveryEpoch, Lesson, diverged, load_weights, one_validation, run_through
from tamis.core.progress import progress
from tamis.core.results import Run
from tamis.core.seed import derive, generator
from tamis.core.training import (
    ABOUT,
    BEST,
    LAST,
    Shuffle,
    check_device,
    check_same,
    quietly,
    trainer,
)

if TYPE_CHECKING:
    from torch import Tensor


_FEWEST = 20  # sources of which some can be held out
Given = Encoded | Collection | str | Path | Sequence[tuple[str | Path, str]]
"""Pairs as they may be given: encoded before, from `load`, a table or folder, or sounds with their sentences."""


def train(
    pairs: Given,
    loss: Objective | None = None,
    config: TrainConfig = TrainConfig(),
    *,
    val: Given | None = None,
    sound: str | SoundEncoder = "aisfx-overlap",
    text: str | TextEncoder = "minilm",
    sizes: JointConfig | None = None,
    method: str | None = None,
    out: str | Path | None = None,
    device: str = "cpu",
) -> tuple[JointSpace, Run]:
    """Train a joint space of sounds and sentences on pairs of them.

    Args:
        pairs: A table of pairs (.csv or .jsonl), a folder with `metadata.csv`, a collection from `load`, a list of
            sounds with their sentences, or what was encoded before.
        loss: What is minimised; `CLSRLoss()` by default.
        config: The recipe.
        val: Pairs to choose the best epoch by, given in the same ways. By default up to a tenth of the clips is held
            out, if there are twenty recordings that share none; nothing is held out of what is encoded already.
        sound: Encoder of sounds; see `tamis.audio.encoders`. Ignored for what is encoded already.
        text: Encoder of sentences.
        sizes: Of the heads.
        method: What result lines call the space; the name of the loss by default.
        out: A folder for encoded pairs, checkpoints and the trained space. A training that was cut off there goes on.
        device: "cpu" or "cuda", of the heads.

    Returns:
        The space, and the result on the validation pairs, with learning curves.

    Raises:
        ConfigError: If an encoder is unknown, the folder holds another training, a sound is in both sets, one set is
            encoded and the other is not, or there is no such device.
        FileError: If a table or the folder's content is damaged, the folder cannot be written, or the encoders'
            weights are not here.
        InputError: If there are fewer than two pairs, a caption is no text, or the training diverges.
    """
    loss = loss or CLSRLoss()
    check_device(device)
    if out is not None:
        check_writable(Path(out) / ABOUT)
        check_same(Path(out), _recipe(config, loss))
    if isinstance(pairs, Encoded) or isinstance(val, Encoded):
        if not isinstance(pairs, Encoded) or not (val is None or isinstance(val, Encoded)):
            raise ConfigError("one of pairs and val is encoded and the other is not; encode both, or neither")
        return fit(pairs, val, loss, config, sizes=sizes, method=method, out=out, device=device)
    collection = _collection(pairs).described()
    _check_enough(collection.name, len(collection.here))
    if val is None:
        collection, held_out = hold_out(collection, seed=config.seed)
        if held_out is None and len(collection.here) >= _FEWEST:
            warnings.warn(
                f"{collection.name}: nothing is held out to choose the epoch by: fewer than {_FEWEST} of its described "
                "recordings share no clip; give other pairs as val",
                stacklevel=2,
            )
    else:
        held_out = _collection(val).described()
        check_apart(collection, held_out)
    hearing = load_sound_encoder(sound) if isinstance(sound, str) else sound
    reading = load_text_encoder(text) if isinstance(text, str) else text
    cache = Path(out) if out is not None else None
    encoded = encode_collection(collection, hearing, reading, cache=cache)
    encode = encode_held_out if val is None else encode_collection
    judged = encode(held_out, hearing, reading, cache=cache) if held_out is not None else None
    space = new_space(with_captions(encoded), sizes, seed=config.seed, own=(hearing, reading))
    return fit(encoded, judged, loss, config, space=space, method=method, out=out, device=device)


def check_apart(learnt: Collection, judged: Collection) -> None:
    """Refuse to judge by sounds that were learnt from, and warn of other cuts of the same recordings.

    Raises:
        ConfigError: If a sound is in both.
    """
    if both := shared(learnt, judged):
        count = f"{len(both)} of its sounds are those of the training"
        raise ConfigError(f"{judged.name}: {count} ({both[0]}); give others")
    named = [{s for item in part.here for s in item.sources if s != item.id} for part in (learnt, judged)]
    if met := sorted(named[0] & named[1]):
        warnings.warn(
            f"{judged.name}: {len(met)} of its recordings are in the training too ({met[0]}), so what it finds there "
            "says little of others",
            stacklevel=3,
        )


def hold_out(collection: Collection, share: float = 0.1, *, seed: int = 0) -> tuple[Collection, Collection | None]:
    """Hold some of the sources out for validation; none if there are fewer than twenty, or all hang together.

    Args:
        collection: Clips that share a source stay together.
        share: Of the described clips, at the most.
        seed: Of the choice.
    """
    group = _kin(collection.items)
    clips = Counter(group[item.sources[0]] for item in collection.here if item.captions)
    if len(clips) < _FEWEST:
        return collection, None
    groups, room = sorted(clips), max(2, round(share * clips.total()))
    held = set()
    for i in generator(seed, "audio", "held out").permutation(len(groups)):
        if clips[groups[i]] <= room:  # one that many mixtures hang together in stays where it is
            held.add(groups[i])
            room -= clips[groups[i]]
    if len(held) < 2:
        return collection, None
    parts = [
        Collection(
            f"{collection.name}-{part}",
            tuple(item for item in collection.items if (group[item.sources[0]] in held) == inside),
            collection.root,
        )
        for part, inside in (("train", False), ("val", True))
    ]
    return parts[0], parts[1]


def encode_held_out(
    held_out: Collection, sound: SoundEncoder, text: TextEncoder, *, cache: Path | None = None
) -> Encoded | None:
    """Encode what was held out as `encode_collection` does; None, with a warning, if no sound of it can be read."""
    try:
        return encode_collection(held_out, sound, text, cache=cache)
    except InputError as error:
        warnings.warn(f"nothing is held out to choose the epoch by: {one_line(error)}", stacklevel=3)
        return None


def _kin(items: Sequence[Item]) -> dict[str, str]:
    """Give each recording the name of its group: two are of one if some clip was mixed from both."""
    group: dict[str, str] = {}

    def of(source: str) -> str:
        while (before := group.setdefault(source, source)) != source:
            group[source] = source = group[before]
        return source

    for item in items:
        for source in item.sources:
            group[of(source)] = of(item.sources[0])
    return {source: of(source) for source in group}


def _check_enough(name: str, described: int) -> None:
    if described < 2:
        raise InputError(f"{name}: {described} described sound; give at least two")


def _collection(pairs: Collection | str | Path | Sequence[tuple[str | Path, str]]) -> Collection:
    """Read a table of pairs, or make a collection of a list of them."""
    if isinstance(pairs, Collection):
        return pairs
    if isinstance(pairs, str | Path):
        path = Path(pairs)
        return load(reader_of(path), path)
    said: dict[Path, tuple[str, list[str]]] = {}
    missing: dict[str, None] = {}
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str | Path)):
            raise InputError(f"pair {number} is {str(pair)[:60]!r}; expected a sound file and a sentence")
        sound, caption = pair
        if what_is(sound) != "a file":
            missing[str(sound)] = None
            continue
        said.setdefault(Path(sound).resolve(), (str(sound), []))[1].append(caption)
    if missing:
        name, count = next(iter(missing)), len(missing) + len(said)
        raise FileError(f"{name[:80]!r}: no such file ({len(missing)} of {count} are missing); give sound files")
    return Collection("pairs", tuple(Item(name, path, tuple(words)) for path, (name, words) in said.items()))


def fit(
    encoded: Encoded,
    val: Encoded | None,
    loss: Objective,
    config: TrainConfig = TrainConfig(),
    *,
    space: JointSpace | None = None,
    sizes: JointConfig | None = None,
    method: str | None = None,
    out: str | Path | None = None,
    device: str = "cpu",
) -> tuple[JointSpace, Run]:
    """Train a joint space on encoded pairs; it ends with the weights of the epoch that was best on validation.

    Args:
        encoded: To train on; sounds without a sentence are left out.
        val: To choose the epoch by; the last epoch is taken if it is None, and judged on `encoded`.
        loss: What is minimised. Its decoders and its temperature are trained with the space, and not saved.
        config: The recipe.
        space: A space to go on with; a new one by default.
        sizes: Of the heads of a new one.
        method: What result lines call the space; the name of the loss by default.
        out: A folder for checkpoints and the trained space. If a training was cut off there, it goes on.
        device: "cpu" or "cuda".

    Returns:
        The space, and the result on the validation pairs, with learning curves.

    Raises:
        ConfigError: If the folder holds another training, the encoders of the two sets differ, or there is no such
            device.
        FileError: If the folder cannot be written, or what it holds is damaged.
        InputError: If there are fewer than two pairs, a latent is NaN, or the training diverges.
    """
    method = method or loss.name
    loss = copy.deepcopy(loss)  # it may learn a temperature, and be used again
    data = with_captions(encoded)
    judged = with_captions(val) if val is not None else data
    _check_enough(data.dataset.split("@")[0], len(data))
    for part in (data, judged):
        for rows in (part.sounds, part.sentences):
            if not np.isfinite(rows.values).all():
                raise InputError(f"{part.dataset.split('@')[0]}: a latent is NaN or infinite; encode it again")
    made = space or new_space(data, sizes, seed=config.seed)
    for part in (data, judged):
        made.check(part)
    lesson = _Lesson(made, loss, config, judged)
    recipe = _recipe(config, loss)
    with TemporaryDirectory() as scratch, quietly(config.threads), progress(f"training {method}") as report:
        folder = Path(out if out is not None else scratch)
        teacher = trainer(
            epochs=config.epochs, device=device, callbacks=[KeepEveryEpoch(folder, report, config.patience)]
        )
        sets = {"train": data.dataset, "val": judged.dataset, "encoders": dict(data.encoders)}
        told = {**recipe, **sets, "space": dataclasses.asdict(made.config)}
        run_through(teacher, lesson, folder, told, _loader(data, config), one_validation())
        load_weights(made, folder / (BEST if val is not None else LAST), "space.")
    made.to("cpu").eval()
    plain = {name: value for name, value in recipe.items() if name not in ("loss", "seed")}
    run = evaluate(
        made,
        judged,
        method=method,
        split="val" if val is not None else "train",
        config={"sounds": len(data), **recipe["loss"], **plain, "trained_at": lesson.commits},
        curves=lesson.curves,
        seeds=[config.seed],
        seconds=lesson.seconds,
    )
    _warn_of_collapse(run, judged, method)
    if out is not None:
        made.save_pretrained(out)
    return made, run


class _Lesson(Lesson):
    """A space, a loss, and how well it finds validation pairs after every epoch."""

    watched = "val_recall"

    def __init__(self, space: JointSpace, loss: Objective, config: TrainConfig, judged: Encoded) -> None:
        super().__init__()
        self.space, self.loss, self.config, self.judged = space, loss, config, judged
        told = space.config
        with torch.random.fork_rng():
            torch.manual_seed(derive(config.seed, "audio", "loss"))
            loss.prepare(joint=told.joint, audio=told.sound_width, text=told.text_width)
        self._terms: dict[str, list[Tensor]] = {}

    def on_train_epoch_start(self) -> None:
        """Seed dropout and noise of the epoch by its number, so that a resumed run is the same run."""
        torch.manual_seed(derive(self.config.seed, "epoch", self.current_epoch))

    def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
        """Give the loss of a batch."""
        self.loss.at(self.current_epoch + number / max(1, self.trainer.num_training_batches))
        noise = self.config.noise
        views = self._views(batch)
        pairs = Pairs(
            audio=self.space.sound_head(batch["sounds"], batch["sounds_mask"], noise),
            text=self.space.text_head(batch["sentences"], batch["sentences_mask"], noise),
            clips=batch["clips"],
            audio_latents=averaged(batch["sounds"], batch["sounds_mask"]),
            text_latents=averaged(batch["sentences"], batch["sentences_mask"]),
            **views,
        )
        terms = self.loss.terms(gathered(pairs))
        for name, term in terms.items():
            self._terms.setdefault(name, []).append(term.detach())
        return torch.stack(list(terms.values())).sum()

    def _views(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Embed another view of each pair, where the loss wants one: other noise, some windows left out, a caption."""
        if not self.loss.wants_views:
            return {}
        mask = batch["sounds_mask"]
        kept = mask & (torch.rand_like(mask, dtype=torch.float32) < 0.8)
        kept |= mask & ~kept.any(dim=1, keepdim=True)
        noise = self.config.noise
        return {
            "audio_views": self.space.sound_head(batch["sounds"], kept, noise),
            "text_views": self.space.text_head(batch["others"], batch["others_mask"], noise),
        }

    def validation_step(self, _: Any) -> None:
        """Do nothing: validation pairs are embedded as one set, when the epoch ends."""

    def on_validation_epoch_end(self) -> None:
        """Extend the learning curves by this epoch."""
        epoch = self.current_epoch + 1
        for name, values in self._terms.items():
            self.curves.setdefault(name, {})[epoch] = float(torch.stack(values).mean())
        self._terms.clear()
        sounds, sentences = self.space.embed(self.judged)
        if not (np.isfinite(sounds).all() and np.isfinite(sentences).all()):
            raise diverged("its vectors are NaN", self.trainer.global_step)
        found = retrieval(sounds, sentences, self.judged.owners).metrics()
        recalls = [found[f"{side}_recall_at_{k}"] for side in ("t2a", "a2t") for k in (1, 5, 10)]
        self.curves["val_recall"][epoch] = float(np.mean(recalls))
        if (tau := self.loss.last_tau) is not None:
            for name, value in zip(("tau_mean", "tau_min", "tau_max"), tau, strict=True):
                self.curves.setdefault(name, {})[epoch] = value

    def configure_optimizers(self) -> Any:
        """Make AdamW and its one-cycle schedule."""
        return self.one_cycle(self.config.learning_rate, self.config.weight_decay)


class _Described(Dataset[Any]):
    """Every sentence with its sound, and with another sentence of that sound for a second view."""

    def __init__(self, data: Encoded, seed: int) -> None:
        self.data, self.seed, self.epoch = data, seed, 0
        self.said: list[list[int]] = [[] for _ in range(len(data))]
        for sentence, owner in enumerate(data.owners):
            self.said[int(owner)].append(sentence)

    def __len__(self) -> int:
        return len(self.data.owners)

    def __getitems__(self, index: list[int]) -> dict[str, Tensor]:
        rng = generator(self.seed, "audio", "captions", self.epoch, index[0])
        clips = [int(self.data.owners[i]) for i in index]
        others = [
            int(rng.choice([one for one in self.said[clip] if one != i] or [i]))
            for i, clip in zip(index, clips, strict=True)
        ]
        batch = {"clips": torch.tensor(clips)}
        for name, rows, chosen in (
            ("sounds", self.data.sounds, clips),
            ("sentences", self.data.sentences, index),
            ("others", self.data.sentences, others),
        ):
            values, mask = rows.padded(chosen)
            batch[name] = torch.from_numpy(values).float()
            batch[f"{name}_mask"] = torch.from_numpy(mask)
        return batch


class _Order(Shuffle):
    """The order of an epoch, of which the pairs learn the number too."""

    def __init__(self, described: _Described, seed: int) -> None:
        super().__init__(len(described), seed)
        self.described = described

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.described.epoch = epoch


def _loader(data: Encoded, config: TrainConfig) -> DataLoader[Any]:
    described = _Described(data, config.seed)
    return DataLoader(
        described,
        config.batch,
        sampler=_Order(described, config.seed),
        drop_last=len(described) >= config.batch,  # a last batch of one pair would have nothing to differ from
        collate_fn=lambda fetched: fetched,
    )


def _recipe(config: TrainConfig, loss: Objective) -> dict[str, Any]:
    """Say what makes a training the one that it is, beside its pairs and encoders."""
    told = {name: value for name, value in dataclasses.asdict(config).items() if name != "threads"}
    return {**told, "loss": {"loss": loss.name, **_described(loss)}}


def _described(loss: Objective) -> dict[str, Any]:
    """Say what a loss was told: the fields of its config, or its plain attributes."""
    if dataclasses.is_dataclass(config := getattr(loss, "config", None)):
        return dataclasses.asdict(config)  # type: ignore[arg-type]
    told = {k: v for k, v in vars(loss).items() if isinstance(v, int | float | str) and not k.startswith("_")}
    return {k: v for k, v in told.items() if k not in ("name", "training")}


def _warn_of_collapse(run: Run, judged: Encoded, method: str) -> None:
    """Say so if the space finds hardly more than a random ranking does."""
    reached, random = run.metrics["t2a_recall_at_10"], min(1.0, 10 / len(judged))
    if reached < 1.2 * random < 1:
        warnings.warn(
            f"{method}: the training collapsed: recall at 10 is {reached:.3f}, that of a random ranking {random:.3f}; "
            "lower the learning rate, and look at the captions",
            stacklevel=3,
        )

"""Find the sound that a sentence describes, and the second at which it happens.

CLSR (arXiv 2309.08839): a joint space of sounds and sentences, learnt by contrast between and within both, at a
temperature that the sentences' likeness sets, and with reconstruction of their latents. With it come the losses that
people train such spaces with, readers of the field's data sets, mixtures with captions and times, and small encoders:

    from tamis import audio

    space = audio.JointSpace.from_pretrained("effects")
    space.similarity(space.encode_audio(["door.wav"]), space.encode_text(["a door slams"]))
    space.locate("street.wav", "a dog barks")            # -> moments with start_s, end_s, score
    model, run = audio.train("pairs.csv", loss=audio.CLSRLoss())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.core.lazy import lazy

if TYPE_CHECKING:
    from tamis.audio.ablation import ablate
    from tamis.audio.adapters import CallableSentences, CallableSounds, ZeroShot
    from tamis.audio.baselines.infonce import InfoNCE
    from tamis.audio.baselines.ntxent import NTXent
    from tamis.audio.baselines.triplet import Triplet
    from tamis.audio.clsr import CLSRLoss
    from tamis.audio.config import CLSRConfig, JointConfig, TrainConfig
    from tamis.audio.data import Collection, Item, load
    from tamis.audio.encoders import SoundEncoder, TextEncoder, load_sound_encoder, load_text_encoder
    from tamis.audio.evaluation import evaluate
    from tamis.audio.latents import Encoded, encode_collection
    from tamis.audio.metrics import paired_bootstrap, rank
    from tamis.audio.mixtures import Clip, ComposeConfig, Mixture, clips_of, compose
    from tamis.audio.objective import Objective, Pairs
    from tamis.audio.sound import Sound, read
    from tamis.audio.space import JointSpace, Moment
    from tamis.audio.training import train

_WHERE = {
    "CLSRConfig": "config",
    "CLSRLoss": "clsr",
    "CallableSentences": "adapters",
    "CallableSounds": "adapters",
    "Clip": "mixtures",
    "Collection": "data",
    "ComposeConfig": "mixtures",
    "Encoded": "latents",
    "InfoNCE": "baselines.infonce",
    "Item": "data",
    "JointConfig": "config",
    "JointSpace": "space",
    "Mixture": "mixtures",
    "Moment": "space",
    "NTXent": "baselines.ntxent",
    "Objective": "objective",
    "Pairs": "objective",
    "Sound": "sound",
    "SoundEncoder": "encoders",
    "TextEncoder": "encoders",
    "TrainConfig": "config",
    "Triplet": "baselines.triplet",
    "ZeroShot": "adapters",
    "ablate": "ablation",
    "clips_of": "mixtures",
    "compose": "mixtures",
    "encode_collection": "latents",
    "evaluate": "evaluation",
    "load": "data",
    "load_sound_encoder": "encoders",
    "load_text_encoder": "encoders",
    "paired_bootstrap": "metrics",
    "rank": "metrics",
    "read": "sound",
    "train": "training",
}
__all__ = [
    "CLSRConfig",
    "CLSRLoss",
    "CallableSentences",
    "CallableSounds",
    "Clip",
    "Collection",
    "ComposeConfig",
    "Encoded",
    "InfoNCE",
    "Item",
    "JointConfig",
    "JointSpace",
    "Mixture",
    "Moment",
    "NTXent",
    "Objective",
    "Pairs",
    "Sound",
    "SoundEncoder",
    "TextEncoder",
    "TrainConfig",
    "Triplet",
    "ZeroShot",
    "ablate",
    "clips_of",
    "compose",
    "encode_collection",
    "evaluate",
    "load",
    "load_sound_encoder",
    "load_text_encoder",
    "paired_bootstrap",
    "rank",
    "read",
    "train",
]


if not TYPE_CHECKING:  # so that a type checker still knows a misspelt name
    __getattr__, __dir__ = lazy(__name__, _WHERE)

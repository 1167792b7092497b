"""How fast sounds are encoded on one core: decoding, front end and network apart, and all together.

    python benchmarks/audio_speed.py --sounds ../shared/data/audio --write

Times are medians over rounds that take turns; a number is how many times faster than the sound lasts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from lines import append, check, fail, parser
from tamis.core.errors import TamisError, one_line
from tamis.core.results import Run, dataset_hash

ROUNDS, FILES = 7, 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the encoders that need no hub, their networks in bfloat16 too."""
    made = parser(__doc__)
    made.add_argument("--sounds", type=Path, required=True, help="a folder of sound files")
    told = made.parse_args(arguments)

    import numpy as np
    import torch

    from tamis.audio.encoders import SoundEncoder, load_sound_encoder
    from tamis.audio.sound import files, read

    torch.set_num_threads(1)
    try:
        if told.write:
            check("audio/bench")
        found = files(told.sounds)
        chosen = found[:: max(1, len(found) // FILES)][:FILES]
        encoders: dict[str, SoundEncoder] = {
            name: load_sound_encoder(name) for name in ("aisfx", "aisfx-overlap", "mel-cnn")
        }
        taken: dict[str, dict[str, list[float]]] = {name: {} for name in encoders}
        errors: dict[str, list[float]] = {name: [] for name in encoders}
        start = time.perf_counter()
        for _ in range(ROUNDS):
            for name, encoder in encoders.items():
                spent = dict.fromkeys(("decode", "front_end", "network", "network_bf16"), 0.0)
                seconds = 0.0
                for path in chosen:
                    times = [time.perf_counter()]
                    sound = read(path, encoder.rate)
                    times.append(time.perf_counter())
                    windows = torch.from_numpy(encoder.prepare(sound.samples))
                    times.append(time.perf_counter())
                    with torch.inference_mode():
                        plain = encoder(windows)
                        times.append(time.perf_counter())
                        with torch.autocast("cpu", torch.bfloat16):
                            short = encoder(windows)
                    times.append(time.perf_counter())
                    for key, passed in zip(spent, np.diff(times), strict=True):
                        spent[key] += float(passed)
                    errors[name].append(float(1 - torch.nn.functional.cosine_similarity(plain, short.float()).min()))
                    seconds += sound.seconds
                spent["end_to_end"] = spent["decode"] + spent["front_end"] + spent["network"]
                for key, passed in spent.items():
                    taken[name].setdefault(key, []).append(seconds / passed)
        for name, passed_by in taken.items():
            run = Run.measured(
                "audio/bench",
                name,
                dataset=dataset_hash("sounds", chosen),
                split="test",
                n=len(chosen),
                metrics={
                    **{f"{key}_times_real_time": median(values) for key, values in passed_by.items()},
                    "bf16_cosine_distance": max(errors[name]),
                },
                config={"headline": True, "threads": 1, "rounds": ROUNDS},
                seconds=time.perf_counter() - start,
            )
            print(name, run.metrics)
            if told.write:
                append(run)
    except TamisError as error:
        return fail("audio_speed", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

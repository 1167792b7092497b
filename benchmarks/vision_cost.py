"""What does pruning save, counted? Operations and cache bytes of four models at six budgets, beside the limit.

Deterministic and quick: the models are built without being allocated. Prints tables; `--write` adds the lines of task
`vision/cost` to results/vision.jsonl.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tamis.vision.bench import table
from tamis.vision.config import SHAPES
from tamis.vision.cost import count

MODELS = ("llava-1.5-7b", "llava-1.5-13b", "llava-next-7b", "video-llava")
KEEPS = ("100%", "50%", "25%", "10%", "5%", "2.5%")
RESULTS = Path(__file__).parents[1] / "results" / "vision.jsonl"


def main() -> None:
    """Count, print and, if asked to, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--write", action="store_true", help=f"append the lines to {RESULTS.parent.name}/{RESULTS.name}"
    )
    options = parser.parse_args()
    for model in MODELS:
        runs = count(SHAPES[model], KEEPS)
        table(runs).print()
        if options.write:
            for run in runs:
                run.append(RESULTS)


if __name__ == "__main__":
    main()

"""What does pruning save, counted? Operations and cache bytes of four models at six budgets, beside the limit.

Deterministic and quick: the models are built without being allocated. Prints tables; `--write` adds the lines of task
`vision/cost` to results/vision.jsonl, from a clean tree and once for each model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import lines
from tamis.core.errors import TamisError, one_line
from tamis.vision.bench import table
from tamis.vision.config import PUBLISHED, SHAPES
from tamis.vision.cost import count

KEEPS = ("100%", "50%", "25%", "10%", "5%", "2.5%")


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print and, if asked to, write; return the exit code.

    Args:
        arguments: What follows the script's name; by default that of this process.
    """
    options = lines.parser(__doc__).parse_args(arguments)
    try:
        if options.write:
            lines.check("vision/cost", PUBLISHED)
        for model in PUBLISHED:
            runs = count(SHAPES[model], KEEPS)
            table(runs).print()
            print()
            if options.write:
                for run in runs:
                    lines.append(run)
    except TamisError as error:
        return lines.fail("vision_cost", one_line(error), error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

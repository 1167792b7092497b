import subprocess
import sys

import pytest

from tamis.core.seed import derive, generator, torch_generator


def test_the_same_seed_and_keys_give_the_same_numbers_in_another_process() -> None:
    code = "from tamis.core.seed import generator; print(generator(7, 'scenes', 3).integers(10**9, size=4).tolist())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert answer == str(generator(7, "scenes", 3).integers(10**9, size=4).tolist())


@pytest.mark.parametrize("other", [(8, "a", 1), (7, "b", 1), (7, "a", 2), (7, 1, "a"), (7, "a", "1"), (7, "a"), (7,)])
def test_another_seed_or_key_gives_another_stream(other: tuple[int, *tuple[str | int, ...]]) -> None:
    assert derive(*other) != derive(7, "a", 1)


def test_a_derived_seed_is_pinned_so_that_old_results_can_be_made_again() -> None:
    # python3 -c "import hashlib; print(int(hashlib.sha256(b'[7, \"a\", 1]').hexdigest()[:16], 16) // 2)"
    assert derive(7, "a", 1) == 7419510140115011877


def test_torch_streams_repeat_and_leave_the_global_state_alone() -> None:
    import torch

    before = torch.get_rng_state()
    first, second = (torch.rand(3, generator=torch_generator(0, "x")) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())

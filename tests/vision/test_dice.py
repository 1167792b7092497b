import numpy as np
import pytest

from tamis.vision.dice import Dice, splitmix


def test_the_bits_are_those_of_splitmix64() -> None:
    # The outputs of the public-domain reference for the seed 1234567.
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    steps = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, 6, dtype=np.uint64)
    assert splitmix(np.uint64(1234567) + steps).tolist() == known


def test_a_thing_rolls_the_same_numbers_alone_and_among_others() -> None:
    alone, among = Dice(5, np.array([17])), Dice(5, np.arange(30))
    assert alone.below(1000, 4).tolist()[0] == among.below(1000, 4).tolist()[17]
    assert alone.uniform(2, 3).tolist()[0] == among.uniform(2, 3).tolist()[17]
    assert alone.noise(16).tolist()[0] == among.noise(16).tolist()[17]


def test_rolls_go_on_and_do_not_repeat() -> None:
    dice = Dice(5, np.arange(50))
    rolls = np.concatenate([dice.bits(10), dice.bits(10)])
    assert len(np.unique(rolls)) == rolls.size


@pytest.mark.parametrize("limit", [1, 3, 48])
def test_whole_numbers_are_equally_frequent(limit: int) -> None:
    counts = np.bincount(Dice(1, np.arange(200)).below(limit, 48).ravel(), minlength=limit)
    assert len(counts) == limit
    expected = 200 * 48 / limit
    assert (abs(counts - expected) < 5 * expected**0.5 + 1e-9).all()


def test_every_thing_may_have_a_limit_of_its_own() -> None:
    limits = np.array([1, 2, 50])
    rolled = Dice(1, np.arange(3)).below(limits[:, None], 400)
    assert rolled.max(axis=1).tolist() == [0, 1, 49]


def test_fractions_fill_the_interval_and_stay_below_one() -> None:
    numbers = Dice(2, np.arange(100)).uniform(100)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.01

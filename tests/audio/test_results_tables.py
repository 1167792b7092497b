"""Result lines as tables: what is not there makes no table, and gains stand with their intervals."""

from tamis.audio.results_tables import losses_table, moments_table, speed_table, unseen_table
from tamis.core.results import Run


def line(task: str, method: str, metrics: dict[str, float], **told: object) -> Run:
    given = {"dataset": "mixtures-test@sha256:0", "split": "test", "n": 30, "seconds": 1.0, "seeds": [0, 1], **told}
    made = Run.measured(task, method, metrics=metrics, config={"headline": True}, **given)  # type: ignore[arg-type]
    object.__setattr__(made, "dirty", False)
    return made


METRICS = {
    "sounds": 10.0,
    **{f"{side}_{name}": 0.25 for side in ("t2a", "a2t") for name in ("recall_at_1", "map_at_10")},
}


def test_no_line_makes_no_table() -> None:
    assert losses_table([], "mixtures-test") is None
    assert moments_table([]) is None
    assert unseen_table([]) is None
    assert speed_table([]) is None


def test_a_gain_stands_with_its_interval() -> None:
    gained = METRICS | {"t2a_map_at_10_gain": 0.031}
    runs = [
        line("audio/retrieval", "nt-xent", METRICS),
        line("audio/retrieval", "clsr", gained, intervals={"t2a_map_at_10_gain": [0.012, 0.05]}),
        line("audio/retrieval", "clsr", METRICS, dataset="esc10-test@sha256:0"),
    ]
    made = losses_table(runs, "mixtures-test")
    assert made is not None
    assert [row[0] for row in made.rows] == ["nt-xent", "clsr"]
    assert made.rows[1][3] == "25.0 (+3.1 [+1.2, +5.0])"
    assert "10 sounds, 30 captions, means of 2 seeds" in made.caption


def test_speeds_are_times_of_real_time() -> None:
    metrics = {
        f"{name}_times_real_time": 41.6 for name in ("decode", "front_end", "network", "network_bf16", "end_to_end")
    }
    made = speed_table([line("audio/bench", "mel-cnn", metrics)])
    assert made is not None
    assert made.rows[0] == ["mel-cnn", "42", "42", "42", "42", "42"]

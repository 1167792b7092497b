"""Networks by name: built from a seed, and loaded whichever class they are of."""

import json
from pathlib import Path

import pytest
import torch
from tests.radio.small import EVERY, TASK, cnn, noise, same, state

from tamis.core.errors import ConfigError, FileError, TamisError
from tamis.radio.methods import NETWORKS, build, load_network
from tamis.radio.network import Network


@pytest.mark.parametrize("name", NETWORKS)
def test_every_name_makes_the_class_and_the_configuration_that_it_says(name: str) -> None:
    with torch.device("meta"):
        network = build(name, seed=0, **TASK)
    kind, configure = NETWORKS[name]
    assert type(network).__name__ == kind
    assert network.config == configure(**TASK)
    assert (network.config.classes, network.config.samples) == (TASK["classes"], TASK["samples"])


def test_a_seed_repeats_the_weights_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (state(build("kd-cnn", seed=seed, **TASK)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first, again)
    assert not torch.equal(first["head.0.weight"], other["head.0.weight"])


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(ConfigError, match="'kdcnn' is no network; did you mean 'kd-cnn'"):
        build("kdcnn", seed=0)


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_saved_network_is_loaded_as_what_it_is(make: type[Network], tmp_path: Path) -> None:
    network = make().eval()
    network.save_pretrained(tmp_path / "model")
    for name in (tmp_path / "model", f"{tmp_path}/model"):
        loaded = load_network(name)
        assert type(loaded) is type(network)
        assert not loaded.training
        with torch.inference_mode():
            assert torch.equal(loaded(noise()), network(noise()))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "not the configuration of a tamis model"),
        ("{", "not the configuration of a tamis model"),
        ("[]", "not the configuration of a tamis model"),
        ("{}", "not the configuration of a tamis model"),
        (json.dumps({"class": "Tower"}), "a Tower; expected one of ClST, KDCNN"),
        (json.dumps({"class": ["KDCNN"]}), "expected one of ClST, KDCNN"),
        (
            json.dumps({"class": "KDCNN", "format": 1, "config": {"classes": ["a"]}}),
            "expected 2 to 1000 different plain names",
        ),
        (json.dumps({"class": "KDCNN", "format": 1, "config": {"width": [8]}}), "did you mean 'widths'"),
    ],
)
def test_what_is_no_network_of_this_package_is_refused_in_one_line(
    content: str | None, says: str, tmp_path: Path
) -> None:
    cnn().save_pretrained(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.unlink() if content is None else config.write_text(content)
    with pytest.raises(TamisError) as raised:
        load_network(tmp_path / "model")
    assert says in str(raised.value)
    assert str(config) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_network_without_weights_or_with_those_of_another_is_refused(tmp_path: Path) -> None:
    cnn().save_pretrained(tmp_path / "model")
    cnn(widths=(4, 4)).save_pretrained(tmp_path / "other")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(FileError, match="does not fit KDCNN"):
        load_network(tmp_path / "model")
    weights.unlink()
    with pytest.raises(FileError, match="no such file"):
        load_network(tmp_path / "model")


def test_a_name_that_is_neither_shipped_nor_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'clst-nowhere': no Network of this name comes with tamis"):
        load_network("clst-nowhere")
    with pytest.raises(FileError, match="no such directory"):
        load_network(tmp_path / "nowhere")

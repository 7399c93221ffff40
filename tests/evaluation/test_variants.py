"""Which runs belong together, and what they are called."""

import dataclasses
import json

import pytest

from dfcvae_tf import checkpoints
from dfcvae_tf.config import apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.variants import group_runs, name_runs
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir


@pytest.fixture(name="make")
def _make(tmp_path):
    """Writes the settings of a run in a folder, and returns its path."""

    def make(name, own_code=None, **settings):
        if settings.get("target_kl") is None:
            settings = {"kl_weight": 1.0, **settings}
        config = apply_settings(preset_config("mnist-vae"), settings)
        config = dataclasses.replace(config, image_shape=(28, 28, 1))
        inputs = checkpoints.Inputs("made up", {}, "", {}, own_code=own_code or {})
        checkpoints.write_config(RunDir(tmp_path / name), config, inputs)
        return str(tmp_path / name)

    return make


@pytest.fixture(name="grid")
def _grid(make):
    """Two objectives, two weights, two seeds each."""
    return [
        make(f"run{place}", objective=objective, kl_weight=weight, seed=seed)
        for place, (objective, weight, seed) in enumerate(
            (o, w, s) for o in ("vae", "dfc_vae") for w in (1.0, 4.0) for s in (0, 1)
        )
    ]


def test_runs_that_differ_in_nothing_but_the_seed_are_one_setting(grid):
    runs = name_runs([("", path) for path in grid])
    assert list(runs)[:3] == ["vae-kl1-s0", "vae-kl1-s1", "vae-kl4-s0"]
    assert list(runs.values()) == grid
    variants = group_runs(runs)
    assert [v.name for v in variants.each] == [
        "vae-kl1",
        "vae-kl4",
        "dfc_vae-kl1",
        "dfc_vae-kl4",
    ]
    assert variants.each[3].runs == ("dfc_vae-kl4-s0", "dfc_vae-kl4-s1")
    assert variants.columns == ("objective", "kl_weight")
    assert variants.each[3].values == {"objective": "dfc_vae", "kl_weight": 4.0}
    # Of no news beside the objective; the seed is no setting.
    assert "perceptual_model" in variants.along and "seed" not in variants.along
    assert variants.baseline == "vae-kl1-s0"


def test_what_was_shown_or_kept_and_where_is_no_setting(make):
    paths = [
        make("a", seed=0),
        make("elsewhere/b", seed=1, log_every=7, cache="none", checkpoint_every=5),
    ]
    (variant,) = group_runs({"one": paths[0], "two": paths[1]}).each
    assert variant.runs == ("one", "two")


def test_names_given_to_runs_name_their_setting(grid):
    runs = dict(zip(["box_0", "box_1", "vgg s0", "vgg s1"], grid, strict=False))
    assert [v.name for v in group_runs(runs).each] == ["box", "vgg"]
    runs = dict(zip("abcd", grid, strict=False))
    assert [v.name for v in group_runs(runs).each] == ["kl1", "kl4"]
    # "x" would be a run of another setting.
    runs = dict(zip(["x-s0", "x-s1", "x", "y"], grid, strict=False))
    assert group_runs(runs).each[0].name == "kl1"
    # Seeds alone tell nothing of their one setting.
    seeds = name_runs([("", path) for path in grid[:2]])
    assert list(seeds) == ["s0", "s1"]
    assert [v.name for v in group_runs(seeds).each] == ["vae"]


def test_the_same_seed_twice_is_no_second_training(make):
    path = make("a", seed=0)
    variants = group_runs({"first": path, "again": path, "other": make("b", seed=1)})
    assert [v.runs for v in variants.each] == [("first", "other"), ("again",)]


def test_names_of_runs_are_short_and_unique(make):
    alone = make("runs/alone")
    assert name_runs([("", alone)]) == {"alone": alone}
    alike = [make("x/2024/last"), make("x/2025/last")]
    assert list(name_runs([("", path) for path in alike])) == ["2024", "2025"]
    mixed = [("mine", alone), ("", make("steep", learning_rate=0.01))]
    assert list(name_runs(mixed)) == ["mine", "lr0.01"]
    bundled = [f"pretrained:mnist_{name}" for name in ("vae", "dfc_vae", "dfc_vae_gan")]
    assert list(name_runs([("", name) for name in bundled])) == [
        "vae",
        "dfc_vae",
        "dfc_vae-adv0.5",
    ]


def test_a_rate_asked_for_and_a_weight_given_are_shown_side_by_side(make):
    paths = [make("a", target_kl=12.0), make("b", kl_weight=7.0)]
    variants = group_runs(name_runs([("", path) for path in paths]))
    assert [v.name for v in variants.each] == ["nats12", "kl7"]
    assert variants.columns == ("target_kl", "kl_weight")
    assert variants.each[0].values == {"target_kl": 12.0, "kl_weight": None}


def test_the_baseline_is_a_setting_a_run_or_a_path(grid):
    runs = name_runs([("", path) for path in grid])
    for wanted, found in (
        ("dfc_vae-kl1", "dfc_vae-kl1-s0"),
        ("dfc_vae-kl1-s1", "dfc_vae-kl1-s1"),
        (grid[6] + "/", "dfc_vae-kl4-s0"),
    ):
        assert group_runs(runs, wanted).baseline == found
    with pytest.raises(UserError, match="unknown --baseline 'dfc'; known: vae-kl1, "):
        group_runs(runs, "dfc")


def test_two_runs_of_one_name_are_refused(make):
    path = make("a")
    with pytest.raises(UserError, match="two runs called 'x'"):
        name_runs([("x", path), ("x", path)])
    with pytest.raises(UserError, match="cannot call a run 'originals'"):
        name_runs([("originals", path)])
    with pytest.raises(UserError, match="twice"):
        name_runs([("", path), ("", path)])


def test_a_run_that_is_none(make, tmp_path):
    with pytest.raises(UserError, match="no such run directory"):
        name_runs([("", str(tmp_path / "absent"))])
    path = make("a")
    RunDir(path).config.write_text(json.dumps([]))
    with pytest.raises(UserError, match="not the configuration of a run"):
        group_runs({"a": path})


def test_a_network_of_ones_own_is_what_its_text_is_wherever_it_lies(make):
    first, moved, changed = [
        make(
            place, {"network": digest * 8}, network=f"file:{place}/net.py:build", seed=s
        )
        for s, (place, digest) in enumerate((("a", "12"), ("b", "12"), ("c", "34")))
    ]
    variants = group_runs({"first": first, "moved": moved, "changed": changed})
    assert [v.runs for v in variants.each] == [("first", "moved"), ("changed",)]
    assert variants.values("network") == ["net.build-12121212", "net.build-34343434"]

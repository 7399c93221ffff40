"""Presets: that they are what their sources say."""

import dataclasses
import json

import pytest

from dfcvae_tf import config as config_lib
from dfcvae_tf.errors import UserError
from dfcvae_tf.presets import PRESETS, preset_config, presets_help


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_survive_json(name):
    config = preset_config(name)
    config_lib.check(config)
    assert config.preset == name
    written = json.loads(json.dumps(config_lib.to_dict(config)))
    assert config_lib.from_dict(written) == config


def test_article_presets_are_the_articles_recipe():
    plain, dfc = preset_config("article-vae"), preset_config("article-dfc-vae")
    for config in (plain, dfc):
        assert config.optimizer.optimizer == "rmsprop"
        assert config.optimizer.learning_rate == 1e-3
        assert config.optimizer.schedule == "constant"
        assert config.training.batch_size == 32
        assert config.training.epochs == 15
        assert config.model.latent_dim == 5
        assert config.objective.kl_weight == 1.0
        assert config.objective.free_bits == 0.0
        assert config.objective.pixel_reduction == "sum"
        assert config.objective.perceptual_reduction == "sum"
        assert config.objective.perceptual_normalization == "none"
    assert plain.objective.pixel_loss == "bernoulli"
    assert plain.objective.pixel_weight == 1.0
    assert dfc.objective.pixel_weight == 0.0
    assert dfc.objective.perceptual_model == "mnist_classifier"


def test_hou2017_presets_differ_in_nothing_but_the_loss():
    plain = preset_config("hou2017-vae")
    for digits in ("123", "345"):
        dfc = preset_config(f"hou2017-vae-{digits}")
        same = dataclasses.replace(plain, preset=dfc.preset, objective=dfc.objective)
        assert dfc == same
        names = tuple(f"block{digit}_conv1" for digit in digits)
        assert dfc.objective.perceptual_layers == names
    assert (plain.model.network, plain.model.latent_dim) == ("hou64", 100)
    assert (plain.training.batch_size, plain.training.epochs) == (64, 5)
    assert plain.optimizer.learning_rate == 5e-4
    # Halved from epoch to epoch.
    assert plain.optimizer.decay_stages == plain.training.epochs
    assert plain.optimizer.decay_factor == 0.5


def test_presets_that_are_compared_ask_for_the_same_rate():
    for names in (
        ("mnist-vae", "mnist-dfc-vae", "mnist-dfc-vae-gan"),
        ("hou2017-vae", "hou2017-vae-123", "celeba-dfc-vae-gan"),
    ):
        asked = {preset_config(name).objective.target_kl for name in names}
        assert len(asked) == 1 and None not in asked


def test_help_says_what_a_preset_sets_and_nothing_else():
    lines = presets_help().splitlines()
    start = lines.index("  article-vae")
    assert [line.strip() for line in lines[start + 1 : start + 3]] == [
        "dataset=mnist objective=vae pixel_weight=1 optimizer=rmsprop epochs=15",
        "batch_size=32",
    ]
    assert [line[2:] for line in lines if line[2:] in PRESETS] == list(PRESETS)


def test_unknown_preset_lists_the_known():
    with pytest.raises(UserError, match="article-vae.*Did you mean 'mnist-vae'"):
        preset_config("mnist-vea")

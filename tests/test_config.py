"""Settings: checks, JSON."""

import dataclasses

import pytest

from dfcvae_tf import config as config_lib
from dfcvae_tf.config import apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.presets import preset_config


def test_one_name_may_stand_for_several_layers():
    settings = {
        "perceptual_model": "keras:VGG19",
        "perceptual_layers": ("123",),
        "perceptual_layer_weights": (1.0, 2.0, 3.0),
    }
    apply_settings(preset_config("mnist-dfc-vae"), settings)


def test_a_setting_overrides_its_preset():
    config = apply_settings(
        preset_config("mnist-vae"), {"latent_dim": 7, "steps": None, "epochs": 2.0}
    )
    assert config.model.latent_dim == 7
    assert (config.training.steps, config.training.epochs) == (None, 2.0)
    config = apply_settings(config, {"steps": 5})
    assert (config.training.steps, config.training.epochs) == (5, None)


def test_another_objective_brings_its_own_weights():
    plain = apply_settings(preset_config("article-dfc-vae"), {"objective": "vae"})
    assert plain.objective == preset_config("article-vae").objective
    both = apply_settings(
        preset_config("mnist-vae"), {"objective": "dfc_vae", "pixel_weight": 0.5}
    )
    assert both.objective.perceptual_model == "mnist_classifier"
    assert both.objective.pixel_weight == 0.5


def test_another_perceptual_model_or_layers_leave_the_presets_weights_behind():
    preset = preset_config("mnist-dfc-vae")
    assert len(preset.objective.perceptual_layer_weights) == 4
    layers = apply_settings(preset, {"perceptual_layers": ("conv1",)})
    assert layers.objective.perceptual_layer_weights == ()
    model = apply_settings(preset, {"perceptual_model": "keras:VGG19"})
    assert model.objective.perceptual_layers == ()
    assert model.objective.perceptual_layer_weights == ()
    named = {"objective": "dfc_vae", "perceptual_model": "keras:VGG19"}
    assert apply_settings(preset, named) == model
    same = apply_settings(preset, {"perceptual_model": "mnist_classifier"})
    assert same == preset


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "--latent_dim must be greater than 0"),
        ({"batch_size": -1}, "--batch_size must be greater than 0"),
        ({"image_size": (0, 64)}, "--image_size must be greater than 0"),
        ({"kl_weight": -1.0}, "--kl_weight must be 0 or more, got -1.0"),
        ({"learning_rate": float("nan")}, "--learning_rate must be a finite number"),
        ({"ema_decay": 1.0}, "--ema_decay must be 0 or more and below 1, got 1.0"),
        ({"seed": 2**32}, "--seed must be 0 or more and below 4,294,967,296"),
        ({"schedule": "cosin"}, "cosine, staircase. Did you mean 'cosine'?"),
        ({"steps": 1, "epochs": 1.0}, "both --steps and --epochs"),
        (
            {"perceptual_layers": ("a", "b"), "perceptual_layer_weights": (1.0,)},
            "1 values for 2 --perceptual_layers (a, b)",
        ),
        (
            {"perceptual_layer_weights": (1.0, -1.0, 1.0, 1.0)},
            "--perceptual_layer_weights must be 0 or more, got -1.0",
        ),
        (
            {"pixel_weight": 1.0, "decoder_output": "linear"},
            "choose --pixel_loss=gaussian",
        ),
        ({"decay_factor": 0.0}, "--decay_factor must be greater than 0"),
        ({"perceptual_model": None}, "--objective=dfc_vae needs a --perceptual_model"),
    ],
)
def test_bad_settings_say_what_would_be_right(settings, message):
    with pytest.raises(UserError, match="(?s)") as error:
        apply_settings(preset_config("mnist-dfc-vae"), settings)
    assert message in str(error.value)


def test_a_rate_takes_the_place_of_a_weight_and_stays_with_another_objective():
    preset = preset_config("mnist-dfc-vae")
    assert (preset.objective.target_kl, preset.objective.kl_weight) == (12.4, None)
    plain = apply_settings(preset, {"objective": "vae"}).objective
    assert (plain.target_kl, plain.kl_weight) == (12.4, None)
    weight = apply_settings(preset, {"kl_weight": 2.0}).objective
    assert (weight.target_kl, weight.kl_weight) == (None, 2.0)
    back = apply_settings(preset_config("article-vae"), {"target_kl": 9.0}).objective
    assert (back.target_kl, back.kl_weight) == (9.0, None)


def test_a_plain_vae_has_no_perceptual_model():
    with pytest.raises(UserError, match="has no perceptual loss"):
        apply_settings(
            preset_config("mnist-vae"), {"perceptual_model": "mnist_classifier"}
        )
    with pytest.raises(UserError, match="--perceptual_layers is set"):
        apply_settings(preset_config("mnist-vae"), {"perceptual_layers": ("conv1",)})


def test_only_settings_that_change_the_computation_differ():
    old = preset_config("mnist-vae")
    runtime = {"log_every": 7, "data_dir": "elsewhere", "distribution": "mirrored"}
    assert config_lib.differing_settings(old, apply_settings(old, runtime)) == {}
    new = apply_settings(old, {"latent_dim": 6, "seed": 1, "log_every": 7})
    assert config_lib.differing_settings(old, new) == {
        "latent_dim": (5, 6),
        "seed": (0, 1),
    }


def test_json_of_another_version_is_refused_by_name():
    values = config_lib.to_dict(preset_config("mnist-vae"))
    values["model"]["latent_dims"] = values["model"].pop("latent_dim")
    with pytest.raises(UserError, match="'model'.*: latent_dims"):
        config_lib.from_dict(values)


def test_settings_that_an_earlier_version_did_not_have_get_their_default():
    config = preset_config("mnist-vae")
    values = config_lib.to_dict(config)
    del values["model"]["decoder_output"], values["optimizer"]["decay_stages"]
    del values["adversarial"]
    assert config_lib.from_dict(values) == config
    # Folders had no meaning yet; whether that makes other data is told by the data.
    del values["data"]["subfolders"], values["data"]["background"]
    before = config_lib.from_dict(values)
    assert before.data.subfolders == "ignore"
    assert not config_lib.differing_settings(before, config)
    del values["model"]["conv_design"]
    assert config_lib.from_dict(values).model.conv_design == "full_resolution"


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("model", "latent_dim", "five"),
        ("model", "latent_dim", 5.5),
        ("optimizer", "learning_rate", [0.1]),
        ("objective", "perceptual_layers", "conv1"),
        ("objective", "perceptual_layer_weights", [1, None]),
        ("data", "image_size", [28, 28, 1]),
        ("data", "cache", None),
        ("training", "jit_compile", 1),
    ],
)
def test_json_with_a_value_of_another_type_is_refused_by_name(section, name, value):
    values = config_lib.to_dict(preset_config("mnist-dfc-vae"))
    values[section][name] = value
    with pytest.raises(UserError, match=f"--{name}"):
        config_lib.from_dict(values)


@pytest.mark.parametrize("shape", [28, [28, 28], [28, 28, 0], ["28", "28", "1"]])
def test_an_image_shape_is_three_sizes(shape):
    values = config_lib.to_dict(preset_config("mnist-vae"))
    with pytest.raises(UserError, match="image_shape must be three sizes"):
        config_lib.from_dict(values | {"image_shape": shape})


def test_every_setting_has_one_home_help_and_a_way_from_its_flag():
    fields = [
        f for cls in config_lib.SECTIONS.values() for f in dataclasses.fields(cls)
    ]
    assert [field.name for field in fields] == list(config_lib.SETTINGS)
    for field in fields:
        setting = config_lib.SETTINGS[field.name]
        assert setting.description
        assert setting.parse or not isinstance(field.default, tuple)
        if field.name not in ("steps", "epochs"):
            setting.check(field.default)

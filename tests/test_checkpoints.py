"""Checkpoints that survive crashes, and loading trained runs."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf import checkpoints as checkpoints_lib
from dfcvae_tf.checkpoints import Checkpoints, load_for_inference
from dfcvae_tf.config import apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_json, write_json
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.objective import build_objective
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir
from dfcvae_tf.training.build import build_training
from dfcvae_tf.weights import get_arrays

MADE_UP = checkpoints_lib.Inputs(
    "made up", {"train": 3, "test": 2}, "digest", {"perceptual_model": "digest"}
)


def save_some(directory, keep=3, steps=(10, 20, 30)):
    """Checkpoints whose variable holds their step."""
    variable = tf.Variable([0.0, 0.0])
    checkpoints = Checkpoints(directory, keep, {"network": [variable]})
    for step in steps:
        variable.assign([step, step])
        checkpoints.save(step)
    variable.assign([-1.0, -1.0])
    return checkpoints, variable


def test_newest_is_restored_and_old_ones_go(tmp_path):
    checkpoints, variable = save_some(tmp_path, keep=2)
    assert checkpoints.steps() == [20, 30]
    assert checkpoints.restore_newest() == 30
    np.testing.assert_array_equal(variable, [30, 30])
    assert len(os.listdir(tmp_path)) == 4


def test_nothing_to_restore(tmp_path):
    checkpoints, _ = save_some(tmp_path / "absent", steps=())
    assert checkpoints.restore_newest() is None


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_corrupt_newest_falls_back_and_says_so(tmp_path, caplog, ending, damage):
    checkpoints, variable = save_some(tmp_path)
    path = tmp_path / f"ckpt-30.{ending}"
    data = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(bytes([data[0] ^ 0xFF]) + data[1:])
    else:
        path.unlink()
    caplog.set_level("WARNING")
    assert checkpoints.restore_newest() == 20
    np.testing.assert_array_equal(variable, [20, 20])
    if not (damage == "remove" and ending == "index"):  # then it never was one
        assert "step 30 cannot be used" in caplog.text


def test_all_corrupt_is_an_error_that_names_the_folder(tmp_path):
    checkpoints, _ = save_some(tmp_path, steps=(10,))
    (tmp_path / "ckpt-10.index").write_bytes(b"")
    with pytest.raises(UserError, match="none of the checkpoints .*steps 10.*new"):
        checkpoints.restore_newest()


def test_variables_that_do_not_fit_are_not_restored_in_part(tmp_path):
    save_some(tmp_path)
    for variables in (
        {"network": [tf.Variable([0.0, 0.0]), tf.Variable(1.0)]},
        {"network": []},
        {"network": [tf.Variable([0.0, 0.0, 0.0])]},
    ):
        with pytest.raises(UserError, match="none of the checkpoints"):
            Checkpoints(tmp_path, 3, variables).restore_newest()


def test_a_crash_while_writing_leaves_the_newest_usable(tmp_path, monkeypatch):
    checkpoints, _ = save_some(tmp_path)
    replace = os.replace

    def crash_before_index(source, target):
        if str(target).endswith(".index"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash_before_index)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(40)
    monkeypatch.undo()
    assert checkpoints.restore_newest() == 30
    checkpoints.save(50)
    assert checkpoints.steps() == [20, 30, 50]
    assert not [n for n in os.listdir(tmp_path) if "writing" in n]


@pytest.fixture(name="finished")
def _finished(tmp_path) -> RunDir:
    settings = {"network": "conv", "width": 2, "latent_dim": 3, "prior": "standard"}
    config = apply_settings(preset_config("mnist-vae"), settings)
    config = config.__class__(**{**vars(config), "image_shape": (8, 8, 1)})
    run = RunDir(tmp_path / "run")
    vae = build_vae(config.model, (8, 8, 1), "float32")
    checkpoints_lib.write_config(run, config, MADE_UP)
    checkpoints_lib.save_inference_weights(run, vae)
    return run


def test_a_run_directory_is_enough_to_rebuild_the_model(finished):
    model = load_for_inference(str(finished))
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    z_mean, z_log_var = model.encoder(images)
    assert z_mean.shape == z_log_var.shape == (3, 3)
    decoded = model.decoder(z_mean).numpy()
    assert decoded.shape == (3, 8, 8, 1)
    assert decoded.min() >= 0 and decoded.max() <= 1
    again = load_for_inference(str(finished))
    np.testing.assert_array_equal(again.encoder(images)[0], z_mean)
    np.testing.assert_allclose(
        model.encoder(images[1:2])[0], z_mean[1:2], atol=1e-6, rtol=1e-5
    )


def test_provenance_is_recorded(finished):
    provenance = read_json(finished.config)["provenance"]
    assert provenance["versions"]["tensorflow"] == tf.__version__
    assert provenance["dataset"] == "made up"


def test_what_a_run_was_made_from_is_compared_with_what_there_is(finished):
    config = checkpoints_lib.read_config(finished)
    assert checkpoints_lib.differences(finished, config, MADE_UP) == []
    found = checkpoints_lib.differences(
        finished,
        apply_settings(config, {"target_kl": 9.0}),
        dataclasses.replace(
            MADE_UP, data_digest="other", model_digests={"perceptual_model": "other"}
        ),
    )
    assert found == [
        "target_kl 12.4 -> 9.0",
        "other images: their names or sizes are not the same",
        "perceptual_model: the content of None has changed",
    ]
    # An earlier version kept nothing of it.
    content = read_json(finished.config)
    content["provenance"] = {"dataset": "made up"}
    write_json(finished.config, content)
    assert checkpoints_lib.differences(finished, config, MADE_UP) == []


def test_damaged_runs_are_one_line(finished):
    finished.weights.write_bytes(finished.weights.read_bytes()[:100])
    with pytest.raises(UserError, match="inference.npz is not a readable"):
        load_for_inference(str(finished))
    finished.weights.unlink()
    with pytest.raises(UserError, match="training did not finish"):
        load_for_inference(str(finished))
    finished.config.write_text('{"settings": {}}')
    with pytest.raises(UserError, match="config.json: settings in section 'data'"):
        load_for_inference(str(finished))
    finished.config.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_for_inference(str(finished))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_checkpoint_of_training_can_be_loaded_without_finishing(finished, ema_decay):
    config = checkpoints_lib.read_config(finished)
    config = apply_settings(config, {"ema_decay": ema_decay})
    checkpoints_lib.write_config(finished, config, MADE_UP)
    finished.weights.unlink()
    objective = build_objective(config.objective)
    state = build_training(config, tf.distribute.get_strategy(), objective).state
    (player,) = state.players
    saver = Checkpoints(finished.checkpoints, 3, state.checkpointed())
    wanted = build_vae(config.model, (8, 8, 1), "float32")
    for step in (1, 2):
        for variable in [*player.network_variables, *player.ema]:
            variable.assign(tf.random.stateless_normal(variable.shape, [step, step]))
        saver.save(step)
        if step == 1:
            state.copy_inference_weights(wanted)
    loaded = load_for_inference(str(finished), step=1).vae
    for name in ("encoder", "decoder"):
        expected = get_arrays(getattr(wanted, name))
        for key, array in get_arrays(getattr(loaded, name)).items():
            np.testing.assert_array_equal(array, expected[key])

    with pytest.raises(UserError, match="no checkpoint of step 3; .* steps 1, 2"):
        load_for_inference(str(finished), step=3)
    data = finished.checkpoints / "ckpt-2.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(UserError, match="step 2 in .* is damaged"):
        load_for_inference(str(finished), step=2)

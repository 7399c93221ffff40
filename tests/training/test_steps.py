"""The training step: exact updates, precision, XLA, replicas, EMA, players."""

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.checkpoints import Checkpoints
from dfcvae_tf.config import ObjectiveConfig, apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.models import hou
from dfcvae_tf.models.vae import NETWORKS, build_vae, sample_z
from dfcvae_tf.objective import Objective, build_objective
from dfcvae_tf.perceptual.registry import build_perceptual_model
from dfcvae_tf.presets import preset_config
from dfcvae_tf.training import keras_compat, steps
from dfcvae_tf.training.build import (
    build_adversary,
    build_features,
    build_training,
)

SHAPE = (8, 8, 1)
BATCH = 8
CONFIG = apply_settings(
    preset_config("mnist-vae"),
    {
        "network": "conv",
        "conv_design": "full_resolution",
        "width": 2,
        "latent_dim": 3,
        "batch_size": BATCH,
        "steps": 10,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 0,
        "kl_weight": 0.5,
    },
)
IMAGES = np.random.default_rng(0).random((4, BATCH, *SHAPE)).astype(np.float32)


def begin(
    model=CONFIG.model,
    shape=SHAPE,
    start=None,
    precision="float32",
    jit_compile=False,
    clip_norm=0.0,
    ema_decay=0.0,
    objective=None,
    target_kl=None,
    images=None,
    adversarial=(),
):
    """Returns the state of a tiny VAE, and what trains it: steps -> mean metrics.

    It goes on from the checkpoint in the folder `start`, if given.
    """
    strategy = tf.distribute.get_strategy()
    settings = {"clip_norm": clip_norm, "ema_decay": ema_decay, "seed": 7}
    settings |= {"precision": precision, "jit_compile": jit_compile}
    if target_kl:
        settings |= {"target_kl": target_kl, "optimizer": "adam"}
    config = apply_settings(CONFIG, settings)
    config = dataclasses.replace(config, model=model, image_shape=shape)
    config = apply_settings(config, dict(adversarial))
    adversary = build_adversary(config, strategy)
    objective = objective or build_objective(config.objective, adversary=adversary)
    training = build_training(config, strategy, objective, adversary)
    state = training.state
    done = Checkpoints(start, 1, state.checkpointed()).restore_newest() if start else 0
    if images is None:
        images = np.random.default_rng(0).random((4, BATCH, *shape)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices({"image": images}).repeat()
    batches = iter(dataset.skip(done))

    def train(num_steps):
        metrics = training.train_steps(batches, tf.constant(num_steps))
        return {name: value.numpy() for name, value in metrics.items()}

    return state, train


@functools.cache
def run(num_steps=4, **settings):
    """Returns state and mean metrics after some steps.

    Tests that ask for the same get the same, as each is compiled anew: they change
    nothing of it.
    """
    state, train = begin(**settings)
    return state, train(num_steps)


@pytest.fixture(name="with_batch_norm")
def _with_batch_norm(monkeypatch):
    """Settings of a tiny network with batch normalisation in both halves."""
    recipe = hou.Recipe(16, (4, 6), (8, 4), decay=0.5)
    monkeypatch.setitem(hou.RECIPES, "hou16", recipe)
    monkeypatch.setitem(NETWORKS, "hou16", hou.build)
    model = apply_settings(CONFIG, {"network": "hou16"}).model
    return {"model": model, "shape": (16, 16, 1)}


def variables(state):
    return state.players[0].network_variables


def joined(tensors):
    return np.concatenate([np.ravel(tensor) for tensor in tensors])


def weights(state):
    return joined(v.read_value() for v in variables(state))


def fresh_vae(model=CONFIG.model, shape=SHAPE):
    """The networks as `run` starts with them."""
    return build_vae(model, shape, "float32", seed=7)


def start_weights():
    return joined(fresh_vae().variables)


def test_one_step_is_gradient_descent_on_the_logged_loss():
    vae = fresh_vae()
    noise = steps.latent_noise(7, tf.constant(0, tf.int64), [BATCH, 3])
    with tf.GradientTape() as tape:
        z_mean, z_log_var = vae.encoder(IMAGES[0])
        logits = vae.decoder(sample_z(z_mean, z_log_var, noise))
        recon = tf.sigmoid(logits)
        bce = -tf.reduce_sum(
            IMAGES[0] * tf.math.log(recon) + (1 - IMAGES[0]) * tf.math.log(1 - recon)
        )
        kl = 0.5 * tf.reduce_sum(z_mean**2 + tf.exp(z_log_var) - 1 - z_log_var)
        loss = (bce + 0.5 * kl) / BATCH
    gradients = tape.gradient(loss, vae.trainable_variables)
    pairs = zip(vae.trainable_variables, gradients, strict=True)
    expected = joined(variable - 0.01 * gradient for variable, gradient in pairs)
    state, metrics = run(num_steps=1, ema_decay=0.999)
    np.testing.assert_allclose(weights(state), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["gradient_norm"], tf.linalg.global_norm(gradients), rtol=1e-4
    )
    assert int(state.step.numpy()) == 1


def test_logged_parts_add_up_and_steps_are_counted():
    state, metrics = run()
    total = metrics["pixel_loss"] + metrics["kl_loss"]
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-6)
    np.testing.assert_allclose(
        metrics["kl_nats_per_dimension"].sum(), metrics["kl_nats"], rtol=1e-5
    )
    assert int(state.step.numpy()) == 4


def test_several_steps_per_call_are_as_many_calls():
    state, means = run()
    again, train = begin()
    losses = [train(1)["loss"] for _ in range(4)]
    np.testing.assert_allclose(weights(again), weights(state), atol=1e-6)
    np.testing.assert_allclose(np.mean(losses), means["loss"], rtol=1e-5)


def test_clipping_bounds_the_update():
    state, metrics = run(num_steps=1, clip_norm=1.0)
    assert metrics["gradient_norm"] > 1.0  # of the gradient before it was clipped
    update = np.linalg.norm(weights(state) - start_weights())
    np.testing.assert_allclose(update, 0.01 * 1.0, rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        pytest.param(
            {"jit_compile": True},
            1e-5,
            marks=pytest.mark.skipif(
                not keras_compat.KERAS_3,
                reason="XLA of TensorFlow 2.15 has no gradient of resize",
            ),
        ),
        ({"precision": "mixed_bfloat16"}, 0.02),
        ({"precision": "mixed_float16"}, 5e-3),
    ],
)
def test_xla_and_mixed_precision_match_float32(settings, tolerance):
    plain, expected = run(target_kl=2.5)
    state, metrics = run(target_kl=2.5, **settings)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=tolerance)
    assert {v.dtype for v in variables(state)} == {tf.float32}
    if "precision" not in settings:
        np.testing.assert_allclose(weights(state), weights(plain), atol=1e-5)


def test_float16_overflow_lowers_the_scale_and_skips_the_step():
    plain = build_objective(CONFIG.objective)

    class Exploding(Objective):
        def __call__(self, forward):
            terms = plain(forward)
            return {**terms, "loss": 1e6 * terms["loss"]}

    state, metrics = run(
        num_steps=2, precision="mixed_float16", objective=Exploding([])
    )
    assert metrics["skipped_steps"] == 1.0
    assert float(keras_compat.loss_scale(state.players[0].optimizer)) == 2.0**15 / 4
    np.testing.assert_allclose(weights(state), start_weights(), atol=1e-6)


def test_ema_is_the_running_average_and_what_inference_gets():
    state, _ = run(num_steps=1, ema_decay=0.999)
    first = weights(state)
    target = fresh_vae()
    # decay after the first step: min(0.999, (1 + 1) / (10 + 1))
    expected = 2 / 11 * joined(target.variables) + 9 / 11 * first
    state.copy_inference_weights(target)
    np.testing.assert_allclose(joined(target.variables), expected, rtol=1e-5, atol=1e-7)


def test_batch_norm_trains_on_the_batch_and_evaluates_on_moving_statistics(
    with_batch_norm,
):
    state, _ = run(num_steps=1, ema_decay=0.999, **with_batch_norm)
    norm = state.vae.encoder.get_layer("norm1")
    fresh = fresh_vae(**with_batch_norm)
    images = np.random.default_rng(0).random((4, BATCH, 16, 16, 1)).astype(np.float32)
    seen = fresh.encoder.get_layer("conv1")(images[0]).numpy().reshape(-1, 4)
    np.testing.assert_allclose(norm.moving_mean, 0.5 * seen.mean(0), atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, 0.5 + 0.5 * seen.var(0), rtol=1e-4)
    before = weights(state)
    evaluate = steps.build_eval_step(state.vae, build_objective(CONFIG.objective), 0)
    number = tf.constant(0, tf.int64)
    both = [evaluate(tf.constant(images[1][i : i + 4]), number) for i in (0, 4)]
    # The same noise for the same rows: only the images of the batch differ.
    mixed = evaluate(tf.constant(np.roll(images[1], 4, axis=0)[:4]), number)
    np.testing.assert_allclose(mixed["loss"], both[1]["loss"], rtol=1e-6)
    np.testing.assert_array_equal(weights(state), before)


def test_the_kl_comes_to_the_target_whatever_the_weight_must_be():
    # Bright to one side, which two latents can tell.
    slopes = np.random.default_rng(0).normal(0, 3, (4, BATCH, 2, 1, 1))
    x, y = np.meshgrid(*[np.linspace(-1, 1, 8)] * 2)
    images = 1 / (1 + np.exp(-slopes[:, :, 0] * x - slopes[:, :, 1] * y))
    _, train = begin(target_kl=2.5, images=images[..., np.newaxis].astype(np.float32))
    train(400)
    assert train(100)["kl_nats"] == pytest.approx(2.5, rel=0.05)


def test_batch_norm_and_kl_weight_go_on_from_a_checkpoint_as_if_it_never_stopped(
    with_batch_norm, tmp_path
):
    settings = {"ema_decay": 0.9, "target_kl": 2.5, **with_batch_norm}
    straight, train = begin(**settings)
    train(2)
    Checkpoints(tmp_path, 1, straight.checkpointed()).save(2)
    train(1)
    resumed, train = begin(start=tmp_path, **settings)
    train(1)
    for name, variables in straight.checkpointed().items():
        for a, b in zip(variables, resumed.checkpointed()[name], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [{"jit_compile": True}, {"precision": "mixed_bfloat16"}]
)
def test_batch_norm_with_xla_and_mixed_precision(with_batch_norm, setting):
    if "jit_compile" in setting and not keras_compat.KERAS_3:
        pytest.skip("XLA of TensorFlow 2.15 has no gradient of resize")
    plain, expected = run(**with_batch_norm)
    state, metrics = run(**with_batch_norm, **setting)
    exact = "jit_compile" in setting
    np.testing.assert_allclose(
        metrics["loss"], expected["loss"], rtol=1e-5 if exact else 0.02
    )
    np.testing.assert_allclose(
        weights(state), weights(plain), atol=1e-4 if exact else 0.05
    )


def test_inference_gets_current_statistics_with_averaged_weights(with_batch_norm):
    state, _ = run(num_steps=1, ema_decay=0.999, **with_batch_norm)
    target = build_vae(with_batch_norm["model"], with_batch_norm["shape"], "float32")
    state.copy_inference_weights(target)
    pairs = zip(target.variables, state.vae.variables, strict=True)
    statistics = [(copy, now) for copy, now in pairs if "moving" in now.name]
    assert len(statistics) == 2 * 3
    for copy, now in statistics:
        np.testing.assert_array_equal(copy.numpy(), now.numpy())
    kernel = state.vae.encoder.get_layer("conv1").kernel
    assert np.abs(target.encoder.get_layer("conv1").kernel - kernel).max() > 0


def test_batch_norm_over_replicas_cannot_be_compiled():
    class Layer:
        synchronized = True

    class Network:
        layers = (Layer(),)

    class State:
        balance = None
        players = (SimpleNamespace(networks={"encoder": Network}),)

    with pytest.raises(UserError, match="--jit_compile cannot average"):
        steps.build_train_step(State, BATCH, jit_compile=True)
    steps.build_train_step(State, BATCH)


def test_training_leaves_the_perceptual_model_as_it_was():
    features = build_perceptual_model(
        ObjectiveConfig(
            perceptual_model="keras:VGG19",
            perceptual_weights="random",
            perceptual_layers=("block1_conv1",),
        ),
        SHAPE,
        seed=0,
    )
    before = [v.numpy().copy() for v in features.variables]
    config = apply_settings(
        CONFIG, {"objective": "dfc_vae", "perceptual_weight": 1e-6}
    ).objective
    state, metrics = run(objective=build_objective(config, features))
    assert metrics["perceptual_loss"] > 0 and metrics["gradient_norm"] > 0
    assert before
    for was, now in zip(before, features.variables, strict=True):
        np.testing.assert_array_equal(was, now.numpy())
    trained = {id(v) for group in state.checkpointed().values() for v in group}
    frozen = keras_compat.tf_variables(features.variables)
    assert trained.isdisjoint(id(v) for v in frozen)
    assert not features.model.trainable_variables


def test_noise_is_standard_normal_and_a_function_of_seed_and_step():
    draw = [
        steps.latent_noise(seed, tf.constant(step, tf.int64), [50_000, 2]).numpy()
        for seed, step in [(0, 0), (0, 0), (0, 1), (1, 0)]
    ]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert abs(np.corrcoef(draw[0].ravel(), draw[2].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(draw[0].ravel(), draw[3].ravel())[0, 1]) < 0.02
    np.testing.assert_allclose([draw[0].mean(), draw[0].std()], [0.0, 1.0], atol=0.02)


class Critic:
    """A second player: the mean of its output is to be 1 on what the VAE draws."""

    def __init__(self, network):
        self.network = network

    def __call__(self, forward):
        score = self.network(tf.stop_gradient(forward.reconstruction))[:, 0]
        return {"score": score, "loss": tf.square(score - 1.0)}


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"precision": "mixed_float16"}, marks=pytest.mark.slow)],
)
def test_players_each_lower_their_own_loss(settings, tmp_path):
    """The VAE learns as if alone; the second player is saved, averaged and scaled too."""
    alone, expected = run(**settings)
    config = apply_settings(CONFIG, {"seed": 7, "ema_decay": 0.9, **settings})
    config = dataclasses.replace(config, image_shape=SHAPE)
    strategy = tf.distribute.get_strategy()
    training = build_training(config, strategy, build_objective(CONFIG.objective))
    images = tf.keras.Input(SHAPE)
    score = tf.keras.layers.Dense(1, dtype="float32")(tf.keras.layers.Flatten()(images))
    critic = tf.keras.Model(images, score)
    optimizer = tf.keras.optimizers.SGD(0.01)
    if settings:
        optimizer = keras_compat.LossScaleOptimizer(optimizer)
    player = steps.Player(
        "critic", {"critic": critic}, optimizer, Critic(critic), ema=True
    )
    state = steps.TrainState(training.state.vae, [*training.state.players, player])
    start = [v.numpy() for v in critic.trainable_variables]
    train_steps = steps.build_train_steps(
        state,
        steps.build_train_step(state, BATCH),
        strategy,
        steps.DrawNoise(7, BATCH, 3),
        0.9,
    )
    dataset = tf.data.Dataset.from_tensor_slices({"image": IMAGES}).repeat()
    metrics = {
        k: v.numpy() for k, v in train_steps(iter(dataset), tf.constant(4)).items()
    }
    np.testing.assert_allclose(weights(state), weights(alone), atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-6)
    assert metrics["critic/loss"] > 0 and metrics["critic/gradient_norm"] > 0
    assert ("critic/skipped_steps" in metrics) == bool(settings)
    for before, now, average in zip(
        start, critic.trainable_variables, player.ema, strict=True
    ):
        assert np.abs(before - now.numpy()).max() > 0
        assert np.abs(average.numpy() - now.numpy()).max() > 0
    # Its loss falls, and nothing of it reached the VAE.
    more = train_steps(iter(dataset), tf.constant(30))
    assert more["critic/loss"] < metrics["critic/loss"]
    saved = state.checkpointed()
    assert {"network", "ema", "step", "critic_network", "critic_ema"} <= set(saved)
    Checkpoints(tmp_path, 1, saved).save(34)
    after = [v.numpy() for v in critic.trainable_variables]
    for variable in critic.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    assert Checkpoints(tmp_path, 1, saved).restore_newest() == 34
    for value, variable in zip(after, critic.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


ADVERSARIAL = (
    ("adversarial_weight", 0.5),
    ("adversarial_start", 0),
    ("adversarial_sample_weight", 0.5),
    ("discriminator_augment", True),
    ("discriminator_r1_every", 2),
    ("discriminator_width", 2),
)


def test_a_step_with_a_discriminator_is_gradient_descent_of_both():
    adversarial = dict(ADVERSARIAL) | {"adversarial_adaptive": False}
    adversarial |= {"discriminator_augment": False}
    state, train = begin(adversarial=adversarial)
    vae, discriminator = fresh_vae(), state.players[1].networks["discriminator"]
    zero = tf.constant(0, tf.int64)
    noise = steps.DrawNoise(7, BATCH, 3, samples=True)(zero)
    with tf.GradientTape() as tape:
        z_mean, z_log_var = vae.encoder(IMAGES[0])
        outputs = vae.decoder(sample_z(z_mean, z_log_var, noise.posterior))
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(IMAGES[0], outputs)
        kl = 0.5 * tf.reduce_sum(z_mean**2 + tf.exp(z_log_var) - 1 - z_log_var)
        fooled = [
            -tf.reduce_sum(tf.math.log_sigmoid(discriminator(tf.sigmoid(made))))
            for made in (outputs, vae.decoder(noise.samples))
        ]
        adversarial_loss = 0.5 * (fooled[0] + 0.5 * fooled[1]) / 1.5
        loss = tf.reduce_sum(cross_entropy) + 0.5 * kl + adversarial_loss
        loss /= BATCH
    gradients = tape.gradient(loss, vae.trainable_variables)
    pairs = zip(vae.trainable_variables, gradients, strict=True)
    expected = joined(variable - 0.01 * gradient for variable, gradient in pairs)
    before = joined(discriminator.trainable_variables)
    metrics = train(1)
    np.testing.assert_allclose(weights(state), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    assert metrics["discriminator/gradient_penalty"] > 0
    # Adam's first step is as long as its rate, wherever there is a gradient.
    moved = np.abs(joined(discriminator.trainable_variables) - before)
    assert np.median(moved[moved > 0]) == pytest.approx(5e-4, rel=1e-2)


def test_before_its_first_step_the_vae_learns_as_if_alone():
    alone, _ = run()
    state, train = begin(adversarial=dict(ADVERSARIAL) | {"adversarial_start": 4})
    kernel = state.players[1].trainable_variables[0]
    before = np.array(kernel)
    train(4)
    np.testing.assert_allclose(weights(state), weights(alone), atol=1e-6)
    assert np.abs(np.array(kernel) - before).max() > 0
    train(1)
    assert np.abs(weights(state) - weights(run(num_steps=5)[0])).max() > 1e-5


def test_an_adaptive_weight_makes_both_pull_equally_hard():
    images = tf.constant(IMAGES[0])
    state, train = begin(
        adversarial={"adversarial_weight": 1.0, "adversarial_start": 0}
    )
    weight = float(train(2)["adversarial_weight"])
    assert weight > 0
    vae, discriminator = state.vae, state.players[1].networks["discriminator"]
    noise = steps.latent_noise(7, state.step.read_value(), [BATCH, 3])
    forward = vae.forward(images, noise, state.step, training=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(forward.outputs)
        recon = tf.sigmoid(forward.outputs)
        others = tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(images, forward.outputs)
        )
        own = -tf.reduce_sum(tf.math.log_sigmoid(discriminator(recon)))
    norms = [tf.norm(tape.gradient(loss, forward.outputs)) for loss in (others, own)]
    found = float(state.balance(state.step.read_value()))
    assert found == pytest.approx(float(norms[0] / norms[1]), rel=0.2)


def test_both_players_go_on_from_a_checkpoint_as_if_they_never_stopped(tmp_path):
    settings = {"ema_decay": 0.9, "adversarial": ADVERSARIAL}
    straight, train = begin(**settings)
    train(3)
    Checkpoints(tmp_path, 1, straight.checkpointed()).save(3)
    train(2)
    resumed, train = begin(start=tmp_path, **settings)
    train(2)
    lists = straight.checkpointed()
    assert {"discriminator_network", "discriminator_optimizer", "balance"} <= set(lists)
    for name, variables in lists.items():
        for a, b in zip(variables, resumed.checkpointed()[name], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize("setting", ["jit_compile", "mixed_float16"])
def test_a_discriminator_with_xla_and_mixed_precision(setting):
    exact = setting == "jit_compile"
    given = {setting: True} if exact else {"precision": setting}
    _, expected = run(num_steps=2, adversarial=ADVERSARIAL)
    _, metrics = run(num_steps=2, adversarial=ADVERSARIAL, **given)
    assert ("discriminator/skipped_steps" in metrics) is not exact
    skipped = () if exact else ("gradient_norm",)  # float16's scale starts too high
    tolerance = 1e-4 if exact else 0.05
    for name in set(expected).difference(skipped):
        np.testing.assert_allclose(
            metrics[name], expected[name], tolerance, tolerance, err_msg=name
        )


def test_the_start_is_one_for_every_objective_and_perceptual_model():
    strategy = tf.distribute.get_strategy()
    starts = []
    for settings in (
        {"objective": "vae"},
        {"objective": "dfc_vae"},
        {
            "objective": "dfc_vae",
            "perceptual_model": "keras:VGG19",
            "perceptual_weights": "random",
            "perceptual_layers": ("block1_conv1",),
        },
        {"objective": "vae", "precision": "mixed_bfloat16"},
    ):
        config = apply_settings(preset_config("mnist-vae"), settings)
        config = dataclasses.replace(config, image_shape=(28, 28, 1))
        features = build_features(config, strategy)
        objective = build_objective(config.objective, features)
        starts.append(weights(build_training(config, strategy, objective).state))
    for other in starts[1:]:
        np.testing.assert_array_equal(other, starts[0])

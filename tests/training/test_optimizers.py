"""Optimizers by name, and the learning rate over time."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import OptimizerConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.training import keras_compat
from dfcvae_tf.training.optimizers import (
    ADDONS_OPTIMIZERS,
    LearningRate,
    build_optimizer,
)

HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None


def build(**settings):
    config = OptimizerConfig(**settings)
    return build_optimizer(config, LearningRate(config, total_steps=100))


def rates(**settings):
    schedule = LearningRate(OptimizerConfig(**settings), total_steps=100)
    return np.array([float(schedule(step)) for step in range(101)])


def test_constant_rate_is_constant():
    np.testing.assert_allclose(rates(learning_rate=0.5), 0.5)


def test_cosine_falls_from_the_peak_to_zero():
    values = rates(learning_rate=0.5, schedule="cosine")
    np.testing.assert_allclose(
        values, 0.25 * (1 + np.cos(np.pi * np.arange(101) / 100)), atol=1e-7
    )


def test_staircase_has_equal_steps_and_ends_on_the_last():
    values = rates(
        learning_rate=0.5, schedule="staircase", decay_factor=0.1, decay_stages=4
    )
    np.testing.assert_allclose(
        values[:100], np.repeat([0.5, 0.05, 0.005, 0.0005], 25), rtol=1e-5
    )
    assert values[100] == values[99]


def test_warmup_rises_to_the_peak_and_then_decays():
    values = rates(learning_rate=0.5, schedule="cosine", warmup_steps=20)
    np.testing.assert_allclose(values[:20], 0.5 * np.arange(1, 21) / 20, rtol=1e-6)
    assert values.argmax() in (19, 20)
    assert np.all(np.diff(values[20:]) < 0) and values[-1] < 1e-6


@pytest.mark.parametrize("name", ["adam", "RMSprop", "sgd", "nadam", "ADAMW"])
def test_keras_optimizers_by_any_case(name):
    assert type(build(optimizer=name)).__name__.lower() == name.lower()


@pytest.mark.skipif(HAS_ADDONS, reason="tensorflow-addons is installed")
def test_addons_optimizer_says_what_is_missing():
    with pytest.raises(UserError, match="needs tensorflow-addons.*'addons' extra"):
        build(optimizer="rectifiedadam")


def test_unknown_optimizer_lists_the_known():
    with pytest.raises(UserError, match="adam.*ranger.*Did you mean 'adam'"):
        build(optimizer="adm")


@pytest.mark.parametrize(
    "name",
    ["adam", "rmsprop"]
    + [
        pytest.param(
            n,
            marks=pytest.mark.skipif(not HAS_ADDONS, reason="needs tensorflow-addons"),
        )
        for n in ADDONS_OPTIMIZERS
    ],
)
def test_an_optimizer_makes_its_variables_first_and_then_descends(name):
    variable = tf.Variable([3.0, -2.0])
    optimizer = build(optimizer=name, learning_rate=0.1)
    own = keras_compat.build_optimizer_variables(optimizer, [variable])
    assert own and all(isinstance(v, tf.Variable) for v in own)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable**2)
        keras_compat.apply_gradients(
            optimizer, tape.gradient(loss, [variable]), [variable]
        )
        return loss

    losses = [float(step()) for _ in range(20)]
    assert losses[-1] < losses[0]
    again = optimizer.variables
    assert len(again() if callable(again) else again) == len(own)

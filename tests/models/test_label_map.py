"""What labels do to latents: a map that can be inverted, and none without labels."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.models.label_map import (
    AXES,
    COMMON,
    MOVES,
    OVERLAP,
    SHIFT,
    STRETCH,
    LabelMap,
)

DIM, LABELS = 6, 4


def some_map(several: bool) -> LabelMap:
    """Of attributes that overlap, of which several may be asked for, or of classes."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(DIM, LABELS))
    axes[:, 1] = axes[:, 0] + 0.1 * axes[:, 1]
    axes, orthonormal = axes / np.linalg.norm(axes, axis=0), np.linalg.qr(axes)[0]
    axes = axes if several else orthonormal
    shape = 2 * LABELS, LABELS
    rows = np.tile(np.eye(LABELS), (2, 1)) if several else np.ones(shape)
    parameters = {
        AXES: axes,
        MOVES: axes.T,
        SHIFT: rng.normal(size=shape) * rows,
        STRETCH: rng.uniform(-0.9, 0.2, shape) * rows,
    }
    if several:
        parameters[OVERLAP] = axes.T @ axes
    return LabelMap({name: np.float32(value) for name, value in parameters.items()})


def map_with_own_axes() -> LabelMap:
    """Of attributes with three axes each, more than there are dimensions."""
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(np.cov(rng.normal(size=(DIM, 5 * DIM))))
    of_labels = np.linalg.qr(rng.normal(size=(LABELS, DIM, 3)))[0]
    white = of_labels.transpose(1, 2, 0).reshape(DIM, -1)
    diagonal = np.tile(np.eye(LABELS), (2, 1))
    parameters = {
        AXES: np.linalg.solve(root.T, white),
        MOVES: (root @ white).T,
        SHIFT: rng.normal(size=diagonal.shape) * diagonal,
        STRETCH: rng.uniform(-0.9, 1, (2 * LABELS, 3 * LABELS)) * np.tile(diagonal, 3),
        OVERLAP: white[:, :LABELS].T @ white[:, :LABELS],
        COMMON: np.ones((2 * LABELS,) * 2),
    }
    return LabelMap({name: np.float32(value) for name, value in parameters.items()})


def asked(several: bool) -> np.ndarray:
    rows = np.eye(LABELS, dtype=np.float32)
    if not several:
        return rows
    return np.concatenate([rows, -rows, [[1, 1, 0, 0], [1, -1, 1, -1], [1, 1, 1, 1]]])


@pytest.mark.parametrize(
    ("label_map", "several"),
    [(some_map(False), False), (some_map(True), True), (map_with_own_axes(), True)],
)
def test_there_and_back_and_its_determinant(label_map, several):
    label = tf.constant(asked(several), tf.float32)
    x = np.random.default_rng(1).normal(size=(len(label), DIM)).astype(np.float32)
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        y = label_map(inputs, label)
    assert np.abs(y - x).max(axis=1).min() > 0.1
    back, log_det = label_map.invert(y, label)
    np.testing.assert_allclose(back, x, atol=1e-5)
    jacobian = tape.batch_jacobian(y, inputs).numpy()
    np.testing.assert_allclose(log_det, -np.linalg.slogdet(jacobian)[1], atol=1e-5)
    assert np.all(np.linalg.det(jacobian) > 0)


def test_without_labels_latents_stay_as_they_are():
    x = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    none = np.zeros((3, LABELS), np.float32)
    np.testing.assert_array_equal(some_map(True)(x, none), x)
    back, log_det = some_map(True).invert(x, none)
    np.testing.assert_allclose(back, x, atol=1e-6)
    np.testing.assert_allclose(log_det, 0, atol=1e-6)


def test_all_classes_at_once_are_no_more_than_one():
    x = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    every = np.ones((3, LABELS), np.float32)
    y = some_map(False)(x, every)
    np.testing.assert_allclose(some_map(False)(x, every / LABELS), y, atol=1e-5)
    np.testing.assert_allclose(some_map(False).invert(y, every)[0], x, atol=1e-5)


def test_what_two_labels_have_in_common_counts_once():
    axis = np.eye(DIM, dtype=np.float32)[:, :1].repeat(2, axis=1)
    diagonal = np.tile(np.eye(2, dtype=np.float32), (2, 1))
    same = LabelMap(
        {
            AXES: axis,
            MOVES: axis.T,
            SHIFT: 2 * diagonal,
            STRETCH: -0.5 * diagonal,
            OVERLAP: np.ones((2, 2), np.float32),
        }
    )
    x = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    one, both = (same(x, np.float32([row] * 3)) for row in ([1, 0], [1, 1]))
    np.testing.assert_allclose(one, both, atol=1e-6)
    np.testing.assert_allclose(one[:, 0], 0.5 * x[:, 0] + 2, atol=1e-6)

"""Discriminant analysis of latents, against the moments of the labels' own images."""

import numpy as np
import pytest
from scipy import stats

from dfcvae_tf.models.label_map import MOVES, SHIFT, STRETCH, LabelMap
from dfcvae_tf.training.label_moments import (
    label_gain,
    moments_of_attributes,
    moments_of_classes,
)

DIM, SPREAD = 6, 0.3


def images(count: int, shares: list[float]):
    """z_mean [N, D] around a mean for each class, z_log_var, and classes [N]."""
    rng = np.random.default_rng(0)
    means = rng.normal(0, 2, (len(shares), DIM))
    mix = rng.normal(size=(DIM, DIM))
    classes = rng.choice(len(shares), count, p=shares)
    z_mean = means[classes] + rng.normal(size=(count, DIM)) @ mix
    z_log_var = np.full((count, DIM), 2 * np.log(SPREAD))
    return np.float32(z_mean), np.float32(z_log_var), classes


def moved(parameters, z_mean: np.ndarray, row: np.ndarray | list[int]) -> np.ndarray:
    """Draws of a normal distribution with the moments of all latents, moved by a label."""
    covariance = np.cov(z_mean.T) + SPREAD**2 * np.eye(DIM)
    rng = np.random.default_rng(1)
    x = rng.multivariate_normal(np.zeros(DIM), covariance, 40_000).astype(np.float32)
    label = np.tile(np.asarray(row, np.float32), (len(x), 1))
    return LabelMap(parameters)(x, label).numpy() + z_mean.mean(axis=0)


def check(drawn: np.ndarray, own: np.ndarray, within: np.ndarray) -> None:
    """Compares draws with the images that have the label; deviations are about `within`."""
    deviation = np.sqrt(np.diag(within))
    np.testing.assert_allclose(
        (drawn.mean(axis=0) - own.mean(axis=0)) / deviation, 0, atol=0.05
    )
    # As whitened, all directions count alike.
    root = np.linalg.cholesky(np.linalg.inv(within))
    np.testing.assert_allclose(
        root.T @ np.cov(drawn.T) @ root, np.eye(DIM), rtol=0, atol=0.12
    )


def test_classes_lie_where_their_images_do_and_as_close_together():
    z_mean, z_log_var, classes = images(20_000, [0.5, 0.3, 0.2])
    label = np.equal.outer(classes, np.arange(3)).astype(np.int8)
    parameters = moments_of_classes(z_mean, z_log_var, label)
    within = sum(
        np.cov(z_mean[classes == c].T) * np.mean(classes == c) for c in range(3)
    ) + SPREAD**2 * np.eye(DIM)
    for c in range(3):
        drawn = moved(parameters, z_mean, np.eye(3)[c])
        check(drawn, z_mean[classes == c], within)


@pytest.mark.parametrize("wanted", [1, -1])
def test_so_do_images_with_an_attribute_and_those_without(wanted):
    z_mean, z_log_var, classes = images(20_000, [0.7, 0.3])
    chance = np.random.default_rng(2).random(len(classes)) < 0.5
    label = np.where(np.stack([classes > 0, chance], axis=1), 1, -1).astype(np.int8)
    parameters = moments_of_attributes(z_mean, z_log_var, label)
    own = z_mean[classes == (wanted > 0)]
    check(
        moved(parameters, z_mean, [wanted, 0]),
        own,
        np.cov(own.T) + SPREAD**2 * np.eye(DIM),
    )


@pytest.mark.parametrize("wanted", [1, -1])
def test_an_attribute_has_directions_of_its_own(wanted):
    """Images that have it are narrower along one and wider along another, mean apart."""
    rng = np.random.default_rng(0)
    count, mix = 20_000, np.random.default_rng(1).normal(size=(DIM, DIM))
    having = rng.random(count) < 0.3
    noise = rng.normal(size=(count, DIM))
    noise[having] *= [0.3, 1, 1.7, 1, 1, 1]
    noise[having, 5] += 2
    z_mean = np.float32(noise @ mix)
    z_log_var = np.full_like(z_mean, 2 * np.log(SPREAD))
    label = np.where(having, 1, -1)[:, np.newaxis].astype(np.int8)
    parameters = moments_of_attributes(z_mean, z_log_var, label)
    own = z_mean[having == (wanted > 0)]
    within = np.cov(own.T) + SPREAD**2 * np.eye(DIM)
    check(moved(parameters, z_mean, [wanted]), own, within)


def test_any_of_many_attributes_go_together():
    """More axes than dimensions; the last attribute is the first under another name."""
    z_mean, z_log_var, classes = images(2000, [0.4, 0.3, 0.2, 0.1])
    rng = np.random.default_rng(4)
    z_mean *= 1 + (classes[:, np.newaxis] == 1) * np.float32([1, 0, -0.7, 0, 0, 0])
    columns = [classes == c for c in range(4)] + [rng.random(2000) < 0.3, classes == 0]
    label = np.where(np.stack(columns, axis=1), 1, -1).astype(np.int8)
    parameters = moments_of_attributes(z_mean, z_log_var, label)
    assert len(parameters[MOVES]) > DIM
    label_map = LabelMap(parameters)
    asked = rng.integers(-1, 2, (300, 6)).astype(np.float32)
    asked[:2] = [1, -1, -1, -1, 0, -1], [1, 1, 1, 1, 1, 1]  # no image is like that
    x = rng.normal(0, 3, (300, DIM)).astype(np.float32)
    y = label_map(x, asked).numpy()
    back, log_det = label_map.invert(y, asked)
    np.testing.assert_allclose(back, x, atol=1e-4)
    origin = label_map(np.zeros_like(x), asked).numpy()
    columns = [
        label_map(np.tile(unit, (300, 1)), asked).numpy() - origin
        for unit in np.eye(DIM, dtype=np.float32)
    ]
    signs, log_dets = np.linalg.slogdet(np.stack(columns, axis=1).astype(np.float64))
    assert np.all(signs > 0)
    np.testing.assert_allclose(log_det, -log_dets, atol=1e-4)
    one, both = (
        label_map(x, np.tile(np.float32([[1, 0, 0, 0, 0, last]]), (300, 1)))
        for last in (0, 1)
    )
    np.testing.assert_allclose(one, both, atol=1e-4)


def test_labels_of_chance_move_nothing():
    """32 dimensions: the means of 25 images are 1.1 deviations from that of all."""
    rng = np.random.default_rng(0)
    z_mean = rng.normal(size=(1000, 32)).astype(np.float32)
    z_log_var = np.full_like(z_mean, -2)
    few = np.zeros(1000, bool)
    few[:25] = True
    attributes = np.where(few[:, np.newaxis], 1, -1).astype(np.int8)
    classes = np.stack([few, ~few], axis=1).astype(np.int8)
    for moments, label in (
        (moments_of_attributes, attributes),
        (moments_of_classes, classes),
    ):
        parameters = moments(z_mean, z_log_var, label)
        assert np.abs(parameters[SHIFT]).max() < 0.5
        assert np.abs(parameters[STRETCH]).max() < 0.3
    assert np.linalg.norm(z_mean[few].mean(axis=0)) > 1


def test_what_labels_are_worth_is_the_ratio_of_normal_densities():
    z_mean, z_log_var, classes = images(20_000, [0.6, 0.4])
    label = np.equal.outer(classes, np.arange(2)).astype(np.int8)
    parameters = moments_of_classes(z_mean, z_log_var, label)
    rng = np.random.default_rng(3)
    z = z_mean + np.float32(SPREAD) * rng.normal(size=z_mean.shape).astype(np.float32)
    rows = label.astype(np.float32)
    rows[::2] = 0
    gain = label_gain(parameters, z_mean, z_log_var, z, rows)
    own = [stats.multivariate_normal(z[classes == c].mean(0)) for c in (0, 1)]
    within = sum(np.cov(z[classes == c].T) * np.mean(classes == c) for c in (0, 1))
    of_all = stats.multivariate_normal(z.mean(axis=0), np.cov(z.T))
    ratios = [
        stats.multivariate_normal(own[c].mean, within).logpdf(x) - of_all.logpdf(x)
        for c, x in zip(classes[1::2], z[1::2], strict=True)
    ]
    assert gain == pytest.approx(np.mean(ratios), abs=0.02)
    assert label_gain(parameters, z_mean, z_log_var, z, rows[:, ::-1]) < 0

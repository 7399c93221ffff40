"""Correlations of vectors, put in an order that shows blocks."""

import itertools

import numpy as np
import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.attributes.relations import correlate


def test_blocks_come_together_with_numpys_correlations():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 40))
    blocks = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    vectors = (centres[blocks] + 0.3 * rng.normal(size=(9, 40))).astype(np.float32)
    names = [f"{block}{index}" for index, block in enumerate(blocks)]
    found = correlate(names, vectors)
    assert sorted(found.names) == sorted(names)
    order = [name[0] for name in found.names]
    assert sum(a != b for a, b in itertools.pairwise(order)) == 2
    places = [names.index(name) for name in found.names]
    np.testing.assert_allclose(found.values, np.corrcoef(vectors[places]), atol=1e-6)
    stored = found.to_json()
    assert stored["correlation"][0][0] == 1.0 and stored["names"] == list(found.names)


def test_opposite_vectors_are_far_apart():
    found = correlate(["a", "b", "c"], np.array([[1.0, 2, 4], [-1, -2, -4], [1, 2, 5]]))
    assert {found.names[0], found.names[-1]} in ({"b", "a"}, {"b", "c"})
    assert found.values.min() == -1.0


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_nothing_to_correlate_is_an_error(shape):
    with pytest.raises(UserError, match=f"here are {shape[0]} and {shape[1]}"):
        correlate(["a"] * shape[0], np.ones(shape))

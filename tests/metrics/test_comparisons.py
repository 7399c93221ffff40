"""All pairs and groups as one family of tests."""

import numpy as np

from dfcvae_tf.metrics.comparisons import compare_groups
from dfcvae_tf.metrics.paired import compare_paired, holm


def test_every_pair_in_every_group_with_one_correction():
    rng = np.random.default_rng(0)
    base = rng.normal(size=60)
    values = {
        "a": base,
        "b": base + rng.normal(0.1, 0.5, 60),
        "c": base + rng.normal(0.5, 0.5, 60),
    }
    first = np.arange(60) < 25
    groups = {"all": np.ones(60, bool), "first": first, "lone": np.arange(60) == 3}
    pairs = [("b", "a"), ("c", "a")]
    found = compare_groups(values, pairs, groups, seed=7)
    assert [(p.first, p.second) for p in found] == pairs
    assert [g.group for g in found[0].groups] == ["all", "first"]  # one has no spread
    expected = compare_paired(values["c"][first], values["a"][first], seed=7)
    assert found[1].groups[1].test == expected
    tests = [g for p in found for g in p.groups]
    assert [g.holm_log10_p for g in tests] == holm([g.test.log10_p for g in tests])
    assert all(g.holm_log10_p >= g.test.log10_p for g in tests)

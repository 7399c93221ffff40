"""All pairs and groups as one family of tests, each made once."""

import numpy as np
import pytest

from dfcvae_tf.metrics import comparisons
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.paired import compare_paired, holm

PAIRS = [("b", "a"), ("c", "a")]
FIRST = np.arange(60) < 25
GROUPS = {"all": np.ones(60, bool), "first": FIRST, "lone": np.arange(60) == 3}


@pytest.fixture(name="values")
def _values():
    rng = np.random.default_rng(0)
    base = rng.normal(size=60)
    return {
        "a": {"m": base, "n": base.copy()},
        "b": {"m": base + rng.normal(0.1, 0.5, 60), "n": 2 * base},
        "c": {"m": base + rng.normal(0.5, 0.5, 60)},
    }


def test_every_pair_in_every_group_with_one_correction(values):
    found = Comparisons(values, GROUPS, seed=7).compare_groups(PAIRS, "m")
    assert [(p.first, p.second) for p in found] == PAIRS
    assert [g.group for g in found[0].groups] == ["all", "first"]  # one has no spread
    expected = compare_paired(values["c"]["m"][FIRST], values["a"]["m"][FIRST], seed=7)
    assert found[1].groups[1].test == expected
    tests = [g for p in found for g in p.groups]
    assert [g.holm_log10_p for g in tests] == holm([g.test.log10_p for g in tests])
    assert all(g.holm_log10_p >= g.test.log10_p for g in tests)


def test_only_pairs_with_both_values_count(values):
    values["a"]["n"][:3] = np.nan
    values["b"]["n"][3] = np.inf
    test = Comparisons(values, GROUPS, seed=0).compare("b", "a", "n", "all")
    rest = slice(4, None)
    assert test == compare_paired(values["b"]["n"][rest], values["a"]["n"][rest], 0)
    values["a"]["n"][:] = np.nan
    none = Comparisons(values, GROUPS, seed=0)
    assert none.compare("b", "a", "n", "all") is None
    assert list(none.compare_measures("b", "a", "all")) == ["m"]


def test_each_comparison_is_made_once(values, monkeypatch):
    made = []

    def counted(a, b, seed):
        made.append(a)
        return compare_paired(a, b, seed)

    monkeypatch.setattr(comparisons, "compare_paired", counted)
    found = Comparisons(values, GROUPS, seed=0)
    for _ in range(2):
        found.compare("b", "a", "m", "all")
        found.compare_groups(PAIRS, "m")
        assert set(found.compare_measures("c", "a", "all")) == {"m"}  # c has no n
        found.compare_measures("b", "a", "all")
    assert len(made) == 5  # m of two pairs in two groups, n of one pair in one

"""What is said of settings against the baseline, from measures made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from dfcvae_tf.evaluation.judge import Worth
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.standing import (
    compare_variants,
    describe_interval,
    describe_variants,
)
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.evaluation.variants import Variant, Variants
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.paired import compare_paired
from dfcvae_tf.metrics.trainings import compare_trainings

N = 50
GOOD_JUDGE, POOR_JUDGE = Worth(0.99, 0.1, 0.55, 0.0), Worth(0.12, 0.1, 0.55, 0.3)


def variants_of(**runs):
    each = tuple(Variant(name, own, {}) for name, own in runs.items())
    return Variants(each, (), (), {}, each[0].runs[0])


def measures(seed, level, energy=0.5, agreement=0.9):
    rng = np.random.default_rng(seed)
    image = np.random.default_rng(99).normal(size=N)  # what an image adds to every run
    values = level + 0.1 * image + 0.02 * rng.normal(size=N)
    return {
        "laplacian_variance": values,
        "blurred_laplacian_variance": values,
        "blurred_edge_recovery": np.where(np.arange(N) == 0, np.nan, values),
        "high_frequency_energy": np.full(N, energy),
        "label_agreement": (rng.random(N) < agreement).astype(float),
    }


def said(variants, collapsed=(), worth=GOOD_JUDGE, **runs):
    originals = {"high_frequency_energy": np.ones(N)}
    table = MeasureTable({ORIGINALS: originals, **runs})
    comparisons = Comparisons(table.values, {"all": np.ones(N, bool)}, 0)
    verdicts = compare_variants(table, comparisons, variants, collapsed, worth, 0)
    return {v["first"]: {c["claim"]: c for c in v["claims"]} for v in verdicts}


def test_of_single_trainings_the_images_decide():
    runs = {"base": measures(0, 0.2), "mine": measures(1, 0.5, agreement=0.5)}
    found = said(variants_of(base=("base",), mine=("mine",)), **runs)["mine"]
    assert found["sharper"]["supported"]
    a, b = (runs[name]["laplacian_variance"] for name in ("mine", "base"))
    assert str(compare_paired(a, b)) in found["sharper"]["sentence"]
    assert found["sharper"]["text"].startswith("sharper: Laplacian variance +0.3")
    assert not found["label agreement"]["supported"]
    assert "label agreement lower" in found["label agreement"]["text"]


def test_of_several_trainings_their_spread_counts():
    """What every pair of trainings shows is not supported where seeds differ as much."""
    levels = {"a0": 0.1, "a1": 0.3, "a2": 0.5, "b0": 0.35, "b1": 0.55, "b2": 0.75}
    runs = {n: measures(i, level) for i, (n, level) in enumerate(levels.items())}
    together = variants_of(a=("a0", "a1", "a2"), b=("b0", "b1", "b2"))
    found = said(together, **runs)["b"]["sharper"]
    assert not found["supported"] and "not sharper" in found["text"]
    stacked = [
        np.stack([runs[f"{name}{i}"]["laplacian_variance"] for i in range(3)])
        for name in "ba"
    ]
    assert str(compare_trainings(*stacked)) in found["sentence"]
    assert said(variants_of(a=("a0",), b=("b0",)), **runs)["b"]["sharper"]["supported"]
    steady = {n: measures(i, 0.5 * (n > "b")) for i, n in enumerate(levels)}
    assert said(together, **steady)["b"]["sharper"]["supported"]


def test_noise_is_called_noise():
    runs = {"base": measures(0, 0.2), "noisy": measures(1, 0.5, energy=1.3)}
    two = variants_of(base=("base",), noisy=("noisy",))
    assert said(two, **runs)["noisy"]["sharper"]["text"] == (
        "noisier, not sharper: 1.30 times the originals' high-frequency energy"
    )
    # A ratio whose digits stand in the reason of missing edges is not the reason.
    runs["noisy"] |= {
        "high_frequency_energy": measures(1, 0.5, energy=0.01)["high_frequency_energy"],
        "blurred_edge_recovery": runs["base"]["blurred_edge_recovery"],
    }
    text = said(two, **runs)["noisy"]["sharper"]["text"]
    assert text.startswith("not sharper where the originals are: edges recovered")
    runs["noisy"]["blurred_laplacian_variance"] = runs["base"]["laplacian_variance"]
    assert "but not after a blur" in said(two, **runs)["noisy"]["sharper"]["text"]


@pytest.mark.parametrize("worth", [POOR_JUDGE, None])
def test_a_worthless_judge_and_a_collapsed_setting_give_no_verdict(worth):
    runs = {name: measures(i, i) for i, name in enumerate("abc")}
    three = variants_of(a=("a",), b=("b",), c=("c",))
    found = said(three, collapsed=("b",), worth=worth, **runs)
    assert {name: list(claims) for name, claims in found.items()} == {"c": ["sharper"]}
    # Against the mean of all images nothing is worth a comparison.
    assert said(three, collapsed=("a",), **runs) == {}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.03027, 0.02999, 0.03055), "+0.0303 [0.0300, 0.0306]"),
        ((0.1118, 0.1096, 0.1141), "+0.112 [0.110, 0.114]"),
        ((-0.2, -0.9, 0.5), "-0.20 [-0.90, 0.50]"),
        ((0.0, 0.0, 0.0), "+0 [0, 0]"),
    ],
)
def test_an_interval_has_the_digits_that_tell_its_ends_apart(values, text):
    mean, low, high = values
    test = SimpleNamespace(mean_difference=mean, ci_low=low, ci_high=high)
    assert describe_interval(test) == text


def test_what_collapsed_is_said_in_a_sentence_however_many_there_are():
    runs = {f"{name}{i}": i for name in "abc" for i in range(3)}
    variants = variants_of(
        **{name: tuple(n for n in runs if n[0] == name) for name in "abc"}
    )
    latents = {
        name: Latents(np.zeros((4, 2)), np.full((4, 2), 3.0 if alive else 1e-3))
        for name, alive in ((n, n[0] == "a" or n == "c2") for n in runs)
    }
    found = describe_variants(variants, latents, N)
    whole, partly = found["alerts"]
    assert "b (0.002 nats)." in whole and "no verdict" in whole
    assert "2 of 3 trainings of c (c0, c1)" in partly
    assert [s["collapsed"] for s in found["settings"]] == [
        [],
        ["b0", "b1", "b2"],
        ["c0", "c1"],
    ]
    assert found["basis"].startswith("Intervals (95 %) are over trainings and the 50")
    mixed = variants_of(a=("a0", "a1"), b=("b0",))
    assert "of b there is one training" in describe_variants(mixed, {}, N)["basis"]
    single = describe_variants(variants_of(b=("b0",), a=("a0",)), latents, N)
    assert "hold for these trainings only" in single["basis"]
    assert "choose another with --baseline" in single["alerts"][0]


def test_other_rates_than_the_baselines_are_said():
    latents = {
        name: Latents(np.zeros((4, 2)), np.full((4, 2), nats))
        for name, nats in (("a", 6.2), ("near", 6.3), ("far", 9.0), ("none", 1e-3))
    }
    variants = variants_of(**{name: (name,) for name in latents})
    *_, alert = describe_variants(variants, latents, N)["alerts"]
    assert "than the baseline's 12.4 nats: far 18." in alert
    del latents["far"]
    variants = variants_of(**{name: (name,) for name in latents})
    (alert,) = describe_variants(variants, latents, N)["alerts"]
    assert alert.startswith("Collapsed: none")

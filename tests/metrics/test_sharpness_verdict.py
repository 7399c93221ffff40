"""Verdicts on images whose answer is known."""

import numpy as np
import pytest

from dfcvae_tf import run_dir
from dfcvae_tf.files import read_arrays
from dfcvae_tf.metrics import sharpness
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.measures import measure_images
from dfcvae_tf.metrics.paired import compare_paired
from dfcvae_tf.metrics.sharpness_verdict import assess_sharper, is_higher


@pytest.fixture(name="digits", scope="module")
def _digits():
    sample = read_arrays(run_dir.ASSETS_DIR / "mnist_sample.npz")
    return sample["test_images"][:500].astype(np.float32) / 255


def clip(images):
    return np.clip(images, 0, 1).astype(np.float32)


def assess(originals, a, b, name_a, name_b):
    of_originals, made = measure_images(originals, {name_a: a, name_b: b})
    comparisons = Comparisons(made, {"all": np.ones(len(a), bool)}, seed=0)
    energy = "high_frequency_energy"
    measures = {
        "laplacian": "laplacian_variance",
        "blurred": "blurred_laplacian_variance",
        "edge_recovery": "blurred_edge_recovery",
    }
    return assess_sharper(
        name_a,
        name_b,
        high_frequency_ratio=made[name_a][energy].mean() / of_originals[energy].mean(),
        **{
            name: comparisons.compare(name_a, name_b, measure, "all")
            for name, measure in measures.items()
        },
    )


def test_originals_are_sharper_than_their_blur(digits):
    verdict = assess(digits, digits, sharpness.blur(digits), "dfc", "vae")
    assert verdict.supported and verdict.reasons == ()
    assert verdict.high_frequency_ratio == pytest.approx(1.0)
    assert verdict.sentence.startswith("Supported: dfc is sharper than vae: ")
    assert "n 500" in verdict.sentence


@pytest.mark.parametrize(("count", "supported"), [(4, False), (12, True)])
def test_equal_differences_count_as_many_as_they_are(count, supported):
    agrees = compare_paired(np.ones(count), np.zeros(count))
    assert agrees.p_value == 0.0
    assert is_higher(agrees) == supported  # of Wilcoxon's test: 2 / 2**count


@pytest.mark.parametrize("kind", ["free", "clipped", "proportional"])
@pytest.mark.parametrize("strength", [0.02, 0.1, 0.3])
def test_noise_is_not_sharper(digits, kind, strength):
    blurred = sharpness.blur(digits)
    noise = np.random.default_rng(0).normal(0, strength, digits.shape)
    noisy = {
        "free": np.float32(blurred + noise),
        "clipped": clip(blurred + noise),
        "proportional": clip(blurred * (1 + 2 * noise)),
    }[kind]
    verdict = assess(digits, noisy, blurred, "noisy", "plain")
    assert verdict.laplacian.ci_low > 0  # which is why there is a guard
    assert not verdict.supported
    assert any("edges" in reason for reason in verdict.reasons)
    assert verdict.sentence.startswith(
        "Not supported: noisy has the higher Laplacian variance than plain ("
    )


def test_ringing_is_not_sharper(digits):
    blurred = sharpness.blur(digits)
    details = blurred - sharpness.blur(blurred)
    sharpened = assess(digits, clip(blurred + details), blurred, "sharpened", "plain")
    assert sharpened.supported
    ringing = assess(
        digits, np.float32(blurred + 8 * details), blurred, "ringing", "plain"
    )
    assert not ringing.supported
    (reason,) = ringing.reasons
    assert "times the high-frequency energy" in reason


def test_edges_elsewhere_are_not_sharper(digits):
    other_digits = np.roll(digits, 1, axis=0)
    verdict = assess(digits, other_digits, sharpness.blur(digits), "other", "plain")
    assert not verdict.supported
    assert any("edges" in reason for reason in verdict.reasons)


def test_what_is_not_higher_is_not_sharper(digits):
    blurred = sharpness.blur(digits)
    equal = assess(digits, blurred, blurred, "a", "b")
    assert not equal.supported
    assert len(equal.reasons) == 3  # the high frequencies are fine
    assert equal.sentence.startswith("Not supported: a is not sharper: ")
    lower = assess(digits, blurred, digits, "a", "b")
    assert not lower.supported
    assert lower.laplacian.mean_difference < 0


def test_constant_originals_are_left_out_of_edge_recovery(digits):
    originals = digits[:20].copy()
    originals[:3] = np.array([0.0, 0.1, 0.7]).reshape(3, 1, 1, 1)
    verdict = assess(originals, originals, sharpness.blur(originals), "copy", "blurred")
    assert verdict.supported
    assert (verdict.laplacian.n, verdict.edge_recovery.n) == (20, 17)

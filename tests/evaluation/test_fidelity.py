"""Fidelity of a perfect, a useless and a duplicated run."""

import numpy as np
import pytest

from dfcvae_tf.evaluation.fidelity import (
    describe_judge,
    measure_distances,
    measure_fidelity,
)
from dfcvae_tf.evaluation.inference import RunOutputs
from dfcvae_tf.evaluation.judge import Judgement
from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import ASSETS_DIR

N = 60


@pytest.fixture(scope="module")
def images():
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")["test_images"]
    return sample[:N].astype(np.float32) / 255


def outputs(reconstructions, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N, 3)).astype(np.float32)
    z[:, 2] = 0  # a dead dimension
    kl = np.tile(np.float32([1.0, 2.0, 0.0]), (N, 1))
    return RunOutputs(z, np.zeros_like(z), reconstructions, kl, np.full(N, 10.0))


def judgement(labels, features):
    return Judgement(features, labels, np.linspace(0, 1, len(labels)))


def test_perfect_useless_and_duplicated(images):
    rng = np.random.default_rng(0)
    labels, features = rng.integers(0, 10, N), rng.normal(size=(N, 4))
    useless = np.broadcast_to(images.mean(axis=0), images.shape).copy()
    wrong = labels.copy()
    wrong[: N // 2] += 1
    judged = {
        "originals": judgement(labels, features),
        "perfect": judgement(labels, features),
        "useless": judgement(wrong, features),
        "copy": judgement(wrong, features),
    }
    runs = {"perfect": images, "useless": useless, "copy": useless}
    section = measure_fidelity(
        images, {name: outputs(x) for name, x in runs.items()}, judged, seed=0
    )
    perfect, bad = section.runs["perfect"], section.runs["useless"]
    assert perfect["mse"] == 0 and perfect["psnr"] == np.inf
    assert perfect["ssim"] == pytest.approx(1) and perfect["label_kept"] == 1
    for ratio in (
        "sharpness_ratio",
        "blurred_sharpness_ratio",
        "high_frequency_ratio",
        "edge_recovery",
        "blurred_edge_recovery",
    ):
        assert perfect[ratio] == pytest.approx(1)
        assert bad[ratio] < 0.5
    assert bad["mse"] == pytest.approx(((images - useless) ** 2).mean())
    assert bad["label_kept"] == 0.5
    assert bad["kl_nats"] == 3 and bad["negative_elbo"] == 13
    assert bad["active_units"] == 2
    np.testing.assert_equal(section.runs["copy"], bad)
    by_pair = {(d["first"], d["second"]): d for d in section.results["differences"]}
    same = by_pair["copy", "useless"]["measures"]["mse"]
    assert same.mean_difference == 0 and same.p_value == 1
    verdicts = {(v["first"], v["second"]): v for v in section.results["verdicts"]}
    kept = verdicts["perfect", "useless"]
    assert kept["supported"]
    assert "100.0 % against 50.0 %, +50.0 points" in kept["sentence"]
    tie = verdicts["useless", "copy"]
    assert not tie["supported"] and tie["sentence"].startswith("Not supported")


def test_without_a_judge_nothing_is_said_of_labels(images):
    section = measure_fidelity(images, {"a": outputs(images)}, {}, seed=0)
    assert "label_kept" not in section.runs["a"] and not section.results.get("verdicts")


def test_constant_originals_do_not_spoil_the_means(images):
    flat = images.copy()
    flat[0] = 0.5
    section = measure_fidelity(flat, {"a": outputs(flat)}, {}, seed=0)
    assert section.runs["a"]["edge_recovery"] == pytest.approx(1)


def test_distances_and_facts_of_the_judge():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(N, 4))
    labels = np.arange(N) % 10
    original = judgement(labels, features)
    far = judgement(labels, features + 3)
    found = measure_distances(original, original, far, seed=0)
    assert found["frechet_reconstructions"] == pytest.approx(0, abs=1e-6)
    assert found["frechet_samples"] == pytest.approx(4 * 9)
    assert found["kernel_samples"].mean > found["kernel_reconstructions"].mean
    assert found["sure_samples"] == pytest.approx(0.1)
    facts = describe_judge(original, np.where(labels == 0, 1, labels), seed=0)
    assert facts["accuracy"] == pytest.approx(0.9)
    assert facts["num_features"] == 4 and facts["frechet_between_halves"] > 0

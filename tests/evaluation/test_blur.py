"""The article's experiment on images whose blur is known."""

import numpy as np
import pytest

from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.evaluation.blur import measure_blur
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.selection import class_groups
from dfcvae_tf.files import read_arrays
from dfcvae_tf.metrics.paired import compare_paired
from dfcvae_tf.metrics.sharpness import blur, laplacian_variance
from dfcvae_tf.run_dir import ASSETS_DIR


@pytest.fixture(scope="module")
def data():
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    images = sample["test_images"][:300].astype(np.float32) / 255
    labels = sample["test_labels"][:300].astype(np.int64)
    return EvaluationImages(images, labels, DIGITS, "mnist_sample", "digits", 10_000)


def test_pairs_have_their_true_names_and_the_claim_comes_first(data):
    soft, softer = blur(data.images), blur(blur(data.images))
    groups = class_groups({}, data.labels, DIGITS, 300)
    section = measure_blur(data, {"softer": softer, "soft": soft}, groups, seed=0)
    tests = section.results["tests"]
    assert [(t.first, t.second) for t in tests] == [
        ("soft", "softer"),
        ("originals", "softer"),
        ("originals", "soft"),
    ]
    not_one = next(g for g in tests[1].groups if g.group == "class ≠ 1")
    mask = data.labels != 1
    assert not_one.test == compare_paired(
        laplacian_variance(data.images[mask]), laplacian_variance(softer[mask]), 0
    )
    (verdict,) = section.results["verdicts"]
    assert verdict["supported"] and verdict["sentence"].startswith("Supported: soft is")
    means = section.results["mean_laplacian_variance"]
    assert means["soft"]["class 1"] == pytest.approx(
        laplacian_variance(soft[data.labels == 1]).mean()
    )
    assert set(section.figures) == {
        "blur_by_class",
        "blur_histograms",
        "blur_differences",
    }


def test_one_run_without_labels(data):
    plain = EvaluationImages(data.images, None, (), "folder", "photos", 300)
    groups = class_groups({}, None, (), 300)
    section = measure_blur(plain, {"own": blur(data.images)}, groups, seed=0)
    assert section.results["verdicts"] == []
    assert "blur_by_class" not in section.figures


def test_a_class_without_images_has_no_box(data):
    some = data.labels < 5
    part = EvaluationImages(
        data.images[some], data.labels[some], DIGITS, "digits", "", 300
    )
    groups = class_groups({}, part.labels, DIGITS, len(part.images))
    section = measure_blur(part, {"own": blur(part.images)}, groups, seed=0)
    assert section.figures["blur_by_class"]
    assert "class 7" not in section.results["mean_laplacian_variance"]["own"]

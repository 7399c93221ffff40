"""The article's experiment on images whose blur is known."""

import numpy as np
import pytest

from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.evaluation.blur import compare_blur
from dfcvae_tf.evaluation.selection import class_groups
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.metrics import paired
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.measures import measure_images
from dfcvae_tf.metrics.sharpness import blur, laplacian_variance
from tests.evaluation.streams import digits, stream


@pytest.fixture(scope="module")
def data():
    return digits(300)


@pytest.fixture(scope="module")
def images(data):
    return next(data.batches())


def compare(data, images, made):
    of_originals, of_made = measure_images(images, made)
    table = MeasureTable({ORIGINALS: of_originals, **of_made})
    groups = class_groups({}, data.labels, data.class_names, len(images))
    return compare_blur(table, Comparisons(table.values, groups, 0), data, groups)


def test_pairs_have_their_true_names_and_the_claim_comes_first(data, images):
    soft, softer = blur(images), blur(blur(images))
    section = compare(data, images, {"softer": softer, "soft": soft})
    tests = section.results["tests"]
    assert [(t.first, t.second) for t in tests] == [
        ("soft", "softer"),
        ("originals", "softer"),
        ("originals", "soft"),
    ]
    not_one = next(g for g in tests[1].groups if g.group == "class ≠ 1")
    mask = data.labels != 1
    assert not_one.test == paired.compare_paired(
        laplacian_variance(images[mask]), laplacian_variance(softer[mask]), 0
    )
    (verdict,) = section.results["verdicts"]
    assert verdict["supported"] and verdict["sentence"].startswith("Supported: soft is")
    means = section.results["mean_laplacian_variance"]
    assert means["soft"]["class 1"] == pytest.approx(
        laplacian_variance(soft[data.labels == 1]).mean()
    )
    assert section.runs["soft"]["sharpness_ratio"] == pytest.approx(
        laplacian_variance(soft).mean() / laplacian_variance(images).mean()
    )
    assert set(section.figures) == {
        "blur_by_class",
        "blur_histograms",
        "blur_differences",
    }


def test_the_run_given_later_comes_first_also_where_it_is_blurred(data, images):
    soft, softer = blur(images), blur(blur(images))
    section = compare(data, images, {"soft": soft, "softer": softer})
    first = section.results["tests"][0]
    (verdict,) = section.results["verdicts"]
    assert (first.first, first.second) == ("softer", "soft")
    assert (verdict["sharper"], verdict["than"]) == ("softer", "soft")
    assert first.groups[0].test.mean_difference < 0 and not verdict["supported"]
    assert verdict["laplacian"]["mean_difference"] < 0


def test_one_run_without_labels(images):
    section = compare(stream(images), images, {"own": blur(images)})
    assert section.results["verdicts"] == []
    assert "blur_by_class" not in section.figures


def test_a_class_without_images_has_no_box(data, images):
    some = data.labels < 5
    part = stream(images[some], data.labels[some], DIGITS)
    section = compare(part, images[some], {"own": blur(images[some])})
    assert section.figures["blur_by_class"]
    assert "class 7" not in section.results["mean_laplacian_variance"]["own"]


def test_without_edges_nothing_is_said_of_sharpness(images):
    flat = np.full_like(images[:6], 0.5)
    flat[0] = images[0]
    made = {"a": images[:6], "b": blur(images[:6])}
    section = compare(stream(flat), flat, made)
    assert section.results["verdicts"] == []
    assert section.notes == [
        "Too few originals have edges to tell whether b is sharper than a."
    ]

"""The figures of attributes show their data and refuse what they cannot show."""

import cv2
import matplotlib
import numpy as np
import pytest

from dfcvae_tf.evaluation.attributes import figures
from dfcvae_tf.evaluation.attributes.prediction import Prediction, Score


def decode(png: bytes) -> np.ndarray:
    """Returns [H, W, 3] uint8 RGB."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture[..., ::-1]


def count_pixels(picture: np.ndarray, colour: str) -> int:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(picture.astype(int) - rgb).max(-1) < 12).sum())


def named(count):
    return [f"Attribute_number_{index}" for index in range(count)]


@pytest.mark.parametrize("count", [2, 40])
def test_correlations_are_colours(count):
    values = np.where(np.eye(count), 1.0, -1.0)
    picture = decode(figures.correlation_map(named(count), values))
    red, blue = (
        count_pixels(
            picture, matplotlib.colors.to_hex(matplotlib.colormaps["RdBu_r"](x))
        )
        for x in (1.0, 0.0)
    )
    # The colour bar has a little of both.
    assert blue / red == pytest.approx(count - 1, rel=0.1)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_points_of_an_attribute_are_coloured(count):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 2))
    groups = {name: rng.random(300) < 0.3 for name in named(count)}
    labels = ("first", "second")
    picture = decode(figures.attribute_maps(points, labels, groups))
    assert picture.shape[1] == 8 * 144
    nobody = {name: np.zeros(300, bool) for name in named(count)}
    empty = decode(figures.attribute_maps(points, labels, nobody))
    reddish = [
        int((p[..., 0] > 100 + p[..., 2].astype(int)).sum()) for p in (picture, empty)
    ]
    assert reddish[0] - reddish[1] > 90 * count * 10  # pixels per point


def test_a_row_per_attribute():
    prediction = Prediction(0.1, Score(0.9, 0.5), Score(0.92, 0.6), Score(0.8, 0.8))
    heights = []
    for count in (3, 41):
        predictions = dict.fromkeys(named(count), prediction)
        picture = decode(figures.prediction_scores(predictions))
        assert count_pixels(picture, "#0072B2") > 30 * count
        heights.append(picture.shape[0])
    assert 38 * 0.15 * 144 < heights[1] - heights[0] < 38 * 0.25 * 144


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="2 names for values"):
        figures.correlation_map(["a", "b"], np.eye(3))
    with pytest.raises(ValueError, match="for 3 points"):
        figures.attribute_maps(np.eye(3)[:, :2], ("x", "y"), {"a": np.ones(2, bool)})
    with pytest.raises(ValueError, match="no predictions"):
        figures.prediction_scores({})

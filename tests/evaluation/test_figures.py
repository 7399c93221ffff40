"""Figures: sizes, pixels that can be known, repeatable bytes, refused input."""

import cv2
import numpy as np
import pytest

from dfcvae_tf.evaluation import figures

RNG = np.random.default_rng(0)
VALUES = {name: RNG.random(60) + i for i, name in enumerate(("originals", "a", "b"))}
GROUPS = {"even": np.arange(60) % 2 == 0, "odd": np.arange(60) % 2 == 1}
POINTS = RNG.normal(size=(60, 2))
BAND = (np.arange(3.0), np.arange(3.0) - 0.1, np.arange(3.0) + 0.1)
CURVES = ("pixels", np.arange(3), {"pixel loss": BAND, "perceptual loss": BAND})


def names(count):
    return [f"class {i}" for i in range(count)]


DRAWN = {
    "class_boxplot": lambda n: figures.class_boxplot(
        VALUES["a"], np.arange(60) % n, names(n), "blur"
    ),
    "histograms": lambda n: figures.histograms(
        dict.fromkeys(names(n), VALUES["a"]) | VALUES, GROUPS, "blur"
    ),
    "difference_intervals": lambda n: figures.difference_intervals(
        {
            name: [("all", 1.0, 0.5, 1.5), ("class 3", 0.0, -1.0, 1.0)]
            for name in names(n)
        },
        "difference",
    ),
    "kl_per_dimension": lambda n: figures.kl_per_dimension(
        {name: RNG.random(n) for name in ("a", "b")}
    ),
    "scatter": lambda n: figures.scatter(
        {"a": (POINTS, ("x", "y")), "b": (POINTS, ("x", "y"))},
        np.arange(60) % n,
        names(n),
    ),
    "loss_curves": lambda n: figures.loss_curves(
        {name: CURVES for name in names(min(n, 2))}, "loss"
    ),
    "interval_bars": lambda n: figures.interval_bars(
        {name: (1.5, 1.4, 1.6) for name in names(n)}, "changes"
    ),
}


def decode(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("count", [1, 6])
def test_every_figure_is_a_page_wide_and_has_ink(name, count):
    picture = decode(DRAWN[name](count))
    assert picture.shape[1] == 8 * 144
    assert 0.001 < (picture.min(axis=-1) < 128).mean() < 0.5


@pytest.mark.parametrize("name", ["class_boxplot", "scatter"])
def test_many_classes_fit(name):
    assert decode(DRAWN[name](43)).shape[1] == 8 * 144


def test_same_data_same_bytes():
    assert DRAWN["histograms"](1) == DRAWN["histograms"](1)
    other = dict(VALUES, a=VALUES["a"] + 0.3)
    assert figures.histograms(other, GROUPS, "x") != figures.histograms(
        VALUES, GROUPS, "x"
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_image_rows_keep_pixels_and_name_rows(channels):
    images = RNG.integers(0, 256, (2, 3, 8, 8, channels)) / 255
    rows = [("first", images[0]), ("second", images[1][:2])]
    picture = decode(figures.image_rows(rows, ["one", "two", "three"]))
    flat = picture.reshape(-1, 3).astype(int)
    for image in (images[0][2], images[1][0]):
        for pixel in image.reshape(-1, channels):
            value = np.rint(np.broadcast_to(pixel, 3) * 255)
            assert (flat == value).all(axis=1).any()
    # Names stand on the left, titles on top; the third place of the second row is blank.
    height, width = picture.shape[:2]
    assert picture[height // 5 :, : width // 20].min() < 100
    assert picture[: height // 20].min() < 100
    assert picture[-height // 4 :, -width // 10 :].min() == 255


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.image_rows([]), "no rows"),
        (
            lambda: figures.image_rows([("a", np.zeros((2, 4, 4, 1)))], ["one"]),
            "1 titles for 2 columns",
        ),
        (
            lambda: figures.class_boxplot(
                VALUES["a"], np.zeros(60, int), names(2), "blur"
            ),
            "no values of class class 1",
        ),
        (
            lambda: figures.histograms({"a": np.full(60, np.nan)}, GROUPS, "x"),
            "60 values are not finite",
        ),
        (
            lambda: figures.histograms(VALUES, {"none": np.zeros(60, bool)}, "x"),
            "'none' holds no image",
        ),
        (
            lambda: figures.scatter(
                {"a": (POINTS, ("x", "y"))}, np.arange(60), ["one"]
            ),
            "labels 0 to 59 for 1 class names",
        ),
        (lambda: figures.kl_per_dimension({}), "no runs"),
        (lambda: figures.loss_curves({}, "loss"), "no panels"),
    ],
)
def test_input_that_makes_no_figure(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()

"""The figures: readable PNG files that show their data and refuse what they cannot show."""

import base64
import functools
import re
from xml.etree import ElementTree

import cv2
import matplotlib
import numpy as np
import pytest

from dfcvae_tf.evaluation import figures

# Matplotlib draws alike on both stacks.
pytestmark = pytest.mark.current_stack

WIDTH = 8 * 144


def decode(drawn: figures.Picture) -> np.ndarray:
    """Returns [H, W, 3] uint8 RGB."""
    picture = cv2.imdecode(np.frombuffer(drawn.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture[..., ::-1]


def has_colour(picture: np.ndarray, colour: str) -> bool:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((picture == rgb).all(-1).any())


def make_values(runs: int, size: int = 120) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ["originals", *(f"run_{i}" for i in range(runs))]
    return {name: rng.gamma(3, 1 + i, size) for i, name in enumerate(names)}


def make_curves(sizes: np.ndarray, losses: int) -> dict[str, figures.Band]:
    mean = sizes / sizes.max()
    return {f"loss {i}": (mean, mean * 0.9, mean * 1.1) for i in range(losses)}


def every_figure(
    runs: int, classes: int, scale: float = 1.0
) -> dict[str, figures.Picture]:
    """One figure of each kind; the data are multiplied by `scale`."""
    values = {name: scale * array for name, array in make_values(runs).items()}
    originals = values["originals"]
    del values["originals"]
    names = [f"class number {index}" for index in range(classes)]
    labels = np.arange(originals.size) % classes
    interval = (0.1 * scale, 0.05 * scale, 0.2 * scale)
    shifts = np.arange(5.0)
    points = np.stack([originals, originals[::-1]], 1)
    return {
        "image_rows": figures.image_rows(
            [(n, scale * np.full((3, 4, 4, 1), 0.3)) for n in values]
        ),
        "class_boxplot": figures.class_boxplot(originals, labels, names, "blur"),
        "histograms": figures.histograms(
            {"originals": originals, **values}, {"class 0": labels == 0}, "blur"
        ),
        "difference_intervals": figures.difference_intervals(
            {f"{n} − vae": [(c, *interval) for c in names] for n in values},
            "difference",
        ),
        "kl_per_dimension": figures.kl_per_dimension(
            {n: array[: 15 * runs] for n, array in values.items()}
        ),
        "scatter": figures.scatter(
            {n: (points**0.5, ("a", "b")) for n in values}, labels, names
        ),
        "loss_curves": figures.loss_curves(
            {"shift": ("pixels", shifts, make_curves(scale**2 * shifts**scale, runs))},
            "loss",
        ),
        "interval_bars": figures.interval_bars(dict.fromkeys(values, interval), "y"),
    }


@pytest.mark.parametrize(("runs", "classes"), [(1, 1), (6, 43)])
def test_every_figure_is_a_png_of_the_one_width(runs, classes):
    for name, png in every_figure(runs, classes).items():
        picture = decode(png)
        height, width, _ = picture.shape
        if name == "image_rows":  # as wide in inches, with more pixels to the inch
            assert width >= WIDTH
        else:
            assert width == WIDTH, name
            assert height > 0.1 * width, name
        assert 0.001 < (picture.min(axis=-1) < 128).mean() < 0.5, name


def test_same_data_same_bytes_and_other_data_other_bytes():
    first, second, other = every_figure(2, 3), every_figure(2, 3), every_figure(2, 3, 2)
    assert first == second
    for name in first:
        assert first[name] != other[name], name
        assert b"tEXt" not in first[name].png, name  # neither program nor date


def test_every_figure_is_an_svg_as_well():
    values = {"originals": np.arange(9.0), "of 'a' & <b>": np.arange(9.0) ** 2}
    pixels = (np.arange(12).reshape(1, 4, 3, 1) * 20).astype(np.uint8)
    for drawn in (
        figures.histograms(values, {"all": np.ones(9, bool)}, "x"),
        figures.image_rows([("row", pixels / 255)]),
    ):
        root = ElementTree.fromstring(drawn.svg)
        sizes = [float(root.attrib[size].removesuffix("pt")) for size in ("width",)]
        assert sizes == [pytest.approx(8 * 72, rel=0.03)]
        assert b"<date>" not in drawn.svg.lower()
    # The images keep their pixels there, too.
    (image,) = re.findall(rb"data:image/png;base64,\s*([^\"]+)", drawn.svg)
    inside = cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), 0)
    assert set(pixels.ravel()) <= set(inside.ravel())


def test_the_users_style_has_no_say_and_stays():
    plain = every_figure(1, 2)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert every_figure(1, 2) == plain
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("titles", [(), ("one", "two", "three")])
def test_image_rows_keep_every_pixel(channels, titles):
    # Channel values that no anti-aliased grey text can have, each pixel another.
    pixels = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4, 1) + 40
    full = np.concatenate([pixels, pixels + 1, pixels + 2], -1)[..., :channels]
    rows = [("first", full[0] / 255), ("second, shorter", full[1, :2] / 255)]
    picture = decode(figures.image_rows(rows, titles)).astype(int)

    corners = [
        [find(picture, image) for image in row] for row in (full[0], full[1, :2])
    ]
    scale = corners[0][0][2]
    assert scale > 10
    for row in corners:
        for y, x, image_scale in row:
            assert image_scale == scale
            assert y == row[0][0]
            assert (picture[y : y + 5 * scale, x - 1] == 255).all()  # the gap
    (y0, x0, _), (_, x1, _), (_, x2, _) = corners[0]
    assert x1 - x0 == x2 - x1 > 4 * scale
    assert [x for _, x, _ in corners[1]] == [x0, x1]
    second = corners[1][0][0]
    assert second > y0 + 5 * scale
    # Nothing where the second row has no third image, text left of the images.
    assert (picture[second : second + 5 * scale, x1 + 4 * scale :] == 255).all()
    assert (picture[y0 : y0 + 5 * scale, :x0] < 100).any()
    assert (picture[:y0] < 100).any() == bool(titles)


def find(picture: np.ndarray, image: np.ndarray) -> tuple[int, int, int]:
    """Returns top, left and scale of `image` [H, W, C], which must be there unharmed."""
    grey_text = image.shape[-1] == 1  # may have the colour of a pixel by chance
    colour = np.broadcast_to(image[0, 0], 3)
    ys, xs = np.nonzero((picture == colour).all(-1))
    for y, x in zip(ys, xs, strict=True):
        run = (picture[y, x:] != colour).any(-1).argmax()
        block = (
            np.broadcast_to(image, (*image.shape[:2], 3)).repeat(run, 0).repeat(run, 1)
        )
        height, width, _ = block.shape
        if np.array_equal(picture[y : y + height, x : x + width], block):
            return int(y), int(x), int(run)
        assert grey_text
    raise AssertionError("the image is not in the picture")


def test_real_colour_images_are_not_blown_up_or_cut():
    images = np.random.default_rng(0).random((10, 64, 64, 3))
    picture = decode(figures.image_rows([("originals", images)] * 2))
    right = np.nonzero((picture[picture.shape[0] // 4] != 255).any(-1))[0].max()
    assert WIDTH <= picture.shape[1] < 2 * WIDTH
    assert 0.95 * picture.shape[1] < right < picture.shape[1] - 1


def test_box_plots_lie_down_when_names_are_many():
    values = np.random.default_rng(0).normal(size=430)
    ten = decode(
        figures.class_boxplot(values, np.arange(430) % 10, list("0123456789"), "y")
    )
    names = [f"Speed limit {i} km/h" for i in range(43)]
    many = decode(figures.class_boxplot(values, np.arange(430) % 43, names, "y"))
    assert ten.shape[0] < ten.shape[1] < many.shape[0]


def test_bars_are_as_high_as_their_values():
    picture = decode(figures.kl_per_dimension({"vae": np.array([1.0, 3.0, 2.0])}))
    blue = (picture == (0x00, 0x72, 0xB2)).all(-1)
    blue[:60] = False  # the legend
    heights = blue.sum(0)
    middle = [heights[int(WIDTH * f)] for f in (0.25, 0.55, 0.85)]
    np.testing.assert_allclose(
        np.array(middle) / middle[1], [1 / 3, 1, 2 / 3], atol=0.02
    )


def test_sorted_outlines_do_not_depend_on_the_order_of_dimensions():
    kl = np.random.default_rng(0).gamma(1, 1, 21)
    rising = figures.kl_per_dimension({"vae": np.sort(kl)})
    assert figures.kl_per_dimension({"vae": kl}) == rising
    assert figures.kl_per_dimension({"vae": kl[:20]}) != figures.kl_per_dimension(
        {"vae": np.sort(kl[:20])}
    )


def test_runs_keep_their_colours():
    values = make_values(2)
    runs = {name: values[name] for name in ("run_0", "run_1")}
    everything = {"all": np.ones(120, bool)}
    for picture in (
        decode(figures.histograms(values, everything, "blur")),
        decode(figures.kl_per_dimension({n: v[:9] for n, v in runs.items()})),
    ):
        assert has_colour(picture, "#0072B2")
        assert has_colour(picture, "#D55E00")
    without = decode(
        figures.histograms({"originals": values["originals"]}, everything, "")
    )
    assert not has_colour(without, "#0072B2")
    assert has_colour(without, "#444444")


def test_names_of_any_kind_are_drawn_as_they_are():
    bars = functools.partial(figures.interval_bars, ylabel="y")
    pictures = [
        bars({name: (1.0, 0.5, 2.0)}) for name in ("$x$", r"$\oops$", "_a", "x")
    ]
    assert len(set(pictures)) == 4


def test_classes_at_one_place_are_named_apart():
    names = ["first", "second", "third"]
    points = {"vae": (np.zeros((30, 2)), ("a", "b"))}
    picture = decode(figures.scatter(points, np.arange(30) % 3, names)) < 60
    inside = picture.all(-1)[100:600, 200:1100]
    columns = np.nonzero(inside.any(0))[0]
    one = decode(figures.scatter(points, np.zeros(30, int), ["first"])) < 60
    alone = np.nonzero(one.all(-1)[100:600, 200:1100].any(0))[0]
    rows = np.nonzero(inside.any(1))[0]
    # One of the three must have moved sideways or up by more than its size.
    assert np.ptp(columns) > 2 * np.ptp(alone) or np.ptp(rows) > 40


IMAGES = np.zeros((2, 4, 4, 1))
ONES = np.ones(4)
NAN = np.array([1.0, np.nan, 1.0, 1.0])
IDS = np.array([0, 1, 0, 1])
TWO = ["a", "b"]
MASK = np.array([True, False, True, True])
POINTS = np.ones((4, 2))
AXES = ("x", "y")


@pytest.mark.parametrize(
    ("message", "draw"),
    [
        ("no rows", lambda: figures.image_rows([])),
        ("not empty", lambda: figures.image_rows([("a", IMAGES[:0])])),
        ("not finite", lambda: figures.image_rows([("a", IMAGES + np.nan)])),
        (
            "one shape",
            lambda: figures.image_rows([("a", IMAGES), ("b", IMAGES[:, 1:])]),
        ),
        ("one shape", lambda: figures.image_rows([("a", np.zeros((1, 4, 4, 2)))])),
        ("3 titles for 2", lambda: figures.image_rows([("a", IMAGES)], "xyz")),
        ("not finite", lambda: figures.class_boxplot(NAN, IDS, TWO, "y")),
        ("not empty", lambda: figures.class_boxplot(ONES[:0], IDS[:0], TWO, "y")),
        ("of class c", lambda: figures.class_boxplot(ONES, IDS, [*TWO, "c"], "y")),
        ("labels 0 to 1 for 1", lambda: figures.class_boxplot(ONES, IDS, ["a"], "y")),
        (r"labels \[4\]", lambda: figures.class_boxplot(ONES, IDS[:3], TWO, "y")),
        ("int", lambda: figures.class_boxplot(ONES, IDS / 1.0, TWO, "y")),
        ("one length", lambda: figures.histograms({}, {"g": MASK}, "x")),
        ("no groups", lambda: figures.histograms({"a": ONES}, {}, "x")),
        ("no image", lambda: figures.histograms({"a": ONES}, {"g": MASK & False}, "x")),
        ("bool", lambda: figures.histograms({"a": ONES}, {"g": IDS}, "x")),
        (
            "b: 1 of 4",
            lambda: figures.histograms({"a": ONES, "b": NAN}, {"g": MASK}, ""),
        ),
        (
            "one length",
            lambda: figures.histograms({"a": ONES, "b": ONES[1:]}, {"g": MASK}, "x"),
        ),
        ("no pairs", lambda: figures.difference_intervals({}, "x")),
        ("not empty", lambda: figures.difference_intervals({"p": []}, "x")),
        ("low end", lambda: figures.difference_intervals({"p": [("a", 1, 2, 0)]}, "x")),
        ("no runs", lambda: figures.kl_per_dimension({})),
        ("not finite", lambda: figures.kl_per_dimension({"vae": NAN})),
        ("one length", lambda: figures.scatter({}, None, [])),
        (
            r"\[N, 2\]",
            lambda: figures.scatter({"v": (IMAGES[0, ..., 0], AXES)}, None, []),
        ),
        ("labels -1", lambda: figures.scatter({"v": (POINTS, AXES)}, IDS - 1, TWO)),
        ("no panels", lambda: figures.loss_curves({}, "y")),
        ("no losses", lambda: figures.loss_curves({"shift": ("px", ONES, {})}, "y")),
        (
            "three curves",
            lambda: figures.loss_curves(
                {"shift": ("px", ONES, {"pixel": (ONES, ONES, ONES[1:])})}, "y"
            ),
        ),
        ("not empty", lambda: figures.interval_bars({}, "y")),
        ("not finite", lambda: figures.interval_bars({"a": (1.0, np.nan, 2.0)}, "y")),
    ],
)
def test_what_cannot_be_drawn_is_a_value_error(message, draw):
    with pytest.raises(ValueError, match=message):
        draw()

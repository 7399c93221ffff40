"""The figures of attributes: NumPy arrays in, the bytes of a PNG out; see `figures`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from dfcvae_tf.evaluation.attributes.prediction import Prediction
from dfcvae_tf.evaluation.figures import (
    GREY,
    RUN_COLOURS,
    add_legend,
    check_finite,
    make_panels,
    styled,
    to_png,
)

_WITHOUT, _WITH = "#BBBBBB", RUN_COLOURS[1]
_ROW = 0.17  # inches, of text of the size below
_SMALL = 8


@styled
def correlation_map(names: Sequence[str], values: np.ndarray) -> bytes:
    """A square of colours: blue is -1, white 0, red 1.

    Args:
      names: of K attributes.
      values: [K, K] in [-1, 1].
    """
    values = check_finite("correlations", values, 2)
    count = len(names)
    if values.shape != (count, count):
        raise ValueError(f"{count} names for values {values.shape}")
    figure, (axes,) = make_panels(1, 1, min(6.9, 2.6 + _ROW * count))
    picture = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(count), names, rotation=90, fontsize=_SMALL)
    axes.set_yticks(range(count), names, fontsize=_SMALL)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=30)
    bar.set_label("correlation of attribute vectors (Pearson's r)")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return to_png(figure)


@styled
def attribute_maps(
    points: np.ndarray, axis_labels: tuple[str, str], groups: Mapping[str, np.ndarray]
) -> bytes:
    """The same points in a panel per attribute, those with it in colour, on top.

    Args:
      points: [N, 2].
      axis_labels: what both coordinates are.
      groups: name of attribute to [N] bool, whether a point has it; at least one.
    """
    points = check_finite("points", points, 2)
    columns = min(len(groups), 3)
    height = (2.9, 3.6, 5.5)[3 - columns]
    figure, panels = make_panels(len(groups), columns, height, sharex=True, sharey=True)
    for axes, (name, mask) in zip(panels, groups.items(), strict=True):
        if np.shape(mask) != (len(points),):
            raise ValueError(f"{name}: {np.shape(mask)} for {len(points)} points")
        for rows, colour in ((~mask, _WITHOUT), (mask, _WITH)):
            x, y = points[rows].T
            axes.scatter(x, y, s=6, color=colour, alpha=0.7, linewidths=0)
        axes.set_title(f"{name} ({mask.sum():,} of {mask.size:,})", fontsize=_SMALL + 1)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.supxlabel(axis_labels[0], fontsize="medium")
    figure.supylabel(axis_labels[1], fontsize="medium")
    dots = {
        name: Line2D([], [], color=colour, marker="o", markersize=5, linestyle="")
        for name, colour in (("with", _WITH), ("without", _WITHOUT))
    }
    add_legend(figure, dots)
    return to_png(figure)


@styled
def prediction_scores(predictions: Mapping[str, Prediction]) -> bytes:
    """Per attribute, both accuracies beside those of the majority baseline.

    Args:
      predictions: name to its scores, drawn from the top in this order.
    """
    if not predictions:
        raise ValueError("no predictions")
    places = np.arange(len(predictions))
    height = 1.2 + _ROW * len(predictions)
    figure, (left, right) = make_panels(2, 2, height, sharey=True)
    left.axvline(50, color=GREY, linewidth=1)
    # Markers that can be told apart where they cover each other.
    styles: dict[str, dict[str, Any]] = {
        "majority": {"color": GREY, "marker": "|", "markersize": 9, "mew": 2},
        "plain": {"color": RUN_COLOURS[0], "marker": "o", "markersize": 4},
        "balanced": {
            "color": RUN_COLOURS[1],
            "marker": "D",
            "markersize": 6,
            "mfc": "none",
        },
    }
    titles = ("majority baseline", "SVM", "SVM, balanced weights")
    legend = {}
    for title, (kind, style) in zip(titles, styles.items(), strict=True):
        scores = [getattr(prediction, kind) for prediction in predictions.values()]
        for axes, measure in ((left, "balanced_accuracy"), (right, "accuracy")):
            values = [100 * getattr(score, measure) for score in scores]
            axes.plot(values, places, linestyle="", **style)
        legend[title] = Line2D([], [], linestyle="", **style)
    left.set_yticks(places, list(predictions), fontsize=_SMALL)
    left.set_ylim(len(predictions) - 0.5, -0.5)
    for axes, title in ((left, "balanced accuracy"), (right, "accuracy")):
        axes.set_xlabel(f"{title} on the test split (%)")
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(right=101)
    add_legend(figure, legend)
    return to_png(figure)

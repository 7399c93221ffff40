"""The figures of a report: NumPy arrays in, PNG and SVG out.

Every figure is 8 inches wide, so that text has one size wherever they are shown together.
The same data give the same bytes: the style is this module's alone, whatever the user's
matplotlibrc says, and no file names the program that wrote it.

Runs keep their colour (Okabe and Ito 2008, from the eighth on Tol 2021: told apart by
colour-blind readers) through all
figures, by their order; originals are grey. Names are drawn as they are, never as TeX.
Arrays may be of any real dtype. All functions raise ValueError where there is nothing to
draw, where shapes do not fit together, and where a value is NaN or infinite.
"""

import io
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib import color_sequences, patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.images import to_uint8


@dataclass(frozen=True)
class Picture:
    """A figure as files: in pixels, and as lines and text for print."""

    png: bytes
    svg: bytes


Band = tuple[np.ndarray, np.ndarray, np.ndarray]  # mean, low, high: [K] each

GREY = "#444444"
RUN_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
    "#882255",
    "#44AA99",
    "#999933",
    "#332288",
    "#AA4499",
)
_DPI = 144
_WIDTH = 8.0  # inches
_CHARS_PER_INCH = 11.5  # of text of the size below, a little fewer than fit on average
_LINE = 0.19  # inches from one line of text to the next
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "figure.dpi": _DPI,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
    "savefig.dpi": "figure",
    "svg.hashsalt": "dfcvae_tf",  # else names of parts are drawn at random
    "boxplot.patchartist": True,
    "boxplot.boxprops.color": GREY,
    "boxplot.whiskerprops.color": GREY,
    "boxplot.capprops.color": GREY,
    "boxplot.medianprops.color": RUN_COLOURS[1],
    "boxplot.medianprops.linewidth": 2,
    "boxplot.flierprops.markersize": 3,
    "boxplot.flierprops.markerfacecolor": "#44444440",
    "boxplot.flierprops.markeredgecolor": "none",
}
styled = matplotlib.style.context(_STYLE, after_reset=True)


@styled
def image_rows(
    rows: Sequence[tuple[str, np.ndarray]], column_titles: Sequence[str] = ()
) -> Picture:
    """Rows of images, each with its name on the left; a short row ends in blanks.

    Pixels are repeated a whole number of times, so every value in the file is a value of
    the image (rounded to 8 bits; values outside of [0, 1] are clipped).

    Args:
      rows: name and images [K, H, W, C], float in [0, 1], C 1 (grey) or 3 (RGB); K may
        differ from row to row, H, W and C may not.
      column_titles: drawn above the columns; none, or one per column.
    """
    if not rows:
        raise ValueError("no rows of images")
    batches = [check_finite(f"row {name!r}", images, 4) for name, images in rows]
    shapes = {images.shape[1:] for images in batches}
    if len(shapes) > 1 or batches[0].shape[-1] not in (1, 3):
        raise ValueError(f"expected images of one shape [H, W, 1 or 3], got {shapes}")
    height, width, _ = batches[0].shape[1:]
    columns = max(map(len, batches))
    if len(column_titles) not in (0, columns):
        raise ValueError(f"{len(column_titles)} titles for {columns} columns")

    names = [_wrap(name, 1.8) for name, _ in rows]
    name_inches = _inches(names) + 0.1
    cell_inches = min(1.2, (_WIDTH - name_inches) / columns)
    scale = math.ceil(_DPI * cell_inches / width)
    gap = max(2, width * scale // 16)
    cell_width, cell_height = width * scale + gap, height * scale + gap
    dpi = cell_width / cell_inches
    titles = [_wrap(title, cell_inches - 0.08) for title in column_titles]
    left = math.ceil(name_inches * dpi)
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    top = math.ceil((lines * _LINE + 0.08) * dpi)
    canvas = np.full(
        (top + len(rows) * cell_height, math.ceil(_WIDTH * dpi), 3), 255, np.uint8
    )
    for row, images in enumerate(batches):
        for column, pixels in enumerate(to_uint8(images)):
            y, x = top + row * cell_height, left + column * cell_width
            canvas[y : y + height * scale, x : x + width * scale] = pixels.repeat(
                scale, 0
            ).repeat(scale, 1)

    figure = Figure(figsize=(canvas.shape[1] / dpi, canvas.shape[0] / dpi), dpi=dpi)
    figure.figimage(canvas, origin="upper", zorder=-1)  # beneath the text
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, canvas.shape[1]), ylim=(canvas.shape[0], 0))
    axes.axis("off")
    for row, name in enumerate(names):
        y = top + row * cell_height + (cell_height - gap) / 2
        axes.text(left - 0.1 * dpi, y, name, ha="right", va="center")
    for column, title in enumerate(titles):
        x = left + column * cell_width + (cell_width - gap) / 2
        axes.text(x, top - 0.05 * dpi, title, ha="center", va="bottom")
    return to_picture(figure)


@styled
def confusion(
    counts: np.ndarray,
    names: Sequence[str],
    axis_labels: tuple[str, str] = ("asked for", "recognised as"),
) -> Picture:
    """A square of shares, of each row's sum, in percent.

    Args:
      counts: [K, K], at least 0.
      names: of the K classes.
      axis_labels: what rows and columns are.
    """
    counts = check_finite("counts", counts, 2)
    size = len(names)
    if counts.shape != (size, size):
        raise ValueError(f"{size} names for counts {counts.shape}")
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, (axes,) = make_panels(1, 1, min(6.9, 2.0 + 0.32 * size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(size), names, rotation=90 if _inches(names) > 0.4 else 0)
    axes.set_yticks(range(size), names)
    for row, column in np.ndindex(size, size):
        share = shares[row, column]
        if share >= 0.05:
            axes.text(
                column,
                row,
                f"{share:.1f}" if share < 99.95 else "100",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 50 else "black",
            )
    axes.set_ylabel(f"{axis_labels[0]} (%)")
    axes.set_xlabel(axis_labels[1])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return to_picture(figure)


@styled
def class_boxplot(
    values: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    ylabel: str,
    title: str = "",
) -> Picture:
    """One box per class: quartiles, whiskers of 1.5 interquartile ranges, and all beyond.

    Boxes stand side by side where their names leave room, else beneath one another.

    Args:
      values: [N], one per image.
      labels: [N] integers, indices of `class_names`.
      class_names: every one of them needs a value.
      ylabel: what the values are, with unit.
      title: put before the number of images.
    """
    values = check_finite("values", values, 1)
    ids = _class_ids(labels, values.size, class_names)
    groups = [values[ids == index] for index in range(len(class_names))]
    empty = [n for n, group in zip(class_names, groups, strict=True) if not group.size]
    if empty:
        raise ValueError(f"no values of class {', '.join(empty)}")
    names = [f"{n}\nn = {g.size}" for n, g in zip(class_names, groups, strict=True)]
    upright = _inches(names) < (_WIDTH - 0.9) / len(groups)
    figure, (axes,) = make_panels(1, 1, 3.6 if upright else 1.0 + 0.24 * len(groups))
    axes.boxplot(
        groups,
        orientation="vertical" if upright else "horizontal",
        widths=0.6 * min(1.0, len(groups) / 5),
        boxprops={"facecolor": "#D5E5F0"},
    )
    ticks = range(1, len(groups) + 1)
    if upright:
        axes.set_xticks(ticks, names)
        axes.set_ylabel(ylabel)
    else:
        axes.set_yticks(ticks, [name.replace("\n", ", ") for name in names])
        axes.set_ylim(len(groups) + 0.6, 0.4)
        axes.set_xlabel(ylabel)
    axes.grid(False, axis="x" if upright else "y")
    total = f"n = {values.size:,}"
    axes.set_title(f"{title} ({total})" if title else total)
    return to_picture(figure)


@styled
def histograms(
    values: Mapping[str, np.ndarray], groups: Mapping[str, np.ndarray], xlabel: str
) -> Picture:
    """How many images have which value: a panel per group, bins common to all panels.

    A dashed line stands at each mean.

    Args:
      values: [N] per name; "originals" (grey) and runs, all of the same images.
      groups: name to [N] bool, which images belong to it; at least one.
      xlabel: what the values are, with unit.
    """
    arrays = {name: check_finite(name, array, 1) for name, array in values.items()}
    size = _common_length(arrays)
    masks = {name: np.asarray(mask) for name, mask in groups.items()}
    if not masks:
        raise ValueError("no groups of images")
    for name, mask in masks.items():
        if mask.shape != (size,) or mask.dtype != bool:
            raise ValueError(
                f"group {name!r}: expected [{size}] bool, got {mask.shape}"
            )
        if not mask.any():
            raise ValueError(f"group {name!r} holds no image")
    shown = np.any(list(masks.values()), axis=0)
    bins = np.histogram_bin_edges(np.stack(list(arrays.values()))[:, shown], bins=60)
    colours = _run_colours(arrays)
    columns = 2 if len(masks) == 2 else 1
    height = 2.0 if len(masks) > 2 else 3.2
    figure, panels = make_panels(len(masks), columns, height, sharex=True)
    for axes, (group, mask) in zip(panels, masks.items(), strict=True):
        for name, array in arrays.items():
            colour = colours[name]
            counts = np.histogram(array[mask], bins)[0]
            if name == ORIGINALS:
                axes.stairs(counts, bins, fill=True, color=colour, alpha=0.15)
            axes.stairs(counts, bins, color=colour, linewidth=1.4)
            axes.axvline(array[mask].mean(), color=colour, ls="--", linewidth=1.1)
        axes.set_title(_wrap(f"{group} (n = {mask.sum():,})", 7.0 / columns))
        axes.set_ylabel("images per bin")
        axes.set_ylim(bottom=0)
    figure.supxlabel(xlabel, fontsize="medium")
    add_legend(figure, _lines(colours) | {"mean": Line2D([], [], color=GREY, ls="--")})
    return to_picture(figure)


@styled
def difference_intervals(
    pairs: Mapping[str, Sequence[tuple[str, float, float, float]]], xlabel: str
) -> Picture:
    """Mean differences with their intervals, a panel per pair, and where zero is.

    Args:
      pairs: name ("dfc − vae") to rows of label ("class 3, n = 1010"), mean, low, high.
      xlabel: what the differences are, with unit and the kind of interval.
    """
    if not pairs:
        raise ValueError("no pairs")
    parsed = {pair: _intervals(pair, rows) for pair, rows in pairs.items()}
    labels = {tuple(row[0] for row in rows) for rows in pairs.values()}
    columns = min(len(pairs), 3) if len(labels) == 1 else 1
    height = 1.1 + 0.24 * max(map(len, labels))
    figure, panels = make_panels(len(pairs), columns, height)
    for index, (axes, (pair, rows)) in enumerate(
        zip(panels, pairs.items(), strict=True)
    ):
        mean, low, high = parsed[pair]
        places = np.arange(len(rows))
        axes.axvline(0, color=GREY, linewidth=1)
        axes.hlines(places, low, high, color=RUN_COLOURS[0], linewidth=2)
        axes.plot(mean, places, "o", color=RUN_COLOURS[0], markersize=3.5)
        axes.set_yticks(places, [row[0] for row in rows])
        axes.tick_params(axis="y", length=0, labelleft=index % columns == 0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(
            MaxNLocator(3 if columns > 1 else 8, steps=[1, 2, 5])
        )
        axes.set_title(_wrap(pair, 6.0 / columns))
    figure.supxlabel(xlabel, fontsize="medium")
    return to_picture(figure)


@styled
def kl_per_dimension(kl: Mapping[str, np.ndarray]) -> Picture:
    """KL divergence of every latent dimension: bars, or sorted outlines above 20 of them.

    Args:
      kl: name of run to [D], nats, mean over the images; D may differ between runs.
    """
    arrays = {name: check_finite(name, array, 1) for name, array in kl.items()}
    if not arrays:
        raise ValueError("no runs")
    colours = _run_colours(arrays)
    most = max(array.size for array in arrays.values())
    figure, (axes,) = make_panels(1, 1, 3.2)
    width = 0.8 / len(arrays)
    for index, (name, array) in enumerate(arrays.items()):
        if most > 20:
            edges = np.arange(array.size + 1) + 0.5
            ranked = np.sort(array)[::-1]
            axes.stairs(ranked, edges, color=colours[name], linewidth=1.6)
        else:
            offset = (index + 0.5) * width - 0.4
            axes.bar(np.arange(array.size) + offset, array, width, color=colours[name])
    if most > 20:
        axes.set_xlabel("rank of the latent dimension (sorted by KL within each run)")
    else:
        axes.set_xlabel("latent dimension")
        axes.set_xticks(range(most))
    axes.margins(x=0.01)
    axes.grid(False, axis="x")
    axes.set_ylabel("mean KL (nats per image)")
    axes.set_ylim(bottom=0)
    totals = {
        f"{name} (D = {array.size}, sum {array.sum():.1f} nats)": colours[name]
        for name, array in arrays.items()
    }
    add_legend(figure, _lines(totals))
    return to_picture(figure)


@styled
def scatter(
    panels: Mapping[str, tuple[np.ndarray, tuple[str, str]]],
    labels: np.ndarray | None,
    class_names: Sequence[str],
) -> Picture:
    """Points in a plane, a panel per run, each class named at its median.

    With more than 20 classes the panels show numbers and a key beneath has the names.

    Args:
      panels: name of run to points [N, 2] and the labels of both axes, with unit.
      labels: [N] integers, indices of `class_names`; None leaves all points one colour.
      class_names: one per class; classes without a point are left out.
    """
    points = {name: check_finite(name, panel[0], 2) for name, panel in panels.items()}
    size = _common_length(points)
    if any(array.shape[1] != 2 for array in points.values()):
        raise ValueError("expected points [N, 2]")
    columns = min(len(panels), 2)
    figure, all_axes = make_panels(len(panels), columns, 3.8 if columns > 1 else 5.5)
    ids = None if labels is None else _class_ids(labels, size, class_names)
    colours = _class_colours(len(class_names))
    keyed = len(class_names) > 20
    marks = list(map(str, range(len(class_names)))) if keyed else list(class_names)
    for axes, (name, array) in zip(all_axes, points.items(), strict=True):
        axes.scatter(
            array[:, 0],
            array[:, 1],
            s=5 if size > 1000 else 12,
            color=RUN_COLOURS[0] if ids is None else colours[ids],
            alpha=0.5,
            linewidths=0,
            rasterized=True,  # in an SVG thousands of points would be slow to show
        )
        if ids is not None:
            _name_classes(axes, array, ids, marks, 7.0 / columns)
        xlabel, ylabel = panels[name][1]
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_title(_wrap(f"{name} (n = {size:,})", 6.5 / columns))
    if ids is not None and keyed and marks != list(class_names):
        key = [f"{mark} {name}" for mark, name in zip(marks, class_names, strict=True)]
        handles = _lines(dict(zip(key, colours, strict=True)))
        add_legend(figure, handles, "outside lower center")
    return to_picture(figure)


@styled
def loss_curves(
    panels: Mapping[str, tuple[str, np.ndarray, Mapping[str, Band]]], ylabel: str
) -> Picture:
    """Losses between an image and its changed copy, relative to a random other image.

    Args:
      panels: name of the change ("shift") to its unit ("pixels"), its sizes [K], and for
        each loss mean, low and high [K], where 1 is the loss against a random other image.
      ylabel: what the losses are relative to, and the kind of band.
    """
    if not panels:
        raise ValueError("no panels")
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel[2]))
    if not names:
        raise ValueError("no losses")
    # Losses are no runs: grey, and the palette from its third colour on.
    order = (GREY, *RUN_COLOURS[2:], *RUN_COLOURS[:2])
    colours = {name: order[i % len(order)] for i, name in enumerate(names)}
    figure, all_axes = make_panels(len(panels), min(len(panels), 2), 3.2, sharey=True)
    for axes, (change, (unit, sizes, losses)) in zip(
        all_axes, panels.items(), strict=True
    ):
        x = check_finite(change, sizes, 1)
        axes.axhline(1, color=GREY, linestyle=":", linewidth=1.5)
        for name, curves in losses.items():
            mean, low, high = (check_finite(f"{change}, {name}", c, 1) for c in curves)
            if not mean.shape == low.shape == high.shape == x.shape:
                raise ValueError(f"{change}, {name}: expected three curves [{x.size}]")
            axes.fill_between(x, low, high, color=colours[name], alpha=0.2, linewidth=0)
            axes.plot(x, mean, "o-", color=colours[name], markersize=3.5)
        axes.set(title=change, xlabel=f"{change} ({unit})", ylabel=ylabel)
        axes.set_ylim(bottom=0)
        axes.label_outer(remove_inner_ticks=False)
    reference = {"a random other image": Line2D([], [], color=GREY, ls=":")}
    add_legend(figure, _lines(colours) | reference)
    return to_picture(figure)


@styled
def interval_bars(
    values: Mapping[str, tuple[float, float, float]], ylabel: str
) -> Picture:
    """A bar with its interval per run.

    Args:
      values: name of run to mean, low, high.
      ylabel: what the values are, with unit, n and the kind of interval.
    """
    rows = [(name, *value) for name, value in values.items()]
    mean, low, high = _intervals("values", rows)
    figure, (axes,) = make_panels(1, 1, 3.0)
    places = np.arange(len(rows))
    axes.bar(places, mean, 0.5, color=list(_run_colours(values).values()), alpha=0.6)
    axes.vlines(places, low, high, color="black", linewidth=1.5)
    for place, top, number in zip(places, np.maximum(high, mean), mean, strict=True):
        axes.annotate(
            f"{number:.3g}",
            (place, top),
            (0, 3),
            textcoords="offset points",
            ha="center",
        )
    # A few bars keep their width and the middle of the figure.
    room = max(len(rows), 5) / 2
    axes.set_xlim(places.mean() - room, places.mean() + room)
    axes.set_xticks(places, [_wrap(name, 6.5 / (2 * room)) for name in values])
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.margins(y=0.15)
    axes.set_ylabel(_wrap(ylabel, 2.5))
    return to_picture(figure)


def make_panels(
    count: int, columns: int, height: float, **kwargs: Any
) -> tuple[Figure, list[Axes]]:
    """Returns a figure and its axes, row by row; `height` of a row in inches."""
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH, rows * height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, **kwargs).flat)
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count]


def add_legend(
    figure: Figure,
    handles: Mapping[str, Artist],
    loc: Literal[
        "outside upper center", "outside lower center"
    ] = "outside upper center",
) -> None:
    """Adds a legend outside of the panels, and the height it takes."""
    columns = max(1, min(len(handles), int(_WIDTH / (_inches(handles) + 0.6))))
    figure.legend(list(handles.values()), list(handles), loc=loc, ncols=columns)
    rows = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + rows * _LINE + 0.1)


def _name_classes(
    axes: Axes, points: np.ndarray, ids: np.ndarray, marks: Sequence[str], width: float
) -> None:
    """Writes each mark at the median of its class, moved aside where two would overlap.

    `width` of the panel in inches; its height is taken for 3.
    """
    present = np.unique(ids)
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    medians = np.stack([np.median(points[ids == index], axis=0) for index in present])
    # The last term parts those at one place.
    places = (medians - low) / (high - low) + 1e-6 * present[:, None]
    texts = [marks[index] for index in present]
    sizes = np.array([[(_inches([t]) + 0.05) / width, _LINE / 3] for t in texts])
    for _ in range(200):
        apart = places[:, None] - places
        overlap = (sizes[:, None] + sizes) / 2 - np.abs(apart)
        touching = (overlap > 0).all(-1) & ~np.eye(len(places), dtype=bool)
        if not touching.any():
            break
        shorter = np.eye(2)[overlap.argmin(-1)]
        push = shorter * overlap * np.where(apart < 0, -1, 1) * touching[..., None]
        places = np.clip(places + 0.3 * push.sum(1), sizes / 2, 1 - sizes / 2)
    for (x, y), text in zip(places, texts, strict=True):
        axes.text(
            x,
            y,
            text,
            transform=axes.transAxes,
            ha="center",
            va="center",
            path_effects=[patheffects.withStroke(linewidth=3, foreground="white")],
        )


def to_picture(figure: Figure) -> Picture:
    """Returns a figure as both kinds of file."""
    png = to_png(figure)
    # Everything has its place by now; to find them again takes as long as to draw.
    figure.set_layout_engine("none")
    return Picture(png, _save(figure, "svg", {"Date": None, "Creator": None}))


def to_png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    return _save(figure, "png", {"Software": None})


def _save(figure: Figure, form: str, metadata: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names may have characters that the font has not, and which become boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format=form, metadata=metadata)
    return file.getvalue()


def _wrap(text: str, inches: float) -> str:
    """Breaks text after spaces, or else after the marks in names such as `a_b:c`."""
    n = max(4, int(inches * _CHARS_PER_INCH))
    pattern = rf".{{1,{n}}}(?:\s|$)|.{{1,{n - 1}}}[_:/-]|.{{1,{n}}}"
    return "\n".join(line.strip() for line in re.findall(pattern, text))


def _inches(texts: Iterable[str]) -> float:
    """Returns about how wide the longest line of all texts is."""
    lines = [line for text in texts for line in text.split("\n")]
    return max(map(len, lines), default=0) / _CHARS_PER_INCH


def _lines(colours: Mapping[str, Any]) -> dict[str, Artist]:
    return {name: Line2D([], [], color=c, linewidth=2.5) for name, c in colours.items()}


def _run_colours(names: Iterable[str]) -> dict[str, str]:
    runs = [name for name in names if name != ORIGINALS]
    colours = dict(zip(runs, itertools.cycle(RUN_COLOURS)))
    return {name: colours.get(name, GREY) for name in names}


def _class_colours(count: int) -> np.ndarray:
    """Returns [count, 3]; beyond 60 classes colours come again."""
    names = ["tab10"] if count <= 10 else ["tab20", "tab20b", "tab20c"]
    palette = [colour for name in names for colour in color_sequences[name]]
    return np.array([palette[index % len(palette)] for index in range(count)])


def check_finite(name: str, values: np.ndarray, rank: int) -> np.ndarray:
    """Returns `values` as an array of this rank, not empty, every value finite."""
    array = np.asarray(values)
    if array.ndim != rank or not array.size:
        raise ValueError(
            f"{name}: expected {rank} dimensions and not empty, got {array.shape}"
        )
    if not np.isfinite(array).all():
        bad = array.size - np.isfinite(array).sum()
        raise ValueError(f"{name}: {bad} of {array.size} values are not finite")
    return array


def _common_length(arrays: Mapping[str, np.ndarray]) -> int:
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        raise ValueError(f"expected arrays of one length, got {sorted(lengths)}")
    return lengths.pop()


def _class_ids(labels: np.ndarray, size: int, class_names: Sequence[str]) -> np.ndarray:
    ids = np.asarray(labels)
    if ids.shape != (size,) or ids.dtype.kind not in "iu":
        raise ValueError(f"expected labels [{size}] int, got {ids.shape} {ids.dtype}")
    if ids.min() < 0 or ids.max() >= len(class_names):
        raise ValueError(
            f"labels {ids.min()} to {ids.max()} for {len(class_names)} class names"
        )
    return ids


def _intervals(
    name: str, rows: Sequence[tuple[str, float, float, float]]
) -> np.ndarray:
    """Returns mean, low and high, [3, len(rows)], in order low <= high."""
    array = check_finite(name, np.array([row[1:] for row in rows], float), 2).T
    if (array[1] > array[2]).any():
        raise ValueError(f"{name}: an interval has its low end above its high end")
    return array

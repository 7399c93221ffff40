"""What lies between and around encoded images: interpolations, traversals, maps."""

from collections.abc import Mapping, Sequence

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.evaluation.judge import Judge, join_judgements
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import embedding, latent

INTERPOLATION_STEPS = 10
_TRAVERSED = np.linspace(-3, 3, 11)


def draw_interpolations(
    models: Mapping[str, LoadedRun],
    latents: Mapping[str, Latents],
    ends: Sequence[tuple[int, int]],
    places: np.ndarray,
) -> Section:
    """Interpolations between images: linear and spherical rows of each run, per pair.

    Args:
      models: by name.
      latents: by run.
      ends: rows of the first and the last image of each pair.
      places: [N], where in the test split the image of each row stands.
    """
    section = Section()
    rows = []
    for start, end in ends:
        for name, model in models.items():
            z = latents[name].z_mean
            for path in latent.PATHS:
                try:
                    points = latent.interpolate(
                        z[start], z[end], INTERPOLATION_STEPS, path
                    )
                except UserError as error:  # no arc, as between opposite latents
                    section.notes.append(
                        f"No {path} interpolation of {name} between test images "
                        f"{places[start]} and {places[end]}: {error}."
                    )
                    continue
                rows.append((f"{name}, {path}", model.decode(points)))
    if rows:
        titles = [f"{n}/{INTERPOLATION_STEPS}" for n in range(INTERPOLATION_STEPS + 1)]
        section.figures["interpolations"] = figures.image_rows(rows, titles)
    return section


def draw_traversals(
    models: Mapping[str, LoadedRun],
    latents: Mapping[str, Latents],
    start: int,
    most: int,
) -> Section:
    """Dimensions from -3 to 3 around one image's z_mean, those of most KL first.

    The figures are called traversals_0, traversals_1, … in the order of the runs.

    Args:
      models: by name.
      latents: by run.
      start: place of the image.
      most: dimensions shown of each run; 0 draws nothing.
    """
    section = Section()
    titles = [f"{value:+.1f}" for value in _TRAVERSED]
    for number, (name, model) in enumerate(models.items()):
        encoded = latents[name]
        order = np.argsort(-encoded.kl.mean(axis=0), kind="stable")[:most]
        rows = [
            (
                f"{name}, z[{dimension}]",
                model.decode(
                    latent.traverse(encoded.z_mean[start], dimension, _TRAVERSED)
                ),
            )
            for dimension in order
        ]
        if rows:
            section.figures[f"traversals_{number}"] = figures.image_rows(rows, titles)
    return section


def measure_smoothness(
    models: Mapping[str, LoadedRun],
    judge: Judge,
    latents: Mapping[str, Latents],
    count: int,
    seed: int,
) -> Section:
    """How often the classifier's label changes along seeded linear interpolations."""
    section = Section()
    for name, model in models.items():
        z = latents[name].z_mean
        count = min(count, len(z))
        points = np.concatenate(
            [
                latent.interpolate(z[start], z[end], INTERPOLATION_STEPS)
                for start, end in latent.random_pairs(count, len(z), seed)
            ]
        )
        labels = join_judgements(
            [judge(model.decode(part)) for part in batches(points, model.batch_size)]
        ).labels
        assert labels is not None
        smoothness = latent.smoothness(labels.reshape(count, -1), seed)
        section.runs[name] = {"label_changes": smoothness}
    section.figures["smoothness"] = figures.interval_bars(
        {
            name: (s.mean_changes, s.ci_low, s.ci_high)
            for name, s in (
                (n, run["label_changes"]) for n, run in section.runs.items()
            )
        },
        f"label changes per interpolation (n = {count:,}, 95 % interval)",
    )
    return section


def draw_maps(
    z_means: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    class_names: Sequence[str],
    seed: int,
) -> dict[str, figures.Picture]:
    """Scatter plots of z_mean, [M, D] per run: "pca" and "tsne"."""
    maps = {}
    for method, place in (
        ("pca", embedding.pca),
        ("tsne", lambda z: embedding.tsne(z, seed)),
    ):
        placed = {name: place(z) for name, z in z_means.items()}
        maps[method] = figures.scatter(
            {name: (p.points, p.axis_labels) for name, p in placed.items()},
            labels,
            class_names,
        )
    return maps

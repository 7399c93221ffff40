"""What lies between and around encoded images: paths, traversals, samples, maps."""

from collections.abc import Mapping, Sequence

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures, inference
from dfcvae_tf.evaluation.inference import RunOutputs
from dfcvae_tf.evaluation.judge import Judge
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import embedding, latent

PATH_STEPS = 10
_TRAVERSED = np.linspace(-3, 3, 11)
_SAMPLE_ROWS = 5


def draw_paths(
    models: Mapping[str, LoadedRun],
    outputs: Mapping[str, RunOutputs],
    paths: Sequence[tuple[int, int]],
) -> Section:
    """Interpolations between images: linear and spherical rows of each run, per path."""
    section = Section()
    rows = []
    for start, end in paths:
        for name, model in models.items():
            z = outputs[name].z_mean
            for path in latent.PATHS:
                try:
                    points = latent.interpolate(z[start], z[end], PATH_STEPS, path)
                except UserError as error:  # no arc, as between opposite latents
                    section.notes.append(
                        f"No {path} path of {name} between images {start} and {end}: "
                        f"{error}."
                    )
                    continue
                rows.append((f"{name}, {path}", inference.decode(model, points)))
    if rows:
        titles = [f"{n}/{PATH_STEPS}" for n in range(PATH_STEPS + 1)]
        section.figures["paths"] = figures.image_rows(rows, titles)
    return section


def draw_traversals(
    models: Mapping[str, LoadedRun], outputs: Mapping[str, RunOutputs], start: int
) -> Section:
    """Every dimension from -3 to 3 around one image's z_mean, those of most KL first.

    The figures are called traversals_0, traversals_1, … in the order of the runs.
    """
    section = Section()
    titles = [f"{value:+.1f}" for value in _TRAVERSED]
    for number, (name, model) in enumerate(models.items()):
        output = outputs[name]
        order = np.argsort(-output.kl.mean(axis=0), kind="stable")
        grid = latent.traverse(output.z_mean[start], _TRAVERSED)
        rows = [(f"{name}, z[{d}]", inference.decode(model, grid[d])) for d in order]
        section.figures[f"traversals_{number}"] = figures.image_rows(rows, titles)
    return section


def draw_samples(samples: Mapping[str, np.ndarray]) -> bytes:
    """The first 50 prior samples of each run, ten in a row."""
    return figures.image_rows(
        [
            (name if row == 0 else "", images[10 * row : 10 * row + 10])
            for name, images in samples.items()
            for row in range(min(_SAMPLE_ROWS, -(-len(images) // 10)))
        ]
    )


def measure_smoothness(
    models: Mapping[str, LoadedRun],
    judge: Judge,
    outputs: Mapping[str, RunOutputs],
    num_paths: int,
    seed: int,
) -> Section:
    """How often the judge's label changes along seeded linear interpolations."""
    section = Section()
    for name, model in models.items():
        z = outputs[name].z_mean
        points = [
            latent.interpolate(z[start], z[end], PATH_STEPS)
            for start, end in latent.random_pairs(num_paths, len(z), seed)
        ]
        images = inference.decode(model, np.concatenate(points))
        labels = judge(inference.batches(images)).labels
        assert labels is not None
        smoothness = latent.path_smoothness(labels.reshape(num_paths, -1), seed)
        section.runs[name] = {"label_changes": smoothness}
    section.figures["smoothness"] = figures.interval_bars(
        {
            name: (s.mean_changes, s.ci_low, s.ci_high)
            for name, s in (
                (n, run["label_changes"]) for n, run in section.runs.items()
            )
        },
        f"label changes per path (n = {num_paths:,}, 95 % interval)",
    )
    return section


def draw_maps(
    z_means: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    class_names: Sequence[str],
    seed: int,
) -> dict[str, bytes]:
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

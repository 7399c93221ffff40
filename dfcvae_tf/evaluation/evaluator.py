"""From trained runs and a test split to everything the report shows.

images ─► inference, judge (TensorFlow) ─► arrays ─► statistics, figures (numpy)
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures, inference, latent_space, selection
from dfcvae_tf.evaluation.blur import measure_blur
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.fidelity import (
    describe_judge,
    measure_distances,
    measure_fidelity,
)
from dfcvae_tf.evaluation.inference import RunOutputs
from dfcvae_tf.evaluation.judge import Judge, Judgement, build_judge
from dfcvae_tf.evaluation.notes import data_notes, group_notes
from dfcvae_tf.evaluation.section import ORIGINALS, Section, plain
from dfcvae_tf.files import read_json
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.sensitivity import measure_robustness
from dfcvae_tf.perceptual.registry import model_files
from dfcvae_tf.provenance import describe_process

FORMAT_VERSION = 1
MIN_IMAGES = 4
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Settings:
    """How to evaluate, and how much of what.

    Attributes:
      indices: of the images shown; () as `selection.choose_indices` says.
      groups: of classes; {} as `selection.class_groups` says.
      judge, judge_layers, judge_weights: see `judge.build_judge`.
      importance_samples: k of the importance-weighted NLL.
      importance_images: how many images have it computed.
      temperature: of the samples from the prior, as many as there are images.
      num_paths: interpolations whose labels are followed.
      num_embedded: images in the scatter plots.
      num_moved: images that are shifted and rotated.
      read_model_files: whether files that runs name for their perceptual model are read.
      seed: of everything drawn.
    """

    indices: tuple[int, ...] = ()
    groups: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    judge: str | None = None
    judge_layers: tuple[str, ...] = ()
    judge_weights: str = "imagenet"
    importance_samples: int = 50
    importance_images: int = 1000
    temperature: float = 1.0
    num_paths: int = 1000
    num_embedded: int = 1000
    num_moved: int = 1000
    read_model_files: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
      results: plain values, ready for JSON; `report.py` shows them.
      figures: name -> PNG.
      embeddings: run -> z_mean [M, D], class names [M] or None, images [M, H, W, C].
    """

    results: dict[str, Any]
    figures: dict[str, bytes]
    embeddings: dict[str, tuple[np.ndarray, list[str] | None, np.ndarray]]


def load_runs(runs: Mapping[str, str]) -> dict[str, LoadedRun]:
    """Loads runs by name.

    Raises:
      UserError: a run cannot be loaded, or they make images of different shapes.
    """
    models = {name: load_for_inference(path) for name, path in runs.items()}
    shapes = {
        name: "x".join(map(str, model.config.image_shape or ()))
        for name, model in models.items()
    }
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(
            f"the runs make images of different shapes ({listed}); evaluate them apart"
        )
    return models


def evaluate(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    settings: Settings,
    progress: Callable[[str], None],
) -> Evaluation:
    """Measures the runs on the data, in the order of the report.

    Args:
      models: the runs by name, in the order they are shown.
      data: the images, at least MIN_IMAGES.
      settings: how much of what.
      progress: told what is being done, a few words at a time.

    Raises:
      UserError: a setting does not fit the data, or a network cannot be had.
    """
    images, labels, seed = data.images, data.labels, settings.seed
    if len(images) < MIN_IMAGES:
        raise UserError(
            f"{len(images)} images are too few to compare; evaluate at least {MIN_IMAGES}"
        )
    shown = selection.choose_indices(
        settings.indices, len(images), labels, data.is_mnist, seed
    )
    paths = selection.choose_paths(shown, labels, data.class_names)
    groups = selection.class_groups(
        settings.groups, labels, data.class_names, len(images)
    )
    judge = build_judge(
        settings.judge,
        settings.judge_layers,
        settings.judge_weights,
        images.shape[1:],
        data.class_names,
        [model.config for model in models.values()],
    )
    few = np.random.default_rng(seed).permutation(len(images))[: settings.num_embedded]

    progress(f"reconstructing {len(images)} images with each run")
    outputs = {
        name: inference.run_on_images(model, images, seed)
        for name, model in models.items()
    }
    recon = {name: output.reconstructions for name, output in outputs.items()}
    titles = [
        f"#{index}" if labels is None else data.class_names[labels[index]]
        for index in shown
    ]
    rows = [(ORIGINALS, images[shown]), *((n, x[shown]) for n, x in recon.items())]
    sections = {
        "notes": Section(notes=data_notes(models, data) + group_notes(groups, judge)),
        "rows": Section(figures={"reconstructions": figures.image_rows(rows, titles)}),
    }

    progress("measuring blur, testing pairs")
    sections["blur"] = measure_blur(data, recon, groups, seed)

    progress("measuring fidelity")
    judged = {} if judge is None else {ORIGINALS: judge(inference.batches(images))}
    if judge is not None:
        judged |= {name: judge(inference.batches(x)) for name, x in recon.items()}
    sections["fidelity"] = measure_fidelity(images, outputs, judged, seed)

    progress(f"importance-weighted likelihood, {settings.importance_samples} draws")
    sections["likelihood"] = _likelihood(models, images, outputs, settings)

    progress("drawing as many samples from the prior of each run")
    samples = {
        name: inference.sample_images(model, len(images), settings.temperature, seed)
        for name, model in models.items()
    }
    if judge is not None:
        sections["judge"] = _judge(judge, judged, samples, labels, seed)

    progress("following paths through latent space")
    sections["paths"] = latent_space.draw_paths(models, outputs, paths)
    sections["traversals"] = latent_space.draw_traversals(models, outputs, shown[0])
    sections["samples"] = Section(
        figures={"samples": latent_space.draw_samples(samples)}
    )
    if judge is not None and judged[ORIGINALS].labels is not None:
        sections["smoothness"] = latent_space.measure_smoothness(
            models, judge, outputs, settings.num_paths, seed
        )

    progress("mapping latents to two dimensions")
    z_means = {name: output.z_mean[few] for name, output in outputs.items()}
    few_labels = None if labels is None else labels[few]
    sections["maps"] = Section(
        figures=latent_space.draw_maps(z_means, few_labels, data.class_names, seed)
    )

    progress("moving images: robustness of the losses")
    sections["robustness"] = _robustness(
        models, data, few[: settings.num_moved], settings
    )
    for note in sections["robustness"].notes:
        progress(note)

    few_names = (
        None if few_labels is None else [data.class_names[i] for i in few_labels]
    )
    return Evaluation(
        results=plain(
            {
                "format_version": FORMAT_VERSION,
                "notes": [note for s in sections.values() for note in s.notes],
                "data": {
                    "name": data.name,
                    "description": data.description,
                    "is_mnist": data.is_mnist,
                    "num_images": len(images),
                    "num_test_images": data.total,
                    "image_shape": images.shape[1:],
                    "class_names": data.class_names,
                    "shown": shown,
                    "shown_in_article": shown
                    == list(selection.ARTICLE_INDICES.values())
                    and list(selection.ARTICLE_INDICES),
                    "paths": paths,
                    "groups": {name: mask.sum() for name, mask in groups.items()},
                },
                "runs": {
                    name: {
                        k: v
                        for s in sections.values()
                        for k, v in s.runs.get(name, {}).items()
                    }
                    for name in models
                },
                **{name: s.results for name, s in sections.items() if s.results},
                "settings": settings,
                "provenance": _provenance(models),
            }
        ),
        figures={k: png for s in sections.values() for k, png in s.figures.items()},
        embeddings={name: (z, few_names, images[few]) for name, z in z_means.items()},
    )


def _likelihood(
    models: Mapping[str, LoadedRun],
    images: np.ndarray,
    outputs: Mapping[str, RunOutputs],
    settings: Settings,
) -> Section:
    section = Section()
    images = images[: settings.importance_images]
    for name, model in models.items():
        nll = inference.importance_weighted_nll(
            model, images, settings.importance_samples, settings.seed
        )
        elbo = outputs[name].negative_elbo[: len(images)]
        section.runs[name] = {
            "importance_weighted_nll": nll.mean(),
            "negative_elbo_of_the_same": elbo.mean(),
        }
    section.results = {
        "importance_samples": settings.importance_samples,
        "num_images": len(images),
    }
    return section


def _judge(
    judge: Judge,
    judged: Mapping[str, Judgement],
    samples: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    seed: int,
) -> Section:
    section = Section()
    section.results = {
        "name": judge.name,
        "layers": judge.layers,
        **describe_judge(judged[ORIGINALS], labels, seed),
    }
    for name, images in samples.items():
        drawn = judge(inference.batches(images))
        section.runs[name] = measure_distances(
            judged[ORIGINALS], judged[name], drawn, seed
        )
    return section


def _robustness(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    chosen: np.ndarray,
    settings: Settings,
) -> Section:
    section = Section()
    seed = settings.seed
    losses = {}
    for name, model in models.items():
        # A run directory may be anybody's: what it names is not opened unasked.
        named = model_files(model.config.objective)
        if named and not settings.read_model_files:
            section.notes.append(
                f"The perceptual loss of {name} was left out: it needs a file that the "
                f"run names, {', '.join(named.values())}; --read_model_files reads it."
            )
            continue
        try:
            loss = inference.perceptual_loss(model)
        except UserError as error:
            section.notes.append(
                f"The perceptual loss of {name} was left out: {error}."
            )
            continue
        if loss is not None:
            losses[f"perceptual loss of {name}"] = loss
    labels = None if data.labels is None else data.labels[chosen]
    curves = measure_robustness(data.images[chosen], labels, losses, seed)
    section.results = {"num_images": len(chosen), "curves": curves}
    section.figures["robustness"] = figures.loss_curves(
        {
            kind: (
                {"shift": "pixels", "rotation": "degrees"}[kind],
                np.array(next(iter(of_kind.values())).amounts),
                {name: (c.relative, c.low, c.high) for name, c in of_kind.items()},
            )
            for kind, of_kind in curves.items()
        },
        f"loss, relative to a random other image (n = {len(chosen):,})",
    )
    return section


def _provenance(models: Mapping[str, LoadedRun]) -> dict[str, Any]:
    return {
        **describe_process(_PACKAGES),
        "runs": {
            name: {
                "run_dir": str(model.run),
                "step": model.config.training.steps,
                **read_json(model.run.config),
            }
            for name, model in models.items()
        },
    }

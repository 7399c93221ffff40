"""How sensitive the losses of runs are to shift and rotation of the images."""

from collections.abc import Mapping

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures, inference
from dfcvae_tf.evaluation.chosen import ChosenImages
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.sensitivity import Loss, measure_sensitivity
from dfcvae_tf.perceptual.registry import model_files

_UNITS = {"shift": "pixels", "rotation": "degrees"}


def measure_losses(
    models: Mapping[str, LoadedRun],
    originals: ChosenImages,
    places: np.ndarray,
    labels: np.ndarray | None,
    read_model_files: bool,
    seed: int,
) -> Section:
    """Moves images and asks the pixel loss and each run's perceptual loss how far.

    Args:
      models: by name.
      originals: the images.
      places: [M], which of them to move.
      labels: [M] int, their classes, or None.
      read_model_files: whether files that runs name for their perceptual model are read.
      seed: of directions, of the other images and of the intervals.

    Raises:
      UserError: the images are all alike.
    """
    if labels is not None and len(np.unique(labels)) < 2:
        labels = None  # no image is of another class
    section = Section()
    losses: dict[str, Loss] = {}
    for name, model in models.items():
        loss = _perceptual_loss(name, model, read_model_files, section.notes)
        if loss is not None:
            losses[f"perceptual loss of {name}"] = loss
    curves = measure_sensitivity(
        lambda rows: originals.images(places[rows]),
        len(places),
        next(iter(models.values())).batch_size,
        labels,
        losses,
        seed,
    )
    for name in losses:
        if name not in curves["shift"]:
            section.notes.append(
                f"The {name} was left out: it is 0 or not finite between the images."
            )
    section.results = {
        "num_images": len(places),
        "others_of_another_class": labels is not None,
        "curves": curves,
    }
    section.figures["sensitivity"] = figures.loss_curves(
        {
            kind: (
                _UNITS[kind],
                np.array(next(iter(of_kind.values())).amounts),
                {name: (c.relative, c.low, c.high) for name, c in of_kind.items()},
            )
            for kind, of_kind in curves.items()
        },
        f"loss, relative to a random other image (n = {len(places):,})",
    )
    return section


def _perceptual_loss(
    name: str, model: LoadedRun, read_model_files: bool, notes: list[str]
) -> Loss | None:
    """The run's perceptual loss; None without one, or where a note says why not."""
    # A run directory may be anybody's: what it names is not opened unasked.
    named = model_files(model.config.objective)
    if named and not read_model_files:
        notes.append(
            f"The perceptual loss of {name} was left out: it needs a file that the "
            f"run names, {', '.join(named.values())}; --read_model_files reads it."
        )
        return None
    try:
        return inference.perceptual_loss(model)
    except UserError as error:
        notes.append(f"The perceptual loss of {name} was left out: {error}.")
        return None

"""What a reader must be told before believing a comparison."""

from collections.abc import Mapping

import numpy as np

from dfcvae_tf.checkpoints import read_provenance
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.judge import Judge, Judgement, Worth
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.collapse import collapse
from dfcvae_tf.metrics.sharpness_verdict import SIGNIFICANCE

_SMALL_GROUP = 30


def data_notes(models: Mapping[str, LoadedRun], data: EvaluationImages) -> list[str]:
    """What a reader must know before comparing these runs."""
    notes = []
    if data.num_images < data.total:
        notes.append(
            f"{data.num_images} of {data.total} test images were used, {data.choice}."
        )
    if data.num_unlabelled:
        notes.append(
            f"{data.num_unlabelled} of {data.total} test images have a label that is "
            "none of the classes (-1 stands for an unknown one): the images are evaluated "
            "as without labels."
        )
    trained = {
        name: read_provenance(model.run).get("dataset", "unknown")
        for name, model in models.items()
    }
    for name, model in models.items():
        own = model.config.data.dataset
        if own != data.name and not {own, data.name} <= set(MNIST):
            notes.append(
                f"{name} was trained on other data ({trained[name]}) than it is "
                f"evaluated on ({data.description})."
            )
    if len(set(trained.values())) > 1:
        listed = "; ".join(f"{name}: {what}" for name, what in trained.items())
        notes.append(f"The runs were trained on different data ({listed}).")
    return notes


def collapse_notes(latents: Mapping[str, Latents]) -> list[str]:
    """Which runs have latents that carry nothing."""
    found = {name: collapse(own.kl.mean(axis=0)) for name, own in latents.items()}
    return [f"{name}: {sentence}." for name, sentence in found.items() if sentence]


def judge_notes(judged: Judgement | None, worth: Worth | None) -> list[str]:
    """What the labels of a judge are not worth.

    Args:
      judged: the originals as it sees them; None without a judge.
      worth: of its labels; None where the originals have none to tell.
    """
    if judged is None or judged.labels is None:
        return []
    if worth is None:
        note = (
            "The images have no labels, so how often the held-out classifier is right is "
            "not known."
        )
        return [note]
    if worth.is_enough:
        return []
    note = (
        "No verdict on label agreement: the held-out classifier gives "
        f"{worth.accuracy:.1%} of the originals their label (majority baseline: "
        f"{worth.majority:.1%}), and a verdict needs {worth.needed:.1%} and a binomial "
        f"test with p below {SIGNIFICANCE:g} (here {worth.p_value:.2g}). Its labels, and "
        "what is counted with them, say little."
    )
    return [note]


def group_notes(groups: Mapping[str, np.ndarray], judge: Judge | None) -> list[str]:
    """What cannot be said of these groups (name -> bool [N]), or not with certainty."""
    notes = []
    if judge is None:
        notes.append(
            "No held-out classifier saw these images: label agreement, Fréchet and "
            "kernel distances are left out. Choose one with --judge."
        )
    small = [name for name, mask in groups.items() if 0 < mask.sum() < _SMALL_GROUP]
    if small:
        notes.append(
            f"Fewer than {_SMALL_GROUP} images in {', '.join(small)}: read the tests of "
            "so few as hints."
        )
    empty = [name for name, mask in groups.items() if not mask.any()]
    if empty:
        notes.append(f"None of the images is of {', '.join(empty)}.")
    return notes

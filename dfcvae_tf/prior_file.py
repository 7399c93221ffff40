"""A run's learned prior on disk: beside the inference weights, with their digest.

A prior is of the latents of one encoder. With other weights than those it was fitted to
it would draw other pictures without a word, so it is not read then.
"""

import json
import shlex
from typing import Any

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays, sha256, write_arrays
from dfcvae_tf.labels import Labels
from dfcvae_tf.models.prior import (
    LEARNED,
    STANDARD,
    Prior,
    StandardNormal,
    prior_given,
)
from dfcvae_tf.run_dir import RunDir

LABELS = "labels"
_FACTS = "facts"
_PARAMETERS = "prior/"


def save_prior(
    run: RunDir, kind: str, parameters: dict[str, np.ndarray], facts: dict[str, Any]
) -> None:
    """Writes a prior of the run's inference weights, atomically.

    Args:
      run: the run.
      kind: one of `LEARNED`, or `STANDARD`: then the run is to have none of them.
      parameters: what the prior is built from.
      facts: how it was fitted, plain values.

    Raises:
      UserError: the disk is full or not writable.
    """
    facts = {"kind": kind, "weights_sha256": sha256(run.weights), **facts}
    arrays = {f"{_PARAMETERS}{name}": value for name, value in parameters.items()}
    write_arrays(run.prior, {_FACTS: np.array(json.dumps(facts)), **arrays})


def read_facts(run: RunDir) -> dict[str, Any] | None:
    """Returns what `save_prior` wrote of the prior; None where there is none.

    Raises:
      UserError: the file is damaged, or the prior is one of other weights.
    """
    if not run.prior.is_file():
        return None
    return _read(run)[0]


def load_prior(run: RunDir, latent_dim: int) -> tuple[Prior | None, Labels | None]:
    """Returns the prior that was settled on for a run, and the labels it knows.

    None where none was, and where it knows none.

    Raises:
      UserError: the file is damaged, or the prior is one of other weights or of another
        number of dimensions.
    """
    if not run.prior.is_file():
        return None, None
    facts, arrays = _read(run)
    if facts["kind"] == STANDARD:
        return StandardNormal(), None
    try:
        prior = LEARNED[facts["kind"]](arrays)
        labels = Labels.from_facts(facts[LABELS]) if LABELS in facts else None
        label = None
        if prior.num_labels != (len(labels.names) if labels else 0):
            raise ValueError("not as many names of labels as it has")
        if labels is not None:
            label = np.ones((1, len(labels.names)), np.float32)
        asked = prior_given(prior, label)
        z = asked.from_noise(np.zeros((1, latent_dim), np.float32))
        made = [*arrays.values(), z, asked.to_noise(z), asked.log_prob(z)]
        finite = all(np.isfinite(array).all() for array in made)
        fits = tuple(z.shape) == (1, latent_dim) and finite
    except Exception as error:  # arrays that are missing, of other shapes, no numbers
        raise _damaged(run, str(error)) from error
    if not fits:
        raise _damaged(run, "not finite, or not of the run's latents")
    return prior, labels


def _read(run: RunDir) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        arrays = read_arrays(run.prior)
    except UserError as error:
        raise UserError(f"{error}; {_mend(run)}") from error
    try:
        facts = json.loads(str(arrays.pop(_FACTS)))
        kind, digest = facts["kind"], facts["weights_sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(run, "it does not say what it is") from error
    if kind not in (*LEARNED, STANDARD):
        raise _damaged(run, f"its kind is {kind!r}")
    if digest != sha256(run.weights):
        raise UserError(
            f"{run.prior} was fitted to other weights than {run.weights}; {_mend(run)}"
        )
    return facts, {n.removeprefix(_PARAMETERS): value for n, value in arrays.items()}


def _damaged(run: RunDir, reason: str) -> UserError:
    reason = " ".join(reason.split())[:200]
    return UserError(f"{run.prior} is damaged ({reason}); {_mend(run)}")


def _mend(run: RunDir) -> str:
    return (
        f"`python -m dfcvae_tf.fit_prior --run_dir={shlex.quote(str(run))}` fits it anew, and with "
        f"--prior={STANDARD} settles on N(0, I)"
    )

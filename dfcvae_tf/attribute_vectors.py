"""Directions in latent space that stand for attributes of images, and their files.

Hou et al. (2017), section 4.4, after Radford et al. (2016): the vector of an attribute is
the mean latent of the images that have it minus the mean latent of those that have not.
Added to the latent of a face, the vector of "Smiling" makes it smile.

Attributes come together: most smiling faces may be women's. Then a plain difference has
the other attribute in it, which `control` takes out.

Two files hold the vectors of a run: vectors.npz, and vectors.json, which is written last.
"""

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.files import (
    disk_errors,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)
from dfcvae_tf.names import quoted, read_names, separated_by
from dfcvae_tf.provenance import describe_process
from dfcvae_tf.run_dir import RunDir

ARRAYS, FACTS = "vectors.npz", "vectors.json"
# A mean of fewer images is one image.
MIN_IMAGES = 2
# What one picture can show.
MAX_ROWS = 40
# (name, sign) of each vector that is added up, sign 1 or -1.
Edit = tuple[tuple[str, int], ...]
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class AttributeVectors:
    """The vectors of K attributes, and what they were computed from.

    Attributes:
      names: of the attributes.
      vectors: [K, D] float32, one per attribute.
      z_mean: [N, D] float32, the latents of the images.
      attributes: [N, K] int8, 1 where an image has the attribute, else 0.
      image_names: [N], names of the images.
      control: the attribute that was balanced, None for plain differences.
    """

    names: tuple[str, ...]
    vectors: np.ndarray
    z_mean: np.ndarray
    attributes: np.ndarray
    image_names: tuple[str, ...]
    control: str | None = None

    def direction(self, parts: Sequence[tuple[str, int]]) -> np.ndarray:
        """Returns the sum of some vectors, [D] float32.

        Args:
          parts: (name, sign), as `parse_edits` returns them.

        Raises:
          UserError: a name is unknown.
        """
        for name, _ in parts:
            if name not in self.names:
                raise unknown_name("attribute", name, self.names)
        signed = [sign * self.vectors[self.names.index(name)] for name, sign in parts]
        return np.sum(signed, axis=0)


def parse_edits(text: str, names: Sequence[str]) -> list[Edit]:
    """Reads edits with commas between them, such as "Smiling,Eyeglasses-Male,-Young".

    Args:
      text: each edit is attribute names joined by + or -; see `names.read_names` for
        names that hold such characters themselves.
      names: of all attributes.

    Returns:
      Each edit as (name, sign), sign 1 or -1.

    Raises:
      UserError: not of this form, a name is unknown, or there are several ways to read it.
    """
    read = read_names(
        text,
        "attribute",
        names,
        f"{text!r} is no attribute; give names joined by + or -, such as Smiling+Young "
        "or -Male",
        between=separated_by("+", "-", ",", ",+", ",-"),
        first=separated_by("", "+", "-"),
    )
    edits: list[list[tuple[str, int]]] = [[]]
    for joint, name in read:
        if joint.startswith(","):
            edits.append([])
        edits[-1].append((name, -1 if joint.endswith("-") else 1))
    return [tuple(edit) for edit in edits]


def check_rows(num_images: int, num_edits: int) -> None:
    """Checks that one picture has room for a row per image and edit.

    Raises:
      UserError: it has not.
    """
    if num_images * num_edits > MAX_ROWS:
        raise UserError(
            f"{num_images} images with {num_edits} edits are too many for one picture, "
            f"which has up to {MAX_ROWS} rows"
        )


def edit_title(edit: Edit) -> str:
    """Returns an edit as text, such as "Smiling-Male"."""
    signed = [f"{'-' if sign < 0 else '+'}{name}" for name, sign in edit]
    return "".join(signed).removeprefix("+")


def choose(
    names: Sequence[str], wanted: Sequence[str], excluded: Sequence[str]
) -> tuple[str, ...]:
    """Returns the attributes to work on, in the order of `names`.

    Args:
      names: all there are.
      wanted: those asked for; none means all.
      excluded: those to leave out.

    Raises:
      UserError: a name is unknown, or none is left.
    """
    for name in (*wanted, *excluded):
        if name not in names:
            raise unknown_name("attribute", name, names)
    chosen = (set(wanted) or set(names)) - set(excluded)
    if not chosen:
        raise UserError("no attribute is left; --exclude takes out all of them")
    return tuple(name for name in names if name in chosen)


def leave_out(
    problem: str, bad: Sequence[str], chosen: Sequence[str], excluded: Sequence[str]
) -> UserError:
    """Returns the error for attributes that cannot be used, with the --exclude to copy.

    Args:
      problem: what is wrong with them.
      bad: their names.
      chosen: all that were to be used.
      excluded: what is left out already.
    """
    if len(bad) == len(chosen):
        return UserError(f"{problem}: {', '.join(bad)}; no attribute is left")
    joined = ",".join(
        quoted(name) if re.search(r'[",]', name) else name for name in (*excluded, *bad)
    )
    return UserError(
        f"{problem}: {', '.join(bad)}; leave them out with "
        f"--exclude={shlex.quote(joined)}"
    )


def compute_vectors(
    z_mean: np.ndarray,
    attributes: np.ndarray,
    names: Sequence[str],
    control: tuple[str, np.ndarray] | None = None,
    excluded: Sequence[str] = (),
) -> np.ndarray:
    """Returns the vector of each attribute, [K, D] float32.

    With a control, a vector is the mean of two differences, that among the images with
    the control and that among those without. Both weigh the same, so how often an
    attribute comes with the control does not matter. The control's own is a plain one.

    Args:
      z_mean: [N, D].
      attributes: [N, K], 1 where an image has the attribute, else 0.
      names: [K].
      control: name and values, [N], of the attribute to balance.
      excluded: attributes left out already; for the error only.

    Raises:
      UserError: of an attribute there are fewer than two images with it, or without it,
        or, with a control, in one of the four groups; or all latents are the same.
    """
    if len(z_mean) != len(attributes) or attributes.shape[1:] != (len(names),):
        raise ValueError(
            f"{len(names)} names, {z_mean.shape} latents, {attributes.shape} attributes"
        )
    if not np.any(z_mean != z_mean[:1]):
        raise UserError("the run encodes all images alike; it has learned nothing")
    everything = np.ones(len(z_mean), bool)
    strata = [everything]
    if control is not None:
        has_control = control[1] == 1
        strata = [~has_control, has_control]
        counts = [int(stratum.sum()) for stratum in strata]
        # Each is cut in two, and neither half may be too small.
        if min(counts) < 2 * MIN_IMAGES:
            raise UserError(
                f"--control={control[0]} cannot be balanced: {counts[1]} images have "
                f"it and {counts[0]} have not; choose another"
            )
    vectors, bad = [], []
    for name, column in zip(names, attributes.T, strict=True):
        own = control is not None and name == control[0]
        differences = [
            _difference(z_mean, stratum & (column == 1), stratum & (column != 1))
            for stratum in ([everything] if own else strata)
        ]
        found = [d for d in differences if d is not None]
        if len(found) < len(differences):
            bad.append(name)
        else:
            vectors.append(np.mean(found, axis=0).astype(np.float32))
    if bad:
        problem = f"fewer than {MIN_IMAGES} images with or without the attribute"
        if control is not None:
            problem += f", among those with or without {control[0]}"
        raise leave_out(problem, bad, names, excluded)
    return np.stack(vectors)


def explained_variances(z_mean: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """How much of the variance of latents goes with each attribute, [K] float64.

    The share of a dimension's variance that lies between the images with the attribute and
    those without (the square of Pearson's r with it), less the 1 / (N - 1) that chance
    gives, and at least 0; its mean over the dimensions that vary. A rare attribute explains
    little even where its images are far from the others.

    Args:
      z_mean: [N, D].
      attributes: [N, K], 1 or 0, both at least once.
    """
    z = z_mean - z_mean.mean(axis=0, dtype=np.float64)
    z = z[:, z.any(axis=0)]
    values = attributes - attributes.mean(axis=0)
    covariances = values.T @ z
    squares = np.outer((values**2).sum(axis=0), (z**2).sum(axis=0))
    shares = (covariances**2 / squares).mean(axis=1) - 1 / (len(z) - 1)
    return np.maximum(shares, 0.0)


def save(
    folder: Path, found: AttributeVectors, run: RunDir, dataset: str, split: str
) -> dict[str, Any]:
    """Writes both files; without a whole one, there is no vectors.json.

    Args:
      folder: where to.
      found: what is written.
      run: whose latents they are.
      dataset: one line that says what the data is.
      split: of the dataset.

    Returns:
      What vectors.json says.

    Raises:
      UserError: the disk is full or not writable.
    """
    with disk_errors(folder / FACTS):
        (folder / FACTS).unlink(missing_ok=True)
    write_arrays(
        folder / ARRAYS,
        {
            "vectors": found.vectors,
            "attribute_names": np.array(found.names),
            "z_mean": found.z_mean,
            "attributes": found.attributes,
            "image_names": np.array(found.image_names),
        },
    )
    counts = found.attributes.sum(axis=0, dtype=np.int64)
    facts = {
        "attributes": {
            name: {
                "images_with": int(count),
                "images_without": len(found.z_mean) - int(count),
                "length": float(np.linalg.norm(vector)),
            }
            for name, count, vector in zip(
                found.names, counts, found.vectors, strict=True
            )
        },
        "control": found.control,
        "dataset": dataset,
        "split": split,
        "run": str(run),
        "weights_sha256": weights_digest(run),
        "provenance": describe_process(_PACKAGES),
    }
    write_json(folder / FACTS, facts)
    return facts


def load(folder: Path, run: RunDir, latent_dim: int) -> AttributeVectors:
    """Reads the vectors of a run.

    Args:
      folder: where they are.
      run: the run they are to be used with.
      latent_dim: D of that run.

    Raises:
      UserError: there are none, they are those of other weights, or a file is damaged.
    """
    remedy = _remedy(folder, run)
    facts = _read_facts(folder, run)
    arrays = read_arrays(folder / ARRAYS)
    try:
        found = AttributeVectors(
            names=tuple(str(name) for name in arrays["attribute_names"]),
            vectors=arrays["vectors"],
            z_mean=arrays["z_mean"],
            attributes=arrays["attributes"],
            image_names=tuple(str(name) for name in arrays["image_names"]),
            control=facts["control"],
        )
        digest = facts["weights_sha256"]
        dimensions = {found.vectors.shape[1], found.z_mean.shape[1]}
    except (KeyError, TypeError, IndexError) as error:
        raise _damaged(folder, run) from error
    if found.control is not None:
        remedy += f" --control={found.control}"
    if digest != weights_digest(run) or dimensions != {latent_dim}:
        raise UserError(
            f"the attribute vectors in {folder} are not of the weights that {run} has "
            f"now; make them again with: {remedy}"
        )
    return found


def stored_names(folder: Path, run: RunDir) -> tuple[str, ...]:
    """Returns the names of the attributes that have a vector in a folder.

    Raises:
      UserError: there are none, or the file is damaged.
    """
    try:
        return tuple(_read_facts(folder, run)["attributes"])
    except (KeyError, TypeError) as error:
        raise _damaged(folder, run) from error


def _read_facts(folder: Path, run: RunDir) -> Any:
    if not (folder / FACTS).is_file():
        raise UserError(
            f"{folder} has no attribute vectors (of classes there are none: edit with "
            f"--method=prior); make them with: {_remedy(folder, run)}"
        )
    return read_json(folder / FACTS)


def _remedy(folder: Path, run: RunDir) -> str:
    """The command that makes the vectors of a folder."""
    remedy = f"python -m dfcvae_tf.attributes vectors --run_dir={run}"
    if folder.resolve() != run.attributes.resolve():
        remedy += f" --output_dir={folder}"
    return remedy


def _damaged(folder: Path, run: RunDir) -> UserError:
    return UserError(
        f"the attribute vectors in {folder} are damaged; make them again with: "
        f"{_remedy(folder, run)}"
    )


def weights_digest(run: RunDir) -> str:
    """Returns the SHA-256 of a finished run's weights file, in hexadecimal."""
    return hashlib.sha256(run.weights.read_bytes()).hexdigest()


def _difference(
    z_mean: np.ndarray, has: np.ndarray, has_not: np.ndarray
) -> np.ndarray | None:
    """Mean of some rows minus mean of others, [D] float64; None where rows are few."""
    if min(has.sum(), has_not.sum()) < MIN_IMAGES:
        return None
    # A float32 sum of 100,000 latents is off by more than a weak attribute's vector.
    means = [z_mean[rows].mean(axis=0, dtype=np.float64) for rows in (has, has_not)]
    return means[0] - means[1]

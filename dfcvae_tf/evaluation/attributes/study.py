"""Attributes in the latent space of a run: from the run and a dataset to files and tables."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf import attribute_vectors
from dfcvae_tf.attribute_vectors import AttributeVectors, Edit
from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import chosen_images
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures
from dfcvae_tf.evaluation.attributes import figures as attribute_figures
from dfcvae_tf.evaluation.attributes import prediction
from dfcvae_tf.evaluation.attributes.data import (
    EncodedSplit,
    encode_split,
    open_with_attributes,
)
from dfcvae_tf.evaluation.attributes.relations import Correlations, correlate
from dfcvae_tf.evaluation.projector import write_projector
from dfcvae_tf.files import atomic_file, check_writable, write_json
from dfcvae_tf.labels import CLASSES
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import embedding
from dfcvae_tf.names import read_list
from dfcvae_tf.provenance import describe_process

NUM_MAPPED = 1000
_MAPS = 6
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "numpy", "scikit-learn", "scipy")

Progress = Callable[[str], None]


def make_vectors(
    model: LoadedRun,
    data: DataConfig,
    folder: Path,
    wanted: str,
    excluded: str,
    control: str | None,
    progress: Progress,
) -> str:
    """Encodes the train split, writes the vectors of attributes to `folder`.

    Args:
      model: the run.
      data: where the images are.
      folder: see `attribute_vectors.save`.
      wanted: names of attributes, see `names.read_list`; none means all.
      excluded: names left out, likewise.
      control: name of an attribute to balance, or None.
      progress: told in words what is done next.

    Returns:
      A table for the terminal.

    Raises:
      UserError: see `data` and `attribute_vectors`; or not writable.
    """
    source = open_with_attributes(model, data)
    all_names = source.attribute_names
    left_out = read_list(excluded, "attribute", all_names)
    names = attribute_vectors.choose(
        all_names, read_list(wanted, "attribute", all_names), left_out
    )
    if control is not None:
        attribute_vectors.choose(all_names, [control], ())
    check_writable(folder)
    _tell_encoding(progress, source, "train")
    train = encode_split(model, source, data, "train")
    attributes = train.attributes[:, [all_names.index(name) for name in names]]
    balanced = None
    if control is not None:
        balanced = (control, train.attributes[:, all_names.index(control)])
    found = AttributeVectors(
        names=names,
        vectors=attribute_vectors.compute_vectors(
            train.z_mean, attributes, names, balanced, left_out
        ),
        z_mean=train.z_mean,
        attributes=attributes,
        image_names=train.image_names,
        control=control,
    )
    facts = attribute_vectors.save(
        folder, found, model.run, source.description, "train"
    )
    width = max(map(len, names)) + 2
    lines = [f"{'vector of':<{width}}{'with':>9}{'without':>9}{'length':>9}"]
    for name, row in facts["attributes"].items():
        lines.append(
            f"{name:<{width}}{row['images_with']:9,}{row['images_without']:9,}"
            f"{row['length']:9.2f}"
        )
    if control is not None:
        lines.append(f"images with and without {control} weigh the same")
    return "\n".join(lines)


def draw_edits(
    model: LoadedRun,
    data: DataConfig,
    vectors_dir: Path,
    images: Sequence[int | str],
    edits: Sequence[Edit],
    strengths: Sequence[float],
) -> bytes:
    """Draws images with attributes put on or taken off, and returns the PNG.

    A row per image and edit: the original, then decode(z_mean + strength * edit).

    Args:
      model: the run.
      data: where indices point.
      vectors_dir: the folder of the vectors.
      images: test indices and paths.
      edits: as `attribute_vectors.parse_edits` reads them.
      strengths: how many times the edit is added; 0 is the reconstruction.

    Raises:
      UserError: there are no vectors of this run, an attribute is unknown, or an image
        cannot be had.
    """
    latent_dim = model.config.model.latent_dim
    vectors = attribute_vectors.load(vectors_dir, model.run, latent_dim)
    directions = [vectors.direction(edit) for edit in edits]
    originals = chosen_images.load(model.config, data, images, model.ground)
    z_mean = model.encode(originals)[0]
    rows = []
    for image, original, z in zip(images, originals, z_mean, strict=True):
        for edit, direction in zip(edits, directions, strict=True):
            points = z + np.outer(strengths, direction).astype(np.float32)
            edited = model.decode(points)
            row = np.concatenate([original[np.newaxis], edited])
            title = attribute_vectors.edit_title(edit)
            rows.append((f"{_name_of(image)}: {title}", row))
    return figures.image_rows(rows, ["original", *map(_strength_title, strengths)]).png


def draw_edits_by_prior(
    model: LoadedRun,
    data: DataConfig,
    images: Sequence[int | str],
    text: str,
    strengths: Sequence[float],
) -> bytes:
    """Draws images under other labels, see `LoadedRun.relabel`, and returns the PNG.

    A row per image and edit: the original, then one picture per strength.

    Args:
      model: the run; its prior knows labels.
      data: where indices point.
      images: test indices and paths.
      text: what is asked for, see `labels.Labels.read`.
      strengths: 1 = what is asked for, 0 = the reconstruction, -1 = its opposite.

    Raises:
      UserError: the prior knows no labels or not these, a strength is another, or an image
        cannot be had.
    """
    labels = model.known_labels
    allowed = (0, 1) if labels.kind == CLASSES else (-1, 0, 1)
    if set(strengths) - set(allowed):
        raise UserError(
            f"with --method=prior and {labels.kind} --strengths takes some of "
            f"{', '.join(map(str, allowed))}"
        )
    edits = labels.read(text)
    attribute_vectors.check_rows(len(images), len(edits))
    originals = chosen_images.load(model.config, data, images, model.ground)
    z_mean = model.encode(originals)[0]
    edited = {
        title: [
            model.decode(model.relabel(z_mean, strength * row) if strength else z_mean)
            for strength in strengths
        ]
        for title, row in edits.items()
    }
    rows = []
    for index, (image, original) in enumerate(zip(images, originals, strict=True)):
        for title, columns in edited.items():
            row = np.stack([original, *(column[index] for column in columns)])
            rows.append((f"{_name_of(image)}: {title}", row))
    return figures.image_rows(rows, ["original", *map(_strength_title, strengths)]).png


def _name_of(image: int | str) -> str:
    return Path(image).name if isinstance(image, str) else f"image {image}"


def _strength_title(strength: float) -> str:
    return f"{strength:+g}" if strength else "0"


def predict_attributes(
    model: LoadedRun,
    data: DataConfig,
    folder: Path,
    wanted: str,
    excluded: str,
    seed: int,
    progress: Progress,
) -> str:
    """Predicts attributes from latents; writes prediction.png and prediction.json.

    Args:
      model, data, wanted, excluded, progress: see `make_vectors`.
      folder: where to.
      seed: of the classifiers.

    Returns:
      A table for the terminal.

    Raises:
      UserError: as `make_vectors`; or an attribute has one value only.
    """
    source = open_with_attributes(model, data)
    all_names = source.attribute_names
    left_out = read_list(excluded, "attribute", all_names)
    names = attribute_vectors.choose(
        all_names, read_list(wanted, "attribute", all_names), left_out
    )
    columns = [all_names.index(name) for name in names]
    check_writable(folder)
    splits = []
    for split in ("train", "test"):
        _tell_encoding(progress, source, split)
        splits.append(encode_split(model, source, data, split))
    train, test = splits
    has_train, has_test = train.attributes[:, columns], test.attributes[:, columns]
    prediction.check_two_values(names, has_train, has_test, left_out)
    progress(f"two classifiers for each of {len(names)} attributes")
    found = {
        name: prediction.predict(
            train.z_mean, has_train[:, index], test.z_mean, has_test[:, index], seed
        )
        for index, name in enumerate(names)
    }
    mean = prediction.mean_prediction(list(found.values()))
    # The best first: readers look for what the latents tell, and for what they do not.
    ranked = sorted(found, key=lambda name: -found[name].balanced.balanced_accuracy)
    shown = {**{name: found[name] for name in ranked}, "mean of all": mean}
    with atomic_file(folder / "prediction.png") as file:
        file.write(attribute_figures.prediction_scores(shown))
    write_json(
        folder / "prediction.json",
        {
            "attributes": {name: dataclasses.asdict(p) for name, p in found.items()},
            "mean": dataclasses.asdict(mean),
            "images": {"train": len(train.z_mean), "test": len(test.z_mean)},
            "seed": seed,
            **_origin(model, source),
        },
    )
    return prediction.table(shown)


def relate_attributes(
    model: LoadedRun,
    data: DataConfig,
    vectors_dir: Path,
    folder: Path,
    mapped: str,
    seed: int,
    progress: Progress,
) -> str:
    """Draws how attributes lie to each other and to test images.

    Writes correlation.png, tsne.png, projector/ (for TensorBoard), correlation.json.

    Args:
      model, data, progress: see `make_vectors`; the test split is used.
      vectors_dir: the folder of the vectors.
      folder: where to.
      mapped: names of attributes that tsne.png shows, see `names.read_list`; none means
        those six whose groups are most different by
        `attribute_vectors.explained_variances`.
      seed: of t-SNE.

    Returns:
      Lines for the terminal.

    Raises:
      UserError: there are no vectors of this run, a name is unknown, the data does not
        fit, or the disk is not writable.
    """
    latent_dim = model.config.model.latent_dim
    vectors = attribute_vectors.load(vectors_dir, model.run, latent_dim)
    correlations = correlate(vectors.names, vectors.vectors)
    explained = attribute_vectors.explained_variances(
        vectors.z_mean, vectors.attributes
    )
    most_different = [vectors.names[i] for i in np.argsort(-explained)[:_MAPS]]
    source = open_with_attributes(model, data)
    all_names = source.attribute_names
    names = [
        attribute_vectors.choose(all_names, [name], ())[0]
        for name in (read_list(mapped, "attribute", all_names) or most_different)
    ]
    check_writable(folder)
    _tell_encoding(progress, source, "test", NUM_MAPPED)
    test = encode_split(model, source, data, "test", NUM_MAPPED, keep_images=True)
    if len(test.z_mean) < 4:
        raise UserError(
            f"the test split of {source.name} has {len(test.z_mean)} images; a map "
            "needs at least 4"
        )
    progress("maps")
    correlation_map = attribute_figures.correlation_map(
        correlations.names, correlations.values
    )
    with atomic_file(folder / "correlation.png") as file:
        file.write(correlation_map)
    _map_images(folder, test, all_names, names, model, seed)
    write_json(
        folder / "correlation.json",
        {
            **correlations.to_json(),
            "explained_variance": dict(
                zip(vectors.names, explained.tolist(), strict=True)
            ),
            "control": vectors.control,
            "mapped": {"attributes": names, "images": len(test.z_mean), "seed": seed},
            **_origin(model, source),
        },
    )
    return _most_and_least_correlated(correlations)


def _map_images(
    folder: Path,
    test: EncodedSplit,
    all_names: Sequence[str],
    mapped: Sequence[str],
    model: LoadedRun,
    seed: int,
) -> None:
    """Writes tsne.png, with the attributes `mapped`, and projector/ with all of them."""
    assert test.images is not None
    has = test.attributes.astype(bool)
    placed = embedding.tsne(test.z_mean, seed)
    maps = attribute_figures.attribute_maps(
        placed.points,
        placed.axis_labels,
        {name: has[:, all_names.index(name)] for name in mapped},
    )
    with atomic_file(folder / "tsne.png") as file:
        file.write(maps)
    labels = {"image": test.image_names} | {
        name: np.where(column, "yes", "no").tolist()
        for name, column in zip(all_names, has.T, strict=True)
    }
    write_projector(
        folder / "projector",
        {model.run.path.resolve().name: (test.z_mean, labels, test.images)},
    )


def _most_and_least_correlated(correlations: Correlations) -> str:
    pairs = sorted(
        (correlations.values[i, j], correlations.names[i], correlations.names[j])
        for i in range(len(correlations.names))
        for j in range(i)
    )
    alike = [f"  {r:+.2f}  {a}, {b}" for r, a, b in (*pairs[:-4:-1], *pairs[:3])]
    return "\n".join(["most and least correlated:", *dict.fromkeys(alike)])


def _tell_encoding(
    progress: Progress, source: Source, split: str, most: int | None = None
) -> None:
    count = source.num_examples[split]
    if most is not None:
        count = min(count, most)
    progress(f"encoding {count:,} images of the {split} split of {source.name}")


def _origin(model: LoadedRun, source: Source) -> dict[str, Any]:
    """Where results come from, ready for JSON."""
    return {
        "dataset": source.description,
        "run": str(model.run),
        "weights_sha256": attribute_vectors.weights_digest(model.run),
        "provenance": describe_process(_PACKAGES),
    }

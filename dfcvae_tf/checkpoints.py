"""Checkpoints of a training run, its settings on disk, and loading a trained run.

A checkpoint is two files, `ckpt-STEP.data-…` and `ckpt-STEP.index`. Both are written
under a temporary name; the index gets its final name last, and only what has an index
counts, so a crash at any point leaves the previous checkpoints as they were.
"""

import dataclasses
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from dfcvae_tf import config as config_lib
from dfcvae_tf import own_code
from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf import weights as weights_lib
from dfcvae_tf.config import Config
from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.files import (
    disk_errors,
    plain_path,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)
from dfcvae_tf.labels import Labels
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.prior import STANDARD, Prior, StandardNormal
from dfcvae_tf.models.vae import VAE, build_vae
from dfcvae_tf.own_code import OwnCode
from dfcvae_tf.picture_files import READER
from dfcvae_tf.prior_file import load_prior
from dfcvae_tf.provenance import describe_process
from dfcvae_tf.run_dir import RunDir

_INDEX = re.compile(r"ckpt-(\d+)\.index")
_TEMPORARY = ".writing-"
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "numpy", "tensorflow-datasets")


class Checkpoints:
    """Saves and restores lists of variables, keeping the newest few."""

    def __init__(
        self, directory: Path, keep: int, variables: Mapping[str, Sequence[tf.Variable]]
    ):
        """Makes the object; nothing is read or written.

        Args:
          directory: where the files are.
          keep: number of newest checkpoints kept.
          variables: what is saved, as named lists. Restoring fails unless the
            checkpoint has exactly these.
        """
        self.directory = directory
        self.keep = keep
        self._checkpoint = tf.train.Checkpoint(
            **{name: list(values) for name, values in variables.items()}
        )

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, oldest first."""
        return saved_steps(self.directory)

    def save(self, step: int) -> None:
        """Writes the checkpoint of a step, then removes those that are too old.

        Raises:
          UserError: the disk is full or not writable; older checkpoints are untouched.
        """
        prefix = self.directory / f"{_TEMPORARY}{step}"
        with disk_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
            try:
                self._checkpoint.write(str(prefix))
            except tf.errors.OpError as error:
                self._remove_unfinished()
                raise UserError(
                    f"cannot write a checkpoint to {self.directory}: "
                    f"{error.message.splitlines()[0]}"
                ) from error
            written = sorted(
                self.directory.glob(f"{_TEMPORARY}{step}.*"),
                key=lambda path: path.suffix == ".index",  # the index last
            )
            for path in written:
                ending = path.name.removeprefix(f"{_TEMPORARY}{step}")
                os.replace(path, self.directory / f"ckpt-{step}{ending}")
            for old in self.steps()[: -self.keep]:
                self.remove(old)

    def restore_newest(self) -> int | None:
        """Restores the newest readable checkpoint and returns its step.

        One that cannot be read is reported, left out, and the one before it tried.
        None when there is no checkpoint at all.

        Raises:
          UserError: there are checkpoints, but none fits these variables and is intact.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                with plain_path(self.directory) as directory:
                    status = self._checkpoint.read(str(directory / f"ckpt-{step}"))
                    status.assert_existing_objects_matched()
                    status.assert_consumed()
                return step
            # TensorFlow raises a dozen kinds of errors for damaged files.
            except Exception as error:  # noqa: BLE001
                reason = " ".join(str(error).split())[:200]
                logging.warning(
                    "checkpoint of step %d cannot be used (%s)", step, reason
                )
        if steps:
            raise UserError(
                f"none of the checkpoints in {self.directory} (steps "
                f"{', '.join(map(str, steps))}) is intact and fits these settings; "
                "use a new --run_dir"
            )
        return None

    def remove(self, step: int) -> None:
        """Removes the checkpoint of a step, its index first."""
        (self.directory / f"ckpt-{step}.index").unlink(missing_ok=True)
        for path in self.directory.glob(f"ckpt-{step}.*"):
            path.unlink(missing_ok=True)

    def remove_after(self, step: int) -> None:
        """Removes checkpoints newer than a step: those that could not be restored."""
        for newer in self.steps():
            if newer > step:
                self.remove(newer)

    def _remove_unfinished(self) -> None:
        for path in self.directory.glob(f"{_TEMPORARY}*"):
            if path.is_dir():
                for part in path.iterdir():
                    part.unlink(missing_ok=True)
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


def saved_steps(directory: Path) -> list[int]:
    """Returns the steps that have a checkpoint in a folder, oldest first."""
    if not directory.is_dir():
        return []
    matches = (_INDEX.fullmatch(path.name) for path in directory.iterdir())
    return sorted(int(match[1]) for match in matches if match)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a run is made from besides its settings; kept in its config.json.

    Attributes:
      dataset: one line that says what the data is.
      num_images: split -> number of images.
      data_digest: of the images, see `Source.digest`.
      model_digests: setting that names a file -> the file's SHA-256.
      perceptual_kernels: the perceptual model's `FeatureExtractor.kernel_digests`.
      picture_reader: `picture_files.READER`.
      own_code: part that a user wrote -> the SHA-256 of its text.
    """

    dataset: str
    num_images: Mapping[str, int]
    data_digest: str
    model_digests: Mapping[str, str]
    perceptual_kernels: Sequence[str] = ()
    picture_reader: int = READER
    own_code: Mapping[str, str] = dataclasses.field(default_factory=dict)


def write_config(
    run: RunDir,
    config: Config,
    inputs: Inputs,
    changes: Sequence[str] = (),
    step: int = 0,
) -> None:
    """Writes config.json: every setting, and where the run comes from.

    Args:
      run: the run.
      config: the resolved settings.
      inputs: what else the run is made from.
      changes: how settings and inputs differ from those there were, in words; they are
        added to those of earlier changes.
      step: from which on they differ.
    """
    changed = read_provenance(run).get("changes", []) if run.config.exists() else []
    if changes:
        changed = [*changed, {"step": step, "changes": list(changes)}]
    write_json(
        run.config,
        {
            "settings": config_lib.to_dict(config),
            "provenance": {
                **dataclasses.asdict(inputs),
                **({"changes": changed} if changed else {}),
                **describe_process(_PACKAGES),
            },
        },
    )


def differences(run: RunDir, config: Config, inputs: Inputs) -> list[str]:
    """Returns in words how settings and inputs differ from those a run was made with.

    Of what an earlier version did not keep, nothing is said.

    Raises:
      UserError: config.json is missing or not one of this program's.
    """
    different = config_lib.differing_settings(read_config(run), config)
    found = [f"{name} {old} -> {new}" for name, (old, new) in different.items()]
    if other := other_images(run, inputs.data_digest, inputs.num_images):
        found.append(other)
    was = read_provenance(run)
    for setting, digest in inputs.model_digests.items():
        if was.get("model_digests", {}).get(setting, digest) != digest:
            path = getattr(config.objective, setting)
            found.append(f"{setting}: the content of {path} has changed")
    for part, digest in own_digests(run).items():
        if inputs.own_code.get(part, digest) != digest:
            found.append(f"{part}: the code has changed")
    return found


def other_images(
    run: RunDir, data_digest: str, num_images: Mapping[str, int]
) -> str | None:
    """Returns in words how images differ from those of a run; None where they do not.

    Args:
      run: the run; of one of a version that did not keep a digest, nothing is said.
      data_digest, num_images: of the images, see `Inputs`.

    Raises:
      UserError: config.json is missing or no JSON.
    """
    was = read_provenance(run)
    if was.get("data_digest", data_digest) == data_digest:
        return None
    counts = [
        " + ".join(f"{count} {split}" for split, count in numbers.items())
        for numbers in (was["num_images"], num_images)
    ]
    if counts[0] == counts[1]:
        return "other images: their names or sizes are not the same"
    return f"images {counts[0]} -> {counts[1]}"


def read_provenance(run: RunDir) -> dict[str, Any]:
    """Reads where a run comes from: `Inputs`, changes, versions; {} where nothing is told.

    Raises:
      UserError: config.json is missing or no JSON.
    """
    content = read_json(run.config)
    found = content.get("provenance") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def own_digests(run: RunDir) -> dict[str, str]:
    """Reads part that a user wrote -> the SHA-256 of its text; {} where nothing is told.

    Raises:
      UserError: config.json is missing or no JSON.
    """
    found = read_provenance(run).get("own_code")
    return found if isinstance(found, dict) else {}


def read_config(run: RunDir) -> Config:
    """Reads the settings of a run.

    Raises:
      UserError: config.json is missing or not one of this program's.
    """
    content: Any = read_json(run.config)
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise UserError(f"{run.config} is not the configuration of a run")
    try:
        return config_lib.from_dict(content["settings"])
    except UserError as error:
        raise UserError(f"{run.config}: {error}") from error


def save_inference_weights(run: RunDir, vae: VAE) -> None:
    """Writes the weights of all networks as named arrays, atomically."""
    arrays: dict[str, Any] = {}
    for name, network in vae.networks.items():
        arrays |= weights_lib.get_arrays(network, f"{name}/")
    write_arrays(run.weights, arrays)


def load_for_inference(
    run_dir: str | os.PathLike,
    step: int | None = None,
    prior: str | None = None,
    trust_code: bool = False,
) -> LoadedRun:
    """Loads the inference weights of a finished run, or those of one of its checkpoints.

    Args:
      run_dir: a run directory, or `pretrained:NAME`.
      step: of the checkpoint; None for the weights that training ended with.
      prior: what images are drawn from: "standard" for N(0, I), "learned" for the prior
        that was fitted to the run's latents; None for that one where there is one. A
        checkpoint has none.
      trust_code: whether code that the run brings along may run: of a network that a user
        wrote. Without it nothing of a run is ever run.

    Raises:
      UserError: no such run or checkpoint, it is not finished, a file of it is damaged,
        its prior is missing or one of other weights, or it has a network of its own that
        is not trusted or not the one it was trained with.
    """
    run = run_dir_lib.resolve(run_dir)
    config = read_config(run)
    if config.image_shape is None:
        raise UserError(f"{run.config} has no image shape; train the run again")
    if step is None and not run.weights.is_file():
        raise UserError(
            f"{run_dir} has no inference weights: training did not finish; run the "
            "same training command again to finish it"
        )
    own = _own_network(run, config, trust_code)
    vae = build_vae(config.model, config.image_shape, "float32", own=own)
    if step is not None:
        _set_checkpoint_weights(run, config, vae, step)
        return LoadedRun(config, run, vae, own_network=own)
    arrays = read_arrays(run.weights)
    for name, network in vae.networks.items():
        weights_lib.set_arrays(network, arrays, f"{name}/")
    found, labels = _chosen_prior(config, run, prior)
    return LoadedRun(config, run, vae, found, labels, own)


def _own_network(run: RunDir, config: Config, trusted: bool) -> OwnCode | None:
    """What builds the networks of a run where a user wrote it."""
    setting = own_code.own_parts(config).get(own_code.NETWORK)
    if setting is None:
        return None
    digest = own_digests(run).get(own_code.NETWORK)
    return own_code.read_kept(run, own_code.NETWORK, setting, digest, trusted)


def _chosen_prior(
    config: Config, run: RunDir, name: str | None
) -> tuple[Prior, Labels | None]:
    """The prior of a finished run, and its labels; see `load_for_inference`."""
    if name not in (None, "learned", STANDARD):
        raise unknown_name("prior", str(name), ("learned", STANDARD))
    if name == STANDARD:
        return StandardNormal(), None
    found, labels = load_prior(run, config.model.latent_dim)
    if found is None and config.training.prior == STANDARD:
        found = StandardNormal()
    if found is None or (name == "learned" and isinstance(found, StandardNormal)):
        raise UserError(
            f"{run} has no learned prior: `python -m dfcvae_tf.fit_prior "
            f"--run_dir={shlex.quote(str(run))}` fits one, and with "
            f"--prior={STANDARD} settles on N(0, I)"
        )
    return found, labels


def _set_checkpoint_weights(run: RunDir, config: Config, vae: VAE, step: int) -> None:
    """Gives networks the weights that a checkpoint would be evaluated with."""
    steps = saved_steps(run.checkpoints)
    if step not in steps:
        has = (
            f"has those of steps {', '.join(map(str, steps))}" if steps else "has none"
        )
        raise UserError(f"{run} has no checkpoint of step {step}; it {has}")
    averaged = "ema" if config.optimizer.ema_decay > 0 else "network"
    try:
        with plain_path(run.checkpoints) as directory:
            checkpoint = tf.train.load_checkpoint(str(directory / f"ckpt-{step}"))
            for index, variable in enumerate(vae.variables):
                name = f"{averaged}/{index}/.ATTRIBUTES/VARIABLE_VALUE"
                variable.assign(checkpoint.get_tensor(name))
    # TensorFlow raises a dozen kinds of errors for damaged files.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the checkpoint of step {step} in {run.checkpoints} is damaged or not of "
            f"this network ({reason}); those of steps {', '.join(map(str, steps))} exist"
        ) from error

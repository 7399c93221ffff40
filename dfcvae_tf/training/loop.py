"""From settings to a finished run directory."""

import contextlib
import dataclasses
import itertools
import math
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from dfcvae_tf import adversarial, own_code
from dfcvae_tf import config as config_lib
from dfcvae_tf.checkpoints import (
    Checkpoints,
    Inputs,
    differences,
    load_for_inference,
    own_digests,
    read_config,
    read_provenance,
    save_inference_weights,
    write_config,
)
from dfcvae_tf.config import Config
from dfcvae_tf.data import pipeline
from dfcvae_tf.data.choice import representative
from dfcvae_tf.data.digits import are_digits
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.source import Source, unreadable_file
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.files import LOCK, disk_errors, locked, read_json, sha256, write_json
from dfcvae_tf.images import inference_batch
from dfcvae_tf.metrics.collapse import active_dimensions, collapse
from dfcvae_tf.models.prior import STANDARD, Prior, StandardNormal
from dfcvae_tf.objective import OwnTerm, build_objective, measure_layer_energies
from dfcvae_tf.own_code import OwnCode
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from dfcvae_tf.perceptual.registry import DIGITS_CLASSIFIER, FORMS, model_files
from dfcvae_tf.picture_files import READER
from dfcvae_tf.prior_file import read_facts
from dfcvae_tf.run_dir import RunDir
from dfcvae_tf.training import devices, keras_compat, steps
from dfcvae_tf.training.build import (
    build_adversary,
    build_features,
    build_training,
)
from dfcvae_tf.training.prior_fitting import fit_prior
from dfcvae_tf.training.signals import StopSignals
from dfcvae_tf.training.summaries import RunLog, first_non_finite

_ENERGY_IMAGES = 2000
_SHOWN_IMAGES = 10
_FEW_IMAGES = 1000
# How often, in steps, and of how many test images about a rate asked for is measured.
_RATE_EVERY, _RATE_IMAGES = 50, 1000
# tf.distribute reports a lost worker as any of these.
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.CancelledError,
)


def train(
    config: Config,
    run: RunDir,
    override: bool = False,
    perceptual_model_named: bool = True,
    handed_over: Mapping[str, OwnCode] | None = None,
) -> dict[str, float]:
    """Trains a run to its last step, going on from its newest checkpoint.

    Args:
      config: the settings.
      run: where everything is written.
      override: accept settings that differ from those the directory was made with.
      perceptual_model_named: whether somebody chose it; one that is a default is not
        used on other data than it was made for.
      handed_over: parts that a user wrote and that the settings name no file of.

    Returns:
      Test metrics, mean per image; empty in a worker that is not the chief.

    Raises:
      UserError: something in the settings, the data or the directory is wrong; the
        directory is as it was.
      Stopped: interrupted, a value became non-finite, the float16 loss scale stalled or
        a worker was lost; the newest checkpoint is intact.
    """
    own = _own_parts(config, handed_over or {})
    config, strategy, source, features = _prepare(
        config, run, perceptual_model_named, own
    )
    chief = devices.is_chief(strategy)
    try:
        # Whoever writes is alone in the directory.
        with locked(run.path) if chief else contextlib.nullcontext():
            inputs = _inputs(config, source, features, own)
            changes = differences(run, config, inputs) if run.config.exists() else []
            if chief:
                _check_directory(run, changes, override)
            trainer = Trainer(
                config, run, strategy, source, features, inputs, own, changes
            )
            return trainer.run_to_end()
    except tf.errors.InvalidArgumentError as error:
        if damaged := unreadable_file(error):
            raise damaged from error
        missing = re.search(r"\(No registered '(\w+)'", error.message)
        if not (config.training.jit_compile and missing):
            raise
        raise UserError(
            f"--jit_compile: XLA of TensorFlow {tf.__version__} has no {missing[1]}, "
            f"which network {config.model.network!r} needs; leave --jit_compile out"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        if "No space left" not in error.message:  # but of memory
            raise
        raise UserError(
            f"no space left on the disk of {run.tensorboard}; free some and run again"
        ) from error
    except _LOST_WORKER as error:
        if config.training.distribution != "multi_worker_mirrored":
            raise
        raise Stopped(
            f"a worker stopped answering ({type(error).__name__}); start all workers "
            "again with the same command: training goes on from the newest checkpoint "
            f"in {run.checkpoints}"
        ) from error


def resolve(config: Config, run: RunDir, perceptual_model_named: bool = True) -> Config:
    """Returns the settings that `train` would use and write; what it takes, and raises.

    Of the data it reads what these depend on.
    """
    own = _own_parts(config, {})
    return _prepare(config, run, perceptual_model_named, own)[0]


class Trainer:
    """The outer loop: blocks of steps, and what is due between two of them."""

    def __init__(
        self,
        config: Config,
        run: RunDir,
        strategy: tf.distribute.Strategy,
        source: Source,
        features: FeatureExtractor | None,
        inputs: Inputs,
        own: Mapping[str, OwnCode],
        changes: Sequence[str] = (),
    ):
        """Builds everything; writes nothing.

        Args:
          config: resolved settings.
          run: where everything is written.
          strategy: how replicas run.
          source: the images.
          features: the perceptual model; None for a plain VAE.
          inputs: what is kept of source and perceptual model.
          own: the parts that a user wrote.
          changes: how settings and inputs differ from those the run was made with.
        """
        training = config.training
        assert training.steps is not None and config.image_shape is not None
        self.config = config
        self.run = run
        self.strategy = strategy
        self.source = source
        self.inputs = inputs
        self.own = own
        self.changes = changes
        self.total_steps: int = training.steps
        self.image_shape = config.image_shape
        self.chief = devices.is_chief(strategy)
        self.last_means: dict[str, float] = {}  # of the last block of steps
        self.prior: Prior = StandardNormal()  # of the samples that are shown
        self.layer_energies = self._layer_energies(features)
        adversary = build_adversary(config, strategy)
        with strategy.scope():  # a KL weight that is found is a variable
            self.objective = build_objective(
                config.objective,
                features,
                list(self.layer_energies.values()),
                adversary,
                own.get(own_code.TERM),
                training.seed,
            )
        self.training = build_training(
            config, strategy, self.objective, adversary, own.get(own_code.NETWORK)
        )
        self.test_batches = pipeline.eval_batches(
            source,
            "test",
            config.data,
            self.image_shape,
            inference_batch(self.image_shape),
        )
        self.rate_batches = self._rate_batches()
        self.shown_images = {
            split: next(iter(self._some_images(split, _SHOWN_IMAGES)))
            for split in ("train", "test")
        }
        self._try_own_term()
        self.checkpoints = Checkpoints(
            run.checkpoints,
            training.keep_checkpoints,
            self.training.state.checkpointed(),
        )

    def _try_own_term(self) -> None:
        """Tries the term that a user wrote on a few images, with fresh weights."""
        term = self.objective.term(OwnTerm)
        if term is None:
            return
        vae, images = self.training.inference_vae, self.shown_images["train"]
        self.training.state.copy_inference_weights(vae, averaged=False)
        seed, step = self.config.training.seed, tf.constant(0, tf.int64)
        noise = steps.latent_noise(
            seed, step, [len(images), self.config.model.latent_dim]
        )
        term.check(
            lambda: vae.forward(images, noise, step, training=False), len(images)
        )

    def run_to_end(self) -> dict[str, float]:
        """Restores, trains, evaluates, and writes the inference weights."""
        training = self.config.training
        step = self._restore()
        self._start_writing(step)
        self._tell_of_few_images()
        self._tell_of_alike_images()
        batches = iter(self._train_batches(step))
        rate = self.objective.rate
        with self._open_log(step) as log:
            with StopSignals() as stop:
                while step < self.total_steps:
                    step = self._train_block(batches, step, log)
                    if rate is not None and step % _RATE_EVERY == 0:
                        rate.measure(self._expected_kl(step))
                    if stop.requested or self._due(step, training.checkpoint_every):
                        self._save(step)
                    if stop.requested:
                        raise Stopped(
                            f"stopped at step {step} of {self.total_steps} and saved it "
                            f"in {self.run.checkpoints}; the same command goes on from "
                            "there"
                        )
                    if self._due(step, training.eval_every) and step < self.total_steps:
                        self._evaluate(step, log)
            log.end_steps()
            # From here on nothing is lost that the same command does not make anew.
            metrics = self._evaluate(step, log)
            log.final(step, metrics)
            if self.chief:
                save_inference_weights(self.run, self.training.inference_vae)
                self._tell_of_rate(metrics)
                self._tell_of_discriminator()
                self._fit_prior(step, log)
        return {name: float(v) for name, v in metrics.items() if np.ndim(v) == 0}

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self.total_steps

    def _train_block(self, batches, step: int, log: RunLog) -> int:
        """Trains up to the next thing that is due and returns the new step."""
        training = self.config.training
        intervals = [training.log_every, training.eval_every, training.checkpoint_every]
        if self.objective.rate is not None:
            intervals.append(_RATE_EVERY)
        next_due = min(step - step % every + every for every in intervals)
        count = min(training.steps_per_call, next_due - step, self.total_steps - step)
        started = time.monotonic()
        # A Python number would trace the function anew for every value.
        means = self.training.train_steps(batches, tf.constant(count))
        values = {name: value.numpy() for name, value in means.items()}
        self._check_finite(values, step, step + count)
        self.last_means = {n: float(v) for n, v in values.items() if v.ndim == 0}
        step += count
        log.add_block(step, count, values, time.monotonic() - started)
        if self._due(step, training.log_every):
            log.write_blocks(step, learning_rate=float(self.training.schedule(step)))
        return step

    def _check_finite(
        self, values: dict[str, np.ndarray], start: int, end: int
    ) -> None:
        name = first_non_finite(values)
        if name is not None:
            saved = self.checkpoints.steps()
            newest = "no checkpoint has been saved yet"
            if saved:
                newest = f"the newest good checkpoint is step {saved[-1]}"
            raise Stopped(
                f"{name} became {np.ravel(values[name])[0]} between steps {start} and "
                f"{end}; {newest}; a lower --learning_rate or --clip_norm=1 may help"
            )
        for player in self.training.state.players:
            scale = float(keras_compat.loss_scale(player.optimizer))
            if player.scales_loss and scale <= 1.0:
                raise Stopped(
                    f"the float16 loss scale fell to {scale:g} by step {end}: gradients "
                    "overflow float16 at any scale and nothing is learnt; use "
                    "--precision=mixed_bfloat16 or float32, or smaller loss weights"
                )

    def _restore(self) -> int:
        """Goes on from the newest usable checkpoint; returns its step."""
        step = self.checkpoints.restore_newest()
        if step is None and self.run.weights.is_file():
            raise UserError(
                f"{self.run} is finished, its weights are in {self.run.weights}, but its "
                "checkpoints are gone and training cannot go on: use the run as it is, or "
                "choose a new --run_dir"
            )
        return step or 0

    def _start_writing(self, step: int) -> None:
        """Makes the run directory, or brings it up to date.

        Not before everything that can be wrong was tried: a checkpoint of another
        network, say, must not get this one's settings beside it.
        """
        self.start_step = step
        # A finished run stays as it is until there is more than it has.
        self.is_finished_on_disk = (
            step < self.total_steps and self.run.weights.is_file()
        )
        if self.chief:
            self.checkpoints.remove_after(step)
            if not self.is_finished_on_disk:
                self._write_settings()

    def _write_settings(self) -> None:
        # The text first: settings that are there have it.
        own_code.keep(self.run, self.own)
        # Energies first: with the settings they were measured for beside them, they count.
        if self.layer_energies:
            write_json(self.run.layer_energies, self.layer_energies)
        write_config(self.run, self.config, self.inputs, self.changes, self.start_step)

    def _save(self, step: int) -> None:
        # Variables are mirrored: the chief's copy is everyone's.
        if not self.chief:
            return
        self.checkpoints.save(step)
        if self.is_finished_on_disk:
            with disk_errors(self.run.weights):
                if self.run.prior.is_file():
                    logging.warning("the prior of earlier weights is removed")
                    self.run.prior.unlink()
                self.run.weights.unlink()
            self._write_settings()
            self.is_finished_on_disk = False

    def _train_batches(self, start_step: int) -> tf.data.Dataset:
        training = self.config.training

        def batches_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync
            local = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * local
            return pipeline.train_batches(
                self.source,
                self.config.data,
                self.image_shape,
                training.batch_size,
                training.seed,
                start_step,
                replicas,
                range(first, first + local),
            )

        return self.strategy.distribute_datasets_from_function(batches_of_worker)

    def _some_images(self, split: str, count: int) -> tf.data.Dataset:
        """Images like all of a split, in batches, without preparing all of it."""
        uncached = dataclasses.replace(self.config.data, cache="none")
        size = min(count, inference_batch(self.image_shape))
        seed = self.config.training.seed
        source = representative(self.source, split, count, seed)
        batches = pipeline.eval_batches(source, split, uncached, self.image_shape, size)
        return batches.take(-(-count // size)).map(lambda batch: batch["image"])

    def _rate_batches(self) -> tf.data.Dataset | None:
        """Test images of which a rate asked for is measured; None where none is."""
        if self.objective.rate is None:
            return None
        size = inference_batch(self.image_shape)
        data, training = self.config.data, self.config.training
        source = representative(self.source, "test", _RATE_IMAGES, training.seed)
        batches = self.test_batches
        if source is not self.source:
            batches = pipeline.eval_batches(
                source, "test", data, self.image_shape, size
            )
        return batches.take(math.ceil(_RATE_IMAGES / size))

    def _expected_kl(self, step: int) -> float:
        """The KL in nats that test images will have with the weights training ends with.

        Averaged weights differ from those of a step by what these move about, which grows
        less with the learning rate, and lag behind: the lower it is, the better do those
        of the step tell where the averaged ones will be.
        """
        optimizer = self.config.optimizer
        share = float(self.training.schedule(step)) / optimizer.learning_rate
        if not optimizer.ema_decay or share >= 1:
            return self._test_kl(averaged=True)
        averaged, current = self._test_kl(averaged=True), self._test_kl(averaged=False)
        return share * averaged + (1 - share) * current

    def _test_kl(self, averaged: bool) -> float:
        """Mean KL in nats of some test images; every worker finds the same."""
        assert self.rate_batches is not None
        vae = self.training.inference_vae
        self.training.state.copy_inference_weights(vae, averaged)
        kl = [self.training.encoded_kl(batch["image"]) for batch in self.rate_batches]
        return float(tf.reduce_mean(tf.concat(kl, axis=0)))

    def _tell_of_few_images(self) -> None:
        count = self.source.num_examples["train"]
        if self.chief and count < _FEW_IMAGES:
            logging.warning(
                "only %d training images: they will be reproduced, new ones less well; "
                "from about %s on, what they have in common is learnt",
                count,
                f"{_FEW_IMAGES:,}",
            )

    def _tell_of_alike_images(self) -> None:
        """Says so where there is nothing to learn but one image."""
        count = self.source.num_examples["train"]
        first = self.shown_images["train"][:1]
        # Nearly always the images shown differ, and no other is read.
        shown = [self.shown_images["train"]]
        batches = itertools.chain(shown, self._some_images("train", count))
        if self.chief and all(np.all(batch == first) for batch in batches):
            logging.warning(
                "all %d training images are alike: there is nothing to learn but one image",
                count,
            )

    def _evaluate(self, step: int, log: RunLog) -> dict[str, np.ndarray]:
        """Runs the whole test split once; returns means, [] or per dimension [D]."""
        if not self.chief:
            return {}
        self.training.state.copy_inference_weights(self.training.inference_vae)
        sums: dict[str, np.ndarray] = {}
        for number, batch in enumerate(self.test_batches):
            values = self.training.eval_step(
                batch["image"], tf.constant(number, tf.int64)
            )
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value.numpy().astype(np.float64)
        means = {k: v / self.source.num_examples["test"] for k, v in sums.items()}
        active = active_dimensions(means["kl_nats_per_dimension"])
        means["active_dimensions"] = np.asarray(active)
        log.scalars(step, "test", means)
        for split in ("train", "test"):
            log.pictures(step, split, self._pictures(split))
        return means

    def _tell_of_rate(self, metrics: dict[str, np.ndarray]) -> None:
        """Says so where latents carry nothing, or not what was asked for."""
        collapsed = collapse(metrics["kl_nats_per_dimension"])
        if collapsed:
            logging.warning("%s", collapsed)
        rate = self.objective.rate
        if rate is None:
            return
        train_kl = self.last_means.get("kl_nats")
        if missed := rate.missed(float(metrics["kl_nats"]), train_kl):
            logging.warning("%s", missed)

    def _tell_of_discriminator(self) -> None:
        """Says so where it has won, or knows nothing."""
        prefix = "discriminator/"
        means = {
            name.removeprefix(prefix): value
            for name, value in self.last_means.items()
            if name.startswith(prefix)
        }
        if means and (said := adversarial.verdict(means)):
            logging.warning("%s", said)

    def _fit_prior(self, step: int, log: RunLog) -> None:
        """Fits the prior that is asked for, unless there is one, and shows its samples."""
        kind = self.config.training.prior
        try:
            facts = read_facts(self.run)
        except UserError:  # of earlier weights
            facts = None
        if facts is not None and facts["kind"] != kind:
            logging.warning(
                "samples come from the prior that these weights have, %s; `python -m "
                "dfcvae_tf.fit_prior --run_dir=%s --prior=%s` changes it",
                facts["kind"],
                shlex.quote(str(self.run)),
                kind,
            )
        if facts is not None or kind == STANDARD:
            return
        # Code that was just trained with; of a run without any nothing may run.
        trust = bool(self.own)
        model = load_for_inference(self.run.path, prior=STANDARD, trust_code=trust)
        data, seed = self.config.data, self.config.training.seed
        labelled = self.config.training.prior_labels == "auto"
        fit_prior(model, kind, data, self.source, seed, labelled)
        model = load_for_inference(self.run.path, trust_code=trust)
        self.prior = model.prior
        for split in ("train", "test"):
            log.pictures(step, split, self._pictures(split))
        if model.labels is not None:
            rows = [x for _, x in model.samples_by_label(_SHOWN_IMAGES, seed)]
            log.pictures(step, "train", rows, "samples_by_label")

    def _pictures(self, split: str) -> list[np.ndarray]:
        """Rows of originals, their reconstructions from z_mean, and prior samples."""
        images = self.shown_images[split]
        vae = self.training.inference_vae
        z_mean, _ = vae.encoder(images, training=False)
        noise = steps.latent_noise(
            self.config.training.seed, tf.constant(0, tf.int64), tf.shape(z_mean)
        )
        sampled = self.prior.from_noise(noise)
        return [images.numpy(), vae.decode(z_mean).numpy(), vae.decode(sampled).numpy()]

    def _open_log(self, step: int) -> RunLog:
        return RunLog(
            self.run, self.config, step, ("loss", *self.objective.parts), self.chief
        )

    def _layer_energies(self, features: FeatureExtractor | None) -> dict[str, float]:
        """Layer name -> mean feature energy; measured once per run, then read back."""
        if features is None or self.config.objective.perceptual_normalization == "none":
            return {}
        # Changes (with --override) may mean another network or other images.
        if self.run.layer_energies.is_file() and not self.changes:
            return read_json(self.run.layer_energies)
        batches = self._some_images("train", _ENERGY_IMAGES)
        energies = measure_layer_energies(features, batches)
        return dict(zip(features.layers, energies, strict=True))


def _prepare(
    config: Config,
    run: RunDir,
    perceptual_model_named: bool,
    own: Mapping[str, OwnCode],
) -> tuple[Config, tf.distribute.Strategy, Source, FeatureExtractor | None]:
    """Sets devices up, opens the data, and resolves the settings; writes nothing."""
    if not run.config.exists():
        config_lib.check_new(config)
    strategy = devices.set_up_devices(config.training)
    config = _as_before(config, run, own)
    source = open_source(config.data, config.training.seed)
    config = _resolve(config, source)
    if not perceptual_model_named:
        _check_default_perceptual_model(config, source, run)
    features = build_features(config, strategy)
    if features is not None:
        config = _with_layers(config, features)
    return config, strategy, source, features


def _own_parts(
    config: Config, handed_over: Mapping[str, OwnCode]
) -> dict[str, OwnCode]:
    """Reads the parts that a user wrote, where they were not handed over."""
    return {
        part: handed_over.get(part) or own_code.read(part, setting)
        for part, setting in own_code.own_parts(config).items()
    }


def _as_before(config: Config, run: RunDir, own: Mapping[str, OwnCode]) -> Config:
    """Keeps what a run that goes on has, where another is not asked for by name.

    Tells of pictures read anew.
    """
    if not run.config.exists():
        return config
    was = read_config(run)
    before, digests = own_code.own_parts(was), own_digests(run)
    config = config_lib.replace_settings(
        config,
        # Wherever the text is now.
        {
            part: before[part]
            for part, code in own.items()
            if digests.get(part) == code.digest
            and before.get(part, "").endswith(f":{code.name}")
        },
    )
    if config.model.conv_design == "auto":
        model = dataclasses.replace(config.model, conv_design=was.model.conv_design)
        config = dataclasses.replace(config, model=model)
    if not config.data.dataset.startswith("folder:"):
        return config
    if read_provenance(run).get("picture_reader") != READER:
        logging.warning(
            "%s was made when transparency and orientation of pictures in folders were "
            "not looked at and colours were less exact: it goes on with pictures as they "
            "are now read",
            run,
        )
    if config.data.subfolders == "auto":
        data = dataclasses.replace(config.data, subfolders=was.data.subfolders)
        config = dataclasses.replace(config, data=data)
    return config


def _resolve(config: Config, source: Source) -> Config:
    """Fills in what depends on the data and the machine."""
    training = config.training
    total_steps = training.steps
    if total_steps is None:
        assert training.epochs is not None  # config_lib.check saw to it
        examples = training.epochs * source.num_examples["train"]
        total_steps = math.ceil(examples / training.batch_size)
    precision: Any = devices.resolve_precision(training.precision)
    training = dataclasses.replace(training, steps=total_steps, precision=precision)
    model = config.model
    if model.conv_design == "auto":
        model = dataclasses.replace(model, conv_design="strided")
    shape = pipeline.prepared_shape(source, config.data)
    config = dataclasses.replace(
        config, model=model, training=training, image_shape=shape
    )
    config_lib.check(config)  # also against the number of steps
    return config


def _check_default_perceptual_model(
    config: Config, source: Source, run: RunDir
) -> None:
    """Raises UserError where the digits' classifier would see what is no digit.

    It also sees no colour: what it cannot see is not learnt. A run goes on with the one
    it has.
    """
    assert config.image_shape is not None
    grey_digits = are_digits(source.class_names) and config.image_shape[2] == 1
    if config.objective.perceptual_model != DIGITS_CLASSIFIER or grey_digits:
        return
    if run.config.exists():
        was = read_config(run)
        if (was.data.dataset, was.objective.perceptual_model) == (
            config.data.dataset,
            DIGITS_CLASSIFIER,
        ):
            return
    raise UserError(
        f"{DIGITS_CLASSIFIER} is the perceptual model by default for grey digits alone, "
        f"and {source.name} is other data; name one with --perceptual_model: {FORMS}"
    )


def _with_layers(config: Config, features: FeatureExtractor) -> Config:
    """Writes the perceptual model's default layers and weights out."""
    objective = config.objective
    weights = objective.perceptual_layer_weights or (1.0,) * len(features.layers)
    objective = dataclasses.replace(
        objective,
        perceptual_layers=features.layers,
        perceptual_layer_weights=weights,
    )
    config = dataclasses.replace(config, objective=objective)
    config_lib.check(config)
    return config


def _inputs(
    config: Config,
    source: Source,
    features: FeatureExtractor | None,
    own: Mapping[str, OwnCode],
) -> Inputs:
    files = model_files(config.objective)
    kernels = () if features is None else sorted(features.kernel_digests())
    return Inputs(
        dataset=source.description,
        num_images=source.num_examples,
        data_digest=source.digest,
        model_digests={setting: sha256(path) for setting, path in files.items()},
        perceptual_kernels=kernels,
        own_code={part: code.digest for part, code in own.items()},
    )


def _check_directory(run: RunDir, changes: Sequence[str], override: bool) -> None:
    """Raises UserError unless the directory is new or holds the run asked for."""
    if not run.config.exists() and any(p.name != LOCK for p in run.path.iterdir()):
        raise UserError(
            f"{run} exists and is not a run directory; choose a new --run_dir"
        )
    if changes and not override:
        raise UserError(
            f"{run} was made with other settings or data ({', '.join(changes)}); choose "
            "a new --run_dir, or add --override to go on with the new ones"
        )

"""Which prior fits where a run's images lie, side by side.

All are fitted to the aggregated posterior of the training images. They are compared by the
likelihood of latents of test images, by what a held-out network says of the pictures that
are made of their samples, and by what they cost on a device.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import own_data
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.evaluation.dataset import EvaluationImages, load_evaluation_images
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.evaluation.judge import (
    Judge,
    build_judge,
    check_is_held_out,
    join_judgements,
)
from dfcvae_tf.exporting import latency
from dfcvae_tf.exporting.device_form import device_decode
from dfcvae_tf.exporting.joining import convert_prior, join
from dfcvae_tf.exporting.saved_model import write_saved_model
from dfcvae_tf.exporting.tflite import convert
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.coverage import NEIGHBORS, measure_coverage
from dfcvae_tf.metrics.frechet import frechet_distance
from dfcvae_tf.models.flow import CouplingFlow
from dfcvae_tf.models.mixture import GaussianMixture
from dfcvae_tf.models.prior import Prior, StandardNormal
from dfcvae_tf.provenance import describe_process
from dfcvae_tf.training.prior_fitting import (
    Fit,
    Posteriors,
    encode,
    fit_flow,
    fit_mixture,
    mean_log_prob,
)
from tools.decoder_runtimes import tflite_decode, tflite_generate
from tools.decoder_speed import Speed, markdown_table
from tools.spline_flow import SplineFlow, fit_spline_flow
from tools.two_stage_vae import TwoStageVAE, fit_two_stage_vae

STANDARD, MIXTURE, TWO_STAGE = "N(0, I)", "Gaussian mixture", "two-stage VAE"
CEILING = "latents of training images"
FEW_COMPONENTS = 10
SURE = 0.9
_SEED = 0
# Draws of the test images' posteriors, and for each of them of the two-stage VAE's.
_HELD_OUT = 20_000
_BOUND_DRAWS = 100
_NUM_TIMED = 32
# Largest difference of a picture from Keras'. Rounding in a prior is magnified by the
# decoder, so it is more than that of a decoder alone.
_MAX_ERROR = 1e-2
_PACKAGES = ("tensorflow", "ai-edge-litert", "scikit-learn", "numpy")
_EXPLANATION = """\
nats: mean log-likelihood of draws of the test images' posteriors; other draws of them told
each fit when to stop. Of the two-stage VAE an importance-weighted bound of {draws} draws.
Fréchet distance, density, coverage: of samples against as many test images, in features of
{judge}.
kB: of the prior in a float32 .tflite file. µs: from noise to picture in LiteRT, float32,
1 thread, {rounds} rounds of {repeats} pictures, all in turn in one process; times the
decoder alone (lowest to highest) by the medians of a round. s: of fitting."""


@dataclass(frozen=True)
class Candidate:
    """A prior that was fitted, or the ceiling.

    Attributes:
      draw: (random numbers, count) -> latents [count, D] float32.
      log_prob: of draws of test images' posteriors, nats; None for the ceiling.
      prior: what makes latents of noise; None for the ceiling.
      noise_dim: how many numbers that noise has.
      fit_s: seconds of fitting.
    """

    draw: Callable[[np.random.Generator, int], np.ndarray]
    log_prob: float | None = None
    prior: Prior | TwoStageVAE | None = None
    noise_dim: int = 0
    fit_s: float | None = None


@dataclass(frozen=True)
class Quality:
    """What a judge says of the pictures made of samples.

    Attributes:
      frechet: see `frechet_distance`.
      density, coverage: see `Coverage`.
      sure_percent: how many the judge is more than 90 % sure of; None without class
        scores.
    """

    frechet: float
    density: float
    coverage: float
    sure_percent: float | None


def compare(
    run_dir: str,
    images: tuple[str | None, str | None, bool],
    judge: tuple[str | None, tuple[str, ...], str],
    count: int,
    repeats: int,
    rounds: int,
    trust_code: bool = False,
) -> str:
    """Fits priors of all kinds to a run's latents and measures them.

    Args:
      run_dir: a finished run, or `pretrained:NAME`.
      images: --dataset, --data_dir and --offline: images like those it was trained on.
      judge: name, layers and weights, see `build_judge`.
      count: test images that are judged, and samples of each prior.
      repeats: pictures of each prior per round.
      rounds: how often each has its turn.
      trust_code: see `load_for_inference`.

    Returns:
      Machine, versions, a Markdown table, and what its numbers are.

    Raises:
      UserError: the run, the data or the judge cannot be had or do not fit.
      Stopped: on a device a prior makes other pictures.
    """
    model = load_for_inference(run_dir, prior="standard", trust_code=trust_code)
    data = own_data(model.config, *images)
    source = open_source(data, model.config.training.seed)
    test_images = load_evaluation_images(model.config, data, count, _SEED)
    if test_images.num_images <= NEIGHBORS:
        raise UserError(
            f"{source.name} has {test_images.num_images} images to test on, not "
            f"{NEIGHBORS + 1} or more"
        )
    built = build_judge(
        *judge, model.image_shape, test_images.class_names, [model.config]
    )
    if built is None:
        raise UserError(
            "--judge is missing: a network that had no part in training, whose features "
            "tell how good samples are"
        )
    notes = check_is_held_out(built, {run_dir: model}, read_model_files=False)
    train, test = (
        encode(model, data, source, split).with_labels(None)
        for split in ("train", "test")
    )

    candidates = fit_all(train, test)
    qualities = judge_all(model, built, test_images, candidates)
    priors = {n: (c.prior, c.noise_dim) for n, c in candidates.items() if c.prior}
    speeds = measure_devices(model, priors, repeats, rounds)
    versions = describe_process(_PACKAGES)["versions"]
    what = (
        f"{run_dir}: {model.latent_dim} latents of {len(train.z_mean)} training and "
        f"{len(test.z_mean)} test images of {source.name}; {test_images.num_images} "
        f"samples; seed {_SEED}"
    )
    return "\n".join(
        [
            latency.describe_machine(),
            ", ".join(f"{name} {version}" for name, version in versions.items()),
            what,
            *notes,
            "",
            table(candidates, qualities, speeds),
            "",
            _EXPLANATION.format(
                draws=_BOUND_DRAWS, judge=built.name, rounds=rounds, repeats=repeats
            ),
        ]
    )


def fit_all(train: Posteriors, test: Posteriors) -> dict[str, Candidate]:
    """Fits every kind of prior; title -> what came of it, the ceiling last.

    Args:
      train: what they are fitted to.
      test: what tells them when to stop, and by what they are compared.
    """
    dim = train.z_mean.shape[1]
    # Other draws than those that fits look at.
    z = test.draw(np.random.default_rng([_SEED, 2]), max(_HELD_OUT, len(test.z_mean)))

    def fitted(fit: Callable[..., Fit], build: Callable) -> Candidate:
        start = time.perf_counter()
        parameters = fit(train, test, _SEED).parameters
        return candidate(build(parameters), time.perf_counter() - start)

    def candidate(prior: Prior | TwoStageVAE, fit_s: float) -> Candidate:
        noise_dim = 2 * dim if isinstance(prior, TwoStageVAE) else dim
        return Candidate(
            partial(_draw, prior, noise_dim),
            mean_log_prob(prior.log_prob, z),
            prior,
            noise_dim,
            fit_s,
        )

    found = {
        STANDARD: candidate(StandardNormal(), 0.0),
        "affine coupling flow": fitted(fit_flow, CouplingFlow),
        "spline coupling flow": fitted(fit_spline_flow, SplineFlow),
        MIXTURE: fitted(fit_mixture, GaussianMixture),
    }
    mixture = cast(GaussianMixture, found[MIXTURE].prior)
    if len(mixture.parameters["weights"]) > FEW_COMPONENTS:
        few = partial(fit_mixture, most=FEW_COMPONENTS)
        found[f"the same, at most {FEW_COMPONENTS}"] = fitted(few, GaussianMixture)
    two_stage = partial(TwoStageVAE, draws=_BOUND_DRAWS)
    found[TWO_STAGE] = fitted(fit_two_stage_vae, two_stage)
    found[CEILING] = Candidate(train.draw)
    return found


def _draw(
    prior: Prior | TwoStageVAE, noise_dim: int, rng: np.random.Generator, count: int
) -> np.ndarray:
    noise = rng.standard_normal((count, noise_dim), np.float32)
    parts = [prior.from_noise(tf.constant(part)) for part in batches(noise, 1000)]
    return np.concatenate(parts)


def judge_all(
    model: LoadedRun,
    judge: Judge,
    images: EvaluationImages,
    candidates: Mapping[str, Candidate],
) -> dict[str, Quality]:
    """Judges pictures of as many samples of each candidate as there are test images."""
    real = join_judgements([judge(batch) for batch in images.batches()]).features
    found = {}
    for name, candidate in candidates.items():
        z = candidate.draw(np.random.default_rng([_SEED, 3]), len(real))
        made = join_judgements(
            [judge(model.decode(part)) for part in batches(z, model.batch_size)]
        )
        covered = measure_coverage(real, made.features)
        found[name] = Quality(
            frechet_distance(real, made.features),
            covered.density,
            covered.coverage,
            None if made.confidence is None else 100 * np.mean(made.confidence > SURE),
        )
    return found


def measure_devices(
    model: LoadedRun,
    priors: Mapping[str, tuple[Prior | TwoStageVAE, int]],
    repeats: int,
    rounds: int,
) -> dict[str, Speed]:
    """Measures .tflite files with priors in front of the decoder, picture by picture in turn.

    They are in one process: from one process to the next the decoder alone takes up to a
    fifth more or less, which is more than a prior does.

    Args:
      model: whose decoder.
      priors: name -> what makes latents of noise, and how many numbers that has. N(0, I)
        is the decoder alone.
      repeats: pictures per round.
      rounds: of how many such measurements the spread is.

    Returns:
      Name -> speed with one thread; `num_bytes` are those of the prior alone.

    Raises:
      Stopped: a file makes other pictures than Keras.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        decode = device_decode(model.vae, model.vae.to_images)
        write_saved_model(
            model.vae, StandardNormal(), folder / "model", 1, decode_z=decode
        )
        decoder = convert(folder / "model", "decode", "float32")
        makers = {}
        added, first_us = {}, {}
        for index, (name, (prior, noise_dim)) in enumerate(priors.items()):
            alone = isinstance(prior, StandardNormal)
            content = decoder
            if not alone:
                converted = convert_prior(
                    cast(Prior, prior), noise_dim, 1, ["from_noise"]
                )
                content = join(converted, decoder)
            added[name] = len(content) - len(decoder)
            path = folder / f"{index}.tflite"
            path.write_bytes(content)
            rng = np.random.default_rng(_SEED)
            noise = rng.standard_normal((_NUM_TIMED, noise_dim), np.float32)
            load = tflite_decode if alone else tflite_generate
            make = load(path, 1)
            one = [noise[place : place + 1] for place in range(_NUM_TIMED)]
            first_us[name] = _time_us(partial(make, one[0]))
            made = np.concatenate([make(z) for z in one])
            expected = model.decode(np.asarray(prior.from_noise(tf.constant(noise))))
            error = np.abs(made - expected).max()
            if not error <= _MAX_ERROR:
                raise Stopped(
                    f"{name} does not show in LiteRT what it does in Keras: the largest "
                    f"difference is {error:.1e}, allowed is {_MAX_ERROR:.0e}"
                )
            makers[name] = make, one
        times_us = {name: np.empty((rounds, repeats)) for name in makers}
        for index in np.ndindex(rounds, repeats):
            for name, (make, one) in makers.items():
                z = one[index[1] % _NUM_TIMED]
                times_us[name][index] = _time_us(partial(make, z))
        peak_mib = latency.peak_memory_bytes() / 2**20
        return {
            name: Speed(added[name], first_us[name], times_us[name], peak_mib)
            for name in makers
        }


def _time_us(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e6


def table(
    candidates: Mapping[str, Candidate],
    qualities: Mapping[str, Quality],
    speeds: Mapping[str, Speed],
) -> str:
    """Returns a Markdown table; what does not exist is an empty cell."""
    titles = ["prior", "nats", "Fréchet", "density", "coverage", "> 90 % sure"]
    rows = [[*titles, "kB", "µs", "times the decoder", "s"]]
    for name, candidate in candidates.items():
        quality = qualities[name]
        bound = "≥ " if name == TWO_STAGE else ""
        rows.append(
            [
                name,
                _cell(candidate.log_prob, f"{bound}{{:.2f}}"),
                f"{quality.frechet:.3g}",
                f"{quality.density:.3f}",
                f"{quality.coverage:.3f}",
                _cell(quality.sure_percent, "{:.1f} %"),
                *_cost(speeds.get(name), speeds[STANDARD]),
                _cell(candidate.fit_s, "{:.0f}"),
            ]
        )
    return markdown_table(rows)


def _cost(speed: Speed | None, decoder: Speed) -> list[str]:
    """Cells of kilobytes, microseconds, and how many times those of the decoder."""
    if speed is None:
        return ["", "", ""]
    ratio, low, high = decoder.times_as_fast(speed)
    return [
        f"{speed.num_bytes / 1e3:.0f}",
        f"{np.median(speed.times_us):.0f}",
        f"{ratio:.2f} ({low:.2f} to {high:.2f})",
    ]


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)

"""The gate: an exported file counts only after it matched Keras in float32.

Every file runs in its own runtime on real images, on their latents, on prior samples and
on extremes, and is measured against Keras on the same. What must hold:

- all values are finite;
- SavedModel and float32: largest error 1e-4; float16: 5e-3; but where a prior takes part
  the pictures' PSNR is at least 48 dB instead, one step of 8 bits: noise near an edge
  between two components of a mixture amplifies rounding;
- dynamic and int8: the pictures' PSNR is at least 35 dB in every kind of latents, from the
  squared error over all pictures of the kind, so that few bad ones weigh heavily; the mean
  Laplacian variance of all pictures is within 3 %; where the images are digits, a judge
  gives as many reconstructions the original's label, within 0.5 points, and at least 98 %
  of generated pictures the label it gives Keras' of the same noise;
- a prior makes the latents of real images of the noise that it makes of them: they decode
  to the same pictures, 48 dB;
- a row's result does not depend on what else is in its batch.

An encoder is measured by what comes of it: the pictures that Keras decodes from its z_mean
against those from Keras' z_mean. Its z_log_var has a bar of its own: root mean square error
at most 0.1, which is 5 % of a standard deviation.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.samples import NOISE, PRIOR, REAL, Samples
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import pixels
from dfcvae_tf.metrics.sharpness import laplacian_variance

MAX_ERROR = {"saved_model": 1e-4, "float32": 1e-4, "float16": 5e-3}
MIN_PSNR_DB = 35.0
# Of what a prior takes part in, in float.
WITH_PRIOR, MIN_PSNR_WITH_PRIOR_DB = "with a prior", 48.0
MAX_SHARPNESS_CHANGE = 0.03
MAX_AGREEMENT_CHANGE = 0.005
# One drawn digit in twenty is none that a judge is sure of.
MAX_GENERATED_CHANGE = 0.02
MAX_LOG_VAR_RMSE = 0.1
# With another size of batch a runtime may add up in another order, and round differently.
MAX_BATCH_DIFFERENCE = {"saved_model": 1e-4, "float32": 1e-4, "float16": 1e-4}
MAX_QUANTIZED_BATCH_DIFFERENCE = 1e-2

PSNR_OF_EQUAL_DB = 120.0
# Laplacian variance that no 8-bit picture shows; flat pictures have not even that.
_INVISIBLE = 1e-6
_ROWS = 100
_BATCH_ROWS = 8
# Rows that a GPU in software computes in seconds.
_SOME = 8

Function = Callable[..., dict[str, np.ndarray]]


@dataclass(frozen=True)
class Parity:
    """How close a file comes to Keras.

    Attributes:
      max_error: largest absolute error over all values, nan if one is not finite.
      psnr_db: kind of latents -> of the pictures; at most PSNR_OF_EQUAL_DB.
      worst_psnr_db: of a single picture.
      sharpness_ratio: mean Laplacian variance of all pictures by that of Keras.
      agreement: share of the real images whose reconstruction has their label, of a
        generator of the noise whose picture has the label of Keras' picture; None
        without a judge.
      reference_agreement: the same with Keras; 1 for a generator.
      batch_difference: largest change of a row between a batch of its own and a full one.
      log_var_rmse: of an encoder; None for a decoder.
      failures: what is beyond a limit, in words with numbers.
    """

    max_error: float
    psnr_db: dict[str, float]
    worst_psnr_db: float
    sharpness_ratio: float
    agreement: float | None
    reference_agreement: float | None
    batch_difference: float
    log_var_rmse: float | None
    failures: tuple[str, ...]


class Gate:
    """Checks files against one run's Keras networks."""

    def __init__(
        self, model: LoadedRun, samples: Samples, judge: tf.keras.Model | None
    ):
        """Computes what every file is checked against.

        Args:
          model: the run.
          samples: images and latents of the test split.
          judge: images [N, H, W, C] -> logits [N, classes]; None where there is none.
        """
        self._samples = samples
        decoder = tf.function(model.decoder, reduce_retracing=True)
        self._decode: Function = lambda z: {"image": decoder(tf.constant(z)).numpy()}
        self._judge = judge and tf.function(
            functools.partial(judge, training=False), reduce_retracing=True
        )
        z_mean, z_log_var = model.encode(samples.images)
        self._codes = {"z_mean": z_mean, "z_log_var": z_log_var}
        self._pictures = {  # not of model.decode, which refuses what a bad prior draws
            kind: np.concatenate([self._decode(z)["image"] for z in _slices(latents)])
            for kind, latents in samples.latents.items()
        }
        # What a generator makes, and what its decoder makes of the same latents.
        self._pictures[NOISE] = self._pictures[PRIOR]
        self._labels = self._judged(samples.images)
        self._picture_labels = self._judged(self._pictures[REAL])
        self._sharpness = {
            kind: laplacian_variance(pictures)
            for kind, pictures in self._pictures.items()
        }

    def some(
        self, signature: str, rows: int
    ) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
        """Some arguments of a signature, of every kind, and what Keras makes of them.

        Args:
          signature: "decode", "encode" or "generate".
          rows: per call; there are a multiple of it.
        """
        samples = self._samples
        if signature == "decode":
            pictures = [self._pictures[kind] for kind in samples.latents]
            values: tuple[np.ndarray, ...] = (samples.all_latents,)
            expected = {"image": np.concatenate(pictures)}
        elif signature == "encode":
            values, expected = (samples.images,), dict(self._codes)
        else:
            values = samples.given(samples.noise)
            expected = {"image": self._pictures[NOISE]}
        places = np.linspace(0, len(values[0]) - 1, max(1, _SOME // rows) * rows)
        places = places.astype(int)
        return (
            tuple(value[places] for value in values),
            {name: value[places] for name, value in expected.items()},
        )

    def check_decoder(self, decode: Function, name: str) -> Parity:
        """Measures a decoder.

        Args:
          decode: z [N, D] -> {"image": [N, H, W, C]}, any N.
          name: a variant, or "saved_model": which limits hold.
        """
        measures = _Measures()
        for kind, latents in self._samples.latents.items():
            self._measure_pictures(measures, kind, decode, latents)
        measures.batch_difference = _batch_difference(decode, self._samples.all_latents)
        return self._result(measures, name)

    def check_encoder(self, encode: Function, name: str) -> Parity:
        """Measures an encoder: images [N, H, W, C] -> {"z_mean", "z_log_var"} [N, D]."""
        found = [encode(images) for images in _slices(self._samples.images)]
        measures = _Measures()
        codes = {k: np.concatenate([part[k] for part in found]) for k in self._codes}
        self._measure_pictures(measures, REAL, self._decode, codes["z_mean"])
        errors = {k: codes[k] - expected for k, expected in self._codes.items()}
        # Of what the file itself returns, not of the pictures.
        measures.errors = [float(np.abs(error).max()) for error in errors.values()]
        measures.log_var_rmse = float(np.sqrt(np.square(errors["z_log_var"]).mean()))
        measures.batch_difference = _batch_difference(encode, self._samples.images)
        return self._result(measures, name)

    def check_reconstruct(self, reconstruct: Function, name: str) -> Parity:
        """Measures both in a row: images [N, H, W, C] -> {"image": [N, H, W, C]}."""
        measures = _Measures()
        self._measure_pictures(measures, REAL, reconstruct, self._samples.images)
        measures.batch_difference = _batch_difference(reconstruct, self._samples.images)
        return self._result(measures, name)

    def check_generator(self, generate: Function, name: str) -> Parity:
        """Measures prior and decoder in a row: noise [N, D] -> {"image"}, any N.

        Where the prior knows labels, noise and label [N, A].
        """
        measures = _Measures()
        given = self._samples.given(self._samples.noise)
        self._measure_pictures(measures, NOISE, generate, *given)
        measures.batch_difference = _batch_difference(generate, *given)
        labels = self._judged(self._pictures[NOISE])
        limits = WITH_PRIOR if name in MAX_ERROR else name
        return self._result(measures, limits, labels, labels)

    def check_prior(self, from_noise: Function, to_noise: Function) -> Parity:
        """Measures a prior by the pictures of what it makes.

        Args:
          from_noise: noise [N, D] -> {"z": [N, D]}, any N; it should be Keras' z.
          to_noise: z [N, D] -> {"noise": [N, D]}; there and back should be no change.
            Where the prior knows labels, both take label [N, A] as well.
        """

        def generate(*given: np.ndarray) -> dict[str, np.ndarray]:
            z = from_noise(*given)["z"]
            images = self._decode(z)["image"].copy()
            # On some processors a ReLU makes a number of none.
            images[~np.isfinite(z).all(axis=1)] = np.nan
            return {"image": images}

        def there_and_back(z: np.ndarray, *label: np.ndarray) -> dict[str, np.ndarray]:
            return generate(to_noise(z, *label)["noise"], *label)

        measures = _Measures()
        drawn = self._samples.given(self._samples.noise)
        real = self._samples.given(self._samples.z_mean)
        self._measure_pictures(measures, NOISE, generate, *drawn)
        self._measure_pictures(measures, REAL, there_and_back, *real)
        measures.batch_difference = max(
            _batch_difference(generate, *drawn),
            _batch_difference(there_and_back, *real),
        )
        labels = None
        if self._judge is not None:
            kinds = (NOISE, REAL)
            labels = np.concatenate([self._judged(self._pictures[k]) for k in kinds])
        return self._result(measures, WITH_PRIOR, labels, labels)

    def _measure_pictures(
        self,
        measures: "_Measures",
        kind: str,
        to_pictures: Function,
        *values: np.ndarray,
    ) -> None:
        """Adds the pictures made of `values`, which should be Keras' of this kind."""
        mse = []
        for expected, *part in zip(
            *map(_slices, (self._pictures[kind], *values)), strict=True
        ):
            found = to_pictures(*part)["image"]
            measures.errors.append(float(np.abs(found - expected).max()))
            mse.append(pixels.mse(expected, found))
            measures.sharpness.append(laplacian_variance(found))
            if kind in (REAL, NOISE) and self._judge is not None:
                measures.labels.append(_labels(self._judge, found))
        measures.mse[kind] = np.concatenate(mse)

    def _judged(self, images: np.ndarray) -> np.ndarray | None:
        if self._judge is None:
            return None
        return np.concatenate([_labels(self._judge, part) for part in _slices(images)])

    def _result(
        self,
        measures: "_Measures",
        name: str,
        labels: np.ndarray | None = None,
        of_keras: np.ndarray | None = None,
    ) -> Parity:
        """Puts together what was measured.

        Args:
          measures: of the file.
          name: which limits hold: a variant, "saved_model" or WITH_PRIOR.
          labels: what the pictures' labels should be; None for those of real images.
          of_keras: the labels of Keras' pictures; None for those of reconstructions.
        """
        agreement = reference_agreement = None
        if self._judge is not None:
            labels = self._labels if labels is None else labels
            of_keras = self._picture_labels if of_keras is None else of_keras
            agreement = float(np.mean(np.concatenate(measures.labels) == labels))
            reference_agreement = float(np.mean(of_keras == labels))
        sharpness = np.concatenate(measures.sharpness)
        expected = np.concatenate([self._sharpness[kind] for kind in measures.mse])
        parity = Parity(
            max_error=float(np.max(measures.errors)),
            psnr_db={
                kind: mse_to_psnr_db(mse.mean()) for kind, mse in measures.mse.items()
            },
            worst_psnr_db=mse_to_psnr_db(
                max(mse.max() for mse in measures.mse.values())
            ),
            sharpness_ratio=float(
                (sharpness.mean() + _INVISIBLE) / (expected.mean() + _INVISIBLE)
            ),
            agreement=agreement,
            reference_agreement=reference_agreement,
            batch_difference=measures.batch_difference,
            log_var_rmse=measures.log_var_rmse,
            failures=(),
        )
        return dataclasses.replace(parity, failures=tuple(_failures(parity, name)))


@dataclass
class _Measures:
    """What is collected of one file, in parts."""

    errors: list[float] = field(default_factory=list)
    mse: dict[str, np.ndarray] = field(default_factory=dict)
    sharpness: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    batch_difference: float = 0.0
    log_var_rmse: float | None = None


def _failures(parity: Parity, name: str) -> Iterator[str]:
    if not np.isfinite(parity.max_error):
        yield "not all values are finite"
        return
    if name in MAX_ERROR:
        if parity.max_error > MAX_ERROR[name]:
            yield (
                f"largest error {parity.max_error:.2g}, at most {MAX_ERROR[name]:g} "
                "is allowed"
            )
    else:
        yield from _picture_failures(
            parity, MIN_PSNR_WITH_PRIOR_DB if name == WITH_PRIOR else MIN_PSNR_DB
        )
    limit = MAX_BATCH_DIFFERENCE.get(name, MAX_QUANTIZED_BATCH_DIFFERENCE)
    if not parity.batch_difference <= limit:
        yield (
            f"a row changes by {parity.batch_difference:.2g} with the rest of its "
            f"batch, at most {limit:g} is allowed"
        )


def _picture_failures(parity: Parity, min_psnr_db: float) -> Iterator[str]:
    for kind, psnr in parity.psnr_db.items():
        if psnr < min_psnr_db:
            yield f"PSNR {psnr:.1f} dB on {kind}, {min_psnr_db:g} dB are needed"
    change = parity.sharpness_ratio - 1
    if abs(change) > MAX_SHARPNESS_CHANGE:
        yield f"sharpness {change:+.1%}, {MAX_SHARPNESS_CHANGE:.0%} is allowed"
    if parity.agreement is not None and parity.reference_agreement is not None:
        change = parity.agreement - parity.reference_agreement
        allowed = (
            MAX_GENERATED_CHANGE if NOISE in parity.psnr_db else MAX_AGREEMENT_CHANGE
        )
        if abs(change) > allowed + 1e-9:
            yield (
                f"{parity.agreement:.1%} of the labels kept instead of "
                f"{parity.reference_agreement:.1%}, {allowed:.1%} is allowed"
            )
    if parity.log_var_rmse is not None and parity.log_var_rmse > MAX_LOG_VAR_RMSE:
        yield (
            f"z_log_var is off by {parity.log_var_rmse:.2g} (root mean square), "
            f"{MAX_LOG_VAR_RMSE:g} is allowed"
        )


def _batch_difference(function: Function, *values: np.ndarray) -> float:
    """Largest change of a row's results between a call with others and one without."""
    together = function(*(value[:_BATCH_ROWS] for value in values))
    alone = [
        function(*(value[i : i + 1] for value in values))
        for i in range(min(_BATCH_ROWS, len(values[0])))
    ]
    return max(
        float(np.abs(np.concatenate([one[k] for one in alone]) - together[k]).max())
        for k in together
    )


def mse_to_psnr_db(mse: float) -> float:
    """Peak signal to noise of values in [0, 1], in dB; at most PSNR_OF_EQUAL_DB."""
    return float(-10 * np.log10(max(mse, 10 ** (-PSNR_OF_EQUAL_DB / 10))))


def _labels(judge: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray) -> np.ndarray:
    return judge(tf.constant(images)).numpy().argmax(-1)


def _slices(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), _ROWS):
        yield values[start : start + _ROWS]

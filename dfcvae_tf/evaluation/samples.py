"""Samples of runs: from the prior of each, and from where its images truly lie.

Latents drawn from the aggregated posterior of training images show what the decoder can
do, and no prior draws better ones. N(0, I) shows what a learned prior gains.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from sklearn.neighbors import NearestNeighbors

from dfcvae_tf.data.choice import choose_places
from dfcvae_tf.evaluation import figures
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.evaluation.judge import Judge, Judgement, join_judgements
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.strips import draw_strip
from dfcvae_tf.images import to_float, to_uint8
from dfcvae_tf.loaded_run import LoadedRun

# Where latents come from: the run's own prior; N(0, I), where that is another; training
# images.
OWN, STANDARD, POSTERIOR = "samples", "standard", "posterior"
_ROW_NAMES = {OWN: "{}", STANDARD: "{}, N(0, I)", POSTERIOR: "{}, posterior"}
_OWN_ROWS, _OTHER_ROWS, _PER_ROW = 5, 2, 10
# Pictures are compared at most this large: what is alike is alike in small.
_COMPARED_VALUES = 1024

Drawn = dict[str, dict[str, Judgement]]


class TrainingImages:
    """Training images: small, and as many as are evaluated encoded.

    Attributes:
      small: [M, h, w, C] uint8.
      z_mean, z_log_var: by run, [E, D] float32, of E of them.
    """

    def __init__(
        self, models: Mapping[str, LoadedRun], data: EvaluationImages, seed: int
    ):
        """Reads them, and encodes some that the seed chooses."""
        small: list[np.ndarray] = []
        codes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {n: [] for n in models}
        places = choose_places(data.num_training, data.num_images, None, seed)
        is_encoded = np.isin(np.arange(data.num_training), places)
        start = 0
        for images in data.train_batches():
            small.append(to_uint8(_shrunk(images)))
            chosen = images[is_encoded[start : start + len(images)]]
            start += len(images)
            for name, model in models.items():
                codes[name].append(model.encode(chosen))
        self.small = np.concatenate(small)
        self.z_mean = {
            n: np.concatenate([c[0] for c in own]) for n, own in codes.items()
        }
        self.z_log_var = {
            n: np.concatenate([c[1] for c in own]) for n, own in codes.items()
        }

    def draw(self, name: str, count: int, seed: int) -> np.ndarray:
        """Latents [count, D] of the aggregated posterior of a run."""
        rng = np.random.default_rng(seed)
        rows = np.resize(rng.permutation(len(self.z_mean[name])), count)
        mean, log_var = self.z_mean[name][rows], self.z_log_var[name][rows]
        noise = rng.standard_normal(mean.shape, np.float32)
        return mean + np.exp(0.5 * log_var) * noise


def draw_samples(
    models: Mapping[str, LoadedRun],
    training: TrainingImages,
    judge: Judge | None,
    count: int,
    temperature: float,
    seed: int,
) -> tuple[Section, Drawn]:
    """Draws samples of each run, shows the first and has all of them judged.

    Args:
      models: by name.
      training: what latents are drawn from beside priors.
      judge: the held-out classifier; without one only those shown are drawn.
      count: how many are judged.
      temperature, seed: see `LoadedRun.sample`; what comes from a run's own prior is that
        method's. Training images have no temperature.

    Returns:
      Some of each run, ten in a row, and run -> where they come from -> judgement; {}
      without a judge.
    """
    most = _OWN_ROWS * _PER_ROW
    rows: list[tuple[str, np.ndarray]] = []
    strips: dict[str, bytes] = {}
    drawn: Drawn = {}
    for name, model in models.items():
        number = min(count, most) if judge is None else count
        noise = model.noise(number, seed, temperature)
        latents = {OWN: model.prior.from_noise(noise)}
        if model.has_learned_prior:
            latents[STANDARD] = noise
        latents[POSTERIOR] = training.draw(name, number, seed)
        drawn[name] = {}
        for source, z in latents.items():
            shown = min(count, most if source == OWN else _OTHER_ROWS * _PER_ROW)
            if shown > _PER_ROW:  # whole rows
                shown -= shown % _PER_ROW
            first: list[np.ndarray] = []
            judgements = []
            for part in batches(np.asarray(z), model.batch_size):
                images = model.decode(part)
                first.extend(images[: shown - len(first)])
                if judge is not None:
                    judgements.append(judge(images))
            if judgements:
                drawn[name][source] = join_judgements(judgements)
            if source == OWN:
                strips[f"samples of {name}"] = draw_strip(np.stack(first[:_PER_ROW]))
            for start in range(0, shown, _PER_ROW):
                title = _ROW_NAMES[source].format(name) if start == 0 else ""
                rows.append((title, np.stack(first[start : start + _PER_ROW])))
    picture = figures.image_rows(rows)
    return Section(figures={"samples": picture}, strips=strips), drawn


def look_for_copies(
    models: Mapping[str, LoadedRun],
    training: TrainingImages,
    data: EvaluationImages,
    temperature: float,
    seed: int,
) -> Section:
    """How near samples are to training images, beside how near test images are.

    Samples of a run that copies are nearer than test images. Distances are root mean
    squares of pixels, of pictures of at most 1,024 values.

    Args:
      models, temperature, seed: whose samples, see `draw_samples`.
      training: what may have been copied.
      data: the test images.
    """
    count = min(data.num_images, _COMPARED_VALUES)
    small = training.small.reshape(len(training.small), -1).astype(np.float32)
    nearest = NearestNeighbors(n_neighbors=1).fit(small)

    def look(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = nearest.kneighbors(
            pictures.reshape(len(pictures), -1) * np.float32(255)
        )
        return found[0][:, 0] / 255 / small.shape[1] ** 0.5, found[1][:, 0]

    section, rows = Section(), []
    test = np.concatenate([_shrunk(images) for images in data.batches(count)])
    of_test = float(np.median(look(test)[0]))
    for name, model in models.items():
        pictures = _shrunk(model.sample(count, seed, temperature))
        distances, places = look(pictures)
        section.runs[name] = {"distance_to_training": float(np.median(distances))}
        rows.append((name, pictures[:_PER_ROW]))
        rows.append(("nearest", to_float(training.small[places[:_PER_ROW]]).numpy()))
    section.results = {
        "of_test_images": of_test,
        "num_training": len(small),
        "all_training": data.total_training,
    }
    section.figures["copies"] = figures.image_rows(rows)
    return section


def _shrunk(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in [0, 1] of at most 1,024 values each, averaged over areas."""
    height, width, channels = images.shape[1:]
    factor = max(1.0, (height * width * channels / _COMPARED_VALUES) ** 0.5)
    size = max(1, int(width / factor)), max(1, int(height / factor))
    if factor == 1:
        return images
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(small).reshape(len(images), size[1], size[0], channels)

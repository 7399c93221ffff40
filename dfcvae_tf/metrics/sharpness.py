"""Is one model's output sharper than another's, or only noisier?

The variance of the Laplacian rises with every edge, but with noise and ringing as well.
`assess_sharper` therefore asks three more questions before it calls an image sharper.
"""

import dataclasses

import cv2
import numpy as np
import scipy.fft

from dfcvae_tf.metrics import paired
from dfcvae_tf.metrics.image_batches import as_image_batches

SIGNIFICANCE = 0.05
# How much more high-frequency energy than the originals still passes as detail.
MAX_HIGH_FREQUENCY_RATIO = 1.1
# Noise that is clipped to [0, 1] depends on the original a little: on blurred digits it
# raised edge recovery by up to 0.024, and after `blur` of both by up to 0.006, over many
# kinds and strengths. Hence recovery is compared after blurring, and by this margin.
MIN_EDGE_RECOVERY_GAIN = 0.01
# In float32 the Laplacian of a constant image has a variance of about 1e-14; one pixel of
# a 512 x 512 image that differs by one grey level of 256 has 1e-9.
_FLAT_VARIANCE = 1e-12


@dataclasses.dataclass(frozen=True)
class SharpnessVerdict:
    """What `assess_sharper` found; its comparisons are of the first against the second."""

    sharper: str
    than: str
    supported: bool
    laplacian: paired.PairedComparison
    blurred: paired.PairedComparison  # Laplacian variance after `blur`
    edge_recovery: paired.PairedComparison  # after `blur` of originals and outputs
    high_frequency_ratio: float  # mean energy of the first / that of the originals
    reasons: tuple[str, ...]  # why it is not supported

    @property
    def sentence(self) -> str:
        """The verdict for a reader, with its numbers."""
        if self.supported:
            return (
                f"Supported: {self.sharper} is sharper than {self.than}: Laplacian "
                f"variance {_describe(self.laplacian)}; after a blur of 1 pixel "
                f"{_describe(self.blurred)}; recovery of the originals' edges after it "
                f"{_describe(self.edge_recovery)}; high-frequency energy "
                f"{self.high_frequency_ratio:.2f} times that of the originals."
            )
        if not _is_higher(self.laplacian):
            return f"Not supported: {self.sharper} is not sharper: {self.reasons[0]}."
        return (
            f"Not supported: {self.sharper} has the higher Laplacian variance than "
            f"{self.than} ({_describe(self.laplacian)}), but "
            f"{', and '.join(self.reasons)}."
        )


def laplacian_variance(images: np.ndarray) -> np.ndarray:
    """Variance of each image's Laplacian: high where edges are many and steep.

    Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy": per image
    `cv2.Laplacian(image, cv2.CV_32F).var()`, over all channels together. It measures blur
    only between images that are alike otherwise, as noise raises it too.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      [N] float64.
    """
    (images,) = as_image_batches(images)
    return np.array(
        [cv2.Laplacian(i, cv2.CV_32F).var(dtype=np.float64) for i in images], np.float64
    )


def blur(images: np.ndarray) -> np.ndarray:
    """Gaussian blur with a standard deviation of 1 pixel.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      Same shape, float32.
    """
    (images,) = as_image_batches(images)
    blurred = np.empty_like(images)
    for image, out in zip(images, blurred, strict=True):
        # OpenCV drops a last axis of 1.
        out[:] = cv2.GaussianBlur(image, (0, 0), 1.0).reshape(image.shape)
    return blurred


def high_frequency_energy(images: np.ndarray) -> np.ndarray:
    """Power in spatial frequencies above a quarter cycle per pixel, half of Nyquist's.

    The power of all frequencies together is the mean square of the pixels (Parseval); the
    mean over channels is taken. The discrete Fourier transform continues an image
    periodically, so a jump between opposite borders counts as high frequency.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      [N] float64, mean square per pixel.
    """
    (images,) = as_image_batches(images)
    _, height, width, channels = images.shape
    y = scipy.fft.fftfreq(height)[:, np.newaxis]
    x = scipy.fft.fftfreq(width)[np.newaxis, :]
    high = np.hypot(y, x) > 0.25
    scale = (height * width) ** 2 * channels
    return np.array(
        [
            np.square(np.abs(scipy.fft.fft2(image, axes=(0, 1))[high])).sum(
                dtype=np.float64
            )
            / scale
            for image in images
        ],
        np.float64,
    )


def edge_recovery(originals: np.ndarray, images: np.ndarray) -> np.ndarray:
    """How much of its original's edges an image has, at their places.

    The slope of the least-squares line of the image's Laplacian on the original's: 1 for a
    copy, c for a copy with c times the contrast, and in expectation 0 for noise and for
    edges that are elsewhere. Adding noise that is independent of the original does not
    raise it, unlike the variance of the Laplacian; that is what it is for.

    Args:
      originals: [N, H, W, 1 or 3] float in [0, 1].
      images: same shape as `originals`; what a model made of each.

    Returns:
      [N] float64; NaN where the original is constant, as without edges there are none to
      recover: leave those pairs out.
    """
    originals, images = as_image_batches(originals, images)
    slopes = np.full(len(originals), np.nan)
    for index, (original, image) in enumerate(zip(originals, images, strict=True)):
        x = cv2.Laplacian(original, cv2.CV_32F).astype(np.float64)
        y = cv2.Laplacian(image, cv2.CV_32F).astype(np.float64)
        x -= x.mean()
        variance = np.square(x).mean()
        if variance > _FLAT_VARIANCE:
            slopes[index] = (x * y).mean() / variance
    return slopes


def assess_sharper(
    originals: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    name_a: str,
    name_b: str,
    seed: int = 0,
) -> SharpnessVerdict:
    """Says whether "a is sharper than b" is supported, paired by original.

    It is when all of these hold, where higher means that p < 0.05 and that the 95 %
    interval of the mean difference is above 0:

    - the Laplacian variance of a is higher than that of b;
    - it still is after `blur`, which takes most of pixel noise away;
    - a's `edge_recovery` after `blur` is higher, its interval even above 0.01, which noise
      and edges elsewhere cannot bring about;
    - the mean high-frequency energy of a exceeds that of the originals by no more than
      10 %: more than the originals have is noise or ringing, not detail.

    As all must hold, p values need no correction for being several. More contrast counts
    as sharper, within the last condition: it makes edges steeper.

    Args:
      originals: [N, H, W, 1 or 3] float in [0, 1]. Constant ones are left out of the
        comparison of `edge_recovery`.
      a: same shape; the outputs with the higher mean Laplacian variance.
      b: same shape; the others.
      name_a: what to call the maker of `a`.
      name_b: what to call the maker of `b`.
      seed: of the bootstrap.

    Raises:
      ValueError: shapes differ, a value is not finite, or fewer than 2 originals are not
        constant.
    """
    laplacian = paired.compare_paired(
        laplacian_variance(a), laplacian_variance(b), seed
    )
    blurred_originals, blurred_a, blurred_b = blur(originals), blur(a), blur(b)
    blurred = paired.compare_paired(
        laplacian_variance(blurred_a), laplacian_variance(blurred_b), seed
    )
    recovery_a = edge_recovery(blurred_originals, blurred_a)
    recovery_b = edge_recovery(blurred_originals, blurred_b)
    has_edges = ~np.isnan(recovery_a)
    recovery = paired.compare_paired(recovery_a[has_edges], recovery_b[has_edges], seed)
    ratio = float(
        high_frequency_energy(a).mean() / high_frequency_energy(originals).mean()
    )
    reasons = []
    if not _is_higher(laplacian):
        reasons.append(
            f"its Laplacian variance is not higher than that of {name_b} "
            f"({_describe(laplacian)})"
        )
    if not _is_higher(blurred):
        reasons.append(
            "after a blur of 1 pixel its Laplacian variance is not higher "
            f"({_describe(blurred)})"
        )
    if not _is_higher(recovery, by=MIN_EDGE_RECOVERY_GAIN):
        reasons.append(
            "after a blur of 1 pixel its recovery of the originals' edges is not higher "
            f"by more than {MIN_EDGE_RECOVERY_GAIN}, which noise could bring about "
            f"({_describe(recovery)})"
        )
    if not ratio <= MAX_HIGH_FREQUENCY_RATIO:
        reasons.append(
            f"it has {ratio:.2f} times the high-frequency energy of the originals, which "
            "is noise or ringing, not detail"
        )
    return SharpnessVerdict(
        sharper=name_a,
        than=name_b,
        supported=not reasons,
        laplacian=laplacian,
        blurred=blurred,
        edge_recovery=recovery,
        high_frequency_ratio=ratio,
        reasons=tuple(reasons),
    )


def _is_higher(comparison: paired.PairedComparison, by: float = 0.0) -> bool:
    return comparison.ci_low > by and comparison.p_value < SIGNIFICANCE


def _describe(comparison: paired.PairedComparison) -> str:
    return (
        f"{comparison.mean_difference:+.3g} "
        f"[{comparison.ci_low:.3g}, {comparison.ci_high:.3g}], "
        f"d_z {comparison.effect_size:.2f}, p {paired.format_p(comparison.log10_p)}, "
        f"n {comparison.n}"
    )

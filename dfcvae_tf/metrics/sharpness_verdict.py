"""Is one model's output sharper than another's, or only noisier?

The variance of the Laplacian rises with every edge, but with noise and ringing as well.
`assess_sharper` therefore asks three more questions before it calls an image sharper.
"""

import dataclasses

from dfcvae_tf.metrics.paired import Comparison

SIGNIFICANCE = 0.05
# How much more high-frequency energy than the originals still passes as detail.
MAX_HIGH_FREQUENCY_RATIO = 1.1
# Noise that is clipped to [0, 1] depends on the original a little: on blurred digits it
# raised edge recovery by up to 0.024, and after `sharpness.blur` of both by up to 0.006,
# over many kinds and strengths. Hence recovery is compared after blurring, and by this
# margin.
MIN_EDGE_RECOVERY_GAIN = 0.01


@dataclasses.dataclass(frozen=True)
class SharpnessVerdict:
    """What `assess_sharper` found; its comparisons are of the first against the second."""

    sharper: str
    than: str
    supported: bool
    laplacian: Comparison
    blurred: Comparison  # Laplacian variance after `sharpness.blur`
    edge_recovery: Comparison  # after a blur of originals and outputs
    high_frequency_ratio: float  # mean energy of the first / that of the originals
    reasons: tuple[str, ...]  # why it is not supported

    @property
    def sentence(self) -> str:
        """The verdict for a reader, with its numbers."""
        if self.supported:
            return (
                f"Supported: {self.sharper} is sharper than {self.than}: Laplacian "
                f"variance {self.laplacian}; after a blur of 1 pixel "
                f"{self.blurred}; recovery of the originals' edges after it "
                f"{self.edge_recovery}; high-frequency energy "
                f"{self.high_frequency_ratio:.2f} times that of the originals."
            )
        if not is_higher(self.laplacian):
            return f"Not supported: {self.sharper} is not sharper: {self.reasons[0]}."
        return (
            f"Not supported: {self.sharper} has the higher Laplacian variance than "
            f"{self.than} ({self.laplacian}), but "
            f"{', and '.join(self.reasons)}."
        )


def assess_sharper(
    first: str,
    second: str,
    *,
    laplacian: Comparison,
    blurred: Comparison,
    edge_recovery: Comparison,
    high_frequency_ratio: float,
) -> SharpnessVerdict:
    """Says whether "first is sharper than second" is supported, paired by original.

    It is when all of these hold, where higher means that p < 0.05 and that the 95 %
    interval of the mean difference is above 0:

    - the Laplacian variance of the first is higher than that of the second;
    - it still is after `sharpness.blur`, which takes most of pixel noise away;
    - its `sharpness.edge_recovery` after that blur is higher, its interval even above
      0.01, which noise and edges elsewhere cannot bring about;
    - its mean high-frequency energy exceeds that of the originals by no more than 10 %:
      more than the originals have is noise or ringing, not detail.

    As all must hold, p values need no correction for being several. More contrast counts
    as sharper, within the last condition: it makes edges steeper.

    Args:
      first, second: what to call the makers of the images.
      laplacian, blurred, edge_recovery: comparisons of the first with the second, see
        `SharpnessVerdict`; the last over originals that are not constant.
      high_frequency_ratio: the first's mean `sharpness.high_frequency_energy` by that of
        the originals.
    """
    reasons = []
    if not is_higher(laplacian):
        reasons.append(
            f"its Laplacian variance is not higher than that of {second} ({laplacian})"
        )
    if not is_higher(blurred):
        reasons.append(
            f"after a blur of 1 pixel its Laplacian variance is not higher ({blurred})"
        )
    if not is_higher(edge_recovery, by=MIN_EDGE_RECOVERY_GAIN):
        reasons.append(
            "after a blur of 1 pixel its recovery of the originals' edges is not higher "
            f"by more than {MIN_EDGE_RECOVERY_GAIN}, which noise could bring about "
            f"({edge_recovery})"
        )
    if not high_frequency_ratio <= MAX_HIGH_FREQUENCY_RATIO:
        reasons.append(
            f"it has {high_frequency_ratio:.2f} times the high-frequency energy of the "
            "originals, which is noise or ringing, not detail"
        )
    return SharpnessVerdict(
        sharper=first,
        than=second,
        supported=not reasons,
        laplacian=laplacian,
        blurred=blurred,
        edge_recovery=edge_recovery,
        high_frequency_ratio=high_frequency_ratio,
        reasons=tuple(reasons),
    )


def is_higher(comparison: Comparison, by: float = 0.0) -> bool:
    """Whether the first is higher by more than `by`, as `assess_sharper` says."""
    return comparison.ci_low > by and comparison.deciding_p < SIGNIFICANCE

"""Whether latents carry anything: posterior collapse, and what to say about it."""

import math

import numpy as np

# A dimension that tells images apart at all carries far more nats, one that does not
# nearly none: where exactly the line is drawn matters little.
ACTIVE_NATS = 0.01
# The mutual information of images and latents is no more than the KL: below one bit they
# cannot even tell two halves of the images apart.
LEAST_NATS = math.log(2.0)


def active_dimensions(kl_per_dimension: np.ndarray) -> int:
    """Counts the dimensions that carry something.

    Args:
      kl_per_dimension: [D] nats, mean over images.
    """
    return int(np.sum(np.asarray(kl_per_dimension) > ACTIVE_NATS))


def is_collapsed(kl_per_dimension: np.ndarray) -> bool:
    """Whether latents carry nothing: no dimension is active, or less than a bit in all.

    Args:
      kl_per_dimension: [D] nats, mean over images.
    """
    total = float(np.sum(kl_per_dimension))
    return active_dimensions(kl_per_dimension) == 0 or total < LEAST_NATS


def collapse(kl_per_dimension: np.ndarray) -> str | None:
    """Returns a sentence that says what has collapsed and names the way out.

    None where at least half of the dimensions are active and carry something. Where they
    do not, every image is reconstructed as nearly the same average (Bowman et al. 2016,
    "Generating sentences from a continuous space", section 3.1).

    Args:
      kl_per_dimension: [D] nats, mean over images.
    """
    count, active = np.size(kl_per_dimension), active_dimensions(kl_per_dimension)
    total = float(np.sum(kl_per_dimension))
    if is_collapsed(kl_per_dimension):
        return (
            f"posterior collapse: the latents carry {total:.2g} nats of an image, so all "
            "images are reconstructed alike; --target_kl=NATS asks for more (12 suit "
            "digits, 100 small photos), or choose a lower --kl_weight"
        )
    if active < count / 2:
        return (
            f"only {active} of {count} latent dimensions carry anything ({total:.3g} nats "
            f"of an image together); a higher --target_kl, or a lower --kl_weight, uses "
            f"more, and --latent_dim={active} would do for these"
        )
    return None

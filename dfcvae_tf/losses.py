"""The terms of the objective, as pure functions.

Every function takes batches and returns one float32 value per example, [N]: sums over
pixels, features or latents happen here, the mean over the batch is the caller's.
Inputs of any float type are cast to float32 first, whatever the precision policy.
"""

import tensorflow as tf


def bernoulli_nll_nats(images: tf.Tensor, recon_logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy summed over pixels: -log p(x|z) of a Bernoulli decoder.

    Kingma and Welling (2014), appendix C.1. Images need not be binary.

    Args:
      images: [N, H, W, C] in [0, 1].
      recon_logits: [N, H, W, C], unbounded; their sigmoid is the reconstruction.

    Returns:
      [N] float32, nats.
    """
    x, logits = _as_float32(images, recon_logits)
    return _sum_per_example(
        tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    )


def squared_error(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Squared Euclidean distance of two batches of images or features.

    Hou et al. (2017), equation 4 without its factor, with a = Phi_l(x) and
    b = Phi_l(x_hat).

    Args:
      a: [N, ...].
      b: same shape as `a`.

    Returns:
      [N] float32, sum over everything but the batch.
    """
    return _sum_per_example(tf.math.squared_difference(*_as_float32(a, b)))


def kl_nats_per_dimension(z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)) of every latent dimension.

    Kingma and Welling (2014), appendix B.

    Args:
      z_mean: [N, D].
      z_log_var: [N, D].

    Returns:
      [N, D] float32, nats, never negative.
    """
    mean, log_var = _as_float32(z_mean, z_log_var)
    # expm1 keeps the precision of exp(v) - 1 - v for small v, where KL is nearly 0.
    return 0.5 * (tf.square(mean) + tf.math.expm1(log_var) - log_var)


def kl_nats(z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
    """KL(q(z|x) || N(0, I)), [N] float32 in nats; see `kl_nats_per_dimension`."""
    return tf.reduce_sum(kl_nats_per_dimension(z_mean, z_log_var), axis=-1)


def _sum_per_example(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def _as_float32(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    # Broadcasting [N, 1] against [N] would give a number, only not the right one.
    if not a.shape.is_compatible_with(b.shape) or a.shape.rank < 2:
        raise ValueError(
            f"expected two batches of one shape, got {a.shape} and {b.shape}"
        )
    return tf.cast(a, tf.float32), tf.cast(b, tf.float32)

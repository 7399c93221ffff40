"""What tells images from reconstructions: the other player of an adversarial loss.

Convolutions that halve the size, and a verdict for each patch they end with (Isola et al.
2017, "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2.2);
images below 64 pixels are one patch. No normalisation: with batch normalisation a verdict
would be of a batch, and the gradient penalty has no meaning.
"""

import tensorflow as tf

from dfcvae_tf import weights as weights_lib

layers = tf.keras.layers

# Of the smaller side, in pixels: from here on verdicts are of patches.
PATCHES_FROM = 64
_HALVINGS = 3
_SLOPE = 0.2  # of the leaky ReLU below 0


def build_discriminator(
    image_shape: tuple[int, int, int], width: int, dtype: str, seed: int
) -> tf.keras.Model:
    """Images [N, H, W, C] float32 in [0, 1] -> logits [N, P] float32, of P patches.

    Of images of 64 pixels and more each logit sees 46x46 pixels, and there is one for every
    8x8 of them; of smaller ones there is one, which sees all. Positive = an original.

    Args:
      image_shape: (H, W, C).
      width: channels of the first convolution; doubled with each halving.
      dtype: Keras dtype policy.
      seed: of the weights.
    """
    images = tf.keras.Input(image_shape, name="image")
    x = layers.Rescaling(2.0, offset=-1.0, dtype=dtype, name="rescale")(images)
    for level in range(_HALVINGS):
        x = layers.Conv2D(
            width * 2**level,
            4,
            2,
            padding="same",
            kernel_initializer="he_normal",
            dtype=dtype,
            name=f"conv{level + 1}",
        )(x)
        x = layers.LeakyReLU(_SLOPE, dtype=dtype, name=f"relu{level + 1}")(x)
    if min(image_shape[:2]) >= PATCHES_FROM:
        x = layers.Conv2D(1, 4, padding="same", dtype=dtype, name="verdicts")(x)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
    else:
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        x = layers.Dense(1, dtype=dtype, name="verdict")(x)
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    model = tf.keras.Model(images, logits, name="discriminator")
    weights_lib.number_from_zero(model)
    weights_lib.draw(model, "discriminator", seed)
    return model

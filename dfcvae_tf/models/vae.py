"""A VAE as its networks and its prior, and the registry of networks by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from dfcvae_tf import weights as weights_lib
from dfcvae_tf.config import OWN_FORM, ModelConfig
from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.models import article, conv, hou
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.own_code import OwnCode

ImageShape = tuple[int, int, int]
# (settings, (H, W, C), Keras dtype policy) -> encoder, decoder
NetworkBuilder = Callable[
    [ModelConfig, ImageShape, str], tuple[tf.keras.Model, tf.keras.Model]
]

NETWORKS: dict[str, NetworkBuilder] = {
    "article": article.build,
    "conv": conv.build,
    **dict.fromkeys(hou.RECIPES, hou.build),
}


@dataclass(frozen=True)
class ForwardPass:
    """A batch on its way through a VAE: all that a term of the loss may look at.

    Attributes:
      images: [N, H, W, C] float32 in [0, 1].
      z_mean, z_log_var: [N, D] float32, the posterior q(z|x).
      z: [N, D] float32, drawn from it.
      outputs: [N, H, W, C] float32, the decoder's, unbounded.
      judged: the same, for a discriminator; its gradient reaches the decoder multiplied by
        `judged_weight`, see `VAE.forward`.
      samples: what the decoder makes of noise from the prior, as `judged`; None where none
        was given.
      draws: [N, `augmentation.NUM_DRAWS`] float32 in [0, 1), of the changes that a
        discriminator sees images with; None without.
      reconstruction: [N, H, W, C] float32, what the outputs show; linear outputs beyond
        [0, 1] stay there.
      prior: the VAE's.
      step: [] int64, of training; None in evaluation.
    """

    images: tf.Tensor
    z_mean: tf.Tensor
    z_log_var: tf.Tensor
    z: tf.Tensor
    outputs: tf.Tensor
    judged: tf.Tensor
    samples: tf.Tensor | None
    draws: tf.Tensor | None
    reconstruction: tf.Tensor
    prior: StandardNormal
    step: tf.Tensor | None


@dataclass(frozen=True)
class VAE:
    """Networks and prior.

    Attributes:
      networks: by name, all that is trained, saved, loaded and exported:
        "encoder": images [N, H, W, C] float32 in [0, 1] -> z_mean, z_log_var [N, D]
        float32; "decoder": z [N, D] float32 -> outputs [N, H, W, C] float32, unbounded.
      prior: what the posteriors are compared with.
      decoder_output: what makes the image of the outputs, see `ModelConfig`: with
        "sigmoid" they are its logits.
    """

    networks: Mapping[str, tf.keras.Model]
    prior: StandardNormal = field(default_factory=StandardNormal)
    decoder_output: str = "sigmoid"

    @property
    def encoder(self) -> tf.keras.Model:
        return self.networks["encoder"]

    @property
    def decoder(self) -> tf.keras.Model:
        return self.networks["decoder"]

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return [v for n in self.networks.values() for v in n.trainable_variables]

    @property
    def variables(self) -> list[tf.Variable]:
        return [v for network in self.networks.values() for v in network.variables]

    def forward(
        self,
        images: tf.Tensor,
        noise: tf.Tensor,
        step: tf.Tensor | None,
        training: bool,
        sample_noise: tf.Tensor | None = None,
        draws: tf.Tensor | None = None,
        judged_weight: tf.Tensor | float = 1.0,
    ) -> ForwardPass:
        """Encodes images, draws z, decodes it.

        Args:
          images: [N, H, W, C] float32 in [0, 1].
          noise: [N, D] float32, standard normal.
          step: [] int64, of training; None in evaluation.
          training: whether batch normalisation takes the batch's statistics.
          sample_noise: [N, D] float32, standard normal, to decode samples of; or None.
          draws: see `ForwardPass`.
          judged_weight: [] float32, of the gradients of `judged` and `samples`.
        """
        z_mean, z_log_var = self.encoder(images, training=training)
        z = sample_z(z_mean, z_log_var, noise)
        decoded = self.decoder(z, training=training)
        # Apart from what is judged, so that the gradients of both can be told apart.
        outputs = tf.identity(decoded)
        samples = None
        if sample_noise is not None:
            drawn = self.decoder(self.prior.from_noise(sample_noise), training=training)
            samples = _weigh_gradient(drawn, judged_weight)
        return ForwardPass(
            images=tf.convert_to_tensor(images, tf.float32),
            z_mean=z_mean,
            z_log_var=z_log_var,
            z=z,
            outputs=outputs,
            judged=_weigh_gradient(decoded, judged_weight),
            samples=samples,
            draws=draws,
            reconstruction=shown(outputs, self.decoder_output),
            prior=self.prior,
            step=step,
        )

    def decode(self, z: tf.Tensor) -> tf.Tensor:
        """z [N, D] -> images [N, H, W, C] float32 in [0, 1], in inference mode."""
        return self.to_images(self.decoder(z, training=False))

    def to_images(self, outputs: tf.Tensor) -> tf.Tensor:
        """The decoder's outputs -> images of the same shape, float32 in [0, 1]."""
        if self.decoder_output == "sigmoid":
            return tf.sigmoid(outputs)
        return tf.clip_by_value(outputs, 0.0, 1.0)

    def decode_logits(self, z: tf.Tensor) -> tf.Tensor:
        """z [N, D] -> logits of the images, float32, finite, in inference mode."""
        outputs = self.decoder(z, training=False)
        if self.decoder_output == "sigmoid":
            return outputs
        # Half an 8-bit step away from black and white, where a logit is infinite.
        images = tf.clip_by_value(outputs, 0.5 / 255, 1 - 0.5 / 255)
        return tf.math.log(images) - tf.math.log1p(-images)


def shown(outputs: tf.Tensor, decoder_output: str) -> tf.Tensor:
    """What a decoder's outputs show while training, of the same shape, float32.

    Linear outputs are not cut off, as an image is: they would have no gradient to come
    back by.
    """
    return outputs if decoder_output == "linear" else tf.sigmoid(outputs)


@tf.custom_gradient
def _weigh_gradient(x: tf.Tensor, weight: tf.Tensor | float) -> tuple:
    """x, with a gradient that is multiplied by a weight on its way back."""
    return tf.identity(x), lambda gradient: (weight * gradient, None)


def sample_z(z_mean: tf.Tensor, z_log_var: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """The reparameterisation z = mean + std * noise (Kingma and Welling 2014, 2.4).

    All arguments and the result are [N, D] float32; `noise` is standard normal.
    """
    return z_mean + tf.exp(0.5 * z_log_var) * noise


def build_vae(
    config: ModelConfig,
    image_shape: ImageShape,
    dtype: str,
    seed: int = 0,
    own: OwnCode | None = None,
) -> VAE:
    """Builds the networks with fresh weights.

    Args:
      config: the network's name and sizes.
      image_shape: (height, width, channels).
      dtype: "float32", "mixed_float16" or "mixed_bfloat16"; variables, latents and
        logits are float32 with each of them.
      seed: of the weights, which depend on nothing else that was built or drawn before.
      own: what builds them, where a user wrote it.

    Raises:
      UserError: the name is unknown, the network cannot take images of this shape, or what
        a user wrote raises or returns something else.
    """
    if own is not None:
        networks = _build_own(own, config, image_shape, dtype, seed)
    elif config.network in NETWORKS:
        encoder, decoder = NETWORKS[config.network](config, image_shape, dtype)
        networks = {"encoder": encoder, "decoder": decoder}
    else:
        raise unknown_name("network", config.network, [*NETWORKS, OWN_FORM])
    for name, network in networks.items():
        weights_lib.number_from_zero(network)
        if own is None:  # what a user wrote may draw weights in ways of its own
            weights_lib.draw(network, name, seed)
    return VAE(networks, decoder_output=config.decoder_output)


def _build_own(
    own: OwnCode, config: ModelConfig, image_shape: ImageShape, dtype: str, seed: int
) -> dict[str, tf.keras.Model]:
    """Builds the networks that a user wrote, and checks that they are a VAE's."""
    arguments = {"config": config, "image_shape": image_shape, "dtype": dtype}
    found = own.build(arguments, seed)
    if not (
        isinstance(found, tuple | list)
        and len(found) == 2
        and all(isinstance(model, tf.keras.Model) for model in found)
        # Of others Keras knows neither shapes nor the order of layers.
        and all(getattr(model, "inputs", None) for model in found)
    ):
        raise UserError(
            f"{own} must return encoder and decoder, two functional or sequential Keras "
            f"models, got {_kinds(found)}"
        )
    encoder, decoder = found
    latents, images = (config.latent_dim,), tuple(image_shape)
    for name, network, inputs, outputs in (
        ("encoder", encoder, [images], [latents, latents]),
        ("decoder", decoder, [latents], [images]),
    ):
        for what, tensors, wanted in (
            ("take", network.inputs, inputs),
            ("return", network.outputs, outputs),
        ):
            shapes = [tuple(tensor.shape)[1:] for tensor in tensors]
            if shapes != wanted:
                raise UserError(
                    f"{own}: the {name} must {what} {_listed(wanted)}, not "
                    f"{_listed(shapes)}"
                )
        types = {tf.as_dtype(tensor.dtype).name for tensor in network.outputs}
        if types != {"float32"}:
            raise UserError(
                f"{own}: the {name} must return float32 with every precision, not "
                f'{", ".join(sorted(types))}; give its last layers dtype="float32"'
            )
    return {"encoder": encoder, "decoder": decoder}


def _kinds(found: object) -> str:
    many = found if isinstance(found, tuple | list) else [found]
    return ", ".join(type(each).__name__ for each in many)


def _listed(shapes: list[tuple]) -> str:
    return " and ".join(f"[{', '.join(map(str, ('N', *shape)))}]" for shape in shapes)

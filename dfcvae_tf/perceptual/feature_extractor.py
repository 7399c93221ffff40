"""Hidden-layer features of a frozen network.

A perceptual loss compares two images by what a network sees in them: Hou, Shen, Sun and
Qiu, "Deep Feature Consistent Variational Autoencoder" (WACV 2017, arXiv:1610.00291).
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.weights import finalize

Preprocess = Callable[[tf.Tensor], tf.Tensor]

# ITU-R BT.601: the luma of red, green and blue.
_LUMA = (0.299, 0.587, 0.114)
# How far features of a copy may be from the original's by rounding, in the precision that
# the original computes in: relative to their length, and of each value.
_TOLERANCES = {"float16": (0.02, 1e-4), "bfloat16": (0.1, 1e-30)}
_TOLERANCE = (1e-3, 1e-30)
# Heights and widths to try a network on that takes any.
_SIZES = (64, 128, 256, 512)


class FeatureExtractor:
    """Maps images to the outputs of some layers of a frozen network.

    Gradients flow through it to the images. It may be called eagerly, inside a
    tf.function (compiled by XLA or not) and in a replica of a tf.distribute strategy.

    Attributes:
      name: the network's name, as in --perceptual_model.
      layers: the layers' names, in the order of the outputs.
      variables: the network's weights; none of them is trainable.
    """

    def __init__(
        self,
        name: str,
        layers: tuple[str, ...],
        network: Callable[[tf.Tensor], Any],
        input_shape: tuple[int | None, int | None, int],
        preprocess: Preprocess | None = None,
        variables: tuple = (),
        constants: Callable[[], Iterable[np.ndarray]] = lambda: (),
    ):
        """Makes the extractor; see `KerasFeatures` and `graphdef.py`.

        Args:
          name: what the network is called in messages.
          layers: names of the layers.
          network: preprocessed images [N, H, W, C] float32 -> one float32 [N, ...] per
            layer.
          input_shape: (H, W, C) that the network takes, C being 1 or 3; None: any size.
          preprocess: maps float32 [N, H, W, C] in [0, 1], in the size and with the
            channels of the network's input, to what the network was trained on.
          variables: see above.
          constants: weights that are not variables.
        """
        self.name = name
        self.layers = tuple(layers)
        self.variables = tuple(variables)
        self._network = network
        *self._size, self._channels = input_shape
        self._preprocess = preprocess
        self._constants = constants

    def kernel_digests(self) -> frozenset[str]:
        """Digests of the weights of two dimensions or more, 16 hexadecimal digits each.

        Networks with the same weights have the same ones, whatever they are called and
        whatever file they are from.
        """
        weights = [*(variable.numpy() for variable in self.variables)]
        weights += self._constants()
        return frozenset(_digest(weight) for weight in weights if weight.ndim > 1)

    def __call__(self, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the features of images.

        Images of another size than a network of fixed input size takes are resized
        (bilinear); grey images are repeated for a network that takes RGB, and RGB images
        become their luma (ITU-R BT.601) for one that takes grey.

        Args:
          images: [N, H, W, 1 or 3] float in [0, 1], RGB; H, W and C static.

        Returns:
          float32 [N, ...] per layer, in the order of `layers`.
        """
        images = tf.cast(images, tf.float32)
        height, width, channels = images.shape[1:]
        if channels == 3 and self._channels == 1:
            # Before resizing, which then has a third of the work; the two commute.
            images = tf.reduce_sum(images * _LUMA, axis=-1, keepdims=True)
        size = (self._size[0] or height, self._size[1] or width)
        if size != (height, width):
            images = tf.image.resize(images, size, method="bilinear")
        if channels == 1 and self._channels == 3:
            images = tf.repeat(images, 3, axis=-1)
        if self._preprocess is not None:
            images = self._preprocess(images)
        return tuple(tf.nest.flatten(self._network(images)))


class KerasFeatures(FeatureExtractor):
    """Features of a Keras network.

    It works on its own float32 copy of the part of the network that the layers need,
    whatever precision policy is set; nothing changes its variables. The copy is compared
    with the network on one image when it is made. It is a plain object, so a tf.Module or Keras model that holds one does not track its variables.

    With several devices, build it under the strategy's scope, so that each device has the
    variables: XLA refuses those of another device, and without XLA they would be copied
    in each step.

    Attributes:
      model: the network up to the deepest of the layers; its input is preprocessed.
    """

    def __init__(
        self,
        name: str,
        model: tf.keras.Model,
        layers: tuple[str, ...],
        preprocess: Preprocess | None = None,
    ):
        """Copies the needed part of `model`.

        Args:
          name: what the network is called in messages.
          model: a built functional or sequential model with one input [N, H, W, 1 or 3];
            H and W may be None (any size).
          layers: names of layers of `model`, at least one.
          preprocess: maps float32 [N, H, W, C] in [0, 1], in the size and with the
            channels of the network's input, to what the network was trained on.

        Raises:
          UserError: a layer is unknown or has no single float output (the message lists
            those that do), the network's input is not one image, or its copy does not
            compute the same.
        """
        part = network_part(name, model, tuple(layers))
        try:
            self.model = _frozen_copy(part)
        except (TypeError, ValueError) as error:  # an int8 network, for one
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{name} cannot be copied in float32: {reason}") from error
        _check_copy(name, part, self.model, tuple(layers), preprocess)
        super().__init__(
            name,
            layers,
            lambda images: self.model(images, training=False),
            tuple(self.model.inputs[0].shape[1:]),
            preprocess,
            tuple(self.model.weights),
        )


def layer_list(model: tf.keras.Model) -> str:
    """Returns "NAME [HxWxC], ..." of all layers whose output may be used as features."""
    return ", ".join(
        f"{name} [{'x'.join(str(n or '?') for n in output.shape[1:])}]"
        for name, output in _outputs(model).items()
    )


def _outputs(model: tf.keras.Model) -> dict[str, Any]:
    """Returns name -> symbolic output of the layers with a single float output."""
    outputs = {}
    for layer in model.layers:
        # What a network inside the network calls its output is not of this network.
        if isinstance(layer, tf.keras.layers.InputLayer | tf.keras.Model):
            continue
        try:
            output = layer.output
        except (AttributeError, RuntimeError, ValueError):
            continue  # used several times in the network, or not at all
        if hasattr(output, "dtype") and tf.as_dtype(output.dtype).is_floating:
            outputs[layer.name] = output
    return outputs


def network_part(
    name: str, model: tf.keras.Model, layers: tuple[str, ...]
) -> tf.keras.Model:
    """Returns the part of a network up to some layers; it has the network's own layers.

    Args:
      name, model, layers: see `KerasFeatures`.

    Raises:
      UserError: see `KerasFeatures`.
    """
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise UserError(f"{name} does not take one image: its input must be [N,H,W,C]")
    image = model.inputs[0]
    if image.shape[3] not in (1, 3):
        raise UserError(
            f"{name} takes images of {image.shape[3]} channels (last axis); only "
            "1 (grey) and 3 (RGB) are possible"
        )
    if not tf.as_dtype(image.dtype).is_floating:
        raise UserError(
            f"{name} takes {tf.as_dtype(image.dtype).name} images, through which no "
            "gradient comes back: rebuild the network with a float input"
        )
    if not layers:
        raise UserError(
            f"{name} has no default layers; choose --perceptual_layers (of a judge "
            f"--judge_layers) from: {layer_list(model)}"
        )
    if len(set(layers)) < len(layers):
        raise UserError(f"a layer is named twice in {', '.join(layers)}")
    outputs = _outputs(model)
    for layer in layers:
        if layer not in outputs:
            raise UserError(
                f"{name} has no layer {layer!r} with a single float output; it has: "
                f"{layer_list(model)}"
            )
    return tf.keras.Model(image, [outputs[layer] for layer in layers], name=model.name)


def _frozen_copy(network: tf.keras.Model) -> tf.keras.Model:
    """Returns a float32 copy of a network, not trainable."""
    copies: dict[int, Any] = {}

    def copy_layer(layer):
        if id(layer) not in copies:
            config = _float32(layer.get_config())
            copies[id(layer)] = layer.__class__.from_config(config)
        return copies[id(layer)]

    # A copy, because a model over the same layers keeps the whole network alive, and
    # because the precision and the trainability of a layer are fixed when it is made.
    # Variables that are not trainable from the start are never watched by a gradient
    # tape; `trainable` of a Keras layer alone does not achieve that.
    with tf.variable_creator_scope(_not_trainable):
        copy = tf.keras.models.clone_model(
            network,
            input_tensors=tf.keras.Input(network.inputs[0].shape[1:], dtype="float32"),
            clone_function=copy_layer,
        )
    # Before it is frozen: in Keras 2 the order of weights depends on what is trainable.
    copy.set_weights(network.get_weights())
    copy.trainable = False
    finalize(copy)
    return copy


def _check_copy(
    name: str,
    network: tf.keras.Model,
    copy: tf.keras.Model,
    layers: tuple[str, ...],
    preprocess: Preprocess | None,
) -> None:
    """Raises UserError unless a copy computes what the network does, on one image."""
    images = _test_image(name, network)
    # On the processor, where both round alike whatever a GPU would do.
    with tf.device("CPU:0"):
        images = tf.constant(images) if preprocess is None else preprocess(images)
        try:
            expected = tf.nest.flatten(network(images, training=False))
        except tf.errors.OpError as error:
            reason = " ".join(error.message.split())[:200]
            raise UserError(
                f"{name} cannot be run on a test image ({reason}); if it computes in "
                "float16 or bfloat16, save it with float32"
            ) from error
        found = tf.nest.flatten(copy(images, training=False))
    relative, absolute = max(
        _TOLERANCES.get(layer.compute_dtype, _TOLERANCE)
        for layer in network._flatten_layers()
    )
    for layer, a, b in zip(layers, expected, found, strict=True):
        was, now = (tf.cast(features, tf.float64).numpy() for features in (a, b))
        finite = np.isfinite(was)  # float16 overflows where its copy does not
        distance = np.linalg.norm((now - was)[finite])
        limit = relative * np.linalg.norm(was[finite]) + absolute * was.size**0.5
        if not finite.any() or not distance <= limit:
            raise UserError(
                f"{name} cannot be copied: on a test image layer {layer} of the copy "
                f"gives {now.mean():.4g} on average, not {was.mean():.4g}"
            )


def _test_image(name: str, network: tf.keras.Model) -> np.ndarray:
    """Returns an image of noise, [1, H, W, C] float32 in [0, 1], of a size that fits."""
    height, width, channels = network.inputs[0].shape[1:]
    for size in _SIZES:
        shape = (1, height or size, width or size, channels)
        if height and width or _takes(network, shape):
            noise = np.random.default_rng(0).random(shape, np.float32)
            # Brighter to one side, so that there is more than one frequency in it.
            return noise * np.linspace(0.2, 1.0, shape[2], dtype=np.float32)[:, None]
    raise UserError(f"{name} takes no images of up to {_SIZES[-1]}x{_SIZES[-1]}")


def _takes(network: tf.keras.Model, shape: tuple[int, ...]) -> bool:
    """Whether anything is left of images of a shape after all layers of a network."""
    try:
        traced = tf.function(network).get_concrete_function(
            tf.TensorSpec(shape, tf.float32)
        )
    except (ValueError, tf.errors.OpError):
        return False
    return all(0 not in output.shape for output in traced.outputs)


def _digest(weight: np.ndarray) -> str:
    content = np.ascontiguousarray(weight, np.float32)
    return hashlib.sha256(f"{weight.shape}".encode() + content.tobytes()).hexdigest()[
        :16
    ]


def _not_trainable(next_creator: Callable, **kwargs: Any) -> tf.Variable:
    return next_creator(**{**kwargs, "trainable": False})


def _float32(config: Any) -> Any:
    """Returns a layer's config with every dtype, also of layers inside it, float32."""
    if isinstance(config, dict):
        return {
            key: "float32" if key == "dtype" and value else _float32(value)
            for key, value in config.items()
        }
    if isinstance(config, tuple):
        return tuple(_float32(value) for value in config)
    if isinstance(config, list):
        return [_float32(value) for value in config]
    return config

"""From the --perceptual_model setting to a feature extractor."""

import tensorflow as tf

from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual import classifiers, photos
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor, KerasFeatures
from dfcvae_tf.perceptual.graphdef import build_graphdef
from dfcvae_tf.perceptual.keras_applications import build_keras_application
from dfcvae_tf.perceptual.keras_file import build_keras_file

# The only perceptual model that is ever a default.
DIGITS_CLASSIFIER = "mnist_classifier"
# What --perceptual_model takes, for messages.
FORMS = (
    "mnist_classifier, photos, keras:NAME (keras:VGG19), file:PATH (.keras or .h5) or "
    "graphdef:PATH (.pb)"
)


def build_perceptual_model(
    config: ObjectiveConfig, image_shape: tuple[int, int, int], seed: int
) -> FeatureExtractor:
    """Returns the feature extractor that a configuration asks for.

    Args:
      config: its `perceptual_model`, `_weights`, `_preprocessing` and `_layers`.
      image_shape: (height, width, channels) of the images to come, channels 1 or 3.
      seed: of --perceptual_weights=random.

    Raises:
      UserError: the model is unknown, cannot be had, has no such layers, or its layers
        cannot process images of this shape.
    """
    model, layers = config.perceptual_model or "", config.perceptual_layers
    kind, _, rest = model.partition(":")
    extractor: FeatureExtractor
    if model == DIGITS_CLASSIFIER:
        extractor = KerasFeatures(
            model,
            classifiers.load_classifier(model),
            layers or classifiers.DEFAULT_LAYERS[model],
        )
    elif model == photos.NAME:
        extractor = photos.build_photos(layers)
    elif kind == "keras" and rest:
        extractor = build_keras_application(
            rest, layers, config.perceptual_weights, image_shape, seed
        )
    elif kind == "file" and rest:
        extractor = build_keras_file(rest, layers, config.perceptual_preprocessing)
    elif kind == "graphdef" and rest:
        extractor = build_graphdef(rest, layers)
    else:
        raise UserError(f"unknown perceptual model {model!r}; known: {FORMS}")
    _check_fits(extractor, image_shape)
    return extractor


def model_files(config: ObjectiveConfig) -> dict[str, str]:
    """Returns setting -> path of the files that the perceptual model is read from."""
    kind, _, rest = (config.perceptual_model or "").partition(":")
    if kind in ("file", "graphdef"):
        return {"perceptual_model": rest}
    if kind == "keras" and config.perceptual_weights not in ("imagenet", "random"):
        return {"perceptual_weights": config.perceptual_weights}
    return {}


def _check_fits(extractor: FeatureExtractor, image_shape: tuple[int, int, int]) -> None:
    """A network too deep for small images fails here, not in the first training step."""
    # Traced first: TensorFlow's eager convolution returns garbage, not an error, where
    # nothing is left to convolve. Run, because shapes and data formats that a processor
    # does not have show only then.
    images = tf.TensorSpec([1, *image_shape], tf.float32)
    reason = ""
    try:
        traced = tf.function(extractor).get_concrete_function(images)
        fits = all(0 not in output.shape for output in traced.outputs)
        if fits:
            traced(tf.zeros(images.shape))
    except (ValueError, tf.errors.OpError) as error:
        fits, reason = False, f" ({str(error).strip().splitlines()[0]})"
    if not fits:
        raise UserError(
            f"{extractor.name} cannot process images of shape {image_shape} up to its "
            f"layers {', '.join(extractor.layers)}; choose earlier layers or larger "
            f"images{reason}"
        )

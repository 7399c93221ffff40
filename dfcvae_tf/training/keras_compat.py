"""What differs between Keras 2 (TensorFlow 2.15) and Keras 3, in one place."""

from collections.abc import Sequence

import tensorflow as tf

KERAS_3 = getattr(tf.keras, "__version__", "2").startswith("3.")
LossScaleOptimizer = (
    tf.keras.optimizers.LossScaleOptimizer
    if KERAS_3
    else tf.keras.mixed_precision.LossScaleOptimizer
)


def build_optimizer_variables(
    optimizer: tf.keras.optimizers.Optimizer, variables: Sequence[tf.Variable]
) -> list[tf.Variable]:
    """Creates the optimizer's own variables now and returns them.

    Created lazily, they would miss the restored checkpoint.
    """
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:  # optimizers of tensorflow-addons follow the older interface
        _ = optimizer.iterations
        optimizer._create_all_weights(variables)
    own = optimizer.variables
    return tf_variables(own() if callable(own) else own)


def tf_variables(variables: Sequence) -> list[tf.Variable]:
    """Returns the tf.Variable behind each Keras variable."""
    if not KERAS_3:
        return list(variables)
    return [v.value if isinstance(v, tf.keras.Variable) else v for v in variables]


def loss_scale(optimizer: tf.keras.optimizers.Optimizer) -> tf.Tensor:
    """The factor gradients carry against float16 underflow; 1 without loss scaling."""
    if not isinstance(optimizer, LossScaleOptimizer):
        return tf.constant(1.0)
    scale = optimizer.dynamic_scale if KERAS_3 else optimizer.loss_scale
    return tf.convert_to_tensor(scale)


def apply_gradients(
    optimizer: tf.keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
) -> None:
    """Applies gradients that are already summed over replicas and carry no loss scale.

    Call it in a replica context.
    """
    if not KERAS_3:
        key = "skip_gradients_aggregation"
        value = True
        if not hasattr(optimizer, "build"):
            key, value = "experimental_aggregate_gradients", False
        optimizer.apply_gradients(
            list(zip(gradients, variables, strict=True)), **{key: value}
        )
        return
    # Keras 3 always sums over replicas and always divides by the loss scale; undo both
    # beforehand. Loss scales are powers of two, so that is exact.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    factor = loss_scale(optimizer) / replicas
    if replicas > 1 or isinstance(optimizer, LossScaleOptimizer):
        gradients = [g * factor for g in gradients]
    optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))

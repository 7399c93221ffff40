"""One training step for every objective, and the same without learning for test data."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.models.vae import VAE, sample_z
from dfcvae_tf.objective import Objective
from dfcvae_tf.training import keras_compat

Metrics = dict[str, tf.Tensor]


class TrainState:
    """Everything a training step changes, and all that a checkpoint holds.

    Data order and latent noise are functions of the seed and the step, so the step is
    their whole state.

    Attributes:
      vae: the networks that learn.
      optimizer: with its variables already made.
      ema: moving averages of all network variables, in their order; empty when off. Of
        statistics of batch normalisation it has the current values: they are moving
        averages already, and would lag twice behind the first thousands of steps.
      step: [] int64, number of steps done.
    """

    def __init__(self, vae: VAE, optimizer, ema: bool):
        """Makes the state; under a distribution strategy, inside its scope."""
        self.vae = vae
        self.optimizer = optimizer
        self.network_variables = keras_compat.tf_variables(vae.variables)
        self.optimizer_variables = keras_compat.build_optimizer_variables(
            optimizer, vae.trainable_variables
        )
        self.ema = [
            tf.Variable(v, trainable=False, dtype=v.dtype)
            for v in (self.network_variables if ema else [])
        ]
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def checkpointed(self) -> dict[str, list[tf.Variable]]:
        """Named lists of all variables."""
        return {
            "network": self.network_variables,
            "optimizer": self.optimizer_variables,
            "ema": self.ema,
            "step": [self.step],
        }

    def copy_inference_weights(self, target: VAE) -> None:
        """Copies the averaged weights (the current ones without EMA) into `target`."""
        source = self.ema or self.network_variables
        variables = keras_compat.tf_variables(target.variables)
        for to, value in zip(variables, source, strict=True):
            to.assign(value.read_value())


def latent_noise(seed: int, step: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Standard normal noise of one step: a function of seed and step alone, float32."""
    return tf.random.stateless_normal(shape, seed=[tf.cast(seed, tf.int64), step])


def build_train_step(
    state: TrainState,
    objective: Objective,
    batch_size: int,
    clip_norm: float = 0.0,
    jit_compile: bool = False,
) -> Callable[[tf.Tensor, tf.Tensor], Metrics]:
    """Returns the step of one replica.

    Args:
      state: the networks and their optimizer.
      objective: what is minimised.
      batch_size: images per step over all replicas.
      clip_norm: gradients are scaled down to this global norm; 0 = never.
      jit_compile: compile the forward and backward pass with XLA.

    Returns:
      (images [n, H, W, C] float32 in [0, 1], noise [n, D]) -> name -> float32: this
      replica's share of the batch means (they add up over replicas), the same of
      "gradient_norm", and with loss scaling of "skipped_steps" (0 or 1).

    Raises:
      UserError: replicas would have to meet inside of a compiled function, for batch
        normalisation.
    """
    variables = state.vae.trainable_variables
    networks = (state.vae.encoder, state.vae.decoder)
    if jit_compile and any(
        getattr(layer, "synchronized", False)
        for network in networks
        for layer in network.layers
    ):
        raise UserError(
            "--jit_compile cannot average batch normalisation over several devices; "
            "leave it out, choose --network=conv, or --distribution=one_device"
        )

    def compute_gradients(
        images: tf.Tensor, noise: tf.Tensor, step: tf.Tensor, scale: tf.Tensor
    ) -> tuple[list[tf.Tensor], Metrics]:
        with tf.GradientTape() as tape:
            z_mean, z_log_var = state.vae.encoder(images, training=True)
            z = sample_z(z_mean, z_log_var, noise)
            outputs = state.vae.decoder(z, training=True)
            terms = objective(images, outputs, z_mean, z_log_var, step)
            # Every replica divides by the size of the whole batch, so that the sum of
            # the replicas' gradients is the gradient of the batch mean.
            loss = tf.reduce_sum(terms["loss"]) / batch_size
            scaled_loss = loss * scale
        gradients = tape.gradient(scaled_loss, variables)
        metrics = {k: tf.reduce_sum(v, axis=0) / batch_size for k, v in terms.items()}
        return gradients, metrics

    if jit_compile:
        # Not around the update: replicas cannot meet inside of a compiled function.
        compute_gradients = tf.function(compute_gradients, jit_compile=True)

    def train_step(images: tf.Tensor, noise: tf.Tensor) -> Metrics:
        replica = tf.distribute.get_replica_context()
        scale = keras_compat.loss_scale(state.optimizer)
        gradients, metrics = compute_gradients(
            images, noise, tf.identity(state.step), scale
        )
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [gradient / scale for gradient in gradients]
        gradient_norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, gradient_norm)
        keras_compat.apply_gradients(state.optimizer, gradients, variables)
        if isinstance(state.optimizer, keras_compat.LossScaleOptimizer):
            # An overflow is how dynamic loss scaling finds its scale: that step is
            # left out, not an error.
            skipped = tf.cast(~tf.math.is_finite(gradient_norm), tf.float32)
            gradient_norm = tf.math.multiply_no_nan(gradient_norm, 1.0 - skipped)
            metrics["skipped_steps"] = skipped / replica.num_replicas_in_sync
        metrics["gradient_norm"] = gradient_norm / replica.num_replicas_in_sync
        return metrics

    return train_step


def build_train_steps(
    state: TrainState,
    train_step: Callable[[tf.Tensor, tf.Tensor], Metrics],
    strategy: tf.distribute.Strategy,
    noise_shape: tuple[int, int],
    seed: int,
    ema_decay: float,
) -> Callable[[Iterator, tf.Tensor], Metrics]:
    """Returns a function that runs several steps without coming back to Python.

    Args:
      state: what the steps change.
      train_step: the step of one replica.
      strategy: how replicas run.
      noise_shape: (batch size over all replicas, latent dimensions).
      seed: seed of the latent noise.
      ema_decay: decay of the moving averages; unused without them.

    Returns:
      (iterator over batches, number of steps as an int tensor) -> means over the steps.
    """

    def replica_step(batch: dict[str, tf.Tensor], step: tf.Tensor) -> Metrics:
        # All replicas draw the whole batch's noise and take their rows, so that the
        # result does not depend on how many there are. Drawn outside of the compiled
        # step: XLA's random numbers are others.
        images = batch["image"]
        size = noise_shape[0] // strategy.num_replicas_in_sync
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        noise = latent_noise(seed, step, list(noise_shape))
        return train_step(images, noise[replica * size : (replica + 1) * size])

    def update_ema() -> None:
        # Early averages follow faster, so that they do not remember the random start
        # (the same rule as tf.train.ExponentialMovingAverage with num_updates).
        done = tf.cast(state.step, tf.float32)
        decay = tf.minimum(ema_decay, (1.0 + done) / (10.0 + done))
        for average, variable in zip(state.ema, state.network_variables, strict=True):
            if variable.trainable:
                average.assign(decay * average + (1.0 - decay) * variable)
            else:
                average.assign(variable)

    def one_step(iterator: Iterator) -> Metrics:
        per_replica = strategy.run(replica_step, args=(next(iterator), state.step))
        state.step.assign_add(1)
        if state.ema:
            update_ema()
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }

    @tf.function
    def train_steps(iterator: Iterator, num_steps: tf.Tensor) -> Metrics:
        sums = one_step(iterator)  # the first one shows the loop what is summed
        for _ in tf.range(num_steps - 1):
            metrics = one_step(iterator)
            sums = {name: sums[name] + metrics[name] for name in sums}
        count = tf.cast(num_steps, tf.float32)
        return {name: value / count for name, value in sums.items()}

    return train_steps


def build_eval_step(
    vae: VAE, objective: Objective, seed: int
) -> Callable[[tf.Tensor, tf.Tensor], Metrics]:
    """Returns a function that evaluates one batch.

    Latents are sampled as in training, with noise that depends on the seed and the
    batch's number only, so that values of different steps compare. The KL weight is the
    full one, whatever the warm-up.

    Returns:
      (images [n, H, W, C], batch number [] int64) -> name -> sum over the batch, float32.
    """

    after_warmup = tf.constant(objective.config.kl_warmup_steps, tf.int64)

    @tf.function(reduce_retracing=True)
    def eval_step(images: tf.Tensor, number: tf.Tensor) -> Metrics:
        z_mean, z_log_var = vae.encoder(images, training=False)
        noise = latent_noise(seed, number, tf.shape(z_mean))
        outputs = vae.decoder(sample_z(z_mean, z_log_var, noise), training=False)
        terms = objective(images, outputs, z_mean, z_log_var, after_warmup)
        return {name: tf.reduce_sum(value, axis=0) for name, value in terms.items()}

    return eval_step

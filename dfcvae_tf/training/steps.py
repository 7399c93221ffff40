"""One training step for every objective, and the same without learning for test data.

Who learns is a player: variables, an optimizer, and the objective that it lowers with them.
A VAE is one player. Several players take their gradients from the same forward pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from dfcvae_tf.adversarial import AdversarialWeight
from dfcvae_tf.errors import UserError
from dfcvae_tf.kl_weight import TargetRate
from dfcvae_tf.models.augmentation import NUM_DRAWS
from dfcvae_tf.models.vae import VAE, ForwardPass
from dfcvae_tf.objective import Objective
from dfcvae_tf.training import keras_compat
from dfcvae_tf.training.optimizers import decay_at

Metrics = dict[str, tf.Tensor]
# Squared gradients at the decoder's outputs: of all terms but the adversarial one; of that
# one, unweighted.
AT_OUTPUTS = ("others_gradient_squared", "adversarial_gradient_squared")


class Player:
    """Networks that one optimizer trains to lower one loss.

    Attributes:
      name: of the player; metrics of all but a state's first are called "NAME/METRIC".
      networks: by name, what it trains.
      optimizer: with its variables already made.
      objective: forward pass -> terms, of which it lowers "loss" [N] float32.
      ema: moving averages of all its networks' variables, in their order; empty when off.
        Of statistics of batch normalisation it has the current values: they are moving
        averages already, and would lag twice behind the first thousands of steps.
    """

    def __init__(
        self,
        name: str,
        networks: Mapping[str, tf.keras.Model],
        optimizer: tf.keras.optimizers.Optimizer,
        objective: Callable[[ForwardPass], Metrics],
        ema: bool = False,
    ):
        """Makes the variables; under a distribution strategy, inside its scope."""
        self.name = name
        self.networks = networks
        self.optimizer = optimizer
        self.objective = objective
        self.trainable_variables = [
            v for network in networks.values() for v in network.trainable_variables
        ]
        self.network_variables = keras_compat.tf_variables(
            [v for network in networks.values() for v in network.variables]
        )
        self.optimizer_variables = keras_compat.build_optimizer_variables(
            optimizer, self.trainable_variables
        )
        self.ema = [
            tf.Variable(v, trainable=False, dtype=v.dtype)
            for v in (self.network_variables if ema else [])
        ]

    @property
    def scales_loss(self) -> bool:
        """Whether gradients carry a scale against float16 underflow."""
        return isinstance(self.optimizer, keras_compat.LossScaleOptimizer)

    def apply(self, gradients: Sequence[tf.Tensor], clip_norm: float) -> Metrics:
        """Updates the variables; call it in a replica context.

        Args:
          gradients: this replica's, with the loss scale.
          clip_norm: gradients are scaled down to this global norm; 0 = never.

        Returns:
          This replica's share of "gradient_norm" and, with loss scaling, of
          "skipped_steps" (0 or 1).
        """
        replica = tf.distribute.get_replica_context()
        scale = keras_compat.loss_scale(self.optimizer)
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [gradient / scale for gradient in gradients]
        gradient_norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, gradient_norm)
        keras_compat.apply_gradients(
            self.optimizer, gradients, self.trainable_variables
        )
        metrics = {}
        if self.scales_loss:
            # An overflow is how dynamic loss scaling finds its scale: that step is
            # left out, not an error.
            skipped = tf.cast(~tf.math.is_finite(gradient_norm), tf.float32)
            gradient_norm = tf.math.multiply_no_nan(gradient_norm, 1.0 - skipped)
            metrics["skipped_steps"] = skipped / replica.num_replicas_in_sync
        metrics["gradient_norm"] = gradient_norm / replica.num_replicas_in_sync
        return metrics

    def update_ema(self, decay: tf.Tensor) -> None:
        """Moves the averages, of which there must be some, towards the variables."""
        for average, variable in zip(self.ema, self.network_variables, strict=True):
            if variable.trainable:
                average.assign(decay * average + (1.0 - decay) * variable)
            else:
                average.assign(variable)


class TrainState:
    """Everything a training step changes, and all that a checkpoint holds.

    Data order and latent noise are functions of the seed and the step, so the step is
    their whole state.

    Attributes:
      vae: the networks of the forward pass.
      players: who learns; the first trains the VAE.
      rate: what finds the KL weight; None where it is given.
      balance: what finds the adversarial weight; None without a discriminator.
      step: [] int64, number of steps done.
    """

    def __init__(
        self,
        vae: VAE,
        players: Sequence[Player],
        rate: TargetRate | None = None,
        balance: AdversarialWeight | None = None,
    ):
        """Makes the state; under a distribution strategy, inside its scope."""
        self.vae = vae
        self.rate = rate
        self.balance = balance
        self.players = tuple(players)
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def checkpointed(self) -> dict[str, list[tf.Variable]]:
        """Named lists of all variables."""
        lists = {"step": [self.step]}
        for index, player in enumerate(self.players):
            prefix = f"{player.name}_" if index else ""
            lists[f"{prefix}network"] = player.network_variables
            lists[f"{prefix}optimizer"] = player.optimizer_variables
            lists[f"{prefix}ema"] = player.ema
        if self.rate is not None:
            lists["rate"] = self.rate.variables
        if self.balance is not None:
            lists["balance"] = self.balance.variables
        return lists

    def copy_inference_weights(self, target: VAE, averaged: bool = True) -> None:
        """Copies the averaged weights (the current ones without EMA) into `target`.

        With `averaged=False` the current ones in any case.
        """
        player = self.players[0]
        variables = keras_compat.tf_variables(target.variables)
        source = (averaged and player.ema) or player.network_variables
        for to, value in zip(variables, source, strict=True):
            to.assign(value.read_value())


class Noise(NamedTuple):
    """What is random in a step: functions of seed and step alone.

    Attributes:
      posterior: [N, D] float32, standard normal, of the images' z.
      samples: the same, of samples; None where none are made.
      draws: [N, `augmentation.NUM_DRAWS`] float32, uniform in [0, 1); None where a
        discriminator sees images unchanged.
    """

    posterior: tf.Tensor
    samples: tf.Tensor | None = None
    draws: tf.Tensor | None = None


@dataclass(frozen=True)
class DrawNoise:
    """Step, [] int64 -> its noise.

    Attributes:
      seed: of all of it.
      batch_size: over all replicas.
      latent_dim: D.
      samples, draws: whether there are any, see `Noise`.
    """

    seed: int
    batch_size: int
    latent_dim: int
    samples: bool = False
    draws: bool = False

    def __call__(self, step: tf.Tensor) -> Noise:
        shape = [self.batch_size, self.latent_dim]
        posterior = latent_noise(self.seed, step, shape)
        samples = draws = None
        # Seeds of runs are below 2**32: these are no other run's.
        if self.samples:
            samples = latent_noise(self.seed + 2**32, step, shape)
        if self.draws:
            seed = [self.seed + 2**33, step]
            draws = tf.random.stateless_uniform([self.batch_size, NUM_DRAWS], seed)
        return Noise(posterior, samples, draws)


def latent_noise(seed: int, step: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Standard normal noise of one step: a function of seed and step alone, float32."""
    return tf.random.stateless_normal(shape, seed=[tf.cast(seed, tf.int64), step])


def build_train_step(
    state: TrainState,
    batch_size: int,
    clip_norm: float = 0.0,
    jit_compile: bool = False,
) -> Callable[[tf.Tensor, Noise], Metrics]:
    """Returns the step of one replica.

    Args:
      state: the networks and who trains them.
      batch_size: images per step over all replicas.
      clip_norm: gradients of each player are scaled down to this global norm; 0 = never.
      jit_compile: compile the forward and backward pass with XLA.

    Returns:
      (images [n, H, W, C] float32 in [0, 1], noise of n) -> name -> float32: this
      replica's share of the batch means (they add up over replicas), the same of
      "gradient_norm", and with loss scaling of "skipped_steps" (0 or 1); with a
      discriminator the squared gradients that `AdversarialWeight.update` takes.

    Raises:
      UserError: replicas would have to meet inside of a compiled function, for batch
        normalisation.
    """
    players, balance = state.players, state.balance
    if jit_compile and any(
        getattr(layer, "synchronized", False)
        for player in players
        for network in player.networks.values()
        for layer in network.layers
    ):
        raise UserError(
            "--jit_compile cannot average batch normalisation over several devices; "
            "leave it out, choose --distribution=one_device, or a network without it: "
            "--network=conv --conv_design=full_resolution"
        )

    def compute_gradients(
        images: tf.Tensor, noise: Noise, step: tf.Tensor, scales: list[tf.Tensor]
    ) -> tuple[list[list[tf.Tensor]], list[Metrics]]:
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            forward = state.vae.forward(
                images,
                noise.posterior,
                step,
                training=True,
                sample_noise=noise.samples,
                draws=noise.draws,
                judged_weight=1.0 if balance is None else balance(step),
            )
            terms = [player.objective(forward) for player in players]
            # Every replica divides by the size of the whole batch, so that the sum of
            # the replicas' gradients is the gradient of the batch mean.
            scaled_losses = [
                tf.reduce_sum(values["loss"]) / batch_size * scale
                for values, scale in zip(terms, scales, strict=True)
            ]
        # Of the first player's loss at the decoder's outputs as well.
        outputs = {}
        if balance is not None:
            at = (forward.outputs, forward.judged)
            outputs = dict(zip(AT_OUTPUTS, at, strict=True))
        first, at_outputs = tape.gradient(
            scaled_losses[0], (players[0].trainable_variables, outputs)
        )
        gradients = [first] + [
            tape.gradient(loss, player.trainable_variables)
            for loss, player in zip(scaled_losses[1:], players[1:], strict=True)
        ]
        means = [
            {k: tf.reduce_sum(v, axis=0) / batch_size for k, v in values.items()}
            for values in terms
        ]
        means[0] |= {k: tf.reduce_sum(tf.square(v)) for k, v in at_outputs.items()}
        return gradients, means

    if jit_compile:
        # Not around the update: replicas cannot meet inside of a compiled function.
        compute_gradients = tf.function(compute_gradients, jit_compile=True)

    def train_step(images: tf.Tensor, noise: Noise) -> Metrics:
        scales = [keras_compat.loss_scale(player.optimizer) for player in players]
        gradients, means = compute_gradients(
            images, noise, tf.identity(state.step), scales
        )
        metrics: Metrics = {}
        for index, player in enumerate(players):
            own = means[index] | player.apply(gradients[index], clip_norm)
            prefix = f"{player.name}/" if index else ""
            metrics |= {f"{prefix}{name}": value for name, value in own.items()}
        return metrics

    return train_step


def build_train_steps(
    state: TrainState,
    train_step: Callable[[tf.Tensor, Noise], Metrics],
    strategy: tf.distribute.Strategy,
    draw_noise: DrawNoise,
    ema_decay: float,
) -> Callable[[Iterator, tf.Tensor], Metrics]:
    """Returns a function that runs several steps without coming back to Python.

    Args:
      state: what the steps change.
      train_step: the step of one replica.
      strategy: how replicas run.
      draw_noise: what is random in a step.
      ema_decay: decay of the moving averages; unused without them.

    Returns:
      (iterator over batches, number of steps as an int tensor) -> means over the steps.
    """

    def replica_step(batch: dict[str, tf.Tensor], step: tf.Tensor) -> Metrics:
        # All replicas draw the whole batch's noise and take their rows, so that the
        # result does not depend on how many there are. Drawn outside of the compiled
        # step: XLA's random numbers are others.
        size = draw_noise.batch_size // strategy.num_replicas_in_sync
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = slice(replica * size, (replica + 1) * size)
        noise = draw_noise(step)
        parts = (None if part is None else part[own] for part in noise)
        return train_step(batch["image"], Noise(*parts))

    def update_ema() -> None:
        decay = decay_at(ema_decay, state.step)
        for player in state.players:
            if player.ema:
                player.update_ema(decay)

    def one_step(iterator: Iterator) -> Metrics:
        per_replica = strategy.run(replica_step, args=(next(iterator), state.step))
        means = {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }
        if state.rate is not None:
            others = means["loss"] - means["kl_loss"]
            state.rate.update(state.step, means["kl_nats"], others)
        if state.balance is not None:
            others, own = (means.pop(name) for name in AT_OUTPUTS)
            state.balance.update(others, own)
        state.step.assign_add(1)
        update_ema()
        return means

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
    batch's number only, so that values of different steps compare. Weights are those after
    any warm-up.

    Returns:
      (images [n, H, W, C], batch number [] int64) -> name -> sum over the batch, float32.
    """

    @tf.function(reduce_retracing=True)
    def eval_step(images: tf.Tensor, number: tf.Tensor) -> Metrics:
        latent_dim = vae.decoder.input_shape[-1]
        noise = latent_noise(seed, number, [tf.shape(images)[0], latent_dim])
        terms = objective(vae.forward(images, noise, None, training=False))
        return {name: tf.reduce_sum(value, axis=0) for name, value in terms.items()}

    return eval_step


def build_encoded_kl(vae: VAE) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from images [n, H, W, C] to their KL to the prior, [n] nats."""

    @tf.function(reduce_retracing=True)
    def encoded_kl(images: tf.Tensor) -> tf.Tensor:
        z_mean, z_log_var = vae.encoder(images, training=False)
        return tf.reduce_sum(vae.prior.kl(z_mean, z_log_var), axis=-1)

    return encoded_kl

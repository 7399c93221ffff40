"""A second VAE on the latents of the first, to compare priors with.

Dai and Wipf (2019), "Diagnosing and Enhancing VAE Models": the second has as many latents
as there are dimensions, so that nothing of them is lost, and learns the variance of what
it observes. Its samples are drawn with that variance.
"""

import math

import numpy as np
import tensorflow as tf

from dfcvae_tf.models.flow import Parameters
from dfcvae_tf.training.prior_fitting import Fit, Posteriors, fit_by_gradients

HIDDEN = 128
FIXED = ("mean", "std")
_ENCODER, _DECODER = "encoder", "decoder"


def fit_two_stage_vae(train: Posteriors, test: Posteriors, seed: int) -> Fit:
    """Fits one; see `prior_fitting.fit_flow`. What is looked at is the ELBO."""
    start = initial_parameters(*train.moments(), seed)
    return fit_by_gradients(
        "two-stage VAE", start, FIXED, TwoStageVAE, train, test, seed
    )


def initial_parameters(
    mean: np.ndarray, std: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns the parameters to start with.

    Args:
      mean: [D], of the latents.
      std: [D], of the latents, positive.
      seed: of all that is drawn.

    Returns:
      Name -> float32. "mean" and "std" [D]; "log_gamma" [], of the standard deviation of
      what is observed; of the encoder from D to 2 D numbers and of the decoder from D to D
      the kernels and biases of 3 layers, "encoder/kernel1" and so on.
    """
    dim = len(mean)
    rng = np.random.default_rng(seed)
    parameters = {"mean": mean, "std": std, "log_gamma": np.zeros(())}
    for network, outputs in ((_ENCODER, 2 * dim), (_DECODER, dim)):
        sizes = (dim, HIDDEN, HIDDEN, outputs)
        for layer in (1, 2, 3):
            rows, columns = sizes[layer - 1 : layer + 1]
            scale = math.sqrt((1 if layer == 3 else 2) / rows)
            kernel = rng.normal(0, scale, (rows, columns))
            parameters[f"{network}/kernel{layer}"] = kernel
            parameters[f"{network}/bias{layer}"] = np.zeros(columns)
    return {name: np.asarray(v, np.float32) for name, v in parameters.items()}


class TwoStageVAE:
    """The distribution of `from_noise` of standard normal noise.

    Attributes:
      parameters: as `initial_parameters` names them, arrays or variables.
      draws: of the second latents, that each `log_prob` is of.
    """

    num_labels = 0

    def __init__(self, parameters: Parameters, draws: int = 1):
        """Takes the parameters."""
        self.parameters = parameters
        self.draws = draws
        self._random = tf.random.Generator.from_seed(0)

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, 2 D] -> z [N, D], float32, distributed as p.

        The first half are the second latents, the other is the noise of what is observed.
        """
        p = self.parameters
        u, observed = tf.split(noise, 2, axis=1)
        x = self._apply(_DECODER, u) + tf.exp(p["log_gamma"]) * observed
        return x * p["std"] + p["mean"]

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """A lower bound of log p(z), [N, D] -> [N] float32, nats, drawn anew each time.

        With one draw the ELBO, with more the importance-weighted bound (Burda et al. 2016,
        "Importance Weighted Autoencoders", equation 8), which comes nearer the more there
        are.
        """
        p = self.parameters
        x = (z - p["mean"]) / p["std"]
        mean, log_var = tf.split(self._apply(_ENCODER, x), 2, axis=1)
        dim = x.shape[1]
        noise = self._random.normal([self.draws, tf.shape(x)[0], dim])
        u = mean + tf.exp(0.5 * log_var) * noise
        made = self._apply(_DECODER, tf.reshape(u, [-1, dim]))
        misses = (x - tf.reshape(made, tf.shape(u))) * tf.exp(-p["log_gamma"])
        # log p(x|u) + log p(u) - log q(u|x): two of the three constants take each other
        # away.
        log_weight = -0.5 * tf.reduce_sum(
            tf.square(misses) + tf.square(u) - tf.square(noise) - log_var, axis=-1
        )
        log_weight -= dim * (p["log_gamma"] + 0.5 * math.log(2 * math.pi))
        log_mean = tf.reduce_logsumexp(log_weight, axis=0) - math.log(self.draws)
        return log_mean - tf.reduce_sum(tf.math.log(p["std"]))

    def _apply(self, network: str, x: tf.Tensor) -> tf.Tensor:
        """One of the two networks, [N, D] -> [N, 2 D] or [N, D]."""
        for layer in (1, 2, 3):
            kernel = self.parameters[f"{network}/kernel{layer}"]
            x = tf.matmul(x, kernel) + self.parameters[f"{network}/bias{layer}"]
            x = tf.nn.relu(x) if layer < 3 else x
        return x

"""How fast training is, beside the article's way in Keras.

Operations are counted, so that a rate can be checked against what the machine can do.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from dfcvae_tf.command_line import import_tensorflow
from dfcvae_tf.config import Config, apply_settings
from dfcvae_tf.exporting import latency
from dfcvae_tf.presets import preset_config
from tools.contestants import Contestant, answer, take_turns

# Keras' `fit`, precisions of this program, and it in float32 with a discriminator.
ADVERSARIAL = "adversarial"
BFLOAT16 = "mixed_bfloat16"
CONTESTANTS = ("fit", "float32", BFLOAT16, "mixed_float16", ADVERSARIAL)
BY_DEFAULT = ("fit", "float32", BFLOAT16)
_SHAPE = (28, 28, 1)


def fast_here(names: Sequence[str]) -> list[str]:
    """Leaves mixed_bfloat16 out, and says so, where this machine would emulate it."""
    import_tensorflow()
    import tensorflow as tf

    from dfcvae_tf.training.devices import cpu_has_bfloat16

    if tf.config.get_visible_devices("GPU") or cpu_has_bfloat16():
        return list(names)
    print(
        f"{BFLOAT16} is left out: this CPU has no bfloat16 and would emulate it, slowly; "
        f"--contestants={','.join(BY_DEFAULT)} measures that"
    )
    return [name for name in names if name != BFLOAT16]


def compare(names: Sequence[str], repeats: int, steps: int, batch_size: int) -> str:
    """Trains the article's DFC-VAE in several ways, each in a process, in turn.

    Args:
      names: out of CONTESTANTS; ratios are to the first.
      repeats: measurements of each.
      steps: training steps per measurement.
      batch_size: images per step.

    Returns:
      Machine, a table, and what its numbers are.
    """
    with contextlib.ExitStack() as stack:
        contestants = {}
        for name in names:
            contestants[name] = Contestant(_serve_training, name, batch_size)
            stack.callback(contestants[name].close)
        for contestant in contestants.values():
            contestant.run(steps)  # traces, warms up
        measured = take_turns(contestants, steps, repeats)
        facts = contestants[names[0]].facts
    rates = {
        name: [steps * batch_size / seconds for seconds, _ in answers]
        for name, answers in measured.items()
    }
    memory = {name: [mib for _, mib in answers] for name, answers in measured.items()}
    return _report(facts, rates, memory, steps, batch_size)


def _report(
    facts: dict[str, Any],
    rates: dict[str, list[float]],
    memory: dict[str, list[float]],
    steps: int,
    batch_size: int,
) -> str:
    flops, peak = facts["flops_per_image"], facts["matmul_flops_per_second"]
    base = next(iter(rates))
    count = len(rates[base])
    titles = (
        f"{'':>16} {'images/s':>9} {'min':>7} {'max':>7} {'x ' + base:>8} {'min':>6} "
        f"{'max':>6} {'of peak':>8} {'peak MiB':>9} {'growth MiB':>11}"
    )
    work = f"{flops / 1e6:.0f} MFLOP per image and step"
    lines = [
        f"{facts['machine']}; TensorFlow {facts['tensorflow']}",
        f"float32 matrix multiplication: {peak / 1e9:.0f} GFLOP/s",
        f"article network, DFC objective, batch {batch_size}: {work}",
        "",
        titles,
    ]
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(values, rates[base], strict=True)]
        share = statistics.median(values) * flops / peak
        growth = memory[name][-1] - memory[name][0]
        lines.append(
            f"{name:>16} {statistics.median(values):9.0f} {min(values):7.0f} "
            f"{max(values):7.0f} {statistics.median(ratios):8.2f} {min(ratios):6.2f} "
            f"{max(ratios):6.2f} {share:8.0%} {memory[name][-1]:9.0f} {growth:11.0f}"
        )
    lines.append(
        f"""
median, minimum and maximum of {count} measurements of {steps} steps each, run in turn;
ratios are of the same round; growth is of the peak memory over {(count - 1) * steps} steps"""
    )
    return "\n".join(lines)


def _serve_training(pipe: Any, name: str, batch_size: int) -> None:
    """Work: training steps. Answers: seconds, and the peak memory so far in MiB."""
    import_tensorflow()
    if name == "fit":
        train_steps = _fit(batch_size)
    elif name == ADVERSARIAL:
        config = apply_settings(_config(batch_size), {"adversarial_weight": 1.0})
        train_steps = build_training(config, _SHAPE, "float32")
    else:
        train_steps = build_training(_config(batch_size), _SHAPE, name)

    def work(steps: int) -> tuple[float, float]:
        start = time.perf_counter()
        train_steps(steps)
        seconds = time.perf_counter() - start
        return seconds, latency.peak_memory_bytes() / 2**20

    answer(pipe, _facts(), work)


def _config(batch_size: int) -> Config:
    settings = {"dataset": "mnist_sample", "batch_size": batch_size}
    return apply_settings(preset_config("article-dfc-vae"), settings)


def _facts() -> dict[str, Any]:
    import tensorflow as tf

    return {
        "machine": latency.describe_machine(),
        "tensorflow": tf.__version__,
        "flops_per_image": _flops_per_image(),
        "matmul_flops_per_second": _matmul_flops_per_second(),
    }


def _matmul_flops_per_second(size: int = 2048, repeats: int = 5) -> float:
    """Best of several square float32 matrix multiplications."""
    import tensorflow as tf

    a = tf.random.stateless_normal([size, size], [0, 0])
    b = tf.random.stateless_normal([size, size], [0, 1])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        tf.linalg.matmul(a, b).numpy()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def _flops_per_image() -> float:
    """Floating-point operations of one image in one training step.

    A multiply-add is two. The backward pass of a trained layer costs its forward pass
    twice (to its input, to its weights), of a frozen one once; the first encoder layer
    needs no gradient to the image. The perceptual model sees the original (forward) and
    the reconstruction (forward and backward).
    """
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.perceptual.registry import build_perceptual_model

    config = _config(1)
    vae = build_vae(config.model, _SHAPE, "float32")
    features: Any = build_perceptual_model(config.objective, _SHAPE, seed=0)
    encoder = [_layer_flops(layer) for layer in vae.encoder.layers]
    decoder = sum(_layer_flops(layer) for layer in vae.decoder.layers)
    frozen = sum(_layer_flops(layer) for layer in features.model.layers)
    first = next(flops for flops in encoder if flops)
    return 3 * (sum(encoder) + decoder) - first + 3 * frozen


def _layer_flops(layer: Any) -> float:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0.0
    shape = tuple(layer.output.shape)
    if "Transpose" in type(layer).__name__:
        shape = tuple(layer.input.shape)  # every input pixel meets the whole kernel
        return 2.0 * shape[1] * shape[2] * _product(kernel.shape)
    if len(shape) == 4:
        return 2.0 * shape[1] * shape[2] * _product(kernel.shape)
    return 2.0 * _product(kernel.shape)


def _product(shape: Any) -> int:
    result = 1
    for size in shape:
        result *= int(size)
    return result


def build_training(
    config: Config, shape: tuple[int, int, int], precision: Any
) -> Callable[[int], Any]:
    """Returns what runs a number of this program's training steps, from its own pipeline.

    Args:
      config: the settings; the length of training does not matter.
      shape: (H, W, C) of the images.
      precision: a Keras dtype policy.
    """
    import tensorflow as tf

    from dfcvae_tf.data.pipeline import train_batches
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.objective import build_objective
    from dfcvae_tf.training import build

    training = dataclasses.replace(config.training, precision=precision, steps=10**6)
    config = dataclasses.replace(config, image_shape=shape, training=training)
    strategy = tf.distribute.get_strategy()
    features = build.build_features(config, strategy)
    energies = [1.0] * len(features.layers) if features else None
    adversary = build.build_adversary(config, strategy)
    objective = build_objective(config.objective, features, energies, adversary)
    built = build.build_training(config, strategy, objective, adversary)
    source = open_source(config.data, training.seed)
    batches = iter(
        train_batches(source, config.data, shape, training.batch_size, training.seed)
    )
    return lambda count: built.train_steps(batches, tf.constant(count))["loss"].numpy()


def _fit(batch_size: int) -> Callable[[int], None]:
    """The article's way: Keras' `compile` and `fit` on arrays; same network and losses."""
    import numpy as np
    import tensorflow as tf

    from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
    from dfcvae_tf.files import read_arrays
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.perceptual.registry import build_perceptual_model

    config = _config(batch_size)
    vae = build_vae(config.model, _SHAPE, "float32")
    features = build_perceptual_model(config.objective, _SHAPE, seed=0)

    class Sampling(tf.keras.layers.Layer):
        def call(self, inputs):
            z_mean, z_log_var = inputs
            kl = -0.5 * tf.reduce_sum(
                1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var), axis=-1
            )
            self.add_loss(tf.reduce_mean(kl))
            return z_mean + tf.exp(0.5 * z_log_var) * tf.random.normal(tf.shape(z_mean))

    def perceptual_loss(images, decoded):
        return tf.add_n(
            [
                tf.reduce_sum(tf.square(a - b), axis=(1, 2, 3))
                for a, b in zip(features(images), features(decoded), strict=True)
            ]
        )

    inputs = tf.keras.Input(_SHAPE)
    decoded = tf.keras.layers.Activation("sigmoid")(
        vae.decoder(Sampling()(vae.encoder(inputs)))
    )
    model = tf.keras.Model(inputs, decoded)
    model.compile(optimizer="rmsprop", loss=perceptual_loss)
    images = read_arrays(SAMPLE_PATH)["train_images"].astype(np.float32) / 255
    order = np.arange(len(images))

    def train(count: int) -> None:
        taken = images[np.resize(order, count * batch_size)]
        model.fit(taken, taken, batch_size=batch_size, shuffle=True, verbose=0)

    return train

"""Measures the program on this machine.

  python -m tools.benchmark train     training steps per second, against Keras' `fit`
  python -m tools.benchmark export    microseconds per decoded picture, in each runtime

Each contestant has a process of its own and they run in turn, so that a machine whose
speed drifts slows all of them alike; compare the ratios.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.config import Config, apply_settings, preset_config
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting import latency
from tools import decoder_speed
from tools.contestants import Contestant, answer

TRAIN_FLAGS = ("steps", "batch_size", "contestants")
EXPORT_FLAGS = ("run_dir", "threads", "rounds")


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "repeats",
        None,
        "train: measurements of each (default 7); export: pictures of each per round "
        "(default 200)",
        3,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "steps", 78, "train: training steps per measurement", 1, flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size", 128, "train: images per step", 1, flag_values=values
    )
    flags.DEFINE_list(
        "contestants",
        ["fit", "float32", "mixed_bfloat16"],
        "train: fit = the article's way in Keras, or a --precision of this program",
        flag_values=values,
    )
    flags.DEFINE_string(
        "run_dir",
        "pretrained:mnist_dfc_vae",
        "export: the run whose decoder is measured, or pretrained:NAME",
        flag_values=values,
    )
    flags.DEFINE_list(
        "threads", ["1", "2"], "export: numbers of threads", flag_values=values
    )
    flags.DEFINE_integer(
        "rounds", 5, "export: in each, all have their turn", 1, flag_values=values
    )


def train(values: flags.FlagValues) -> None:
    """Prints training speeds."""
    _refuse(values, EXPORT_FLAGS, "export")
    given: dict[str, Any] = values.flag_values_dict()
    names: list[str] = given["contestants"]
    repeats = given["repeats"] or 7
    steps, batch_size = given["steps"], given["batch_size"]
    known = ("fit", "float32", "mixed_bfloat16", "mixed_float16")
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"unknown contestant {unknown[0]!r}; known: {', '.join(known)}")
    contestants = {
        name: Contestant(_serve_training, name, batch_size) for name in names
    }
    try:
        for contestant in contestants.values():
            contestant.run(steps)  # traces, warms up
        rates: dict[str, list[float]] = {name: [] for name in names}
        memory: dict[str, list[float]] = {name: [] for name in names}
        for repeat in range(repeats):
            # Every other round backwards, so that none always follows the same one.
            for name in names if repeat % 2 == 0 else reversed(names):
                seconds, mib = contestants[name].run(steps)
                rates[name].append(steps * batch_size / seconds)
                memory[name].append(mib)
        facts = next(iter(contestants.values())).facts
    finally:
        for contestant in contestants.values():
            contestant.close()
    _report_training(facts, rates, memory, steps, batch_size)


def export(values: flags.FlagValues) -> None:
    """Prints how long each runtime takes to decode one picture."""
    _refuse(values, TRAIN_FLAGS, "train")
    given: dict[str, Any] = values.flag_values_dict()
    report = decoder_speed.compare(
        given["run_dir"],
        _parse_threads(given["threads"]),
        given["repeats"] or 200,
        given["rounds"],
    )
    print(report)


def _parse_threads(texts: Sequence[str]) -> list[int]:
    counts = [int(text) if text.strip().isdecimal() else 0 for text in texts]
    if not counts or min(counts) < 1:
        given = ",".join(texts)
        raise UserError(f"--threads takes whole numbers from 1, got {given!r}")
    return list(dict.fromkeys(counts))


def _report_training(
    facts: dict[str, Any],
    rates: dict[str, list[float]],
    memory: dict[str, list[float]],
    steps: int,
    batch_size: int,
) -> None:
    flops, peak = facts["flops_per_image"], facts["matmul_flops_per_second"]
    print(f"{facts['machine']}; TensorFlow {facts['tensorflow']}")
    print(f"float32 matrix multiplication: {peak / 1e9:.0f} GFLOP/s")
    print(
        f"article network, DFC objective, batch {batch_size}: "
        f"{flops / 1e6:.0f} MFLOP per image and step"
    )
    base = next(iter(rates))
    print(
        f"\n{'':>16} {'images/s':>9} {'min':>7} {'max':>7} {'x ' + base:>8} {'min':>6} "
        f"{'max':>6} {'of peak':>8} {'peak MiB':>9} {'growth MiB':>11}"
    )
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(values, rates[base], strict=True)]
        share = statistics.median(values) * flops / peak
        growth = memory[name][-1] - memory[name][0]
        print(
            f"{name:>16} {statistics.median(values):9.0f} {min(values):7.0f} "
            f"{max(values):7.0f} {statistics.median(ratios):8.2f} {min(ratios):6.2f} "
            f"{max(ratios):6.2f} {share:8.0%} {memory[name][-1]:9.0f} {growth:11.0f}"
        )
    print(
        f"\nmedian, minimum and maximum of {len(values)} measurements of {steps} steps "
        "each, run in turn;\nratios are of the same round; growth is of the peak "
        f"memory over {(len(values) - 1) * steps} steps"
    )


def _refuse(values: flags.FlagValues, names: Sequence[str], command: str) -> None:
    for name in names:
        if values[name].present:
            raise UserError(f"--{name} is a flag of the command {command}")


def _serve_training(pipe: Any, name: str, batch_size: int) -> None:
    """Work: training steps. Answers: seconds, and the peak memory so far in MiB."""
    import_tensorflow()
    train_steps = _fit(batch_size) if name == "fit" else _program(name, batch_size)

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
    vae = build_vae(config.model, (28, 28, 1), "float32")
    features: Any = build_perceptual_model(config.objective, (28, 28, 1), seed=0)
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


def _program(precision: str, batch_size: int) -> Callable[[int], None]:
    """This program's training steps, with its input pipeline."""
    import tensorflow as tf

    from dfcvae_tf.data.pipeline import train_batches
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.objective import Objective
    from dfcvae_tf.perceptual.registry import build_perceptual_model
    from dfcvae_tf.training import keras_compat, optimizers, steps

    config = _config(batch_size)
    shape = (28, 28, 1)
    vae = build_vae(config.model, shape, precision)
    optimizer = optimizers.build_optimizer(
        config.optimizer, optimizers.LearningRate(config.optimizer, 10**6)
    )
    if precision == "mixed_float16":
        optimizer = keras_compat.LossScaleOptimizer(optimizer)
    features = build_perceptual_model(config.objective, shape, seed=0)
    state = steps.TrainState(vae, optimizer, ema=False)
    train_steps = steps.build_train_steps(
        state,
        steps.build_train_step(
            state, Objective(config.objective, features, features.layers), batch_size
        ),
        tf.distribute.get_strategy(),
        (batch_size, config.model.latent_dim),
        seed=0,
        ema_decay=0.0,
    )
    source = open_source(config.data, seed=0)
    batches = iter(train_batches(source, config.data, shape, batch_size, seed=0))
    return lambda count: train_steps(batches, tf.constant(count))["loss"].numpy()


def _fit(batch_size: int) -> Callable[[int], None]:
    """The article's way: Keras' `compile` and `fit` on arrays; same network and losses."""
    import numpy as np
    import tensorflow as tf

    from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.perceptual.registry import build_perceptual_model
    from dfcvae_tf.run_dir import read_arrays

    config = _config(batch_size)
    vae = build_vae(config.model, (28, 28, 1), "float32")
    features = build_perceptual_model(config.objective, (28, 28, 1), seed=0)

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

    inputs = tf.keras.Input((28, 28, 1))
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


def run() -> None:
    run_program(__doc__, define_flags, {"train": train, "export": export})


if __name__ == "__main__":
    run()

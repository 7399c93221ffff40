"""How fast images come, beside how fast training takes them."""

import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any

from dfcvae_tf.command_line import import_tensorflow
from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.exporting import latency
from tools import training_speed
from tools.contestants import Contestant, answer, take_turns

_BATCH = 128
PREPARED, CACHED, TRAINED = "prepared", "cached", "trained"
_WHAT = {
    PREPARED: "read, decoded, cropped, resized: a first epoch, or no cache",
    CACHED: "in random order out of memory: every other epoch",
    TRAINED: "taken by training steps in {precision}, from the cache",
}


def compare(config: Config, images: int, repeats: int) -> str:
    """Measures three rates, each in a process of its own, in turn.

    Args:
      config: what is trained on what; its length does not matter.
      images: per measurement.
      repeats: measurements of each.

    Returns:
      Machine, a table, and how many times as fast as training images are prepared.
    """
    with contextlib.ExitStack() as stack:
        contestants = {}
        for name in _WHAT:
            contestants[name] = Contestant(_serve, name, config, images)
            stack.callback(contestants[name].close)
            contestants[name].run(1)  # traces, warms up
        rates = take_turns(contestants, images, repeats)
        facts = contestants[TRAINED].facts
    training = f"preset {config.preset}, batch {config.training.batch_size}"
    lines = [
        f"{facts['machine']}; TensorFlow {facts['tensorflow']}",
        f"{facts['source']}; {facts['size']}; {training}",
        "",
        f"{'':>9} {'images/s':>9} {'min':>7} {'max':>7}",
    ]
    for name, values in rates.items():
        numbers = f"{statistics.median(values):9.0f} {min(values):7.0f}"
        what = _WHAT[name].format(**facts)
        lines.append(f"{name:>9} {numbers} {max(values):7.0f}  {what}")
    ratios = [a / b for a, b in zip(rates[PREPARED], rates[TRAINED], strict=True)]
    lines.append(
        f"\nprepared {statistics.median(ratios):.1f} ({min(ratios):.1f} to "
        f"{max(ratios):.1f}) times as fast as trained; {repeats} rounds in turn, about "
        f"{images} images each"
    )
    return "\n".join(lines)


def _serve(pipe: Any, name: str, config: Config, images: int) -> None:
    """Work: at least so many images. Answers: images per second."""
    import_tensorflow()
    import tensorflow as tf

    from dfcvae_tf.data.pipeline import prepared_shape
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.training.devices import resolve_precision

    source = open_source(config.data, config.training.seed)
    shape = prepared_shape(source, config.data)
    precision = resolve_precision(config.training.precision)
    facts = {
        "machine": latency.describe_machine(),
        "tensorflow": tf.__version__,
        "source": source.description,
        "size": "x".join(map(str, shape)),
        "precision": precision,
    }
    if name != TRAINED:
        cached = name == CACHED
        answer(pipe, facts, reading_rate(source, config.data, shape, cached))
        return
    batch_size = config.training.batch_size
    train_steps = training_speed.build_training(config, shape, precision)

    def training_rate(count: int) -> float:
        steps = -(-count // batch_size)
        start = time.perf_counter()
        train_steps(steps)
        return steps * batch_size / (time.perf_counter() - start)

    answer(pipe, facts, training_rate)


def reading_rate(
    source: Any, config: DataConfig, shape: tuple[int, int, int], cached: bool
) -> Callable[[int], float]:
    """Returns what fetches at least so many training images and says how many a second.

    Args:
      source: the images.
      config: `crop` is used.
      shape: (H, W, C) of the images wanted.
      cached: fetch from memory, in random order; else from the files, in their order.
    """
    from dfcvae_tf.data.pipeline import eval_batches, train_batches

    if cached:
        data = DataConfig(crop=config.crop, cache="memory")
        batches = train_batches(source, data, shape, _BATCH, seed=0)
    else:
        data = DataConfig(crop=config.crop, cache="none")
        batches = eval_batches(source, "train", data, shape, _BATCH).repeat()

    def rate(count: int) -> float:
        # A new pass each time: one that waits has many batches ready. The first batch
        # is not counted, as it starts the threads.
        iterator = iter(batches)
        next(iterator)
        taken = 0
        start = time.perf_counter()
        while taken < count:
            taken += len(next(iterator)["image"])
        return taken / (time.perf_counter() - start)

    return rate

"""What a person sees of a run: progress bar, TensorBoard, metrics.jsonl, final table."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tensorboard.plugins.hparams import api as hparams
from tqdm import tqdm

from dfcvae_tf import config as config_lib
from dfcvae_tf import images as images_lib
from dfcvae_tf.config import SETTINGS, Config
from dfcvae_tf.files import atomic_file, disk_errors
from dfcvae_tf.run_dir import RunDir

# Settings that runs are told apart by, besides those that are not their default.
_TELLING = (
    "dataset",
    "network",
    "latent_dim",
    "objective",
    "kl_weight",
    "target_kl",
    "perceptual_model",
    "adversarial_weight",
    "optimizer",
    "learning_rate",
    "batch_size",
    "steps",
    "seed",
)


class RunLog:
    """Writes one run's numbers and pictures. Use as a context manager."""

    def __init__(
        self,
        run: RunDir,
        config: Config,
        start_step: int,
        bar_parts: Sequence[str],
        enabled: bool = True,
    ):
        """Opens the log; lines of `metrics.jsonl` after `start_step` are dropped.

        Args:
          run: the run.
          config: its settings.
          start_step: the step training goes on from.
          bar_parts: names of the scalars shown beside the progress bar.
          enabled: False in workers that are not the chief: nothing is shown or written.

        Raises:
          UserError: the disk is full or not writable.
        """
        self._run = run
        self._config = config
        self._batch_size = config.training.batch_size
        self._bar_parts = tuple(bar_parts)
        self._enabled = enabled
        self._blocks = _Blocks()
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._bar = tqdm(
            total=config.training.steps,
            initial=start_step,
            unit="step",
            smoothing=0.1,
            disable=not enabled,
            mininterval=0.5,
        )
        if not enabled:
            return
        _drop_lines_after(run, start_step)
        with disk_errors(run.tensorboard):
            run.tensorboard.mkdir(parents=True, exist_ok=True)
        for split in ("train", "test"):
            self._writers[split] = self._writer(split)
        with self._writers["train"].as_default(step=start_step):
            settings = json.dumps(config_lib.to_dict(config), indent=2)
            tf.summary.text("settings", f"```\n{settings}\n```")

    def __enter__(self) -> "RunLog":  # noqa: PYI034 (typing.Self: Python 3.11)
        return self

    def __exit__(self, *exception) -> None:
        self.end_steps()
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str) -> tf.summary.SummaryWriter:
        return tf.summary.create_file_writer(str(self._run.tensorboard / name))

    def add_block(
        self, step: int, count: int, means: Mapping[str, np.ndarray], seconds: float
    ) -> None:
        """Takes the means of a block of `count` steps that ends at `step`."""
        self._blocks.add(count, means, seconds)
        rate = count * self._batch_size / seconds
        parts = (f"{name} {means[name]:.4g}" for name in self._bar_parts)
        self._bar.set_postfix_str("  ".join([f"{rate:.0f} images/s", *parts]), False)
        self._bar.update(step - self._bar.n)

    def end_steps(self) -> None:
        """Stops the progress bar's clock: what follows is not training."""
        self._bar.close()

    def write_blocks(self, step: int, learning_rate: float) -> None:
        """Logs the mean over all blocks since the last call."""
        values = self._blocks.means()
        values["learning_rate"] = np.asarray(learning_rate)
        rate = self._blocks.steps * self._batch_size / self._blocks.seconds
        values["images_per_second"] = np.asarray(rate)
        self._blocks = _Blocks()
        self.scalars(step, "train", values)

    def scalars(self, step: int, split: str, values: Mapping[str, np.ndarray]) -> None:
        """Logs values of one step: a line of metrics.jsonl and TensorBoard scalars.

        A vector is a list in the line, and of the test split one picture in TensorBoard.
        """
        if not self._enabled:
            return
        line: dict[str, object] = {"step": step, "split": split}
        with self._writers[split].as_default(step=step):
            for name, value in values.items():
                array = np.asarray(value, np.float64)
                line[name] = array.tolist()
                if array.ndim == 0:
                    tf.summary.scalar(name, array)
                elif split == "test":
                    tf.summary.image(name, _bars(name, array)[np.newaxis])
        with disk_errors(self._run.metrics), open(self._run.metrics, "a") as file:
            file.write(json.dumps(line) + "\n")

    def final(self, step: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Puts the run among those that TensorBoard's HParams compare.

        Settings and metrics are in a folder of their own, or all that was logged would
        count as a metric.
        """
        if not self._enabled:
            return
        self._writers["final"] = self._writer("final")
        with self._writers["final"].as_default(step=step):
            # Runs of one name would be shown as one, with the mean of their metrics.
            hparams.hparams(_told_apart_by(self._config), trial_id=str(self._run))
            for name, value in metrics.items():
                if np.ndim(value) == 0:
                    tf.summary.scalar(name, np.asarray(value, np.float64))

    def pictures(
        self,
        step: int,
        split: str,
        rows: Sequence[np.ndarray],
        title: str = "original_reconstruction_prior",
    ) -> None:
        """Shows rows of images as one grid.

        Args:
          step: the step.
          split: "train" or "test".
          rows: [n, H, W, C] float32 in [0, 1] each.
          title: what the rows are.
        """
        grid = images_lib.make_grid(np.concatenate(rows), columns=len(rows[0]))
        with self._writers[split].as_default(step=step):
            tf.summary.image(title, grid[np.newaxis])


def _told_apart_by(config: Config) -> dict[str, bool | int | float | str]:
    """Name -> value of the settings that tell a run from others; None is left out."""
    told: dict[str, bool | int | float | str] = {"preset": config.preset}
    for name, setting in SETTINGS.items():
        value = setting.of(config)
        telling = not setting.runtime and value != setting.default
        if value is not None and (telling or name in _TELLING):
            is_plain = isinstance(value, bool | int | float | str)
            told[name] = value if is_plain else setting.to_flag(value)
    return told


def _bars(title: str, values: np.ndarray) -> np.ndarray:
    """Draws a bar for each of some values, [H, W, 3] uint8."""
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.bar(np.arange(len(values)), values)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title)
    axes.grid(axis="y", alpha=0.3)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


class _Blocks:
    """Sums over blocks of steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0
        self._sums: dict[str, np.ndarray] = {}

    def add(self, count: int, means: Mapping[str, np.ndarray], seconds: float) -> None:
        for name, value in means.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.astype(float) * count
        self.steps += count
        self.seconds += seconds

    def means(self) -> dict[str, np.ndarray]:
        return {name: total / self.steps for name, total in self._sums.items()}


def metrics_table(metrics: Mapping[str, float], latent_dim: int) -> str:
    """Returns test metrics as a table for the terminal."""
    width = max(len(name) for name in metrics)
    active = metrics["active_dimensions"]
    lines = ["test split, mean per image:"]
    lines += [
        f"  {name:<{width}}  {value:10{'.4f' if abs(value) < 1e6 else '.4g'}}"
        for name, value in metrics.items()
        if name != "active_dimensions"
    ]
    lines.append(f"  {'active_dimensions':<{width}}  {active:.0f} of {latent_dim}")
    return "\n".join(lines)


def first_non_finite(values: Mapping[str, np.ndarray]) -> str | None:
    """Returns the name of a value that is infinite or not a number, the parts first.

    The total is named last: when it is bad, a part tells more.
    """
    for name in sorted(values, key=lambda name: name == "loss"):
        if not all(math.isfinite(v) for v in np.ravel(values[name])):
            return name
    return None


def _drop_lines_after(run: RunDir, step: int) -> None:
    """Keeps the lines of metrics.jsonl that belong to the restored state."""
    if not run.metrics.is_file():
        return
    kept = []
    for line in run.metrics.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # the line being written when a process died
            continue
    with atomic_file(run.metrics) as file:
        file.write("".join(kept).encode())

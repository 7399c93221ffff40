"""Programs in tests: in this process, or in one of their own as users run them."""

import dataclasses
import gc
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pytest

from dfcvae_tf.command_line import run_program
from dfcvae_tf.files import read_arrays
from dfcvae_tf.picture_files import read_picture
from dfcvae_tf.run_dir import RunDir

ROOT = Path(__file__).parents[1]


def run_here(program: ModuleType, *arguments) -> object:
    """Runs a program in this process and returns its exit code."""
    run = getattr(program, "run", None) or partial(
        run_program, program.__doc__, program.define_flags, program.main
    )
    argv = [program.__name__, *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(gc, "collect"),  # slow beside all that the tests hold
        pytest.raises(SystemExit) as stop,
    ):
        run()
    return stop.value.code


def start_python(*arguments, cwd=ROOT, **environment: str) -> subprocess.Popen:
    """Starts Python in a process of its own, with changes of the environment."""
    changed = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=changed | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(*arguments, cwd=ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Runs Python in a process of its own, with changes of the environment, to its end."""
    with start_python(*arguments, cwd=cwd, **environment) as process:
        shown = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, *shown)


def metrics_of(run_dir, split: str | None = None) -> list[dict]:
    """Returns what a run logged of one split, or of both."""
    lines = RunDir(str(run_dir)).metrics.read_text().splitlines()
    return [line for line in map(json.loads, lines) if split in (None, line["split"])]


def weights_of(run_dir) -> np.ndarray:
    """Returns the weights that a run ended with, all in one row."""
    arrays = read_arrays(RunDir(str(run_dir)).weights)
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


def untrained_run(path: Path, image_shape: tuple[int, int, int], **settings) -> RunDir:
    """Writes a finished run whose weights are those it starts with."""
    from dfcvae_tf import checkpoints
    from dfcvae_tf.config import apply_settings
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.presets import preset_config

    settings = {"prior": "standard", **settings}
    config = apply_settings(preset_config("mnist-vae"), settings)
    config = dataclasses.replace(config, image_shape=image_shape)
    run = RunDir(path)
    checkpoints.write_config(run, config, checkpoints.Inputs("made up", {}, "", {}))
    vae = build_vae(config.model, image_shape, "float32")
    checkpoints.save_inference_weights(run, vae)
    return run


def read_grey(path) -> np.ndarray:
    """Returns a grey image, [H, W] in [0, 1]."""
    return read_picture(path).pixels[..., 0] / np.float32(255)

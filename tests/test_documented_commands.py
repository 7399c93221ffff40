"""Documentation: every command and every line of Python in it runs, in its order.

What stands there is run as it stands, with what its placeholders stand for, and behind it
flags that make it short: of a flag that is given twice the last counts. `quick` does the
same for what no flag makes short. That results are right, others test.
"""

import importlib
import multiprocessing
import os
import re
import runpy
import shutil
import signal
import threading
import traceback
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf.data import mnist_sample
from dfcvae_tf.data.celeba_lists import ATTRIBUTES_FILE, IMAGES_DIR, PARTITION_FILE
from dfcvae_tf.evaluation import asked, figures
from dfcvae_tf.exporting import exporter, samples
from dfcvae_tf.exporting.latency import Latency
from dfcvae_tf.exporting.settings import ExportSettings
from dfcvae_tf.files import read_arrays, write_arrays
from dfcvae_tf.metrics import sensitivity
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from dfcvae_tf.training import prior_fitting
from tests.documents import (
    DOCUMENTS,
    ROOT,
    commands,
    files,
    module_of,
    python_blocks,
    recipe,
)
from tests.faces import write_facenet
from tests.made_files import write_mnist, write_vgg19
from tests.programs import run_here, start_python
from tools import batch_speed, contestants, decoder_speed, prior_comparison, sweep

WHOLE_SAMPLE = mnist_sample.SAMPLE_PATH
FACENET = "facenet.pb"
LAYER = "InceptionResnetV1/Conv2d_4b_3x3/Relu:0"
NAMED = ("Smiling", "Eyeglasses", "Young", "Male", "Blond_Hair", "Wearing_Hat")
# What placeholders stand for, by the end of an argument.
MEANT = {
    "folder:(PATH|PHOTOS)": "folder:photos",
    "celeba:DIR": "celeba:celeba",
    "graphdef:(FILE|STEM)": f"graphdef:{FACENET}",
    "--perceptual_weights=FILE": "--perceptual_weights=VGG19.h5",
    "--output=FILE(.png)?": "--output=file.png",
    "=IMAGE": "=me.jpg",
    "NAME=DIR,NAME=DIR": "vae=runs/vae,dfc=runs/dfc",
    "--dataset=…": "--dataset=mnist_sample",
    "--judge=…": f"--judge=graphdef:{FACENET}",
    "--judge_layers=…": f"--judge_layers={LAYER}",
    "--attributes=…": "--attributes=Smiling",
    # Those of digits, among all that earlier commands left there.
    r"=runs/\*": "=runs/[dv]*",
}
# What a DIR that is a run stands for, by what is in the command; else for one of photos.
RUNS = {
    "^export |benchmark priors": "pretrained:mnist_dfc_vae",
    "--label=7,3|fit_prior": "runs/dfc",
    "attributes|edits": "runs/faces",
}
# A command that says what is so without saying it is the same command.
DEFAULTS = {
    "tools.benchmark": ["--run_dir=pretrained:mnist_dfc_vae", "--dataset=mnist"],
    "tools.sweep": ["--run_dir=runs/sweep"],
    "export": ["--litert_dir=litert"],
}
DATA = ["--data_dir=sets", "--offline"]
# Flags behind the commands in which a pattern is found. Nothing is downloaded: `sets` has
# an MNIST of few digits, and weights of Keras' are random ones.
SHORTER = {
    r"^[\w-]+ $": ["--help"],  # in tables, the name of a program
    r"^dfcvae_tf\.train ": ["--batch_size=4", "--adversarial_start=0", *DATA],
    r"^dfcvae_tf\.train (?!.*--epochs=)": ["--steps=2"],
    r"^dfcvae_tf\.train .*--epochs=": ["--epochs=0.04"],
    r"^dfcvae_tf\.train (?!.*weights=)": ["--perceptual_weights=random"],
    r"^dfcvae_tf\.train_classifier": ["--epochs=1", "--batch_size=32"],
    r"^dfcvae_tf\.evaluate": [
        "--num_images=12",
        "--importance_samples=1",
        "--traversals=0",
        "--judge_weights=random",
    ],
    "^export .": [
        "--quantize=float32",
        "--accelerator=none",
        "--signatures=decode,encode",
    ],
    "^export .*--web": ["--litert_dir=litert"],  # as `make web` has it
    r"^tools\.sweep": ["--kl_weight=0.25,1", "--seed=0", "--batch_size=4", "--steps=2"],
    "benchmark (train|data|perceptual|priors|export)": ["--repeats=3"],
    "benchmark (train|data)": ["--batch_size=4"],
    "benchmark (priors|export)": ["--rounds=1", *DATA],
    "benchmark (data|evaluate|edits|perceptual|priors)": ["--images=12"],
    "benchmark train": ["--steps=1"],
    "benchmark edits (?!.*attributes=)": ["--attributes=Smiling"],
    "benchmark train$": ["--contestants=fit"],
    "benchmark evaluate": ["--sizes=28"],
    "benchmark export": ["--threads=1"],
    r"^tools\.make_mnist_sample": ["--output=sample.npz", *DATA],
    r"^tools\.distill_vgg19": [
        "--output=distilled.npz",
        "--batch_size=2",
        "--feature_steps=1",
        "--pair_steps=1",
    ],
    "serve_web": ["--port=0"],
    r"http\.server": ["0"],
}
# Lines of Python are shortened by other numbers.
FEWER = {"steps=200": "steps=2, batch_size=4", "num_images=500": "num_images=24"}


def text_of(program: str, arguments: list[str]) -> str:
    return f"{program} {' '.join(arguments)}"


def with_what_is_meant(program: str, arguments: list[str]) -> list[str]:
    """Returns the arguments with what their placeholders stand for."""
    text = text_of(program, arguments)
    runs = (run for pattern, run in RUNS.items() if re.search(pattern, text))
    run = next(runs, "runs/photos")
    found = []
    for argument in arguments:
        argument = re.sub("dir=DIR", f"dir={run}", argument)
        for pattern, value in MEANT.items():
            argument = re.sub(f"{pattern}$", value, argument)
        found.append(argument)
    return found


def shortened(program: str, arguments: list[str], number: int) -> list[str]:
    """Returns the arguments of a command, and more behind them; its number names a run."""
    text = text_of(program, arguments)
    found = [*arguments]
    for pattern, more in SHORTER.items():
        found += more if re.search(pattern, text) else []
    if program == "dfcvae_tf.train" and "--run_dir" not in text:
        # Those that are given in turn are not to go on with one another's. The faces are
        # those of later commands.
        faces = "hou2017-vae-123" in text
        found.append("--run_dir=runs/faces" if faces else f"--run_dir=others/{number}")
    return found


def keys(program: str, arguments: list[str]) -> set[str]:
    """Returns the texts of commands that need not run any more after this one."""
    left = [a for a in arguments if a not in DEFAULTS.get(program, [])]
    found = {text_of(program, left)}
    if program == "dfcvae_tf.train":
        without = [a for a in left if not a.startswith("--run_dir=")]
        found.add(text_of(program, without))
    return found


@pytest.fixture(name="here")
def _here(tmp_path, monkeypatch, tiny_celeba, litert_dir) -> Path:
    """A folder to be in, with all that documents speak of."""
    monkeypatch.chdir(tmp_path)
    write_few_attributes(tiny_celeba, Path("celeba"))
    Path("litert").symlink_to(litert_dir)
    faces = sorted((tiny_celeba / IMAGES_DIR).iterdir())
    for split, part in (("train", faces[:40]), ("test", faces[40:])):
        Path("photos", split).mkdir(parents=True)
        for face in part:
            shutil.copy(face, Path("photos", split))
    shutil.copy(faces[0], "me.jpg")
    with zipfile.ZipFile("img_align_celeba.zip", "w") as archive:
        for face in faces:
            archive.write(face, f"{IMAGES_DIR}/{face.name}")
    shutil.copy(Path("celeba", ATTRIBUTES_FILE), ATTRIBUTES_FILE)
    for name, text in files("WORKSPACE.md").items():
        Path(name).write_text(text)
    write_facenet(Path(FACENET))
    write_vgg19(Path("VGG19.h5"))
    digits = read_arrays(WHOLE_SAMPLE)
    few = {name: array[:100] for name, array in digits.items()}
    write_mnist(Path("sets"), few)
    write_arrays(Path("few.npz"), few)
    monkeypatch.setattr(mnist_sample, "SAMPLE_PATH", Path("few.npz").resolve())
    # Runs are put among those of the package.
    shutil.copytree(run_dir_lib.PRETRAINED_DIR, "pretrained")
    monkeypatch.setattr(run_dir_lib, "PRETRAINED_DIR", Path("pretrained").resolve())
    return tmp_path


def write_few_attributes(celeba: Path, folder: Path) -> None:
    """Writes a folder like CelebA's with no more attributes than documents name."""
    folder.mkdir()
    for file in (IMAGES_DIR, PARTITION_FILE):
        (folder / file).symlink_to(celeba / file)
    count, names, *rows = (celeba / ATTRIBUTES_FILE).read_text().splitlines()
    places = [0, *(1 + names.split().index(name) for name in NAMED)]
    lines = [" ".join(row.split()[place] for place in places) for row in rows]
    text = "\n".join([count, " ".join(NAMED), *lines, ""])
    (folder / ATTRIBUTES_FILE).write_text(text)


@pytest.fixture(name="quick")
def _quick(monkeypatch) -> Iterator[None]:
    """Makes short what no flag does, and keeps in this process what would start others."""
    # To trace takes longer than all that is done.
    tf.config.run_functions_eagerly(True)
    monkeypatch.setattr(FeatureExtractor, "__call__", traced(FeatureExtractor.__call__))
    for name, value in {
        "FLOW_STEPS": 4,
        "LABELLED_FLOW_STEPS": 4,
        "_LOOK_EVERY": 2,
        "_MIXTURE_ROUNDS": 1,
        "_MIXTURE_DRAWS": 500,
        "_HELD_OUT": 500,
        "COMPONENTS": (2,),
        # Latents after two steps tell nothing of labels.
        "label_gain": lambda *_: 1.0,
    }.items():
        monkeypatch.setattr(prior_fitting, name, value)
    monkeypatch.setattr(prior_comparison, "_HELD_OUT", 500)
    monkeypatch.setattr(prior_comparison, "_BOUND_DRAWS", 2)
    for name in ("CHECK_IMAGES", "CHECK_DIGITS", "CALIBRATION_IMAGES", "DRAWN"):
        monkeypatch.setattr(samples, name, 50)
    times = {"1": 1.0, "2": 1.0}
    measured = Latency(0.0, times, times, 0, 0, 1)
    monkeypatch.setattr(exporter, "measure_latency", lambda path, signature: measured)
    monkeypatch.setattr(decoder_speed, "VARIANTS", ("float32",))
    monkeypatch.setattr(
        decoder_speed, "ExportSettings", lambda: ExportSettings(("float32",))
    )
    monkeypatch.setattr(asked, "PER_ATTRIBUTE", 10)
    monkeypatch.setattr(sensitivity, "SHIFTS", (0, 1))
    monkeypatch.setattr(sensitivity, "ANGLES", (0, 5))
    monkeypatch.setattr(batch_speed, "find_device", lambda choice: None)
    blank = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    pictures = {"png": blank, "svg": b"<svg/>"}
    monkeypatch.setattr(figures, "_save", lambda figure, form, _: pictures[form])
    monkeypatch.setattr(contestants, "multiprocessing", Threads)
    monkeypatch.setattr(sweep, "subprocess", AtOnce)
    # Of a TensorFlow that has run, these cannot be changed.
    for name in (
        "set_intra_op_parallelism_threads",
        "set_inter_op_parallelism_threads",
    ):
        monkeypatch.setattr(tf.config.threading, name, lambda count: None)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: None)
    yield
    tf.config.run_functions_eagerly(False)


def traced(call: Callable) -> Callable:
    """Frozen graphs do not run eagerly."""

    def call_traced(*given: Any) -> Any:
        tf.config.run_functions_eagerly(False)
        try:
            return call(*given)
        finally:
            tf.config.run_functions_eagerly(True)

    return call_traced


class Threads:
    """Stands for `multiprocessing`: what runs apart has no TensorFlow to import."""

    @staticmethod
    def get_context(method: str) -> type["Threads"]:
        return Threads

    @staticmethod
    def Pipe() -> tuple[Connection, Connection]:
        ours, theirs = multiprocessing.Pipe()
        # As there is but one of it, it is closed where its work ends.
        theirs.close = lambda: None  # type: ignore[method-assign]
        return ours, theirs

    class Process(threading.Thread):
        def run(self) -> None:
            _, pipe, *_ = self._args  # type: ignore[attr-defined]
            try:
                super().run()
            finally:
                Connection.close(pipe)


class AtOnce:
    """Stands for `subprocess`: a program that is started has run, in this process."""

    PIPE = DEVNULL = None

    @staticmethod
    def run(command: list[str], check: bool) -> SimpleNamespace:
        _, _, program, *arguments = command
        if program == "dfcvae_tf.evaluate":
            arguments = shortened(program, arguments, 0)
        code = run_here(importlib.import_module(program), *arguments)
        return SimpleNamespace(returncode=code)

    class Popen:
        def __init__(self, command: list[str], **_):
            self.wait = lambda: AtOnce.run(command, check=False).returncode
            self.stderr = open(os.devnull, "rb")  # noqa: SIM115 (the sweep closes it)


def serve(program: str, arguments: list[str]) -> None:
    """Starts a server, fetches a page, and ends it as Ctrl-C does."""
    command = ["-u", "-m", program, *arguments]
    with start_python(*command, cwd=Path.cwd(), PYTHONPATH=str(ROOT)) as server:
        assert server.stdout and server.stderr
        try:
            said = ""
            while not (found := re.search(r"http://[\w.]+:\d+/", said)):
                said = server.stdout.readline()
                assert said, server.stderr.read()
            with urllib.request.urlopen(found[0], timeout=30) as page:
                assert b"<html" in page.read()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def run(program: str, arguments: list[str], capsys) -> str:
    """Runs a command; returns what went wrong, "" for nothing."""
    capsys.readouterr()
    try:
        if program in ("tools.serve_web", "http.server"):
            serve(program, arguments)
            return ""
        code = run_here(importlib.import_module(module_of(program)), *arguments)
    except Exception:  # noqa: BLE001 (all that fail are told at the end)
        return traceback.format_exc()
    said = capsys.readouterr().err.strip()
    return f"exit code {code}: {said[-500:]}" if code else ""


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("here", "quick", "interruptible")
def test_every_command_runs_as_it_stands(capsys):
    done: set[str] = set()
    wrong = []
    listed = {"Makefile": recipe("demo")} | {name: commands(name) for name in DOCUMENTS}
    for document, found in listed.items():
        for program, arguments in found:
            arguments = with_what_is_meant(program, arguments)
            if keys(program, arguments) & done:
                continue
            done |= keys(program, arguments)
            arguments = shortened(program, arguments, len(done))
            with pytest.MonkeyPatch.context() as patch:
                if program == "dfcvae_tf.interpolate":
                    # Its test images are named by their places among all.
                    patch.setattr(mnist_sample, "SAMPLE_PATH", WHOLE_SAMPLE)
                failure = run(program, arguments, capsys)
            if failure:
                wrong.append(f"{document}: {text_of(program, arguments)}: {failure}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.usefixtures("here", "quick")
@pytest.mark.parametrize("name", ["README.md", "USAGE.md"])
def test_lines_of_python_run_as_they_stand(name):
    images = read_arrays(mnist_sample.SAMPLE_PATH)["test_images"][:2] / np.float32(255)
    known = {"images": images}
    found = python_blocks(name)
    assert found
    for block in found:
        for text, shorter in FEWER.items():
            block = block.replace(text, shorter)
        Path("block.py").write_text(block)
        known = runpy.run_path("block.py", known)

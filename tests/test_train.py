"""dfcvae_tf/train.py, as its users run it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf import train
from dfcvae_tf.checkpoints import Checkpoints, load_for_inference
from dfcvae_tf.command_line import run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import LOCK, locked, plain_path, read_arrays, read_json
from dfcvae_tf.run_dir import RunDir

ROOT = Path(__file__).parents[1]
# Small and quick: a few seconds after TensorFlow is imported.
SMALL = [
    "--dataset=synthetic",
    "--network=conv",
    "--width=2",
    "--batch_size=16",
    "--steps_per_call=5",
    "--log_every=10",
    "--checkpoint_every=20",
]
COMMAND = [sys.executable, "-m", "dfcvae_tf.train"]
# TensorFlow takes some of these characters for a pattern.
ODD_NAME = "run [1], 50%=ü*?\\"


def train_here(*arguments) -> object:
    """Runs the program in this process and returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_program(
            train.__doc__, train.define_flags, train.main, ["train", *arguments]
        )
    return stop.value.code


def metrics_of(run_dir) -> list[dict]:
    return [json.loads(line) for line in RunDir(str(run_dir)).metrics.open()]


def weights_of(run_dir) -> np.ndarray:
    arrays = read_arrays(RunDir(str(run_dir)).weights)
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


@pytest.mark.parametrize("objective", ["vae", "dfc_vae"])
def test_a_run_from_flags_to_a_loadable_model(tmp_path, capsys, objective):
    run_dir = tmp_path / ODD_NAME
    arguments = [
        *SMALL,
        f"--objective={objective}",
        f"--run_dir={run_dir}",
        "--steps=60",
        "--learning_rate=0.003",
        "--ema_decay=0.9",
    ]
    assert train_here(*arguments) == 0
    shown = capsys.readouterr()
    assert "test split" in shown.out and "tensorboard --logdir" in shown.out
    assert "images/s" in shown.err

    lines = metrics_of(run_dir)
    train_lines = [line for line in lines if line["split"] == "train"]
    assert [line["step"] for line in train_lines] == [10, 20, 30, 40, 50, 60]
    assert train_lines[-1]["loss"] < train_lines[0]["loss"]
    parts = ["perceptual_loss", "kl_loss"]
    if objective == "vae":
        parts[0] = "pixel_loss"
    for line in lines:
        assert line["loss"] == pytest.approx(sum(line[p] for p in parts), rel=1e-4)
    assert lines[-1]["split"] == "test" and lines[-1]["step"] == 60

    settings = read_json(RunDir(run_dir).config)["settings"]
    assert settings["training"]["steps"] == 60
    assert settings["image_shape"] == [28, 28, 1]
    if objective == "dfc_vae":
        # The layers of the preset, or the perceptual model's own default.
        assert settings["objective"]["perceptual_layers"][:2] == ["conv1", "conv2"]
        # The perceptual model is in no file of the run.
        with plain_path(RunDir(run_dir).checkpoints) as folder:
            reader = tf.train.load_checkpoint(str(folder / "ckpt-60"))
        saved = reader.get_variable_to_shape_map()
        shapes = {tuple(shape) for shape in saved.values()}
        assert (3, 3, 1, 32) not in shapes
        assert {
            name.split("/")[0] for name in read_arrays(RunDir(run_dir).weights)
        } == {"encoder", "decoder"}

    model = load_for_inference(str(run_dir))
    images = model.decoder(np.zeros([2, 5], np.float32))
    assert images.shape == (2, 28, 28, 1)

    # The same command again: nothing left to train, the same result.
    before = weights_of(run_dir)
    assert train_here(*arguments) == 0
    np.testing.assert_array_equal(weights_of(run_dir), before)
    assert len(metrics_of(run_dir)) == len(lines) + 1  # one more test line


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert (
            train_here(
                *SMALL,
                "--objective=vae",
                "--steps=20",
                f"--seed={seed}",
                f"--run_dir={tmp_path / name}",
            )
            == 0
        )
    np.testing.assert_array_equal(
        weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    )
    assert np.abs(weights_of(tmp_path / "a") - weights_of(tmp_path / "c")).max() > 0.01


def wait_for(condition, process, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name
)
def test_interrupted_and_resumed_equals_never_interrupted(tmp_path, number):
    arguments = [
        *SMALL,
        "--objective=dfc_vae",
        "--perceptual_normalization=energy",
        "--optimizer=adam",
        "--ema_decay=0.99",
        "--schedule=cosine",
        "--steps=400",
    ]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = subprocess.Popen(
        [*COMMAND, *arguments, f"--run_dir={broken}"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (broken / "checkpoints" / "ckpt-60.index").exists(), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 1
        assert "the same command goes on from there" in errors
        assert "Traceback" not in errors
    assert not RunDir(broken).weights.exists()

    assert train_here(*arguments, f"--run_dir={broken}") == 0
    assert train_here(*arguments, f"--run_dir={whole}") == 0
    np.testing.assert_allclose(weights_of(broken), weights_of(whole), atol=1e-6)
    # The line after the interruption averages the steps since it; all others are equal.
    lines = [
        [line for line in metrics_of(run) if line["step"] > 200 or line["step"] <= 60]
        for run in (broken, whole)
    ]
    assert [a["step"] for a in lines[0]] == [b["step"] for b in lines[1]]
    np.testing.assert_allclose(
        [a["loss"] for a in lines[0]], [b["loss"] for b in lines[1]], rtol=1e-5
    )


def test_a_corrupt_newest_checkpoint_costs_only_its_steps(tmp_path, caplog):
    run = RunDir(tmp_path / ODD_NAME)
    arguments = [*SMALL, "--objective=vae", f"--run_dir={run}"]
    assert train_here(*arguments, "--steps=40") == 0
    before = weights_of(run)
    (run.checkpoints / "ckpt-40.index").write_bytes(b"damaged")
    caplog.set_level("WARNING")
    assert train_here(*arguments, "--steps=40") == 0
    assert "step 40 cannot be used" in caplog.text
    np.testing.assert_allclose(weights_of(run), before, atol=1e-6)


def test_a_non_finite_loss_names_the_part_and_keeps_the_checkpoint(tmp_path, capsys):
    run_dir = tmp_path / "run"
    arguments = [*SMALL, "--objective=vae", "--schedule=constant", "--override"]
    arguments.append(f"--run_dir={run_dir}")
    assert train_here(*arguments, "--steps=20") == 0
    longer = [*arguments, "--steps=60"]
    assert train_here(*longer, "--learning_rate=1e18") == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.match(
        r"(pixel_loss|kl_nats\S*|kl_loss) became (nan|inf) between", message
    )
    assert "steps 20 and 25" in message
    assert "newest good checkpoint is step 20" in message
    assert sorted(p.name for p in RunDir(run_dir).checkpoints.glob("*.index")) == [
        "ckpt-20.index"
    ]
    assert train_here(*longer) == 0  # and from there it goes on


def test_a_stalled_float16_loss_scale_stops_the_run(tmp_path, capsys):
    arguments = [
        *SMALL,
        "--objective=vae",
        "--precision=mixed_float16",
        "--pixel_weight=1e8",
        "--steps=100",
        f"--run_dir={tmp_path / 'run'}",
    ]
    assert train_here(*arguments) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "loss scale fell" in message and "mixed_bfloat16 or float32" in message


def test_other_settings_need_override(tmp_path, capsys, monkeypatch):
    run = RunDir(tmp_path / "run")
    arguments = [*SMALL, "--objective=vae", f"--run_dir={run}"]
    assert train_here(*arguments, "--steps=20", "--kl_weight=1") == 0
    before = weights_of(run)
    settings = run.config.read_text()
    assert train_here(*arguments, "--steps=30", "--kl_weight=2") == 2
    shown = capsys.readouterr().err
    assert "kl_weight 1.0 -> 2.0" in shown and "steps 20 -> 30" in shown
    assert "--override" in shown
    np.testing.assert_array_equal(weights_of(run), before)

    # The finished run stays one until there is more on disk.
    def full(*_):
        raise UserError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", full)
        longer = [*arguments, "--steps=30", "--kl_weight=2", "--override"]
        assert train_here(*longer) == 2
    np.testing.assert_array_equal(weights_of(run), before)
    assert run.config.read_text() == settings

    assert train_here(*longer) == 0
    assert metrics_of(run)[-1]["step"] == 30
    assert read_json(run.config)["provenance"]["changes"] == [
        {"step": 20, "changes": ["kl_weight 1.0 -> 2.0", "steps 20 -> 30"]}
    ]
    # Settings that do not change what is computed need nothing.
    longer = [*arguments, "--steps=30", "--kl_weight=2", "--log_every=3"]
    assert train_here(*longer) == 0
    # With its checkpoints a finished run loses nothing but that it can go on.
    weights = weights_of(run)
    shutil.rmtree(run.checkpoints)
    assert train_here(*longer) == 2
    assert "its checkpoints are gone" in capsys.readouterr().err
    np.testing.assert_array_equal(weights_of(run), weights)


def test_a_run_has_one_training_at_a_time(tmp_path, capsys):
    run = RunDir(tmp_path / "run")
    with locked(run.path):
        assert train_here(*SMALL, "--steps=5", f"--run_dir={run}") == 2
        assert "is in use by process" in capsys.readouterr().err
        assert os.listdir(run.path) == [LOCK]


def test_override_cannot_put_other_settings_beside_a_network(tmp_path, capsys):
    arguments = [*SMALL, "--objective=vae", f"--run_dir={tmp_path / 'run'}"]
    assert train_here(*arguments, "--steps=20") == 0
    before = RunDir(tmp_path / "run").config.read_text()
    assert train_here(*arguments, "--steps=20", "--latent_dim=3", "--override") == 2
    assert "fits these settings; use a new --run_dir" in capsys.readouterr().err
    assert RunDir(tmp_path / "run").config.read_text() == before
    load_for_inference(str(tmp_path / "run"))


def test_layer_energies_are_measured_once_per_settings(tmp_path):
    run = RunDir(tmp_path / "run")
    arguments = [
        *SMALL,
        "--objective=dfc_vae",
        "--perceptual_normalization=energy",
        "--perceptual_layers=conv1",
        f"--run_dir={run}",
    ]
    assert train_here(*arguments, "--steps=10") == 0
    measured = read_json(run.layer_energies)
    assert measured["conv1"] > 0
    run.layer_energies.write_text('{"conv1": 123.0}')
    assert train_here(*arguments, "--steps=10") == 0
    assert read_json(run.layer_energies) == {"conv1": 123.0}
    assert train_here(*arguments, "--steps=20", "--override") == 0
    assert read_json(run.layer_energies)["conv1"] == pytest.approx(measured["conv1"])


def make_folder(path: Path, count: int, size=(20, 30)) -> Path:
    path.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        image = rng.integers(0, 255, (*size, 3), np.uint8)
        cv2.imwrite(str(path / f"{index:03}.png"), image)
    return path


def test_rgb_images_from_a_folder(tmp_path, capsys):
    folder = make_folder(tmp_path / "images", 60)
    run_dir = tmp_path / "run"
    arguments = [
        f"--dataset=folder:{folder}",
        "--image_size=16x24",
        "--steps=4",
        "--objective=dfc_vae",
        "--perceptual_model=keras:VGG19",
        "--perceptual_weights=random",
        "--perceptual_layers=block1_conv1",
        "--network=conv",
        "--width=2",
        "--batch_size=8",
        f"--run_dir={run_dir}",
    ]
    assert train_here(*arguments) == 0
    images = load_for_inference(str(run_dir)).decoder(np.zeros([1, 5], np.float32))
    assert images.shape == (1, 16, 24, 3)

    # Other images are not gone on with unasked.
    settings = RunDir(run_dir).config.read_text()
    for path in sorted(folder.iterdir())[:20]:
        path.unlink()
    capsys.readouterr()
    assert train_here(*arguments) == 2
    found = re.search(
        r"images (\d+) train \+ (\d+) test -> (\d+) train \+ (\d+) test",
        capsys.readouterr().err,
    )
    counts = [int(number) for number in found.groups()]
    assert counts[0] + counts[1] == 60 and counts[2] + counts[3] == 40
    assert RunDir(run_dir).config.read_text() == settings


BAD_INPUT = [
    (["--preset=mnist"], "known: article-vae"),
    (["--dataset=mnits"], "mnist_sample"),
    (["--dataset=folder:/no/such/folder"], "/no/such/folder"),
    (["--dataset=tfds:mnist", "--offline", "--data_dir=/no/such"], "mnist_sample"),
    (["--network=artcle"], "known: article, conv"),
    (["--objective=gan"], "known: vae, dfc_vae"),
    (["--perceptual_model=vgg"], "mnist_classifier, keras:NAME"),
    (["--perceptual_model=keras:VGG99"], "VGG19"),
    (["--perceptual_model=file:/no/such.keras"], "/no/such.keras"),
    (["--perceptual_model=graphdef:/no/such.pb"], "no such file: /no/such.pb"),
    (["--perceptual_layers=conv9"], "conv1"),
    (
        ["--perceptual_layer_weights=1,2,3"],
        "3 values for 4 --perceptual_layers (conv1, conv2,",
    ),
    (["--perceptual_layer_weights=1,x"], "must look like 1,0.5"),
    (["--optimizer=adm"], "Did you mean 'adam'"),
    (["--latent_dim=0"], "--latent_dim must be greater than 0"),
    (["--batch_size=-4"], "--batch_size must be greater than 0"),
    (["--image_size=0"], "--image_size must be greater than 0"),
    (["--image_size=axb"], "must look like 64 or 48x64"),
    (["--image_size=30"], "28x28x1 images, these are 30x30x1"),
    (["--network=conv", "--image_size=30"], "--image_size=32x32 would fit"),
    (["--network=hou64", "--image_size=128"], "or --network=hou128"),
    (["--objective=vae", "--perceptual_model=keras:VGG19"], "no perceptual loss"),
    (["--steps=5", "--epochs=1"], "both --steps and --epochs"),
    (["--run_dir=pretrained:mnist_vae"], "ships with the package"),
    (["--run_dir=/proc/run"], "cannot write /proc/run"),
    (["--no_such_flag"], "Unknown command line flag"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=lambda a: str(a)[:40])
def test_bad_input_is_one_line_and_code_2(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert train_here("--steps=5", *arguments) == 2
    errors = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("error:")
    ]
    assert len(errors) == 1
    assert message in errors[0]
    assert os.listdir(tmp_path) == []  # nothing half-written


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU"
)
def test_a_gpu_asked_for_but_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train_here("--device=gpu") == 2
    assert "no GPU" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    assert train_here(*SMALL, "--steps=5", f"--run_dir={tmp_path}") == 2
    assert "not a run directory" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path):
    with contextlib.ExitStack() as stack:
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip("needs the right to mount a small file system")
        stack.callback(subprocess.run, ["umount", "-l", disk], check=True)
        result = subprocess.run(
            [
                *COMMAND,
                *SMALL,
                "--objective=vae",
                "--width=8",
                "--steps=100",
                "--keep_checkpoints=50",
                f"--run_dir={disk / 'run'}",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 2, result.stderr
        assert "Traceback" not in result.stderr
        lines = result.stderr.splitlines()
        assert sum(line.startswith("error:") for line in lines) == 1
        assert str(disk) in result.stderr
        assert not [n for n in os.listdir(disk / "run") if n.startswith(".")]


def test_a_damaged_image_met_while_training_is_one_line(tmp_path, capsys, tiny_celeba):
    faces = tmp_path / "faces"
    shutil.copytree(tiny_celeba, faces)
    damaged = faces / "img_align_celeba" / "000007.jpg"
    damaged.write_bytes(damaged.read_bytes()[:500])
    code = train_here(
        f"--dataset=celeba:{faces}",
        "--image_size=16",
        "--network=conv",
        "--objective=vae",
        "--cache=none",
        "--batch_size=8",
        "--steps=20",
        f"--run_dir={tmp_path / 'run'}",
    )
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert error.startswith("error: ") and "000007.jpg" in error

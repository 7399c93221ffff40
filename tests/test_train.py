"""dfcvae_tf/train.py, as its users run it."""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

import dfcvae_tf
from dfcvae_tf import train
from dfcvae_tf.checkpoints import Checkpoints, load_for_inference
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import LOCK, locked, plain_path, read_arrays, read_json
from dfcvae_tf.models import vae
from dfcvae_tf.run_dir import RunDir
from tests.programs import metrics_of, run_here, run_python, start_python, weights_of

# Small and quick: a few seconds after TensorFlow is imported.
SMALL = [
    "--dataset=synthetic",
    "--network=conv",
    "--width=2",
    "--batch_size=16",
    "--steps_per_call=5",
    "--log_every=10",
    "--checkpoint_every=20",
    "--prior=standard",
]
DIGITS = "--perceptual_model=mnist_classifier"
# TensorFlow takes some of these characters for a pattern.
ODD_NAME = "run [1], 50%=ü*?\\"


train_here = partial(run_here, train)
# As the run `finished` was trained.
FINISHED = [*SMALL, "--objective=vae", "--steps=20", "--checkpoint_every=10"]
FINISHED.append("--kl_weight=1.05")


def _build_unnamed(config, image_shape, dtype):
    layers = tf.keras.layers
    images = tf.keras.Input(image_shape)
    x = layers.Conv2D(2, 3, 4, dtype=dtype)(images)
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.Flatten()(x)
    latents = [layers.Dense(config.latent_dim, dtype="float32")(x) for _ in range(2)]
    z = tf.keras.Input((config.latent_dim,))
    x = layers.Dense(math.prod(image_shape), dtype="float32")(z)
    x = layers.Reshape(image_shape, dtype="float32")(x)
    return tf.keras.Model(images, latents), tf.keras.Model(z, x)


def test_a_network_whose_layers_have_no_names_can_be_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(vae.NETWORKS, "unnamed", _build_unnamed)
    arguments = [*SMALL, "--objective=vae", "--network=unnamed", "--steps=2"]
    arguments.append("--image_size=8")
    assert train_here(*arguments, f"--run_dir={tmp_path / 'run'}") == 0
    model = load_for_inference(str(tmp_path / "run"))
    images = np.random.default_rng(0).random((3, *model.image_shape), np.float32)
    # A checkpoint has its weights by place alone.
    trained = load_for_inference(str(tmp_path / "run"), step=2)
    np.testing.assert_array_equal(
        model.reconstruct(images), trained.reconstruct(images)
    )


@pytest.mark.current_stack
def test_from_python_it_returns_the_run(tmp_path):
    settings = {"dataset": "synthetic", "network": "conv", "width": 2, "steps": 2}
    settings |= {"objective": "vae", "prior": "standard", "image_size": 16}
    run = dfcvae_tf.train(run_dir=tmp_path / "run", batch_size=16, **settings)
    assert run.reconstruct(run.sample(2)).shape == (2, 16, 16, 1)
    assert run.config.preset == "mnist-vae"
    # It was finished, and is loaded.
    settings["image_size"] = "16x16"
    again = dfcvae_tf.train(run_dir=tmp_path / "run", batch_size=16, **settings)
    np.testing.assert_array_equal(run.sample(2), again.sample(2))
    for wrong, told in (
        ({"step": 2}, "unknown setting 'step'.*Did you mean 'steps'"),
        ({"steps": 2.5}, "--steps must be of type int"),
        ({"latent_dim": 3}, "was made with other settings or data .*latent_dim 5 -> 3"),
    ):
        with pytest.raises(UserError, match=told):
            dfcvae_tf.train(
                run_dir=tmp_path / "run", batch_size=16, **(settings | wrong)
            )


def test_a_discriminator_learns_beside_the_vae_and_stays_in_checkpoints(
    tmp_path, caplog, capsys
):
    run = RunDir(tmp_path / "run")
    arguments = [*SMALL, "--objective=vae", "--steps=40", f"--run_dir={run}"]
    arguments += ["--adversarial_weight=0.5", "--adversarial_start=5"]
    arguments += ["--discriminator_learning_rate=0.01", "--discriminator_r1=0"]
    arguments.append("--warmup_steps=0")
    assert train_here(*arguments) == 0
    # After so few steps images are grey, which is easily told.
    assert "the discriminator tells" in caplog.text and "it has won" in caplog.text
    lines = [m for m in metrics_of(run.path) if m["split"] == "train"]
    for name in ("loss", "real_logits", "fake_logits", "gradient_penalty"):
        assert all(math.isfinite(line[f"discriminator/{name}"]) for line in lines)
    assert lines[-1]["adversarial_loss"] > 0 and lines[-1]["adversarial_weight"] > 0
    assert not [name for name in read_arrays(run.weights) if "discriminator" in name]
    assert train_here(*arguments, "--discriminator_learning_rate=1e-3") == 2
    assert "discriminator_learning_rate" in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run; to be read only."""
    run_dir = tmp_path_factory.mktemp("finished") / "run"
    assert train_here(*FINISHED, f"--run_dir={run_dir}") == 0
    return run_dir


@pytest.fixture
def run(finished, tmp_path) -> RunDir:
    """A copy of that run, to go on with."""
    return RunDir(shutil.copytree(finished, tmp_path / ODD_NAME))


@pytest.mark.parametrize("objective", ["vae", "dfc_vae"])
def test_a_run_from_flags_to_a_loadable_model(tmp_path, capsys, objective):
    run_dir = tmp_path / ODD_NAME
    arguments = [
        *SMALL,
        f"--objective={objective}",
        f"--run_dir={run_dir}",
        "--epochs=0.48",  # of 2,000 images
        "--learning_rate=0.003",
        "--ema_decay=0.9",
    ]
    named = [DIGITS] if objective == "dfc_vae" else []
    assert train_here(*arguments, *named, "--print_config") == 0
    printed = json.loads(capsys.readouterr().out)
    assert not run_dir.exists()
    assert train_here(*arguments, *named) == 0
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
    assert settings == printed
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

    # The same command again, which need not name what the run has: nothing left to train,
    # the same result.
    before = weights_of(run_dir)
    assert train_here(*arguments) == 0
    np.testing.assert_array_equal(weights_of(run_dir), before)
    assert len(metrics_of(run_dir)) == len(lines) + 1  # one more test line


def test_help_has_defaults_and_what_presets_set(capsys):
    assert train_here("--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "number of latent dimensions; greater than 0 (default: 5)" in shown
    assert "photos dataset=folder: image_size=64x64 network=conv latent_dim=64" in shown


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(tmp_path, finished):
    for name, seed in (("same", 0), ("other", 4)):
        given = f"--seed={seed}", f"--run_dir={tmp_path / name}"
        assert train_here(*FINISHED, *given) == 0
    expected = weights_of(finished)
    np.testing.assert_array_equal(weights_of(tmp_path / "same"), expected)
    assert np.abs(weights_of(tmp_path / "other") - expected).max() > 0.01


# Much that a checkpoint has to hold.
LONG = [
    *SMALL,
    "--objective=dfc_vae",
    DIGITS,
    "--perceptual_normalization=energy",
    "--optimizer=adam",
    "--ema_decay=0.99",
    "--schedule=cosine",
    "--target_kl=3",
    "--steps=240",
]


def wait_for(condition, process, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_interrupted_and_resumed_equals_never_interrupted(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = [*LONG, f"--run_dir={broken}"]
    for step, number in ((20, signal.SIGKILL), (60, signal.SIGINT)):
        process = start_python("-m", "dfcvae_tf.train", *arguments)
        index = broken / "checkpoints" / f"ckpt-{step}.index"
        wait_for(index.exists, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert not RunDir(broken).weights.exists()
        if number == signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == 1
            assert "the same command goes on from there" in errors
            assert "Traceback" not in errors

    assert train_here(*arguments) == 0
    assert train_here(*LONG, f"--run_dir={whole}") == 0
    np.testing.assert_allclose(weights_of(broken), weights_of(whole), atol=1e-6)
    # The line after an interruption averages the steps since it; all others are equal.
    lines = [
        [line for line in metrics_of(run) if line["step"] > 160 or line["step"] <= 20]
        for run in (broken, whole)
    ]
    assert [a["step"] for a in lines[0]] == [b["step"] for b in lines[1]]
    np.testing.assert_allclose(
        [a["loss"] for a in lines[0]], [b["loss"] for b in lines[1]], rtol=1e-5
    )


def test_a_corrupt_newest_checkpoint_costs_only_its_steps(run, finished, caplog):
    (run.checkpoints / "ckpt-20.index").write_bytes(b"damaged")
    caplog.set_level("WARNING")
    assert train_here(*FINISHED, f"--run_dir={run}") == 0
    assert "step 20 cannot be used" in caplog.text
    np.testing.assert_allclose(weights_of(run), weights_of(finished), atol=1e-6)


@pytest.mark.current_stack
def test_a_non_finite_loss_names_the_part_and_keeps_the_checkpoint(run, capsys):
    longer = [*FINISHED, "--steps=60", "--override", f"--run_dir={run}"]
    diverging = "--learning_rate=1e18", "--schedule=constant"
    assert train_here(*longer, *diverging) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.match(
        r"(pixel_loss|kl_nats\S*|kl_loss) became (nan|inf) between", message
    )
    assert "steps 20 and 25" in message
    assert "newest good checkpoint is step 20" in message
    assert sorted(p.name for p in run.checkpoints.glob("*.index")) == [
        "ckpt-10.index",
        "ckpt-20.index",
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


@pytest.mark.current_stack
def test_other_settings_need_override(run, capsys, monkeypatch):
    before = weights_of(run)
    arguments = [*FINISHED, "--steps=30", "--kl_weight=2", f"--run_dir={run}"]
    settings = run.config.read_text()
    assert train_here(*arguments) == 2
    shown = capsys.readouterr().err
    assert "kl_weight 1.05 -> 2.0" in shown and "steps 20 -> 30" in shown
    assert "--override" in shown
    np.testing.assert_array_equal(weights_of(run), before)

    # The finished run stays one until there is more on disk.
    def full(*_):
        raise UserError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", full)
        assert train_here(*arguments, "--override") == 2
    np.testing.assert_array_equal(weights_of(run), before)
    assert run.config.read_text() == settings

    assert train_here(*arguments, "--override") == 0
    assert metrics_of(run)[-1]["step"] == 30
    assert read_json(run.config)["provenance"]["changes"] == [
        {"step": 20, "changes": ["kl_weight 1.05 -> 2.0", "steps 20 -> 30"]}
    ]
    # Settings that do not change what is computed need nothing.
    assert train_here(*arguments, "--log_every=3") == 0
    # With its checkpoints a finished run loses nothing but that it can go on.
    weights = weights_of(run)
    shutil.rmtree(run.checkpoints)
    assert train_here(*arguments) == 2
    assert "its checkpoints are gone" in capsys.readouterr().err
    np.testing.assert_array_equal(weights_of(run), weights)


@pytest.mark.current_stack
def test_latents_that_carry_nothing_are_said_in_one_line(tmp_path, capsys, caplog):
    arguments = [*SMALL, "--objective=vae", "--steps=300", "--kl_weight=1e4"]
    arguments += ["--learning_rate=0.01", "--warmup_steps=0", "--steps_per_call=50"]
    assert train_here(*arguments, f"--run_dir={tmp_path / 'run'}") == 0
    (line,) = (line for line in caplog.messages if "collapse" in line)
    assert "--target_kl=NATS" in line
    assert re.search(r"active_dimensions +0 of 5\n", capsys.readouterr().out)


def test_a_run_has_one_training_at_a_time(tmp_path, capsys):
    run = RunDir(tmp_path / "run")
    with locked(run.path):
        assert train_here(*SMALL, DIGITS, "--steps=5", f"--run_dir={run}") == 2
        assert "is in use by process" in capsys.readouterr().err
        assert os.listdir(run.path) == [LOCK]


def test_override_cannot_put_other_settings_beside_a_network(run, capsys):
    before = run.config.read_text()
    other = "--latent_dim=3", "--override", f"--run_dir={run}"
    assert train_here(*FINISHED, *other) == 2
    assert "fits these settings; use a new --run_dir" in capsys.readouterr().err
    assert run.config.read_text() == before
    load_for_inference(str(run))


@pytest.mark.current_stack
def test_layer_energies_are_measured_once_per_settings(tmp_path):
    run = RunDir(tmp_path / "run")
    arguments = [
        *SMALL,
        "--objective=dfc_vae",
        DIGITS,
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


@pytest.mark.current_stack
def test_rgb_images_from_a_folder(tmp_path, capsys):
    folder = make_folder(tmp_path / "images", 60)
    run_dir = tmp_path / "run"
    arguments = [
        f"--dataset=folder:{folder}",
        "--image_size=16x24",
        "--steps=4",
        "--objective=dfc_vae",
        "--perceptual_model=photos",
        "--network=conv",
        "--width=2",
        "--batch_size=8",
        "--prior=standard",
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


@pytest.mark.current_stack
def test_a_run_made_before_folders_meant_something_keeps_its_split(tmp_path, caplog):
    folder = tmp_path / "images"
    folder.mkdir()
    for split in ("train", "test"):
        make_folder(folder / split, 40, (16, 16))
    run = RunDir(tmp_path / "run")
    arguments = [
        f"--dataset=folder:{folder}",
        "--objective=vae",
        "--network=conv",
        "--width=2",
        "--batch_size=8",
        "--prior=standard",
        f"--run_dir={run}",
    ]
    assert train_here(*arguments, "--steps=2", "--subfolders=ignore") == 0
    written = read_json(run.config)
    del written["settings"]["data"]["subfolders"]
    del written["provenance"]["picture_reader"]
    run.config.write_text(json.dumps(written))
    assert train_here(*arguments, "--steps=4", "--override") == 0
    assert "goes on with pictures as they are now read" in caplog.text
    again = read_json(run.config)
    assert again["settings"]["data"]["subfolders"] == "ignore"
    assert again["provenance"]["num_images"] == written["provenance"]["num_images"]
    assert again["provenance"]["changes"] == [{"step": 2, "changes": ["steps 2 -> 4"]}]


@pytest.mark.current_stack
def test_a_run_made_before_there_were_two_designs_of_conv_keeps_its_own(
    tmp_path, capsys
):
    run, straight = RunDir(tmp_path / "run"), RunDir(tmp_path / "straight")
    vae = [*SMALL, "--objective=vae", "--schedule=constant"]
    old = "--conv_design=full_resolution"
    assert train_here(*vae, old, "--steps=4", f"--run_dir={straight}") == 0
    assert train_here(*vae, old, "--steps=2", f"--run_dir={run}") == 0
    written = read_json(run.config)
    del written["settings"]["model"]["conv_design"]
    run.config.write_text(json.dumps(written))
    more = [*vae, "--steps=4", "--override", f"--run_dir={run}"]
    # Another design is refused, as any other network is.
    assert train_here(*more[:-2], more[-1], "--conv_design=strided") == 2
    assert "conv_design full_resolution -> strided" in capsys.readouterr().err
    assert train_here(*more) == 0
    changes = read_json(run.config)["provenance"]["changes"]
    assert changes == [{"step": 2, "changes": ["steps 2 -> 4"]}]
    np.testing.assert_allclose(weights_of(run), weights_of(straight), atol=1e-6)


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    assert train_here(*SMALL, DIGITS, "--steps=5", f"--run_dir={tmp_path}") == 2
    assert "not a run directory" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.slow
@pytest.mark.current_stack
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
        result = run_python(
            "-m",
            "dfcvae_tf.train",
            *SMALL,
            "--objective=vae",
            "--width=8",
            "--steps=100",
            "--keep_checkpoints=50",
            f"--run_dir={disk / 'run'}",
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

"""A small run made by hand: 8x8 images, 3 latents, pictures of full contrast."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dfcvae_tf import checkpoints
from dfcvae_tf.config import Config, apply_settings
from dfcvae_tf.exporting.saved_model import write_saved_model
from dfcvae_tf.labels import CLASSES, Labels
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.flow import NUM_LAYERS, initial_parameters
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.models.vae import VAE, build_vae
from dfcvae_tf.presets import preset_config
from dfcvae_tf.prior_file import save_prior
from dfcvae_tf.run_dir import RunDir
from dfcvae_tf.weights import get_arrays, set_arrays

IMAGE_SHAPE = (8, 8, 1)


def small_config(**settings) -> Config:
    config = apply_settings(
        preset_config("mnist-vae"),
        {
            "dataset": "synthetic",
            "image_size": IMAGE_SHAPE[:2],
            "network": "conv",
            "conv_design": "full_resolution",
            "depth": 1,
            "width": 4,
            "latent_dim": 3,
            "prior": "standard",
            **settings,
        },
    )
    return dataclasses.replace(config, image_shape=IMAGE_SHAPE)


def small_vae(seed: int = 0) -> VAE:
    """Weights as He et al. (2015) start them: logits of about 1."""
    vae = build_vae(small_config().model, IMAGE_SHAPE, "float32")
    rng = np.random.default_rng(seed)
    for network in (vae.encoder, vae.decoder):
        arrays = get_arrays(network)
        for name, array in arrays.items():
            scale = np.sqrt(2 / max(1, int(np.prod(array.shape[:-1]))))
            scale *= 0.1 if name.endswith("bias") else 1
            arrays[name] = rng.normal(0, scale, array.shape).astype(np.float32)
        set_arrays(network, arrays)
    return vae


def write_run(path: Path, vae: VAE, config: Config | None = None) -> RunDir:
    run = RunDir(path)
    checkpoints.write_config(
        run, config or small_config(), checkpoints.Inputs("made up", {}, "digest", {})
    )
    checkpoints.save_inference_weights(run, vae)
    return run


def bent_parameters(dim: int = 3, bend: float = 30) -> dict[str, np.ndarray]:
    """Parameters of a flow; with a bend of 1 it is close to a linear map."""
    parameters = initial_parameters(np.ones(dim), np.full(dim, 0.5), seed=0)
    for name in ("scale_kernel", "shift_kernel"):
        parameters[name] *= np.float32(bend)
    return parameters


@pytest.fixture(name="flow_parameters", scope="session")
def _flow_parameters():
    """A function from dimensions and how bent it is to the parameters of a flow."""
    return bent_parameters


@pytest.fixture(name="vae", scope="session")
def _vae() -> VAE:
    return small_vae()


@pytest.fixture(name="make_vae", scope="session")
def _make_vae():
    """A function from a seed to networks of their own."""
    return small_vae


@pytest.fixture(name="make_config", scope="session")
def _make_config():
    """A function from settings to the small run's settings with those changed."""
    return small_config


@pytest.fixture(name="make_run", scope="session")
def _make_run():
    """A function (folder, VAE, settings or None) -> finished run."""
    return write_run


@pytest.fixture(name="model", scope="session")
def _model(tmp_path_factory) -> LoadedRun:
    """The small run, loaded."""
    run = write_run(tmp_path_factory.mktemp("small") / "run", small_vae())
    return checkpoints.load_for_inference(str(run))


@pytest.fixture(name="flow_model", scope="session")
def _flow_model(tmp_path_factory) -> LoadedRun:
    """The small run with a flow as its prior, loaded."""
    run = write_run(tmp_path_factory.mktemp("flow") / "run", small_vae())
    save_prior(run, "flow", bent_parameters(), {"seed": 0})
    return checkpoints.load_for_inference(str(run))


@pytest.fixture(name="label_kernel", scope="session")
def _label_kernel():
    """A function from numbers of labels and dimensions to how a flow heeds them."""

    def label_kernel(num_labels: int, dim: int = 3) -> np.ndarray:
        hidden = bent_parameters(dim)["bias1"].shape[1]
        rng = np.random.default_rng(1)
        shape = (NUM_LAYERS, num_labels, hidden)
        return rng.normal(0, 2, shape).astype(np.float32)

    return label_kernel


@pytest.fixture(name="labelled_model", scope="session")
def _labelled_model(tmp_path_factory, label_kernel) -> LoadedRun:
    """The small run with a flow that knows three classes, loaded."""
    run = write_run(tmp_path_factory.mktemp("labelled") / "run", small_vae())
    labels = Labels(CLASSES, ("cat", "dog", 'it\'s {a} "cow"'))
    parameters = bent_parameters() | {"label_kernel": label_kernel(3)}
    save_prior(run, "flow", parameters, {"seed": 0, "labels": labels.facts()})
    return checkpoints.load_for_inference(str(run))


@pytest.fixture(name="static_model", scope="session")
def _static_model(tmp_path_factory, vae) -> Path:
    """Its SavedModel with one row per call."""
    path = tmp_path_factory.mktemp("static") / "saved_model"
    write_saved_model(vae, StandardNormal(), path, batch_size=1)
    return path


@pytest.fixture(name="latents", scope="session")
def _latents() -> np.ndarray:
    """[200, 3] float32 in [-4, 4]."""
    return np.random.default_rng(5).uniform(-4, 4, (200, 3)).astype(np.float32)

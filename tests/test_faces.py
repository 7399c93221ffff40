"""Faces through all programs, as their users run them: the recipes of Hou et al., facenet."""

import numpy as np
import pytest

from dfcvae_tf import attributes, evaluate, export, train
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.celeba_lists import ATTRIBUTES_FILE, IMAGES_DIR
from dfcvae_tf.files import read_arrays, read_json
from tests.conftest import SHARED_DATA
from tests.faces import write_facenet
from tests.programs import metrics_of, run_here

pytestmark = pytest.mark.slow


def run(program, *arguments) -> None:
    """Runs a program in this process; it must succeed."""
    assert run_here(program, *arguments) == 0


def losses_of(run_dir, name="loss") -> list[float]:
    return [line[name] for line in metrics_of(run_dir, "train")]


@pytest.fixture(name="facenet_graph", scope="module")
def _facenet_graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "facenet.pb"
    write_facenet(path)
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "--preset=hou2017-vae-123",
            "--perceptual_weights=random",
            "--perceptual_layers=123",
            "--decoder_output=linear",
            "--decoder_padding=replicate",
        ],
        [
            "--preset=facenet-dfc-vae",
            "--perceptual_model=graphdef:{graph}",
            "--precision=mixed_bfloat16",
            "--ema_decay=0.9",
        ],
    ],
    ids=lambda a: a[0],
)
def test_every_recipe_trains_and_goes_on(
    tmp_path, tiny_celeba, facenet_graph, arguments
):
    run_dir = tmp_path / "run"
    arguments = [
        *(argument.format(graph=facenet_graph) for argument in arguments),
        f"--dataset=celeba:{tiny_celeba}",
        "--batch_size=4",
        f"--run_dir={run_dir}",
    ]
    run(train, *arguments, "--steps=2")
    run(train, *arguments, "--steps=3", "--override")
    images = load_for_inference(str(run_dir)).decoder(np.zeros([2, 100], np.float32))
    assert images.shape == (2, 64, 64, 3)
    assert np.min(images) >= 0 and np.max(images) <= 1
    assert len(losses_of(run_dir)) == 2


@pytest.mark.current_stack
def test_drawn_faces_from_training_to_a_file_for_devices(tmp_path, tiny_celeba):
    vae = tmp_path / "vae"
    small = [f"--dataset=celeba:{tiny_celeba}", "--batch_size=8", "--steps=24"]
    run(train, "--preset=hou2017-vae", *small, "--log_every=6", f"--run_dir={vae}")
    first, *_, last = losses_of(vae)
    assert last < 0.9 * first

    report = tmp_path / "report"
    judge = ["--judge=keras:VGG19", "--judge_weights=random"]
    judge += ["--judge_layers=block2_conv1", "--importance_samples=1", "--traversals=0"]
    run(evaluate, f"--runs=vae={vae}", *judge, f"--output_dir={report}")
    found = read_json(report / "report.json")["runs"]["vae"]
    assert np.isfinite(found["frechet_samples"])
    assert 0 < found["sharpness_ratio"] < 10

    # Drawn attributes can be read from the latents, tossed coins cannot.
    run(attributes, "vectors", f"--run_dir={vae}")
    run(attributes, "predict", f"--run_dir={vae}", f"--output_dir={tmp_path}")
    assert (tmp_path / "prediction.png").stat().st_size > 10_000

    short = ["--quantize=float32", "--saved_model=no", "--accelerator=none"]
    run(export, f"--run_dir={vae}", *short)
    manifest = read_json(vae / "export" / "manifest.json")
    assert manifest["image"]["color_order"] == "RGB"
    vectors = read_arrays(vae / "attributes" / "vectors.npz")
    place = list(vectors["attribute_names"]).index("Smiling")
    np.testing.assert_allclose(
        manifest["attributes"]["Smiling"], vectors["vectors"][place], atol=1e-6
    )


@pytest.fixture(name="real_faces", scope="module")
def _real_faces(tmp_path_factory):
    """The first 300 images of CelebA, in its layout; skips where they are absent."""
    celeba = SHARED_DATA / "celeba"
    if not celeba.is_dir():
        pytest.skip("needs ../shared/data")
    folder = tmp_path_factory.mktemp("real_faces")
    (folder / IMAGES_DIR).mkdir()
    lines = (celeba / ATTRIBUTES_FILE).read_text().splitlines()[:302]
    (folder / ATTRIBUTES_FILE).write_text("\n".join(["300", *lines[1:]]))
    for line in lines[2:]:
        name = line.split()[0]
        (folder / IMAGES_DIR / name).symlink_to(celeba / IMAGES_DIR / name)
    return folder


def train_on_real_faces(real_faces, run_dir, *arguments) -> None:
    """Trains for 30 steps; the perceptual loss must fall."""
    run(
        train,
        f"--dataset=celeba:{real_faces}",
        "--batch_size=16",
        "--steps=30",
        "--log_every=5",
        f"--run_dir={run_dir}",
        *arguments,
    )
    first, *_, last = losses_of(run_dir, "perceptual_loss")
    assert last < 0.8 * first


@pytest.mark.current_stack
def test_real_faces_with_the_real_vgg19(tmp_path, real_faces):
    weights = SHARED_DATA / "weights" / "vgg19_blocks1-3_notop.h5"
    run_dir = tmp_path / "run"
    train_on_real_faces(
        real_faces,
        run_dir,
        "--preset=hou2017-vae-123",
        f"--perceptual_weights={weights}",
        "--learning_rate=0.002",
        "--schedule=constant",
    )
    run(attributes, "vectors", f"--run_dir={run_dir}")
    vectors = read_arrays(run_dir / "attributes" / "vectors.npz")
    assert vectors["vectors"].shape == (40, 100)


@pytest.mark.current_stack
def test_real_faces_with_the_real_facenet_stem(tmp_path, real_faces):
    graph = f"--perceptual_model=graphdef:{SHARED_DATA / 'weights' / 'facenet_stem.pb'}"
    train_on_real_faces(real_faces, tmp_path / "run", "--preset=facenet-dfc-vae", graph)

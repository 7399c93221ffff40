"""dfcvae_tf/attributes.py, as its users run it, and what else is done with a run of faces."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from dfcvae_tf import attributes, interpolate, sample, train
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.celeba import open_celeba
from dfcvae_tf.data.celeba_lists import IMAGES_DIR
from dfcvae_tf.data.run_images import image_from_file
from dfcvae_tf.evaluation.projector import CONFIG_NAME
from dfcvae_tf.files import read_arrays, write_arrays
from dfcvae_tf.labels import ATTRIBUTES, Labels
from dfcvae_tf.models.flow import initial_parameters
from dfcvae_tf.picture_files import read_picture
from dfcvae_tf.prior_file import save_prior
from dfcvae_tf.run_dir import RunDir
from tests.faces import DRAWN, NAMES
from tests.programs import run_here, run_python


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_celeba):
    """A run of three steps on the drawn faces, with vectors; to be read only."""
    folder = tmp_path_factory.mktemp("faces") / "run"
    code = run_here(
        train,
        "--preset=hou2017-vae",
        f"--dataset=celeba:{tiny_celeba}",
        "--network=conv",
        "--depth=2",
        "--width=4",
        "--latent_dim=6",
        "--image_size=16",
        "--steps=3",
        "--batch_size=8",
        f"--run_dir={folder}",
    )
    assert code == 0
    assert run_here(attributes, "vectors", f"--run_dir={folder}") == 0
    return folder


@pytest.fixture(scope="module")
def encoded(run, tiny_celeba):
    """z_mean [N, 6] and attributes [N, 40] of train and test, by another way."""
    model = load_for_inference(str(run))
    source = open_celeba("celeba", str(tiny_celeba), model.config.data)
    result = {}
    for split in ("train", "test"):
        paths = [tiny_celeba / IMAGES_DIR / name for name in source.file_names[split]]
        images = np.stack([image_from_file(model.config, path) for path in paths])
        rows = [row["attributes"].numpy() for row in source.dataset(split)]
        result[split] = model.encoder(images)[0].numpy(), np.stack(rows)
    return result


@pytest.mark.slow
def test_vectors_are_differences_of_means(run, encoded):
    z, values = encoded["train"]
    arrays = read_arrays(run / "attributes" / "vectors.npz")
    assert tuple(arrays["attribute_names"]) == NAMES
    # The images were read by another decoder of JPEG.
    np.testing.assert_allclose(arrays["z_mean"], z, atol=0.01 * np.abs(z).max())
    np.testing.assert_array_equal(arrays["attributes"], values)
    for vector, has in zip(arrays["vectors"], arrays["attributes"].T, strict=True):
        own = arrays["z_mean"]
        expected = own[has == 1].mean(0) - own[has == 0].mean(0)
        np.testing.assert_allclose(vector, expected, atol=1e-6)
    facts = json.loads((run / "attributes" / "vectors.json").read_text())
    assert facts["split"] == "train" and "CelebA" in facts["dataset"]


@pytest.mark.slow
def test_vectors_with_a_control_to_another_folder(run, tmp_path, capsys):
    arguments = ["vectors", f"--run_dir={run}", f"--output_dir={tmp_path}"]
    arguments += ["--attributes=Smiling,Eyeglasses,Bangs", "--exclude=Bangs"]
    assert run_here(attributes, *arguments, "--control=Male") == 0
    assert "with and without Male weigh the same" in capsys.readouterr().out
    plain = read_arrays(run / "attributes" / "vectors.npz")
    own = read_arrays(tmp_path / "vectors.npz")
    assert list(own["attribute_names"]) == ["Eyeglasses", "Smiling"]
    male = plain["attributes"][:, NAMES.index("Male")]
    smiling = own["attributes"][:, 1]
    z = own["z_mean"]
    expected = np.mean(
        [
            z[(male == c) & (smiling == 1)].mean(0)
            - z[(male == c) & (smiling == 0)].mean(0)
            for c in (0, 1)
        ],
        axis=0,
    )
    np.testing.assert_allclose(own["vectors"][1], expected, atol=1e-6)
    edit = ["edit", f"--run_dir={run}", "--images=0", f"--vectors_dir={tmp_path}"]
    output = f"--output={tmp_path / 'a.png'}"
    assert run_here(attributes, *edit, output, "--attributes=Smiling") == 0
    assert run_here(attributes, *edit, output, "--attributes=Bangs") == 2
    assert "unknown attribute 'Bangs'" in capsys.readouterr().err


@pytest.mark.slow
def test_edits_by_a_prior_that_knows_labels(run, encoded, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    arguments = ["edit", f"--run_dir={copy}", "--images=3,5", "--method=prior"]
    arguments += ["--attributes=Smiling-Male,Young", f"--output={tmp_path / 'a.png'}"]
    assert run_here(attributes, *arguments) == 2
    assert "knows no labels" in capsys.readouterr().err
    parameters = initial_parameters(np.zeros(6), np.ones(6), 0, len(NAMES))
    rng = np.random.default_rng(0)
    for name in ("shift_kernel", "label_kernel"):
        parameters[name] = rng.normal(0, 0.3, parameters[name].shape).astype("f")
    labels = Labels(ATTRIBUTES, NAMES)
    save_prior(RunDir(copy), "flow", parameters, {"labels": labels.facts()})
    assert run_here(attributes, *arguments, "--strengths=-1,0,1") == 0
    model = load_for_inference(copy)
    z = encoded["test"][0][[5]]
    expected = model.decode(model.relabel(z, labels.row([("Young", 1)])))
    assert np.abs(expected - model.decode(z)).max() > 0.03
    np.testing.assert_allclose(last_image(tmp_path / "a.png"), expected[0], atol=0.02)
    for flags, reason in (
        ("--strengths=2", "takes some of -1, 0, 1"),
        ("--vectors_dir=x", "--vectors_dir is of --method=vectors"),
        ("--attributes=Smily", "unknown attribute 'Smily'"),
    ):
        assert run_here(attributes, *arguments, flags) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_edits_are_decoded_latents_beside_the_original(run, encoded, tmp_path):
    z = encoded["test"][0][[3]]
    vectors = read_arrays(run / "attributes" / "vectors.npz")["vectors"]
    direction = vectors[NAMES.index("Smiling")] - vectors[NAMES.index("Male")]
    path = tmp_path / "edit.png"
    arguments = [f"--run_dir={run}", "--images=3", f"--output={path}"]
    arguments += ["--attributes=Smiling-Male", "--strengths=0,-1000,2000.5"]
    assert run_here(attributes, "edit", *arguments) == 0
    points = np.concatenate([z, z - 1000 * direction, z + 2000.5 * direction])
    decoded = load_for_inference(str(run)).decoder(points).numpy()
    assert np.abs(decoded[1] - decoded[2]).max() > 0.1
    np.testing.assert_allclose(last_image(path), decoded[2], atol=0.02)


def last_image(path) -> np.ndarray:
    """The last image of the last row, of 16x16 pixels."""
    picture = read_picture(path).pixels / np.float32(255)
    rows, columns = np.nonzero((picture < 0.98).any(-1))
    # The right edge of what is drawn is the last image, each pixel a square.
    right, bottom = columns.max() + 1, rows.max() + 1
    scale = next(s for s in range(4, 14) if is_enlarged(picture, right, bottom, s))
    return picture[
        bottom - 16 * scale : bottom : scale, right - 16 * scale : right : scale
    ]


def is_enlarged(picture, right, bottom, scale) -> bool:
    block = picture[bottom - 16 * scale : bottom, right - 16 * scale : right]
    squares = block.reshape(16, scale, 16, scale, 3)
    return bool((np.ptp(squares, axis=(1, 3)) == 0).all())


@pytest.mark.slow
def test_predictions_stand_beside_the_majority(run, encoded, tmp_path, capsys):
    arguments = ["predict", f"--run_dir={run}", f"--output_dir={tmp_path}"]
    names = ",".join(DRAWN)
    assert run_here(attributes, *arguments, f"--attributes={names}") == 0
    shown = capsys.readouterr().out
    stored = json.loads((tmp_path / "prediction.json").read_text())
    assert set(stored["attributes"]) == set(DRAWN)
    assert stored["images"] == {"train": 40, "test": 14}
    for name, found in stored["attributes"].items():
        has_train, has_test = (
            encoded[split][1][:, NAMES.index(name)] for split in ("train", "test")
        )
        majority = has_train.mean() > 0.5
        assert found["majority"]["accuracy"] == np.mean(has_test == majority)
        assert found["majority"]["balanced_accuracy"] == 0.5
        assert re.search(rf"^{name} +{100 * has_test.mean():.1f} ", shown, re.MULTILINE)
    assert "mean of all" in shown
    assert read_picture(tmp_path / "prediction.png").pixels.shape[1] == 8 * 144


@pytest.mark.slow
def test_relations(run, tmp_path, capsys):
    assert (
        run_here(attributes, "relate", f"--run_dir={run}", f"--output_dir={tmp_path}")
        == 0
    )
    assert "most and least correlated" in capsys.readouterr().out
    stored = json.loads((tmp_path / "correlation.json").read_text())
    assert sorted(stored["names"]) == sorted(NAMES)
    vectors = read_arrays(run / "attributes" / "vectors.npz")["vectors"]
    places = [NAMES.index(name) for name in stored["names"]]
    np.testing.assert_allclose(
        stored["correlation"], np.corrcoef(vectors[places]), atol=1e-5
    )
    mapped = stored["mapped"]["attributes"]
    explained = stored["explained_variance"]
    assert [explained[name] for name in mapped] == sorted(explained.values())[:-7:-1]
    for name in ("correlation", "tsne"):
        assert read_picture(tmp_path / f"{name}.png").pixels.shape[1] == 8 * 144
    assert (tmp_path / "projector" / CONFIG_NAME).is_file()
    metadata = (tmp_path / "projector" / "run_metadata.tsv").read_text().splitlines()
    assert metadata[0].split("\t") == ["image", *NAMES, "index"] and len(metadata) == 15


@pytest.mark.slow
def test_faces_are_interpolated_and_sampled(run, tiny_celeba, tmp_path):
    face = tiny_celeba / IMAGES_DIR / "000001.jpg"
    arguments = [f"--run_dir={run}", "--start=0", f"--end={face}"]
    way = [*arguments, f"--output={tmp_path / 'way.png'}"]
    assert run_here(interpolate, *way) == 0
    samples = [f"--run_dir={run}", f"--output={tmp_path}/s/", "--count=3"]
    assert run_here(sample, *samples) == 0
    assert read_picture(tmp_path / "s" / "image_002.png").pixels.shape == (16, 16, 3)


EDIT = ["edit", "--images=0", "--attributes=Smiling", "--output=a.png"]


@pytest.mark.slow
def test_vectors_of_an_earlier_training_are_refused(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    weights = copy / "weights" / "inference.npz"
    arrays = read_arrays(weights)
    write_arrays(weights, {name: array + 1e-6 for name, array in arrays.items()})
    output = f"--output={tmp_path / 'a.png'}"
    assert run_here(attributes, *EDIT, f"--run_dir={copy}", output) == 2
    assert f"vectors --run_dir={copy}" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_command(run, tmp_path):
    output = tmp_path / "a.png"
    command = "-m", "dfcvae_tf.attributes", *EDIT, f"--run_dir={run}"
    done = run_python(*command, f"--output={output}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote {output}\n" and output.is_file()

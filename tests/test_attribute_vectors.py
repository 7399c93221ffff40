"""Attribute vectors on latents in which they were planted, and their files."""

import json

import numpy as np
import pytest
import scipy.stats

from dfcvae_tf import attribute_vectors as av
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays, write_arrays
from dfcvae_tf.run_dir import RunDir

PLANTED = {"Smiling": np.array([2.0, 0, 0, -1]), "Male": np.array([0, 3.0, 1, 0])}
NAMES = tuple(PLANTED)


def make_latents(
    count=4000, male_among_smiling=0.5, male_among_others=0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Latents [N, 4] float32 and attributes [N, 2] int8, the vectors added to noise."""
    rng = np.random.default_rng(0)
    smiling = rng.random(count) < 0.3
    male = rng.random(count) < np.where(smiling, male_among_smiling, male_among_others)
    attributes = np.stack([smiling, male], axis=1).astype(np.int8)
    z = rng.normal(5, 0.5, (count, 4)) + attributes @ np.stack(list(PLANTED.values()))
    return z.astype(np.float32), attributes


def control(attributes):
    return "Male", attributes[:, 1]


def test_planted_vectors_are_found():
    z, attributes = make_latents()
    for balance in (None, control(attributes)):
        found = av.compute_vectors(z, attributes, NAMES, balance)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, list(PLANTED.values()), atol=0.1)


def test_a_confounder_spoils_the_plain_vector_and_not_the_balanced_one():
    z, attributes = make_latents(male_among_smiling=0.1, male_among_others=0.9)
    plain = av.compute_vectors(z, attributes, NAMES)
    # Eight of ten of the difference between the sexes are in "Smiling".
    np.testing.assert_allclose(
        plain[0], PLANTED["Smiling"] - 0.8 * PLANTED["Male"], atol=0.15
    )
    balanced = av.compute_vectors(z, attributes, NAMES, control(attributes))
    np.testing.assert_allclose(balanced[0], PLANTED["Smiling"], atol=0.1)
    np.testing.assert_array_equal(balanced[1], plain[1])  # the control's own


def test_means_are_exact_where_float32_sums_are_not():
    z = np.full((300_000, 1), 1000.1, np.float32)
    z[::2] += np.float32(0.01)
    attributes = (np.arange(300_000) % 2 == 0).astype(np.int8)[:, None]
    expected = float(z[0, 0]) - float(z[1, 0])
    found = av.compute_vectors(z, attributes, ["a"])
    np.testing.assert_allclose(found, [[expected]], rtol=1e-5)


def test_too_few_images_are_named_with_what_to_exclude():
    z, attributes = make_latents(20)
    rare, common = np.zeros((2, 20), np.int8)
    rare[3], common[:19] = 1, 1
    attributes = np.column_stack([attributes, rare, common])
    names = [*NAMES, "Bald", "No_Beard"]
    with pytest.raises(UserError, match="fewer than 2 images with or without") as stop:
        av.compute_vectors(z, attributes, names, excluded=["Old"])
    assert str(stop.value).endswith("--exclude=Old,Bald,No_Beard")
    with pytest.raises(UserError, match="Bald; no attribute is left"):
        av.compute_vectors(z, attributes[:, 2:3], ["Bald"])


def test_with_a_control_each_of_the_four_groups_must_be_large_enough():
    z, attributes = make_latents(100)
    smiling, male = attributes.T
    beard = male.copy()
    beard[np.flatnonzero(male == 1)[:5]] = 0
    beard[np.flatnonzero(male == 0)[0]] = 1  # one woman with a beard
    attributes = np.column_stack([smiling, beard])
    av.compute_vectors(z, attributes, ["Smiling", "Beard"])
    with pytest.raises(UserError, match="with or without Male: Beard; .*=Beard$"):
        av.compute_vectors(z, attributes, ["Smiling", "Beard"], ("Male", male))
    nobody = np.zeros(100)
    with pytest.raises(UserError, match="--control=Bald .*: 0 images have it and 100"):
        av.compute_vectors(z, attributes, ["Smiling", "Beard"], ("Bald", nobody))


def test_one_latent_for_all_images_is_an_error():
    _, attributes = make_latents(20)
    with pytest.raises(UserError, match="encodes all images alike"):
        av.compute_vectors(np.ones((20, 4)), attributes, NAMES)


def test_explained_variance_is_that_of_a_regression_and_nothing_for_coins():
    z, attributes = make_latents()
    coins = np.random.default_rng(1).integers(0, 2, (len(z), 1))
    z = np.column_stack([z, np.ones(len(z))])  # a collapsed dimension
    found = av.explained_variances(z, np.column_stack([attributes, coins]))
    r_squared = [
        [scipy.stats.linregress(column, z[:, d]).rvalue ** 2 for d in range(4)]
        for column in attributes.T
    ]
    np.testing.assert_allclose(found[:2], np.mean(r_squared, axis=1), atol=1e-3)
    assert found[2] < 5e-4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Smiling", [("Smiling", 1)]),
        ("-Male", [("Male", -1)]),
        (
            "+5_o_Clock-Shadow-Male+Young",
            [("5_o_Clock-Shadow", 1), ("Male", -1), ("Young", 1)],
        ),
    ],
)
def test_edits(text, parts):
    names = ["Male", "Young", "5_o_Clock-Shadow", "Smiling", "5_o_Clock"]
    assert av.parse_edits(text, names) == [tuple(parts)]
    (first, second) = av.parse_edits(f"{text},-Male", names)
    assert (first, second) == (tuple(parts), (("Male", -1),))
    assert av.edit_title(first) == text.removeprefix("+")


@pytest.mark.parametrize("text", ["", "-", "Smiling+", "Smiling+-Male", "--Male"])
def test_malformed_edits_are_an_error(text):
    with pytest.raises(UserError, match="is no attribute; give names joined"):
        av.parse_edits(text, ["Smiling", "Male"])


def test_choosing_keeps_the_datasets_order():
    names = ["a", "b", "c", "d"]
    assert av.choose(names, [], []) == ("a", "b", "c", "d")
    assert av.choose(names, ["d", "b", "a"], ["b"]) == ("a", "d")
    with pytest.raises(UserError, match="no attribute is left"):
        av.choose(names, ["a"], ["a"])
    for wanted, excluded in ((["e"], []), ([], ["e"])):
        with pytest.raises(UserError, match="unknown attribute 'e'; known: a, b, c, d"):
            av.choose(names, wanted, excluded)


@pytest.fixture(name="run")
def _run(tmp_path):
    """A run whose weights are anything."""
    run = RunDir(tmp_path / "run")
    write_arrays(run.weights, {"w": np.arange(3)})
    return run


@pytest.fixture(name="stored")
def _stored(run):
    """Vectors, stored in the run."""
    z, attributes = make_latents(50)
    vectors = av.compute_vectors(z, attributes, NAMES)
    images = tuple(f"{i}.jpg" for i in range(50))
    found = av.AttributeVectors(NAMES, vectors, z, attributes, images)
    av.save(run.attributes, found, run, "drawn faces", "train")
    return found


def test_files_hold_everything_and_come_back(run, stored):
    loaded = av.load(run.attributes, run, 4)
    assert (loaded.names, loaded.control) == (NAMES, None)
    assert loaded.image_names == stored.image_names
    for name, dtype in (
        ("vectors", np.float32),
        ("z_mean", np.float32),
        ("attributes", np.int8),
    ):
        array = getattr(loaded, name)
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, getattr(stored, name))
    facts = json.loads((run.attributes / "vectors.json").read_text())
    smiling = facts["attributes"]["Smiling"]
    assert smiling["images_with"] == stored.attributes[:, 0].sum()
    assert smiling["images_with"] + smiling["images_without"] == 50
    assert smiling["length"] == pytest.approx(np.linalg.norm(stored.vectors[0]))
    assert (facts["dataset"], facts["split"]) == ("drawn faces", "train")
    assert facts["run"] == str(run) and "command" in facts["provenance"]


def test_directions_add_up(stored):
    found = stored.direction([("Smiling", 1), ("Male", -1)])
    np.testing.assert_array_equal(found, stored.vectors[0] - stored.vectors[1])
    with pytest.raises(UserError, match="unknown attribute 'Smile'.*'Smiling'"):
        stored.direction([("Male", 1), ("Smile", 1)])


def test_vectors_of_other_weights_are_refused(run, stored):
    with pytest.raises(UserError, match="not of the weights"):
        av.load(run.attributes, run, 5)
    write_arrays(run.weights, {"w": np.arange(4)})
    with pytest.raises(UserError, match=f"vectors --run_dir={run}$"):
        av.load(run.attributes, run, 4)


def test_missing_and_damaged_files_are_one_line(run, stored, tmp_path):
    with pytest.raises(UserError, match=f"make them .* --output_dir={tmp_path}/x$"):
        av.load(tmp_path / "x", run, 4)
    arrays = read_arrays(run.attributes / av.ARRAYS)
    del arrays["z_mean"]
    write_arrays(run.attributes / av.ARRAYS, arrays)
    with pytest.raises(UserError, match="are damaged; make them again"):
        av.load(run.attributes, run, 4)
    (run.attributes / av.ARRAYS).write_bytes(b"PK")
    with pytest.raises(UserError, match="not a readable .npz"):
        av.load(run.attributes, run, 4)


def test_interrupted_saving_leaves_no_vectors(run, stored, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(av, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        av.save(run.attributes, stored, run, "drawn faces", "train")
    with pytest.raises(UserError, match="has no attribute vectors"):
        av.load(run.attributes, run, 4)

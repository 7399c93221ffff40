"""From flags with several values to the runs of a sweep."""

import pytest

from dfcvae_tf.errors import UserError
from tools.combinations import combinations


def test_every_combination_is_named_by_what_differs():
    found = combinations(
        {"preset": "mnist-vae", "kl_weight": "0.25, 1", "steps": "5", "seed": "0,1"}
    )
    assert [each.name for each in found] == [
        "kl_weight_0.25-seed_0",
        "kl_weight_0.25-seed_1",
        "kl_weight_1-seed_0",
        "kl_weight_1-seed_1",
    ]
    flags = {"preset": "mnist-vae", "kl_weight": "1", "steps": "5", "seed": "0"}
    assert found[2].flags == flags
    config = found[2].config
    assert (config.preset, config.objective.kl_weight) == ("mnist-vae", 1.0)
    assert (config.training.steps, config.training.seed) == (5, 0)


def test_a_value_is_named_alike_however_it_is_written():
    (first, _) = combinations({"learning_rate": "0.00001,1"})
    assert first == combinations({"learning_rate": "1e-5,1.0"})[0]
    assert first.name == "learning_rate_1e-05"


def test_lists_are_split_at_semicolons_and_quoted_texts_are_whole():
    found = combinations(
        {
            "perceptual_layers": "conv1;conv1,conv2",
            "image_size": "28,32x48",
            "dataset": 'synthetic,"folder:a,b"',
            "jit_compile": "true,false",
        }
    )
    assert len(found) == 16
    last = found[-1]
    assert last.config.objective.perceptual_layers == ("conv1", "conv2")
    assert last.config.data.dataset == "folder:a,b"
    assert last.flags["perceptual_layers"] == "conv1,conv2"
    assert last.name == (
        "perceptual_layers_conv1+conv2-image_size_32x48-dataset_folder_a+b-"
        "jit_compile_false"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": "0"}, "no flag has several values"),
        ({"seed": "0,00"}, "has '0' twice"),
        ({"seed": "0,x"}, "--seed=x: "),
        ({"seed": "0,-1"}, "--seed must be 0 or more"),
        ({"seed": "0,"}, "--seed=: "),
        ({"objective": "vae,gan"}, "known: vae, dfc_vae"),
        ({"preset": "mnist-vae,mnist"}, "unknown preset 'mnist'"),
        ({"dataset": "folder:a b,folder:a_b"}, "two runs would be in one folder"),
        ({"dataset": 'a,"b'}, "cannot be read"),
        # Of some combinations only.
        ({"objective": "dfc_vae,vae", "perceptual_layers": "conv1"}, "no perceptual"),
    ],
)
def test_what_is_wrong_with_any_of_them_is_said(given, message):
    with pytest.raises(UserError) as error:
        combinations(given)
    assert message in str(error.value)

"""The bundled runs keep what their cards promise, on the real test images."""

import numpy as np
import pytest

from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.command_line import run_program
from tools import pretrained
from tools.pretrained import measure

pytestmark = pytest.mark.slow


@pytest.fixture(name="plain", scope="module")
def _plain():
    return measure("pretrained:mnist_vae")[0]


@pytest.fixture(name="dfc", scope="module")
def _dfc():
    return measure("pretrained:mnist_dfc_vae")[0]


def test_both_rates_are_those_of_the_article(plain, dfc):
    assert plain["kl_nats"] <= 12.5
    assert dfc["kl_nats"] <= 12.5


def test_the_dfc_vae_is_sharper_and_not_by_noise(plain, dfc):
    # The article's weights reach 0.42 against 0.23.
    assert dfc["sharpness ratio"] > 0.42
    assert dfc["sharpness ratio"] > 1.5 * plain["sharpness ratio"]
    assert dfc["sharpness ratio, blurred"] > 1.2 * plain["sharpness ratio, blurred"]


def test_the_dfc_vae_keeps_the_digit_more_often(plain, dfc):
    # The article's weights reach 95.6 % against 87.7 %.
    assert plain["label kept"] > 0.877
    assert dfc["label kept"] > 0.956
    assert dfc["label kept"] > plain["label kept"]


def test_most_prior_samples_look_like_digits(dfc):
    assert dfc["samples judged with > 0.9"] > 0.7


def tool(*arguments) -> object:
    with pytest.raises(SystemExit) as stop:
        run_program(
            None,
            pretrained.define_flags,
            {"check": pretrained.check, "bundle": pretrained.bundle},
            ["pretrained", *arguments],
        )
    return stop.value.code


def test_a_bundled_run_is_the_run(tmp_path, monkeypatch, capsys):
    source = run_dir_lib.PRETRAINED_DIR / "mnist_vae"
    before = load_for_inference(str(source)).decoder(np.zeros([1, 5], np.float32))
    monkeypatch.setattr(run_dir_lib, "PRETRAINED_DIR", tmp_path)
    assert tool("bundle", f"--run_dir={source}", "--name=mine") == 0
    after = load_for_inference("pretrained:mine").decoder(np.zeros([1, 5], np.float32))
    np.testing.assert_array_equal(before, after)
    card = (tmp_path / "mine" / "card.md").read_text()
    assert card.startswith("# pretrained:mine") and "sharpness ratio" in card
    assert tool("bundle", f"--run_dir={source}", "--name=../mine") == 2
    assert tool("bundle", f"--run_dir={source}") == 2
    assert tool("chekc") == 2
    assert "Did you mean 'check'" in capsys.readouterr().err

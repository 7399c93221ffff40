"""dfcvae_tf/train_classifier.py, as its users run it"""

from dfcvae_tf import train_classifier
from dfcvae_tf.files import read_arrays
from tests.programs import run_here


def test_trains_on_synthetic_images(tmp_path, capsys):
    output = tmp_path / "net.npz"
    arguments = [f"--output={output}", "--epochs=1", "--batch_size=64"]
    assert run_here(train_classifier, "--dataset=synthetic", *arguments) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert read_arrays(output)["logits/kernel"].shape == (64, 3)
    assert "synthetic" in output.with_suffix(".md").read_text()

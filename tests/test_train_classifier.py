"""dfcvae_tf/train_classifier.py, as its users run it"""

import subprocess
import sys

import pytest

from dfcvae_tf.files import read_arrays


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dfcvae_tf.train_classifier", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_trains_on_synthetic_images(tmp_path):
    output = tmp_path / "net.npz"
    done = _run(
        "--dataset=synthetic", f"--output={output}", "--epochs=1", "--batch_size=64"
    )
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert read_arrays(output)["logits/kernel"].shape == (64, 3)
    assert "synthetic" in output.with_suffix(".md").read_text()


def test_help_needs_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.argv = ['x', '--help']; "
        "from dfcvae_tf.train_classifier import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--dataset" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--dataset is missing"),
        (["--dataset=synthetic"], "--output is missing"),
        (["--dataset=synthetic", "--output=a.npz", "--epochs=0"], "--epochs"),
        (["--dataset=synthetic", "--output=a.txt"], ".npz or .keras"),
        (["--dataset=synthetic", f"--output={__file__}/a.npz"], "cannot write"),
        (["--dataset=synthetic", "--output=a.npz", "--network=x"], "mnist_judge"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments, message):
    done = _run(*arguments)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr

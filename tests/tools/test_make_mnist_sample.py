import pytest

from dfcvae_tf.command_line import run_program
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from tools import make_mnist_sample


def test_remakes_the_bundled_file_byte_for_byte(shared_data, tmp_path):
    output = tmp_path / "sample.npz"
    with pytest.raises(SystemExit) as ended:
        run_program(
            make_mnist_sample.__doc__,
            make_mnist_sample.define_flags,
            make_mnist_sample.main,
            ["prog", f"--data_dir={shared_data / 'tfds'}", "--offline"]
            + [f"--output={output}"],
        )
    assert ended.value.code == 0
    assert output.read_bytes() == SAMPLE_PATH.read_bytes()

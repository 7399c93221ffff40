from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from tests.programs import run_here
from tools import make_mnist_sample


def test_remakes_the_bundled_file_byte_for_byte(shared_data, tmp_path):
    output = tmp_path / "sample.npz"
    data = f"--data_dir={shared_data / 'tfds'}", "--offline"
    assert run_here(make_mnist_sample, *data, f"--output={output}") == 0
    assert output.read_bytes() == SAMPLE_PATH.read_bytes()

"""Running .tflite files."""

import numpy as np
import pytest

from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.exporting.saved_model import write_saved_model
from dfcvae_tf.exporting.tflite import convert
from dfcvae_tf.models.prior import StandardNormal
from tests.programs import run_python


@pytest.mark.parametrize("batch_size", [3, None])
def test_any_number_of_rows_can_be_run(tmp_path, vae, model, latents, batch_size):
    write_saved_model(vae, StandardNormal(), tmp_path / "model", batch_size)
    content = convert(tmp_path / "model", "decode", "float32")
    path = tmp_path / "decoder.tflite"
    path.write_bytes(content)
    for source in (content, path):
        decode = TFLiteFunction(source, "decode", 2)
        assert decode.input_shapes == [(batch_size or -1, 3)]
        for count in (1, 3, 7, 40):
            found = decode(latents[:count])["image"]
            np.testing.assert_allclose(found, model.decoder(latents[:count]), atol=1e-5)


def test_the_runtime_needs_no_tensorflow(tmp_path, static_model, latents):
    path = tmp_path / "decoder.tflite"
    path.write_bytes(convert(static_model, "decode", "float32"))
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import numpy as np\n"
        "from dfcvae_tf.exporting.runtime import TFLiteFunction\n"
        f"decode = TFLiteFunction({str(path)!r}, 'decode', 1)\n"
        "assert decode(np.zeros((2, 3), np.float32))['image'].shape == (2, 8, 8, 1)\n"
    )
    done = run_python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")

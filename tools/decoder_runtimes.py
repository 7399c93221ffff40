"""One decoder in several runtimes: TensorFlow, LiteRT, ONNX Runtime and PyTorch.

Each function loads one for a number of threads. Importing this module imports none of them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dfcvae_tf.exporting.runtime import TFLiteFunction

# z [1, D] float32 -> image [1, H, W, C] float32 in [0, 1]
Decode = Callable[[np.ndarray], np.ndarray]


def torch_decode(source: tuple[dict[str, np.ndarray], str], num_threads: int) -> Decode:
    """The article's decoder in PyTorch.

    Operators one by one: for single pictures neither TorchScript nor `torch.compile` is
    faster; channels last in memory is.

    Args:
      source: the arguments of `torch_decoder.ArticleDecoder`.
      num_threads: threads per call.
    """
    import torch

    from tools.torch_decoder import ArticleDecoder

    torch.set_num_threads(num_threads)
    decoder = ArticleDecoder(*source).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def decode(z: np.ndarray) -> np.ndarray:
        return decoder(torch.from_numpy(z)).numpy()

    return decode


def onnx_decode(path: Path, num_threads: int) -> Decode:
    """A file of `torch_decoder.write_onnx` in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    return lambda z: session.run(None, {"z": z})[0]


def tflite_decode(path: Path, num_threads: int) -> Decode:
    """A .tflite file in LiteRT, with XNNPACK."""
    function = TFLiteFunction(path, "decode", num_threads)
    return lambda z: function.call(z)["image"]


def tflite_generate(path: Path, num_threads: int) -> Decode:
    """The same with a prior in front of the decoder: from noise."""
    function = TFLiteFunction(path, "generate", num_threads)
    return lambda noise: function.call(noise)["image"]


def saved_model_decode(path: Path, num_threads: int) -> Decode:
    """A SavedModel in TensorFlow, on the CPU; TensorFlow must not have run before."""
    import tensorflow as tf

    from dfcvae_tf.exporting.saved_model import load_signature

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    function = load_signature(path, "decode")
    return lambda z: function(z)["image"]

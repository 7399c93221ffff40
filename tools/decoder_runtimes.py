"""One decoder in several runtimes: TensorFlow, LiteRT, ONNX Runtime and PyTorch.

Each function loads one for a number of threads, or on a GPU. Importing this module imports
none of them.
"""

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dfcvae_tf.exporting.accelerator import Device, compile_here
from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.messages import held_back_messages

# z [N, D] float32 -> image [N, H, W, C] float32 in [0, 1], N as the source has it
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


def write_onnx(source: tuple[dict[str, np.ndarray], str], path: Path) -> None:
    """Writes the article's decoder for `onnx_decode`, in a process of its own.

    With TensorFlow in the same one, the Triton that PyTorch imports crashes it.

    Args:
      source: the arguments of `torch_decoder.ArticleDecoder`.
      path: of the file.
    """
    apart = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, apart) as pool:
        pool.submit(_write_onnx_here, source, path).result()


def _write_onnx_here(source: tuple[dict[str, np.ndarray], str], path: Path) -> None:
    with held_back_messages():
        from tools import torch_decoder

        torch_decoder.write_onnx(torch_decoder.ArticleDecoder(*source), path)


def onnx_decode(path: Path, num_threads: int) -> Decode:
    """A file of `write_onnx` in ONNX Runtime."""
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


def gpu_decode(source: tuple[Path, Device], num_threads: int) -> Decode:
    """A .tflite file in LiteRT, all of it on a GPU in 32 bits.

    Args:
      source: the file, and where it runs.
      num_threads: of the CPU, which has nothing to do.
    """
    path, device = source
    os.environ.update(device.environment)
    model = compile_here(path, "float32")
    inputs = {"z": model.create_input_buffer_by_name("decode", "z")}
    image = model.create_output_buffer_by_name("decode", "image")
    shape = model.get_output_tensor_details("decode")["image"]["shape"]

    def decode(z: np.ndarray) -> np.ndarray:
        inputs["z"].write(z)
        model.run_by_name("decode", inputs, {"image": image})
        return image.read(int(np.prod(shape)), np.float32).reshape(shape)

    return decode


def saved_model_decode(path: Path, num_threads: int) -> Decode:
    """A SavedModel in TensorFlow, on the CPU; TensorFlow must not have run before."""
    import tensorflow as tf

    from dfcvae_tf.exporting.saved_model import load_signature

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    function = load_signature(path, "decode")
    return lambda z: function(z)["image"]

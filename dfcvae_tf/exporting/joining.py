"""A generator file: a prior in front of an exported decoder, in one .tflite file.

The prior stays in float32 whatever the decoder is in. It is small, and noise rounded to 8
or 10 bits is other noise: converted as a whole, an int8 generator drew other pictures.
"""

import flatbuffers
import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.tflite import schema
from dfcvae_tf.messages import held_back_messages
from dfcvae_tf.models.prior import Prior

_IDENTIFIER = b"TFL3"


def convert_prior(prior: Prior, latent_dim: int, batch_size: int | None) -> bytes:
    """Converts a prior: a .tflite file from noise [N, D] to latents [N, D], float32.

    Args:
      prior: what makes latents of noise.
      latent_dim: D.
      batch_size: N; any N when None.
    """
    spec = tf.TensorSpec([batch_size, latent_dim], tf.float32, name="noise")
    module = tf.Module()
    module.from_noise = tf.function(prior.from_noise)
    function = module.from_noise.get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    with held_back_messages():
        return converter.convert()


def join(prior: bytes, decoder: bytes) -> bytes:
    """Puts a prior in front of a decoder.

    Args:
      prior: see `convert_prior`.
      decoder: a .tflite file with the signature decode(z) -> image, float32, with as many
        rows per call.

    Returns:
      A .tflite file with the signature generate(noise) -> image.
    """
    first = schema().ModelT.InitFromPackedBuf(prior, 0)
    model = schema().ModelT.InitFromPackedBuf(decoder, 0)
    (front,), (graph,) = first.subgraphs, model.subgraphs
    (signature,) = model.signatureDefs
    (latents,) = graph.inputs
    num_tensors, num_buffers = len(graph.tensors), len(model.buffers)
    num_codes = len(model.operatorCodes)

    # The prior's result is the decoder's argument; its other tensors come behind.
    place = {tensor: num_tensors + tensor for tensor in range(len(front.tensors))}
    place |= {front.outputs[0]: latents, -1: -1}
    for tensor in front.tensors:
        tensor.name = b"prior/" + tensor.name
        if tensor.buffer:  # 0 is the empty one in every file
            tensor.buffer += num_buffers
    for operator in front.operators:
        operator.opcodeIndex += num_codes
        operator.inputs = np.array([place[i] for i in operator.inputs], np.int32)
        operator.outputs = np.array([place[i] for i in operator.outputs], np.int32)
    model.buffers += first.buffers
    model.operatorCodes += first.operatorCodes
    graph.tensors += front.tensors
    graph.operators = [*front.operators, *graph.operators]
    graph.inputs = np.array([place[front.inputs[0]]], np.int32)

    signature.signatureKey = b"generate"
    signature.inputs[0].name = b"noise"
    signature.inputs[0].tensorIndex = place[front.inputs[0]]
    builder = flatbuffers.Builder(len(prior) + len(decoder))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())

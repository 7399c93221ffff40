"""A prior as a .tflite file, and in front of an exported decoder in one: a generator file.

The prior stays in float32 whatever the decoder is in. It is small, and noise rounded to 8
or 10 bits is other noise: converted as a whole, an int8 generator drew other pictures.
"""

import tempfile
from collections.abc import Collection

import flatbuffers
import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.signatures import LABEL, PRIOR_SIGNATURES, arguments
from dfcvae_tf.exporting.tflite import schema
from dfcvae_tf.messages import held_back_messages
from dfcvae_tf.models.prior import Prior, prior_given

_IDENTIFIER = b"TFL3"

Results = dict[str, tf.Tensor]


def convert_prior(
    prior: Prior,
    latent_dim: int,
    batch_size: int | None,
    ways: Collection[str] = tuple(PRIOR_SIGNATURES),
) -> bytes:
    """Converts a prior to a .tflite file with a signature for each way, float32.

    from_noise(noise [N, D]) -> z [N, D]; to_noise(z) -> noise; where the prior knows
    labels both take label [N, A] as well.

    Args:
      prior: what makes latents of noise.
      latent_dim: D.
      batch_size: N; any N when None.
      ways: those that it shall have.
    """

    def from_noise(noise: tf.Tensor, label: tf.Tensor | None = None) -> Results:
        return {"z": prior_given(prior, label).from_noise(noise)}

    def to_noise(z: tf.Tensor, label: tf.Tensor | None = None) -> Results:
        return {"noise": prior_given(prior, label).to_noise(z)}

    module = tf.Module()
    functions = {"from_noise": from_noise, "to_noise": to_noise}
    for name in ways:
        specs = [
            tf.TensorSpec(
                [batch_size, prior.num_labels if argument == LABEL else latent_dim],
                tf.float32,
                name=argument,
            )
            for argument in arguments(name, prior.num_labels)
        ]
        setattr(module, name, tf.function(functions[name], input_signature=specs))
    signatures = {name: getattr(module, name) for name in ways}
    with tempfile.TemporaryDirectory() as folder, held_back_messages():
        # Only from a SavedModel does one file get several signatures.
        tf.saved_model.save(module, folder, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        return converter.convert()


def join(prior: bytes, decoder: bytes) -> bytes:
    """Puts a prior in front of a decoder.

    Args:
      prior: see `convert_prior`.
      decoder: a .tflite file with the signature decode(z) -> image, float32, with as many
        rows per call.

    Returns:
      A .tflite file with the signature generate(noise) -> image, or generate(noise,
      label), as the prior is.
    """
    first = schema().ModelT.InitFromPackedBuf(prior, 0)
    model = schema().ModelT.InitFromPackedBuf(decoder, 0)
    (way,) = (s for s in first.signatureDefs if s.signatureKey == b"from_noise")
    front = first.subgraphs[way.subgraphIndex]
    (graph,) = model.subgraphs
    (signature,) = model.signatureDefs
    (latents,) = graph.inputs
    num_tensors, num_codes = len(graph.tensors), len(model.operatorCodes)

    # The prior's result is the decoder's argument; its other tensors come behind.
    place = {tensor: num_tensors + tensor for tensor in range(len(front.tensors))}
    place |= {front.outputs[0]: latents, -1: -1}
    for tensor in front.tensors:
        tensor.name = b"prior/" + tensor.name
        if tensor.buffer:  # 0 is the empty one in every file
            model.buffers.append(first.buffers[tensor.buffer])
            tensor.buffer = len(model.buffers) - 1
    for operator in front.operators:
        operator.opcodeIndex += num_codes
        operator.inputs = np.array([place[i] for i in operator.inputs], np.int32)
        operator.outputs = np.array([place[i] for i in operator.outputs], np.int32)
    model.operatorCodes += first.operatorCodes
    graph.tensors += front.tensors
    graph.operators = [*front.operators, *graph.operators]
    graph.inputs = np.array([place[i] for i in front.inputs], np.int32)

    signature.signatureKey = b"generate"
    signature.inputs = way.inputs
    for argument in signature.inputs:
        argument.tensorIndex = place[argument.tensorIndex]
    builder = flatbuffers.Builder(len(prior) + len(decoder))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())

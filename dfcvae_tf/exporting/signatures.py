"""The signatures of exported files: what goes in and what comes out, by name."""

# Of what may be asked of a prior, behind a signature's other argument.
LABEL = "label"

# Name of the signature -> (its arguments, its results); of the networks.
SIGNATURES = {
    "decode": (("z",), ("image",)),
    "encode": (("image",), ("z_mean", "z_log_var")),
    "reconstruct": (("image",), ("image",)),
    "generate": (("noise",), ("image",)),
}
# What the networks' .tflite files are called; the decoder first. Where the prior is
# N(0, I) the decoder is the generator.
NETWORKS = {"decode": "decoder", "encode": "encoder", "generate": "generator"}
# Of the prior's file.
PRIOR_SIGNATURES = {
    "from_noise": (("noise",), ("z",)),
    "to_noise": (("z",), ("noise",)),
}
_THROUGH_PRIOR = ("generate", *PRIOR_SIGNATURES)


def arguments(signature: str, num_labels: int) -> tuple[str, ...]:
    """Names of a signature's arguments, in their order, where a prior knows labels.

    Args:
      signature: its name.
      num_labels: A; 0 where the prior knows none.
    """
    names, _ = {**SIGNATURES, **PRIOR_SIGNATURES}[signature]
    return (*names, LABEL) if num_labels and signature in _THROUGH_PRIOR else names

"""Which of an export's files to take, by a rule from what was measured of them."""

from collections.abc import Mapping, Sequence
from typing import Any

# Of the worst picture: from here on differences are hard to see even in flat grounds.
GOOD_PSNR_DB = 35.0


def recommend(
    variants: Sequence[Mapping[str, Any]],
    files: Mapping[str, Mapping[str, Any]],
    signature: str,
) -> dict[str, Any]:
    """Returns the files to draw pictures with, and why.

    On CPUs the smallest file whose worst picture keeps `GOOD_PSNR_DB`; where none does, the
    one whose worst picture is best. On GPUs the smallest of those of float32 or float16
    that a GPU takes whole; 8 bits save them no time.

    Args:
      variants: of the manifest, at least one.
      files: of the manifest, by name.
      signature: what pictures are drawn by, "generate" or "decode".

    Returns:
      "cpu": {"variant", "file"}, "gpu": the same or None where GPUs take none whole,
      "rule": that in words.
    """
    network = "generator" if signature == "generate" else "decoder"
    having = [v for v in variants if v[network]]

    def worst(variant: Mapping[str, Any]) -> float:
        return variant["quality"][network]["worst_psnr_db"]

    def num_bytes(variant: Mapping[str, Any]) -> int:
        return files[variant[network]]["bytes"]

    good = [v for v in having if worst(v) >= GOOD_PSNR_DB]
    cpu = min(good, key=num_bytes) if good else max(having, key=worst)
    floats = [
        v
        for v in having
        if v["name"] in ("float32", "float16") and v["gpu"][network]["whole"]
    ]
    gpu = min(floats, key=num_bytes) if floats else None
    return {
        "cpu": {"variant": cpu["name"], "file": cpu[network]},
        "gpu": gpu and {"variant": gpu["name"], "file": gpu[network]},
        "rule": "on CPUs the smallest file whose worst picture has at least "
        f"{GOOD_PSNR_DB:g} dB, else the best; on GPUs the smallest of float16 and float32 "
        "that they take whole",
    }

"""Which file to take: the rule, on made-up measurements."""

import pytest

from dfcvae_tf.exporting.recommendation import recommend

SIZES = {"float32": 400, "float16": 200, "dynamic": 140, "int8": 150}


def variants(worst, refused=()):
    return [
        {
            "name": name,
            "decoder": f"decoder_{name}.tflite",
            "generator": None,
            "quality": {"decoder": {"worst_psnr_db": decibels}},
            "gpu": {"decoder": {"whole": name not in refused}},
        }
        for name, decibels in worst.items()
    ]


FILES = {f"decoder_{name}.tflite": {"bytes": size} for name, size in SIZES.items()}


@pytest.mark.parametrize(
    ("worst", "refused", "cpu", "gpu"),
    [
        (dict(zip(SIZES, (120, 70, 37, 36), strict=True)), (), "dynamic", "float16"),
        (dict(zip(SIZES, (120, 70, 34, 36), strict=True)), (), "int8", "float16"),
        ({"dynamic": 30.0, "int8": 33.0}, (), "int8", None),
        ({"float32": 120.0, "float16": 70.0}, ("float16",), "float16", "float32"),
    ],
)
def test_small_and_good_wins(worst, refused, cpu, gpu):
    taken = recommend(variants(worst, refused), FILES, "decode")
    assert taken["cpu"] == {"variant": cpu, "file": f"decoder_{cpu}.tflite"}
    wanted = gpu and {"variant": gpu, "file": f"decoder_{gpu}.tflite"}
    assert taken["gpu"] == wanted

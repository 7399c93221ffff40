"""Results as plain values."""

import dataclasses
import json

import numpy as np

from dfcvae_tf.evaluation.section import plain


def test_everything_becomes_json():
    @dataclasses.dataclass(frozen=True)
    class Pair:
        n: int
        values: np.ndarray

    value = {
        "pair": Pair(np.int64(2), np.array([[1.0, np.inf]], np.float32)),
        3: (np.bool_(True), None, "text", float("nan"), -np.inf),
    }
    found = plain(value)
    assert found == {
        "pair": {"n": 2, "values": [[1.0, "inf"]]},
        "3": [True, None, "text", "nan", "-inf"],
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found

"""What an evaluation costs."""

import re

import numpy as np
import pytest

from tools import evaluation_cost


def test_generated_images_depend_on_their_place_alone():
    whole = np.concatenate(list(evaluation_cost.generated_images(7, 28, 7)))
    assert whole.shape == (7, 28, 28, 3) and whole.std() > 0.1
    parts = list(evaluation_cost.generated_images(7, 28, 3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(np.rint(whole * 255) / 255, whole.astype(float))


@pytest.mark.slow
def test_a_row_for_half_and_for_all_images():
    text = evaluation_cost.compare([28], images=20)
    rows = re.findall(r"^ +28 +(10|20) +\d+ +(\d+) +(\d+)", text, re.MULTILINE)
    assert [count for count, *_ in rows] == ["10", "20"]
    assert all(0 < int(loaded) < int(peak) for _, loaded, peak in rows)

"""What an evaluation costs."""

import numpy as np

from tools import evaluation_cost


def test_generated_images_depend_on_their_place_alone():
    whole = np.concatenate(list(evaluation_cost.generated_images(7, 28, 7)))
    assert whole.shape == (7, 28, 28, 3) and whole.std() > 0.1
    parts = list(evaluation_cost.generated_images(7, 28, 3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(np.rint(whole * 255) / 255, whole.astype(float))


class Scripted:
    """A contestant that takes 300 MiB, and 50 KiB for each image."""

    def __init__(self, serve, size):
        assert serve is evaluation_cost._serve and size == 64
        self.facts = {"machine": "M", "tensorflow": "T", "loaded": 300.0}

    def run(self, count):
        return count / 100, 300 + 50 * count / 1024

    def close(self):
        pass


def test_what_an_image_takes_is_told_where_batches_and_maps_are_full(monkeypatch):
    monkeypatch.setattr(evaluation_cost, "Contestant", Scripted)
    for images, last in ((4000, [50, 788]), (40, [])):
        rows = [
            list(map(float, line.split()))
            for line in evaluation_cost.compare([64], images).splitlines()
            if line.startswith("    64")
        ]
        half, whole = images // 2, images
        assert [row[:3] for row in rows] == [
            [64, half, half / 100 // 1],
            [64, whole, whole / 100 // 1],
        ]
        assert rows[0][3:] == [300, round(300 + 50 * half / 1024)]
        assert rows[1][3:] == [300, round(300 + 50 * whole / 1024), *last]

import time

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import Source
from dfcvae_tf.presets import preset_config
from tools import data_rates


def test_reading_takes_as_long_as_the_source_or_nothing_from_the_cache():
    seconds = 0.002

    def wait(number):
        time.sleep(seconds)
        return np.full((8, 8, 1), number, np.uint8)

    def decode(number):
        image = tf.numpy_function(wait, [number], tf.uint8)
        return {"image": tf.ensure_shape(image, (8, 8, 1))}

    source = Source(
        name="slow",
        description="",
        num_examples={"train": 256, "test": 1},
        image_shape=(8, 8, 1),
        class_names=(),
        dataset=lambda _: tf.data.Dataset.range(256).map(decode),
        digest="slow",
    )
    rates = {
        cached: data_rates.reading_rate(source, DataConfig(), (8, 8, 1), cached)(1000)
        for cached in (False, True)
    }
    # Some batches are ready when the clock starts.
    assert 0.1 / seconds < rates[False] <= 2 / seconds
    assert rates[True] > 5 / seconds


class Scripted:
    """A contestant that is as fast as its name says."""

    def __init__(self, serve, name, config, images):
        assert serve is data_rates._serve and images == 10
        self.rates = iter(
            {
                "prepared": [9, 600, 400, 500],
                "cached": [9, 800, 900, 700],
                "trained": [9, 100, 200, 50],
            }[name]
        )
        self.facts = {
            "machine": "M",
            "tensorflow": "T",
            "source": "S",
            "size": "8x8x1",
            "precision": "float32",
        }

    def run(self, count):
        return next(self.rates)

    def close(self):
        self.rates = None


def test_ratios_are_of_the_same_round(monkeypatch):
    monkeypatch.setattr(data_rates, "Contestant", Scripted)
    report = data_rates.compare(preset_config("hou2017-vae"), images=10, repeats=3)
    lines = report.splitlines()
    assert lines[1] == "S; 8x8x1; preset hou2017-vae, batch 64"
    rows = {line.split()[0]: line.split()[1:4] for line in lines[4:7]}
    assert rows == {
        "prepared": ["500", "400", "600"],
        "cached": ["800", "700", "900"],
        "trained": ["100", "50", "200"],
    }
    assert "prepared 6.0 (2.0 to 10.0) times as fast as trained" in lines[-1]

"""Measuring speed and memory."""

from dfcvae_tf.exporting.latency import describe_machine, measure_latency
from dfcvae_tf.exporting.tflite import convert


def test_a_file_is_measured_alone(tmp_path, static_model):
    path = tmp_path / "it's a decoder.tflite"
    path.write_bytes(convert(static_model, "decode", "float32"))
    latency = measure_latency(path, "decode", runs=30)
    assert set(latency.median_ms) == set(latency.p95_ms) == {"1", "2"}
    for threads, median in latency.median_ms.items():
        assert 0 < median <= latency.p95_ms[threads] < 1000
    assert latency.first_run_ms > 0
    assert (latency.runs, latency.batch_size) == (30, 1)
    # The runtime's own needs; with TensorFlow in the process it would be hundreds of MB.
    assert 0 < latency.peak_memory_bytes < 100e6


def test_the_machine_is_one_line():
    assert "cores" in describe_machine() and "\n" not in describe_machine()

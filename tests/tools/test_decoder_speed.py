"""The comparison of runtimes: its arithmetic, its refusals, a short run."""

import operator
from types import SimpleNamespace

import numpy as np
import pytest

from dfcvae_tf.errors import Stopped
from dfcvae_tf.exporting import exporter, samples
from dfcvae_tf.exporting.latency import Latency
from dfcvae_tf.exporting.settings import ExportSettings
from dfcvae_tf.presets import preset_config
from tools import decoder_speed
from tools.decoder_speed import BASE, LITERT_FLOAT32, Runtime, Speed

LATENTS = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)


def runtime(decode) -> Runtime:
    """One that decodes with this function, with one thread."""
    return Runtime(operator.getitem, [None, decode], num_bytes=7)


def speed(*medians: float, **fields) -> Speed:
    times_us = np.array([[median - 1, median, median + 10] for median in medians])
    return Speed(
        **{"num_bytes": 0, "first_us": 0, "peak_mib": 0, **fields, "times_us": times_us}
    )


def test_every_runtime_has_its_turn_in_every_round():
    runtimes = {"a": runtime(np.tanh), "b": runtime(np.tanh)}
    measured = decoder_speed.measure(
        runtimes, LATENTS, np.tanh(LATENTS), num_threads=1, repeats=5, rounds=3
    )
    assert list(measured) == ["a", "b"]
    for found in measured.values():
        assert found.times_us.shape == (3, 5) and (found.times_us > 0).all()
        assert found.num_bytes == 7 and found.first_us > 0
        assert 10 < found.peak_mib < 500  # Python and NumPy


def test_pictures_are_counted_in_batches():
    threes = Runtime(operator.getitem, [None, np.tanh], num_bytes=7, batch_size=3)
    measured = decoder_speed.measure(
        {"a": threes}, LATENTS, np.tanh(LATENTS), num_threads=1, repeats=7, rounds=2
    )
    assert measured["a"].times_us.shape == (2, 2)  # two calls make six pictures


@pytest.mark.parametrize(
    ("decode", "difference"), [(np.sin, r"8\.0e-02"), (np.sqrt, "nan")]
)
def test_other_pictures_than_keras_shows_are_refused(decode, difference):
    pictures = np.tanh(LATENTS)
    with pytest.raises(Stopped, match=f"b does not show .* {difference}"):
        decoder_speed.measure(
            {"a": runtime(np.tanh), "b": runtime(decode)}, LATENTS, pictures, 1, 3, 1
        )


def test_ratios_are_of_the_same_round():
    own, other = speed(10, 20, 40), speed(30, 40, 100)
    assert own.times_as_fast(other) == (2.5, 2.0, 3.0)


def test_the_table_and_its_conclusion_say_what_was_measured():
    measured = {
        BASE: speed(400, 600, first_us=90_000, num_bytes=4_865_000, peak_mib=683.2),
        LITERT_FLOAT32: speed(200, 200, first_us=251, num_bytes=379_000, peak_mib=47),
        "ONNX Runtime": speed(190, 220),
    }
    header, rule, base, own, _ = decoder_speed.table(measured, 2).splitlines()
    cells = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in (header, base, own)
    ]
    assert cells == [
        [
            "2 threads",
            "first call",
            "median",
            "p95",
            "times as fast",
            "kB",
            "memory MiB",
        ],
        [BASE, "90000", "504", "608", "1.00 (1.00 to 1.00)", "4865", "683"],
        [LITERT_FLOAT32, "251", "200", "210", "2.50 (2.00 to 3.00)", "379", "47"],
    ]
    assert len({len(row) for row in (header, rule, base, own)}) == 1
    assert decoder_speed.conclusion(measured, 1) == (
        "LiteRT float32, 1 thread: 2.50 (2.00 to 3.00) times as fast as TensorFlow "
        "SavedModel, 1.02 (0.95 to 1.10) times as fast as ONNX Runtime"
    )


def test_other_networks_leave_out_two_runtimes_and_say_so_in_one_line(tmp_path):
    model = SimpleNamespace(config=preset_config("hou2017-vae"))
    ((names, why),) = decoder_speed._other_runtimes(model, tmp_path).items()
    assert names == "ONNX Runtime, PyTorch"
    assert why == "left out: their decoder is that of network 'article', not 'hou64'"


@pytest.mark.slow
def test_a_short_run_measures_what_is_installed_and_names_what_is_not(monkeypatch):
    for name in ("CHECK_IMAGES", "CHECK_DIGITS", "CALIBRATION_IMAGES", "DRAWN"):
        monkeypatch.setattr(samples, name, 50)
    unused = Latency(0.0, {"1": 1.0}, {"1": 1.0}, 0, 0, 1)
    monkeypatch.setattr(exporter, "measure_latency", lambda path, signature: unused)
    monkeypatch.setattr(decoder_speed, "VARIANTS", ("float32",))
    monkeypatch.setattr(
        decoder_speed, "ExportSettings", lambda: ExportSettings(("float32",))
    )
    report = decoder_speed.compare(
        "pretrained:mnist_dfc_vae", (None, None, False), [1], repeats=5, rounds=2
    )

    assert "5 latents -> 28x28x1" in report
    rows = {row.split("|")[1].strip(): row for row in report.splitlines() if "|" in row}
    for name in (BASE, LITERT_FLOAT32):
        median = float(rows[name].split("|")[3])
        assert 1 < median < 1e6
    for name, packages in (
        ("ONNX Runtime", ("onnxruntime", "onnxscript", "torch")),
        ("PyTorch", ("torch",)),
    ):
        missing = f"{name}: not installed: pip install -e '.[compare]'"
        assert (name in rows) != (missing in report.splitlines())
        assert (name in rows) == decoder_speed._installed(*packages)
        assert (f"times as fast as {name}" in report) == (name in rows)
    assert f"{LITERT_FLOAT32}, 1 thread: " in report

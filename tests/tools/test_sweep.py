"""A sweep: which runs are trained, what becomes of those that stop, what is compared."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dfcvae_tf.files import write_json
from dfcvae_tf.run_dir import RunDir
from tests.programs import ROOT, run_here
from tools import sweep

# A training that ends at once: seed 1 stops, unless there is a file `mended`.
TRAIN = """
import json, os, shlex, sys
flags = dict(part[2:].split("=", 1) for part in sys.argv[1:])
run = flags["run_dir"]
os.makedirs(run + "/weights", exist_ok=True)
command = shlex.join(["python", "-m", "dfcvae_tf.train", *sys.argv[1:]])
with open(run + "/config.json", "w") as file:
    json.dump({"provenance": {"command": command}}, file)
with open(run + "/trainings", "a") as file:
    file.write("x")
if flags["seed"] == "1" and not os.path.exists("mended"):
    sys.exit("step 5\\rerror: it broke")
open(run + "/weights/inference.npz", "w").close()
"""
EVALUATE = "import json, sys; json.dump(sys.argv[1:], open('compared', 'w'))"
SEEDS = ["--preset=article-vae", "--seed=0,1,2", "--run_dir=runs"]


@pytest.fixture(autouse=True)
def _quick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "TRAIN", (sys.executable, "-c", TRAIN))
    monkeypatch.setattr(sweep, "EVALUATE", (sys.executable, "-c", EVALUATE))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_stops_is_said_last_and_goes_on_with_the_same_command(
    tmp_path, capsys, jobs
):
    arguments = [*SEEDS, f"--jobs={jobs}"]
    assert run_here(sweep, *arguments) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        "1 of 3 runs did not finish: seed_1 (exit code 1: it broke); the same command "
        "tries again"
    )
    runs, output = json.loads((tmp_path / "compared").read_text())
    assert runs == "--runs=runs/seed_0,runs/seed_2"
    assert output == "--output_dir=runs/report"

    (tmp_path / "mended").touch()
    assert run_here(sweep, *arguments) == 0
    assert "3 runs, of which 2 are finished" in capsys.readouterr().out
    runs, _ = json.loads((tmp_path / "compared").read_text())
    assert runs == "--runs=runs/seed_0,runs/seed_1,runs/seed_2"
    trained = [(tmp_path / f"runs/seed_{n}/trainings").read_text() for n in range(3)]
    assert trained == ["x", "xx", "x"]


def test_how_all_are_compared(tmp_path):
    arguments = ["--seed=2,3", "--network=file:a.py:f", "--num_images=50"]
    assert run_here(sweep, *SEEDS[:1], *arguments) == 0
    _, *options = json.loads((tmp_path / "compared").read_text())
    assert options == [
        "--output_dir=runs/sweep/report",
        "--num_images=50",
        "--trust_code",
    ]


def test_finished_is_a_run_with_the_prior_that_is_asked_for(tmp_path, capsys):
    (tmp_path / "mended").touch()
    assert run_here(sweep, *SEEDS) == 0
    # How a run is spread or ends is none of its other settings.
    assert run_here(sweep, *SEEDS, "--prior=flow", "--log_every=7") == 0
    assert "of which 0 are finished" in capsys.readouterr().out


def test_a_folder_of_other_settings_is_refused_before_anything_starts(tmp_path, capsys):
    run = RunDir(tmp_path / "runs" / "seed_1")
    for provenance in ({"command": "dfcvae-train --seed=1 --kl_weight=3"}, {}, []):
        write_json(run.config, {"provenance": provenance})
        assert run_here(sweep, *SEEDS) == 2
        assert "seed_1 is a run of other settings" in capsys.readouterr().err
    assert os.listdir(tmp_path / "runs") == ["seed_1"]


def test_a_comparison_that_fails_is_said(monkeypatch, capsys, tmp_path):
    (tmp_path / "mended").touch()
    monkeypatch.setattr(
        sweep, "EVALUATE", (sys.executable, "-c", "raise SystemExit(2)")
    )
    assert run_here(sweep, *SEEDS) == 1
    assert "the evaluation ended with exit code 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sed=0,1"], "Did you mean: seed"),
        (["--seed=0,1", "--jobs=0"], "--jobs"),
        (["--nojit_compile"], "no flag has several values"),
    ],
)
def test_wrong_flags_are_one_line_and_nothing_starts(
    tmp_path, capsys, arguments, message
):
    assert run_here(sweep, *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not os.listdir(tmp_path)


SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved"))
open(sys.argv[-1].split("=", 1)[1].replace("runs/", ""), "w").close()
time.sleep(60)
"""


def test_ending_a_sweep_ends_its_trainings(tmp_path):
    code = (
        "import sys; from tools import sweep; "
        f"sweep.TRAIN = (sys.executable, '-c', {SLEEPER!r}); sweep.run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *SEEDS, "--jobs=2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "seed_0").exists() or not (tmp_path / "seed_1").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    shown, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("stopped, and trainings saved")
    assert shown.count("exit code 1: saved") == 2
    assert not (tmp_path / "seed_2").exists()

"""Trains a run for every combination of values, then compares them all.

  python -m tools.sweep --preset=mnist-vae --kl_weight=0.25,1,4 --seed=0,1,2 --run_dir=runs/sweep

Flags are those of `python -m dfcvae_tf.train`, with several values where a comma stands
between them. A flag that is a list by itself, such as --perceptual_layers, has ";" between
its values: '--perceptual_layers=conv1;conv1,conv2'. A value that holds the separator
stands in double quotes. --num_images is the evaluation's.

Every combination is a run in a folder of its own, named by what differs:
runs/sweep/kl_weight_0.25-seed_0. The same command again goes on: finished runs are kept,
others train to their end. A run that stops does not stop the rest. The evaluation's report
over all finished runs is in the folder `report` beside them.
"""

import contextlib
import csv
import io
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf.command_line import run_program
from dfcvae_tf.config import SETTINGS
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.files import check_writable, read_json
from dfcvae_tf.own_code import own_parts
from dfcvae_tf.presets import PRESET_HELP
from dfcvae_tf.run_dir import RunDir
from tools.combinations import Combination, combinations

REPORT = "report"
# What each run is trained with, and all are compared with.
TRAIN = (sys.executable, "-m", "dfcvae_tf.train")
EVALUATE = (sys.executable, "-m", "dfcvae_tf.evaluate")


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags: those of a training, as texts."""
    flags.DEFINE_string("preset", None, PRESET_HELP, flag_values=values)
    flags.DEFINE_string(
        "run_dir",
        "runs/sweep",
        "folder of the runs' folders (default: runs/sweep)",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "jobs",
        1,
        "runs that train at the same time (default: 1)",
        1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_images",
        None,
        "test images of the comparison, --num_images of dfcvae_tf.evaluate (default: "
        "its own)",
        1,
        flag_values=values,
    )
    for name, setting in SETTINGS.items():
        flag: flags.Flag = flags.Flag(
            flags.ArgumentParser(),
            flags.ArgumentSerializer(),
            name,
            None,
            setting.help,
            boolean=setting.flag_type is bool,
        )
        flags.DEFINE_flag(flag, values)


def main(values: flags.FlagValues) -> None:
    """Trains what is not finished, evaluates what is."""
    given: dict[str, Any] = values.flag_values_dict()
    texts = {name: given[name] for name in ("preset", *SETTINGS)}
    sweep = combinations(
        {name: text for name, text in texts.items() if text is not None}
    )
    folder = Path(given["run_dir"])
    runs = {
        combination.name: RunDir(folder / combination.name) for combination in sweep
    }
    for combination in sweep:
        _check_is_of_sweep(runs[combination.name], combination)
    check_writable(folder)
    todo = [each for each in sweep if not _is_finished(runs[each.name], each)]
    print(
        f"{len(sweep)} runs, of which {len(sweep) - len(todo)} are finished", flush=True
    )
    failed = Trainings(runs, given["jobs"]).run(todo)
    finished = [run for name, run in runs.items() if name not in failed]
    said = [f"{name} ({why})" for name, why in failed.items()]
    if said:
        said = [f"{len(said)} of {len(sweep)} runs did not finish: {'; '.join(said)}"]
    options = [f"--output_dir={folder / REPORT}"]
    if given["num_images"] is not None:
        options.append(f"--num_images={given['num_images']}")
    if any(own_parts(each.config) for each in sweep):
        # Loading a network that the user named here runs its text.
        options.append("--trust_code")
    if finished and (code := _evaluate(finished, options)):
        said.append(f"the evaluation ended with exit code {code}")
    if said:
        raise Stopped(f"{'; '.join(said)}; the same command tries again")


class Trainings:
    """Trains runs, each in a process of its own."""

    def __init__(self, runs: dict[str, RunDir], jobs: int):
        """Starts nothing.

        Args:
          runs: by the name of their combination.
          jobs: how many train at the same time. One alone shows its progress.
        """
        self._runs = runs
        self._jobs = jobs
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen] = set()
        self._stopped = False

    def run(self, todo: Sequence[Combination]) -> dict[str, str]:
        """Trains the runs, and returns name -> why of those that did not finish.

        Raises:
          Stopped: the user said so; the trainings have saved what they had.
        """
        with _ends_as_interrupts(), ThreadPoolExecutor(self._jobs) as pool:
            try:
                places = (
                    f"{place} of {len(todo)}" for place in range(1, len(todo) + 1)
                )
                reasons = list(pool.map(self._train, todo, places))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise Stopped(
                    "stopped, and trainings saved where they were; the same command goes "
                    "on from there"
                ) from None
        return {each.name: why for each, why in zip(todo, reasons, strict=True) if why}

    def _train(self, combination: Combination, place: str) -> str:
        """Trains a run; returns why it did not finish, "" where it did."""
        run = self._runs[combination.name]
        arguments = [f"--{name}={text}" for name, text in combination.flags.items()]
        with self._lock:
            if self._stopped:
                return "not started"
            print(f"\n{place}: {combination.name}", flush=True)
            process = subprocess.Popen(
                [*TRAIN, *arguments, f"--run_dir={run}"],
                stdout=None if self._jobs == 1 else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Ctrl-C comes to it once, from here.
                start_new_session=True,
            )
            self._processes.add(process)
        last = self._last_line(process)
        code = process.wait()
        with self._lock:
            self._processes.remove(process)
        if code:
            last = last.removeprefix("error: ") or "without a word"
            print(f"{combination.name}: exit code {code}: {last}", flush=True)
        elif self._jobs > 1:
            print(f"{combination.name}: finished", flush=True)
        return f"exit code {code}: {last}" if code else ""

    def _last_line(self, process: subprocess.Popen) -> str:
        """Reads what a process says to its end, and shows it where there is one alone."""
        assert process.stderr is not None
        tail = b""
        while text := os.read(process.stderr.fileno(), 4096):
            tail = (tail + text)[-4096:]
            if self._jobs == 1:
                sys.stderr.buffer.write(text)
                sys.stderr.flush()
        process.stderr.close()
        lines = tail.decode(errors="replace").replace("\r", "\n").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.terminate()


@contextlib.contextmanager
def _ends_as_interrupts() -> Iterator[None]:
    """What else ends a program is as Ctrl-C is: no training is left behind."""
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = [signal.signal(n, signal.default_int_handler) for n in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _check_is_of_sweep(run: RunDir, combination: Combination) -> None:
    """Raises UserError where a folder holds a run that was started with other flags."""
    if not run.config.exists():
        return
    command, was = "", None
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        command = read_json(run.config)["provenance"]["command"]
        parts = [part[2:] for part in shlex.split(command) if part.startswith("--")]
        was = _computed(dict(part.split("=", 1) for part in parts))
    if was != _computed(combination.flags):
        raise UserError(
            f"{run} is a run of other settings ({command or 'not told which'}); choose "
            "another --run_dir"
        )


def _computed(given: Mapping[str, str]) -> dict[str, str]:
    """Leaves out flags that say nothing of what a run computes."""
    return {
        name: text
        for name, text in given.items()
        if name == "preset" or (name in SETTINGS and not SETTINGS[name].runtime)
    }


def _is_finished(run: RunDir, combination: Combination) -> bool:
    has_prior = combination.config.training.prior == "standard" or run.prior.is_file()
    return run.weights.is_file() and has_prior


def _evaluate(runs: Sequence[RunDir], options: Sequence[str]) -> int:
    """Has the runs compared; returns the exit code."""
    line = io.StringIO()
    csv.writer(line).writerow(map(str, runs))
    arguments = [f"--runs={line.getvalue().strip()}", *options]
    print(f"\n{shlex.join(['python', *EVALUATE[1:], *arguments])}", flush=True)
    return subprocess.run([*EVALUATE, *arguments], check=False).returncode


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()

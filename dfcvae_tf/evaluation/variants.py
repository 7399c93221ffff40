"""Which runs belong together, what tells them apart, and what they are called.

A setting (here a variant) is what several runs share that differ in nothing but the seed.
Where a run lies and what is only shown, kept or spread in training is no part of it.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfcvae_tf.checkpoints import own_digests, read_config, read_provenance
from dfcvae_tf.config import SETTINGS
from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.models.prior import STANDARD
from dfcvae_tf.names import plain_name
from dfcvae_tf.own_code import own_parts
from dfcvae_tf.prior_file import LABELS, read_facts
from dfcvae_tf.run_dir import resolve

SEED = "seed"
# What numbers are called in names, where that is not their setting's name.
_SHORT = {
    "adversarial_weight": "adv",
    "kl_weight": "kl",
    "latent_dim": "z",
    "learning_rate": "lr",
    SEED: "s",
    "target_kl": "nats",
}

# What tells most of a run comes first: in names, and as columns.
_FIRST = ("objective", "adversarial_weight", "target_kl", "kl_weight")
# Of these a run has one or the other, so they are shown together.
_EITHER = ("target_kl", "kl_weight")

# Setting -> value.
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A setting and its runs.

    Attributes:
      name: that of its run, where it has one.
      runs: names, in the order they were given.
      values: of the settings that tell variants apart.
    """

    name: str
    runs: tuple[str, ...]
    values: Facts


@dataclass(frozen=True)
class Variants:
    """All settings of an evaluation.

    Attributes:
      each: in the order of their first runs.
      columns: names of settings that tell them apart, as few as do.
      along: those that differ too, but say no more than the columns do.
      facts: run -> every setting that differs between any two runs.
      baseline: the run that others are compared with.
    """

    each: tuple[Variant, ...]
    columns: tuple[str, ...]
    along: tuple[str, ...]
    facts: Mapping[str, Facts]
    baseline: str

    def of(self, run: str) -> Variant:
        """The variant of a run."""
        return next(variant for variant in self.each if run in variant.runs)

    def values(self, setting: str) -> list[Any]:
        """What a setting is in each variant."""
        return [self.facts[variant.runs[0]][setting] for variant in self.each]


def name_runs(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Returns name -> path, with names for the runs that have none.

    These are made of the settings in which runs differ, such as "dfc_vae-kl4-s2", and,
    where that does not tell them apart, of what differs between their paths.

    Args:
      given: (name, or "", path) of each run.

    Raises:
      UserError: a run cannot be read, a name is there twice, or a run without a name.
    """
    unnamed = [path for name, path in given if not name]
    for path in unnamed:
        if unnamed.count(path) > 1:
            raise UserError(f"--runs has {path} twice; NAME=PATH gives it two names")
    made: dict[str, str] = {}
    if unnamed:
        facts = {path: read_run_facts(path) for _, path in given}
        own = _own_names(facts, [path for _, path in given])
        made = {path: own[path] for path in unnamed}
    runs: dict[str, str] = {}
    for name, path in given:
        name = name or made[path]
        if name in runs:
            raise UserError(
                f"--runs has two runs called {name!r}; name one differently"
            )
        if name == ORIGINALS:
            raise UserError(
                f"--runs cannot call a run {name!r}, as the images are called"
            )
        runs[name] = path
    return runs


def group_runs(runs: Mapping[str, str], baseline: str | None = None) -> Variants:
    """Puts runs together that differ in nothing but the seed.

    Args:
      runs: name -> path.
      baseline: the name of a setting or a run, or a run's path; the first run when None.

    Raises:
      UserError: a run cannot be read, or there is none called like the baseline.
    """
    facts = {name: read_run_facts(path) for name, path in runs.items()}
    groups: dict[tuple[str, int], list[str]] = {}
    for name, own in facts.items():
        key = repr({k: v for k, v in own.items() if k != SEED})
        # Two of one seed are one training twice, or a question about chance: apart.
        number = 0
        while any(
            facts[other][SEED] == own[SEED] for other in groups.get((key, number), ())
        ):
            number += 1
        groups.setdefault((key, number), []).append(name)
    members = list(groups.values())
    differing = _differing(facts)
    settings = [setting for setting in differing if setting != SEED]
    columns = _telling([facts[names[0]] for names in members], settings)
    names = _variant_names(members, facts, columns)
    return Variants(
        each=tuple(
            Variant(name, tuple(own), {c: facts[own[0]][c] for c in columns})
            for name, own in zip(names, members, strict=True)
        ),
        columns=tuple(columns),
        along=tuple(setting for setting in settings if setting not in columns),
        facts={n: {k: own[k] for k in differing} for n, own in facts.items()},
        baseline=_find_baseline(baseline, dict(zip(names, members, strict=True)), runs),
    )


def read_run_facts(path: str) -> dict[str, Any]:
    """Returns every setting of a run that says what was computed, what data, what prior.

    Raises:
      UserError: there is no such run.
    """
    run = resolve(path)
    config = read_config(run)
    kept = [name for name, setting in SETTINGS.items() if not setting.runtime]
    names = dict.fromkeys([*_FIRST, *kept])
    facts = {name: SETTINGS[name].of(config) for name in names}
    digests = own_digests(run)
    # Wherever the file lies, and whether it is called as it was.
    facts |= {
        part: f"{_function(setting)}-{digests.get(part, 'unknown')[:8]}"
        for part, setting in own_parts(config).items()
    }
    prior = read_facts(run) or {"kind": STANDARD}
    return {
        **facts,
        "prior": prior["kind"],
        "prior_knows_labels": LABELS in prior,
        "trained_on": read_provenance(run).get("dataset", "unknown"),
    }


def _function(setting: str) -> str:
    """Of "file:nets/my_net.py:build" "my_net.build", of "function:build" "build"."""
    path, _, name = setting.partition(":")[2].rpartition(":")
    return f"{Path(path).stem}.{name}" if path else name


def text_of(value: Any) -> str:
    """A setting's value in a table."""
    if value is None or value in ((), []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(text_of, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _differing(facts: Mapping[str, Facts]) -> list[str]:
    """Settings of which not all have the same value."""
    first, *others = facts.values()
    return [name for name in first if any(o[name] != first[name] for o in others)]


def _telling(facts: Sequence[Facts], settings: Sequence[str]) -> list[str]:
    """Settings that together tell as much apart as all do; later ones that add nothing go.

    A plain VAE and a DFC-VAE, say, differ in every setting of the perceptual loss, too.
    """
    chosen: list[str] = []
    parts = 1
    for setting in settings:
        found = len({repr([own[name] for name in (*chosen, setting)]) for own in facts})
        if found > parts:
            chosen.append(setting)
            parts = found
    if set(chosen) & set(_EITHER):
        place = min(chosen.index(name) for name in _EITHER if name in chosen)
        either = [name for name in _EITHER if name in settings]
        chosen = [name for name in chosen if name not in _EITHER]
        chosen[place:place] = either
    return chosen


def _own_names(facts: Mapping[str, Facts], paths: Sequence[str]) -> dict[str, str]:
    """A name for each run, path -> name."""
    folders = _folders(list(dict.fromkeys(paths)))
    telling = _telling(list(facts.values()), _differing(facts))
    names = {path: _name(own, telling) for path, own in facts.items()}
    taken = list(names.values())
    return {
        path: name
        if name and taken.count(name) == 1
        else "-".join(filter(None, (name, folders[path])))
        for path, name in names.items()
    }


def _folders(paths: Sequence[str]) -> dict[str, str]:
    """What differs between paths, path -> name; of one alone, the last folder."""
    parts = {path: Path(path.rpartition(":")[2]).parts for path in paths}
    start = len(os.path.commonprefix([*parts.values()]))
    backwards = [own[start:][::-1] for own in parts.values()]
    end = len(os.path.commonprefix(backwards))
    return {
        path: plain_name("-".join(own[start : len(own) - end] or own[-1:]))
        for path, own in parts.items()
    }


def _name(facts: Facts, settings: Iterable[str]) -> str:
    """A name made of some settings."""
    return "-".join(filter(None, (_part(s, facts[s]) for s in settings)))


def _part(setting: str, value: Any) -> str:
    short = _SHORT.get(setting, setting)
    # A weight, a decay or a norm of 0.0 is off; seed 0 is a seed like others.
    is_off = isinstance(value, float) and not value
    if value is None or value is False or value == () or is_off:
        return ""
    if value is True:
        return short
    if isinstance(value, str):
        # Of a file or a folder its name.
        return plain_name(Path(value.rpartition(":")[2]).name)
    if isinstance(value, tuple):
        return plain_name(short + "x".join(map(text_of, value)))
    return plain_name(f"{short}{value:g}")


def _variant_names(
    members: Sequence[Sequence[str]], facts: Mapping[str, Facts], columns: Sequence[str]
) -> list[str]:
    """A name for each variant: its run's; of several what their names have in common.

    Where that is nothing, or another's name too, it is made of the settings.
    """
    names: list[str] = []
    for own in members:
        others = {run for runs in members if runs is not own for run in runs}
        shared = _shared_start(own)
        first = facts[own[0]]
        made = _name(first, columns) or str(first["objective"])
        candidates = [shared, made, "-".join(own)]
        names.append(
            next(
                name
                for name in candidates
                if name
                and name not in others
                and name not in names
                and not (name == shared and any(o.startswith(name) for o in others))
            )
            if len(own) > 1
            else own[0]
        )
    return names


def _shared_start(names: Sequence[str]) -> str:
    """Of "dfc_s0" and "dfc_s1": "dfc"."""
    shared = os.path.commonprefix([*names])
    return re.sub(r"(^|[-_ .=]+)(seed|s)?[-_ .=]*$", "", shared)


def _find_baseline(
    wanted: str | None, members: Mapping[str, Sequence[str]], runs: Mapping[str, str]
) -> str:
    if wanted is None:
        return next(iter(runs))
    if wanted in members:
        return members[wanted][0]
    if wanted in runs:
        return wanted
    for name, path in runs.items():
        if Path(wanted) == Path(path):
            return name
    raise unknown_name("--baseline", wanted, dict.fromkeys([*members, *runs]))

"""What --runs takes."""

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.runs_given import find_runs
from dfcvae_tf.run_dir import RunDir


@pytest.fixture(name="here", autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, finished in (("b", 1), ("a", 1), ("kl=4, s=1", 1), ("new", 0)):
        run = RunDir(tmp_path / "runs" / name)
        run.path.mkdir(parents=True)
        run.config.write_text("{}")
        if finished:
            run.weights.parent.mkdir()
            run.weights.write_text("")
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "a.log").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        ("a=x,b=y/z", [("a", "x"), ("b", "y/z")]),
        ("x, y", [("", "x"), ("", "y")]),
        ("v=pretrained:mnist_vae", [("v", "pretrained:mnist_vae")]),
        ('"a=x,y",b=z', [("a", "x,y"), ("b", "z")]),
        # What exists is taken as it is.
        ("runs/kl=4, s=1", [("", "runs/kl=4, s=1")]),
        ("name=runs/kl=4, s=1", [("name", "runs/kl=4, s=1")]),
        ('runs/a,"runs/kl=4, s=1"', [("", "runs/a"), ("", "runs/kl=4, s=1")]),
        (["runs/kl=4, s=1", "b=y"], [("", "runs/kl=4, s=1"), ("b", "y")]),
        ("runs/[ab]", [("", "runs/a"), ("", "runs/b")]),
        ({"a, b=": "x,y=*"}, [("a, b=", "x,y=*")]),
    ],
)
def test_every_form(given, runs):
    assert find_runs(given) == (runs, [])


def test_a_pattern_matches_finished_runs_alone_and_says_so(here):
    runs, notes = find_runs("runs/*")
    assert [path for _, path in runs] == ["runs/a", "runs/b", "runs/kl=4, s=1"]
    assert notes == ["runs/new left out: its training did not finish"]
    assert find_runs(here / "runs" / "a") == ([("", str(here / "runs" / "a"))], [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--runs is missing"),
        ({}, "--runs is missing"),
        (" , ", "--runs is missing"),
        ({"": "runs/a"}, "runs/a has an empty name"),
        ("=runs/a", "each must be NAME=DIR"),
        ("a=", "each must be NAME=DIR"),
        ("none/*", "none/* matches no run directory"),
        ("runs/no*", "matches no run directory"),
        ("runs/ne*", "no run whose training has finished"),
        ('"a=x,y', "cannot be read"),
    ],
)
def test_what_cannot_be_read(given, message):
    with pytest.raises(UserError) as error:
        find_runs(given)
    assert message in str(error.value)

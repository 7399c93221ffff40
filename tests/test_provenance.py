"""dfcvae_tf/provenance.py"""

import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest

from dfcvae_tf.provenance import describe_process


@pytest.mark.parametrize(
    ("module", "script", "program"),
    [
        ("export.__main__", "/x/export/__main__.py", "python -m export"),
        ("dfcvae_tf.train", "/x/dfcvae_tf/train.py", "python -m dfcvae_tf.train"),
        (None, "/x/bin/dfcvae-export", "dfcvae-export"),
    ],
)
def test_the_command_can_be_typed_again(monkeypatch, module, script, program):
    spec = module and ModuleSpec(module, None)
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=spec))
    monkeypatch.setattr(sys, "argv", [script, "--run_dir=my run"])
    assert describe_process([])["command"] == f"{program} '--run_dir=my run'"

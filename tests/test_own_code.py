"""Parts of a run that a user wrote: the lines of WORKSPACE.md, all programs, what is refused."""

import hashlib
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf

import dfcvae_tf
from dfcvae_tf import evaluate, export, fit_prior, interpolate, sample, train
from dfcvae_tf.config import ModelConfig, apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_json, write_json
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.objective import OwnTerm
from dfcvae_tf.own_code import OwnCode, own_parts, read
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir
from tests.documents import commands, files
from tests.programs import metrics_of, run_here, weights_of

FILES = files("WORKSPACE.md")
OWN = [
    "--network=file:my_net.py:build",
    "--term=file:my_loss.py:build",
    "--term_weight=0.1",
]
SMALL = ["--preset=mnist-vae", "--dataset=synthetic", "--batch_size=16", "--steps=4"]
SMALL += ["--prior=standard", "--checkpoint_every=2", "--image_size=16"]


@pytest.fixture(name="here")
def _here(tmp_path, monkeypatch) -> Path:
    """An empty folder with the files of the map, to be in."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    return tmp_path


@pytest.fixture(name="trained", scope="module")
def _trained(tmp_path_factory) -> Path:
    """A run with both parts, beside the files; not to be changed."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_here(train, *SMALL, *OWN, "--run_dir=run") == 0
    return folder


@pytest.fixture(name="run")
def _run(trained, here) -> RunDir:
    """A copy of that run, in a folder to be in."""
    shutil.copytree(trained / "run", "run")
    return RunDir("run")


@pytest.mark.slow
def test_the_lines_of_the_map_run_as_they_stand(here, capsys):
    programs = {"dfcvae_tf.train": train, "dfcvae_tf.sample": sample}
    for name, arguments in commands("WORKSPACE.md")[-2:]:
        assert run_here(programs[name], *arguments) == 0, capsys.readouterr().err
    assert Path("mine.png").is_file()
    (line,) = metrics_of("runs/mine", "test")
    assert line["edge_loss"] > 0
    assert line["loss"] == pytest.approx(
        line["pixel_loss"] + line["kl_loss"] + line["edge_loss"], rel=1e-4
    )


def test_a_run_keeps_the_text_and_its_digest(run):
    for part, name in (("network", "my_net.py"), ("term", "my_loss.py")):
        content = (run.code / f"{part}.py").read_bytes()
        assert content == FILES[name].encode()
        digest = hashlib.sha256(content).hexdigest()
        assert read_json(run.config)["provenance"]["own_code"][part] == digest


BRIEFLY = "--importance_samples=1 --traversals=0"
USES: list[tuple[ModuleType, str]] = [
    (sample, "--run_dir=run --output=a.png"),
    (interpolate, "--run_dir=run --output=b.png --start=0 --end=3"),
    (fit_prior, "--run_dir=run --prior=gmm"),
    (evaluate, f"--runs=run=run --num_images=12 --judge=none {BRIEFLY}"),
    (export, "--run_dir=run --quantize=float32 --saved_model=no --accelerator=none"),
]


@pytest.mark.parametrize(("program", "flags"), USES)
def test_nothing_that_a_run_brings_along_runs_untrusted(run, program, flags, capsys):
    hostile = b"open('ran', 'w')\n" + (run.code / "network.py").read_bytes()
    (run.code / "network.py").write_bytes(hostile)
    content = read_json(run.config)
    digest = hashlib.sha256(hostile).hexdigest()
    content["provenance"]["own_code"]["network"] = digest
    write_json(run.config, content)
    assert run_here(program, *flags.split()) == 2
    error = capsys.readouterr().err
    for told in ("run/code/network.py", "my_net.py", digest, "--trust_code"):
        assert told in error
    assert error.count("\n") == 1 and not Path("ran").exists()


@pytest.mark.slow
def test_it_goes_through_all_programs(run, capsys):
    for program, flags in USES:
        code = run_here(program, *flags.split(), "--trust_code")
        assert code == 0, capsys.readouterr().err
    manifest = (run.export / "manifest.json").read_text()
    assert "my_net" not in manifest and "my_loss" not in manifest
    assert '"network": "own"' in manifest and '"term": "own"' in manifest
    loaded = dfcvae_tf.load_run("run", trust_code=True)
    assert loaded.reconstruct(loaded.sample(3)).shape == (3, 16, 16, 1)


def test_a_run_goes_on_with_it_as_if_it_had_not_stopped(run, capsys):
    expected = weights_of("run")
    run.weights.unlink()
    for path in run.checkpoints.glob("ckpt-4.*"):
        path.unlink()
    # Wherever the text is now.
    Path("elsewhere.py").write_text(FILES["my_net.py"])
    own = ["--network=file:elsewhere.py:build", *OWN[1:]]
    assert run_here(train, *SMALL, *own, "--run_dir=run") == 0, capsys.readouterr().err
    np.testing.assert_allclose(weights_of("run"), expected, atol=1e-6)


def test_a_text_that_has_changed_is_refused(run, capsys):
    Path("my_loss.py").write_text(FILES["my_loss.py"] + "# other\n")
    assert run_here(train, *SMALL, *OWN, "--run_dir=run") == 2
    assert "(term: the code has changed)" in capsys.readouterr().err
    with open(run.code / "network.py", "a") as file:
        file.write("# other\n")
    with pytest.raises(UserError, match="is not the network that run was trained with"):
        dfcvae_tf.load_run("run", trust_code=True)
    (run.code / "network.py").unlink()
    with pytest.raises(UserError, match="cannot be read: run/code/network.py"):
        dfcvae_tf.load_run("run", trust_code=True)


@pytest.mark.current_stack
def test_a_run_with_a_term_alone_loads_like_any_other(here):
    assert run_here(train, *SMALL[:-1], *OWN[1:], "--run_dir=run") == 0
    assert (RunDir("run").code / "term.py").is_file()
    assert dfcvae_tf.load_run("run").own_network is None


TERM = """import tensorflow as tf
class Term:
    name = "mine"
    def __call__(self, forward):
        pixels = tf.reduce_mean(forward.reconstruction, axis=[1, 2, 3])
        return {}
def build(config):
    return Term()
"""
NETWORK = FILES["my_net.py"]
WRONG = [
    ("network", "file:absent.py:build", "", "cannot read absent.py: No such file"),
    ("network", "file:a.py", "", "must look like file:PATH.py:FUNCTION"),
    ("network", "file:a.py:make", "def build(): pass", "'make'; it has: build"),
    ("network", "file:a.py:build", "def build(config): 1", "must take (config, image"),
    (
        "network",
        "file:a.py:build",
        "1 / 0",
        "a.py, line 1: ZeroDivisionError: division",
    ),
    ("network", "file:a.py:build", "def build(:", "a.py, line 1: SyntaxError: invalid"),
    ("network", "file:a.py:build", "exit(3)", "a.py, line 1: SystemExit: 3"),
    (
        "network",
        "file:a.py:build",
        "def build(config, image_shape, dtype):\n    return config.depht",
        "a.py, line 2: AttributeError: 'ModelConfig' object has no attribute 'depht'",
    ),
    (
        "network",
        "file:a.py:build",
        "def build(config, image_shape, dtype):\n    return 1, 2",
        "must return encoder and decoder, two functional or sequential Keras models",
    ),
    (
        "network",
        "file:a.py:build",
        NETWORK.replace("(config.latent_dim,)", "(config.latent_dim + 1,)"),
        "the decoder must take [N, 5], not [N, 6]",
    ),
    (
        "network",
        "file:a.py:build",
        NETWORK.replace("images, latents)", "images, latents[0])"),
        "the encoder must return [N, 5] and [N, 5], not [N, 5]",
    ),
    (
        "network",
        "file:a.py:build",
        NETWORK.replace('"float32", name="outputs"', '"float16", name="outputs"'),
        "the decoder must return float32 with every precision, not float16",
    ),
    ("term", "file:a.py:build", "def build(config): return abs", "and has a name"),
    ("term", "file:a.py:build", TERM.replace("mine", "kl_nats"), "'kl_nats' is taken"),
    (
        "term",
        "file:a.py:build",
        TERM,
        "{'mine': [N] float32}, one number an image, got",
    ),
    (
        "term",
        "file:a.py:build",
        TERM.replace("{}", "{'mine': tf.reduce_sum(pixels)}"),
        "of 10 images 'mine' is [] float32",
    ),
    (
        "term",
        "file:a.py:build",
        TERM.replace("{}", "{'mine': tf.math.log(pixels - 9)}"),
        "'mine' is not finite",
    ),
    (
        "term",
        "file:a.py:build",
        TERM.replace("{}", "{'mine': pixels, 'loss': pixels}"),
        "must be called 'mine/…', got 'loss'",
    ),
    (
        "term",
        "file:a.py:build",
        # AutoGraph finds the text, and has made a condition of the first line.
        TERM.replace("return {}", "if pixels[0] < 2: pixels = pixels[0] @ pixels"),
        "a.py, line 6: ValueError",
    ),
]


@pytest.mark.parametrize(("part", "setting", "text", "told"), WRONG)
def test_wrong_code_is_one_line_and_nothing_is_written(
    here, part, setting, text, told, capsys
):
    if text:
        Path("a.py").write_text(text)
    flags = ["--network=conv", "--width=2", f"--{part}={setting}", "--run_dir=run"]
    assert run_here(train, *SMALL, *flags) == 2
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert told in line and not Path("run").exists()


def test_a_weight_without_a_term_and_one_that_is_no_function_are_refused():
    config = preset_config("mnist-vae")
    with pytest.raises(UserError, match="--term_weight is of a --term"):
        apply_settings(config, {"term_weight": 2.0})
    with pytest.raises(UserError, match="--term=a.py:build must look like file:PATH"):
        apply_settings(config, {"term": "a.py:build"})
    # A term may stand for the pixel loss.
    settings = {"term": "file:a.py:build", "pixel_weight": 0.0}
    assert own_parts(apply_settings(config, settings)) == {"term": "file:a.py:build"}


def test_weights_follow_from_the_seed(here):
    # Also of what draws for itself.
    text = NETWORK.replace('dtype=dtype, name="conv"', 'kernel_initializer="zeros"')
    text = text.replace(
        "layers.Flatten(",
        "layers.Dropout(0.5)(layers.Dense(3)(x)); x = layers.Flatten(",
    )
    Path("a.py").write_text(text)
    own = read("network", "file:a.py:build")

    def start(seed):
        vae = build_vae(ModelConfig(), (8, 8, 1), "float32", seed, own)
        return [variable.numpy() for variable in vae.variables]

    first = start(3)
    tf.keras.layers.Dense(3)(tf.zeros([1, 2]))
    tf.keras.utils.set_random_seed(1)
    for a, b in zip(first, start(3), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, start(4), strict=True))


LAYER = """import tensorflow as tf
class Term:
    name = "mine"
    def __init__(self):
        self.layer = tf.keras.layers.Dense(1)
    def __call__(self, forward):
        return {self.name: self.layer(tf.ones([4, 2]))[:, 0]}
def build(config):
    return Term()
"""


def test_what_a_term_draws_follows_from_the_seed(here):
    Path("a.py").write_text(LAYER)
    own = read("term", "file:a.py:build")
    config = preset_config("mnist-vae").objective

    def value(seed, other):
        tf.keras.utils.set_random_seed(other)
        term = OwnTerm(own, config, seed)
        term.check(lambda: None, 4)
        return term(None)["mine"].numpy()

    np.testing.assert_array_equal(value(3, 1), value(3, 2))
    assert (value(3, 1) != value(4, 1)).any()


def test_what_is_not_kept_with_it_is_told(here, caplog):
    Path("helper.py").touch()
    Path("a.py").write_text("import math, helper\nfrom dfcvae_tf import losses")
    read("network", "file:a.py:build")
    assert "is not kept with the run: helper; elsewhere" in caplog.text


def test_a_text_runs_once_in_a_process(here):
    code = OwnCode(
        "a.py", "build", b"import time\nnow = time.time()\nbuild = lambda: now"
    )
    assert code.build({}, 0) == OwnCode("b.py", "build", code.content).build({}, 0)

"""Wrong input of every program: one line that says what is wrong, and nothing written."""

import os
import shlex

import pytest

from dfcvae_tf import (
    attributes,
    evaluate,
    export,
    fit_prior,
    interpolate,
    run_dir,
    sample,
    train,
    train_classifier,
)
from tests.programs import run_here, untrained_run
from tools import benchmark, bundle_run, prepare_celeba, serve_web

DFC = "pretrained:mnist_dfc_vae"
INTERPOLATE = f"--run_dir={DFC} --start=5531 --end=4526 --output=a.png"
EVALUATE = f"--runs=vae=pretrained:mnist_vae,dfc={DFC}"
EDIT = "edit --images=0 --attributes=Smiling --output=a.png"

# Program, what is always given to it, further arguments -> part of the message. All are
# refused before TensorFlow is imported.
AT_ONCE = [
    (
        train,
        "--steps=5",
        {
            "--preset=mnist": "known: photos, article-vae",
            "--objective=gan": "known: vae, dfc_vae",
            "--objective=vae --perceptual_model=keras:VGG19": "no perceptual loss",
            "--perceptual_layer_weights=1,x": "must look like 1,0.5",
            "--latent_dim=0": "--latent_dim must be greater than 0",
            "--image_size=axb": "must look like 64 or 48x64",
            "--epochs=1": "both --steps and --epochs",
            "--target_kl=0": "--target_kl must be 0.001 or more and below 1,000,000",
            "--target_kl=1e39": "--target_kl must be 0.001 or more",
            "--target_kl=12 --free_bits=4": "leaves 13.86 nats of 5 latents unpenalised",
            "--adversarial_weight=-1": "--adversarial_weight must be 0 or more",
            "--adversarial_loss=wgan": "logistic",
            "--adversarial_weight=1": "start=500 is not before the end of 5 steps",
            "--target_kl=9 --kl_weight=1": "both --target_kl and --kl_weight",
            "--kl_warmup_steps=9": "with --target_kl the weight moves by itself",
            "--prior=vamp": "known: standard, flow, gmm",
            "--background=grey": "known: white, black",
            "--bit_depth=17": "--bit_depth must be 1 or more and below 17",
            "--subfolders=labels": "known: auto, ignore",
            "--run_dir=pretrained:mnist_vae": "ships with the package",
            "--no_such_flag": "Unknown command line flag",
        },
    ),
    (
        train_classifier,
        "--dataset=synthetic --output=a.npz",
        {
            "--dataset=": "--dataset is missing",
            "--output=": "--output is missing",
            "--epochs=0": "--epochs must be greater than 0",
            "--output=a.txt": "must end in .npz or .keras",
            "--output=taken/a.npz": "cannot write",
            "--network=x": "mnist_judge",
            "--bit_depth=0": "--bit_depth must be 1 or more and below 17",
        },
    ),
    (
        fit_prior,
        "",
        {
            "": "--run_dir is missing",
            "--run_dir=absent": "no such run directory: absent",
            f"--run_dir={DFC}": "to fit another, copy",
            "--prior=vamp": "should be one of <standard|flow|gmm>",
            "--seed=-1": "--seed=",
        },
    ),
    (
        sample,
        f"--run_dir={DFC} --output=a.png",
        {
            "--prior=vamp": "should be one of <learned|standard>",
            "--run_dir=": "--run_dir is missing",
            "--output=": "--output is missing",
            "--count=0": "0 is not an integer in the range [1, 10000]",
            "--count=many": "many",
            "--scale=0": "[1, 32]",
            "--temperature=-0.1": "--temperature=-0.1: must be a number from 0 to 1000",
            "--temperature=nan": "--temperature",
            "--temperature=inf": "--temperature",
            "--seed=-1": "--seed=",
            "--output=a.bmp": "ends in .bmp; possible are NAME.png",
            "--run_dir=absent": "no such run directory: absent",
            "--run_dir=.": "is not a run directory: it has no config.json",
            "--run_dir=pretrained:mnist_vea": "mnist_dfc_vae_gan, mnist_vae. Did you",
        },
    ),
    (
        interpolate,
        INTERPOLATE,
        {
            "--run_dir=": "--run_dir is missing",
            "--start=": "--start is missing",
            "--end=": "--end is missing",
            "--output=": "--output is missing",
            "--steps=0": "0 is not an integer in the range [1, 9999]",
            "--path=round": "<linear|spherical>",
            "--start=-1": "cannot read image -1: No such file",
            "--end=pipe.png": "pipe.png is not a readable image: it is a pipe or a dev",
            "--end=taken": "is not a readable image: it is no PNG, JPEG, Web",
            "--output=a.mp4": "ends in .mp4; possible are NAME.png",
            "--run_dir=absent": "no such run directory: absent",
        },
    ),
    (
        attributes,
        "--run_dir=pretrained:mnist_vae",
        {
            "": "unknown command ''; known: vectors, edit, predict, relate",
            "vectors --run_dir=": "--run_dir is missing",
            "vectors --run_dir=absent": "no such run directory: absent",
            "predict --control=Male": "--control is not a flag of predict; it is one",
            f"{EDIT} --images=": "--images is missing",
            f"{EDIT} --images=absent.jpg": "cannot read image absent.jpg",
            f"{EDIT} --strengths=1,two": "must be up to 11 numbers",
            f"{EDIT} --strengths=nan": "must be up to 11 numbers",
            f"{EDIT} --strengths=1,-1e38": "none beyond 10,000, such as -1,0,1,2",
            f"{EDIT} --strengths={'0,' * 11}0": "must be up to 11 numbers",
            f"{EDIT} --output=a.gif": "--output=a.gif must end in .png",
            f"{EDIT} --output=taken/a.png": "cannot write",
        },
    ),
    (
        evaluate,
        "",
        {
            "": "--runs is missing",
            "--runs==x": "each must be NAME=DIR",
            "--runs=nothing/*": "nothing/* matches no run directory",
            f"{EVALUATE} --indices=3,x": "must be numbers from 0",
            f"{EVALUATE} --num_images=0": "--num_images=0: 0 is not a positive",
            f"{EVALUATE} --traversals=-1": "--traversals=-1",
            f"{EVALUATE} --temperature=-1": "must be a number from 0 to 1000",
        },
    ),
    (
        export,
        f"--run_dir={DFC}",
        {
            "--run_dir=": "--run_dir is missing",
            "--quantize=int4": "unknown variant in --quantize 'int4'",
            "--batch_size=0": "--batch_size must be a whole number from 1",
            "--web --batch_size=dynamic": "--web needs a fixed",
            "--litert_dir=y": "--litert_dir is for the web page",
        },
    ),
    (
        benchmark,
        "",
        {
            "train --contestants=bf16": "some of fit,float32,mixed_bfloat16",
            "train --contestants=": "mixed_float16,adversarial, got ''",
            "train --rounds=2": "--rounds is not a flag of train; it is one of export and",
            "export --judge=none": "--judge is not a flag of export; it is one of edits and "
            "priors",
            "export --batch_size=2": "is not a flag of export; it is one of train and",
            "data --preset=hou": "unknown preset 'hou'",
            "evaluate --sizes=28,30": "--sizes takes some of 28,64,128,256",
            "export --threads=1,0": "whole numbers from 1, got '1,0'",
            "export --threads=": "whole numbers from 1, got ''",
        },
    ),
    (
        bundle_run,
        f"--run_dir={run_dir.PRETRAINED_DIR / 'mnist_dfc_vae'} --name=mine",
        {
            "--run_dir=": "--run_dir is missing",
            "--name=": "--name is missing",
            "--name=../mine": "must be a plain name",
            "--run_dir=absent": "no such run directory",
        },
    ),
    (
        serve_web,
        "--dir=page --port=0",
        {
            "--dir=": "--dir is missing",
            "--dir=absent": "no such folder",
            "--dir=.": "--output_dir=. --web",
            "--port=65536": "--port",
            "--host=no.such.invalid": "unknown --host",
            "--host=a..b": "unknown --host",
            "--host=": "127.0.0.1 answers this machine only",
            "--host=0": "127.0.0.1 answers this machine only",
            "--host=::0": "127.0.0.1 answers this machine only",
            "--host=192.0.2.1": "cannot listen",
        },
    ),
]
# What only TensorFlow, data or a run can tell.
LATER = [
    (
        train,
        "--steps=5",
        {
            "--dataset=mnits": "mnist_sample",
            "--dataset=folder:/no/such/folder": "/no/such/folder",
            "--dataset=tfds:mnist --offline --data_dir=/no/such": "mnist_sample",
            "--objective=vae --network=artcle": "known: article, conv",
            "--dataset=synthetic": "synthetic is other data; name one with",
            "--color=rgb --network=conv": "by default for grey digits alone",
            "--perceptual_model=vgg": "mnist_classifier, photos, keras:NAME",
            "--perceptual_model=keras:VGG99": "VGG19",
            "--perceptual_model=file:/no/such.keras": "/no/such.keras",
            "--perceptual_model=graphdef:/no.pb": "no such file: /no.pb",
            "--perceptual_layers=conv9": "conv1",
            "--perceptual_layer_weights=1,2,3": "3 values for 4 --perceptual_layers (",
            "--objective=vae --optimizer=adm": "Did you mean 'adam'",
            "--objective=vae --image_size=30": "28x28x1 images, these are 30x30x1",
            "--objective=vae --network=conv --image_size=30": "--image_size=32x32 would fit",
            "--objective=vae --network=hou64 --image_size=128": "or --network=hou128",
            "--run_dir=/proc/run": "cannot write /proc/run",
        },
    ),
    (
        interpolate,
        INTERPOLATE,
        {
            "--dataset=synthetic": "no test image 5531; those of synthetic are 0 to 49",
            "--dataset=mnist --offline --data_dir=.": "mnist is not prepared in .",
        },
    ),
    (
        attributes,
        "--run_dir=faces",
        {
            "vectors --attributes=Smilling": "Did you mean 'Smiling'?",
            "predict --exclude=Smilling": "Did you mean 'Smiling'?",
            "vectors --control=male": "unknown attribute 'male'",
            "relate --attributes=male": "unknown attribute 'male'",
            f"{EDIT} --attributes=Smilling": "Did you mean 'Smiling'?",
            f"{EDIT} --attributes=Smiling+": "'Smiling+' is no attribute; give names",
            f"{EDIT} --images={'0,' * 41}0": "up to 40 rows",
            f"{EDIT} --images=14": "no test image 14; those of celeba:",
            f"{EDIT} --vectors_dir=x": "x has no attribute vectors (of classes there are none",
            "relate --vectors_dir=x": "attributes vectors --run_dir=",
            "predict --dataset=synthetic": "synthetic has no attributes; celeba:PATH",
            "vectors --output_dir=taken": "cannot write taken",
        },
    ),
    (
        evaluate,
        f"{EVALUATE} --output_dir=page",
        {
            "--runs=a=absent": "no such run directory: absent",
            "--runs=absent": "no such run directory: absent",
            "--runs=a=x,a=y": "two runs called 'a'",
            "--runs=small,small": "--runs has small twice",
            "--baseline=gan": "unknown --baseline 'gan'; known: vae, dfc",
            "--runs=a=.": "it has no config.json",
            "--runs=a=pretrained:mnist": "unknown pretrained run 'mnist'",
            "--runs=a=unfinished": "training did not finish",
            f"{EVALUATE},own=small": "vae 28x28x1, dfc 28x28x1, own 32x48x3",
            "--runs=a=faces,b=cropped": "--crop is center in a, hou in b: these runs",
            "--runs=b=cropped,a=faces": "--crop is hou in b, center in a: these runs",
            "--num_images=50 --indices=10000": "there are images 0 to 9999",
            "--num_images=4 --indices=1,2,3,4,5": "more than --num_images=4",
            "--num_images=3": "evaluate at least 4",
            "--num_images=50 --groups=a=ten": "unknown class 'ten'",
            "--num_images=4 --groups=a=0,1,2,3,4,5,6": "has none of the 4 images",
            "--num_images=50 --judge=mnist_classifier": "judge its own work",
            "--num_images=50 --judge=vgg": "unknown perceptual model 'vgg'",
            "--dataset=folder:nowhere": "nowhere",
            "--output_dir=/proc/report --num_images=50": "cannot write /proc/report",
        },
    ),
    (
        export,
        f"--run_dir={DFC} --output_dir=x",
        {
            "--run_dir=absent": "no such run directory: absent",
            "--web --litert_dir=y": "npm install --no-save --prefix y @litertjs/core@",
            "--checkpoint=newest": "has no checkpoint",
            "--output_dir=taken": "taken is a file or a link",
            "--output_dir=taken/x": "cannot write",
            "--dataset=folder:absent": "give others with",
        },
    ),
    (
        benchmark,
        "",
        {
            "export --run_dir=absent": "no such run directory: absent",
            "priors --run_dir=absent": "no such run directory: absent",
        },
    ),
    (
        prepare_celeba,
        "--zip=page/index.html --output=x",
        {
            "--zip=": "--zip and --output",
            "--output=": "--zip and --output",
            "": "no zip but a web page (Quota exceeded)",
        },
    ),
]


def cases(table):
    for program, always, wrong in table:
        for arguments, message in wrong.items():
            name = f"{program.__name__.rpartition('.')[2]} {arguments}"
            given = shlex.split(f"{always} {arguments}")
            yield pytest.param(program, given, message, id=name[:60])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with files that the cases name."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "taken").write_text("no image")
    os.mkfifo(folder / "pipe.png")
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text("<html><title>Quota exceeded</title>")
    return folder


@pytest.fixture(scope="module")
def _runs(place, tiny_celeba):
    """And with runs."""
    small = {"network": "conv", "width": 2}
    untrained_run(place / "small", (32, 48, 3), dataset="synthetic", **small)
    untrained_run(place / "unfinished", (28, 28, 1)).weights.unlink()
    faces = untrained_run(
        place / "faces", (16, 16, 3), dataset=f"celeba:{tiny_celeba}", **small
    )
    untrained_run(place / "cropped", (16, 16, 3), crop="hou", **small)
    assert run_here(attributes, "vectors", f"--run_dir={faces}") == 0


@pytest.fixture(name="refused")
def _refused(place, monkeypatch, capsys):
    """A function (program, arguments) -> all it says, but for its error."""

    def contents():
        files = {path: path.is_file() for path in place.rglob("*")}
        return {path: file and path.read_bytes() for path, file in files.items()}

    def refused(program, arguments, message):
        if program is bundle_run:  # where it would write
            monkeypatch.setattr(run_dir, "PRETRAINED_DIR", place / "page")
        before = contents()
        assert run_here(program, *arguments) == 2
        shown = capsys.readouterr()
        lines = shown.err.splitlines()
        (error,) = (line for line in lines if line.startswith("error:"))
        assert message in error
        assert "Traceback" not in shown.err
        assert contents() == before
        lines.remove(error)
        return shown.out + "".join(lines)

    monkeypatch.chdir(place)
    return refused


@pytest.mark.parametrize(("program", "arguments", "message"), cases(AT_ONCE))
def test_it_is_refused_before_tensorflow(
    refused, monkeypatch, program, arguments, message
):
    def fail():
        raise AssertionError("TensorFlow would be imported")

    monkeypatch.setattr(program, "import_tensorflow", fail, raising=False)
    assert refused(program, arguments, message) == ""


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize(("program", "arguments", "message"), cases(LATER))
def test_what_only_data_and_runs_can_tell(refused, program, arguments, message):
    refused(program, arguments, message)

"""Attributes of faces, such as "Smiling", in the latent space of a trained run.

    python -m dfcvae_tf.attributes vectors --run_dir=runs/faces
    python -m dfcvae_tf.attributes edit --run_dir=runs/faces --images=0,17,me.jpg \\
        --attributes=Smiling,Eyeglasses-Young --output=edit.png
    python -m dfcvae_tf.attributes predict --run_dir=runs/faces
    python -m dfcvae_tf.attributes relate --run_dir=runs/faces

vectors: encodes the train split and stores for each attribute the mean latent of the images
that have it minus that of the others. edit: adds them to the latents of images, or with
--method=prior has a prior that knows labels draw the images under others. predict:
trains a linear classifier per attribute on the latents, and scores it on the test split.
relate: draws how the vectors correlate, a map of test images, and files for TensorBoard's
projector. After Hou et al. (2017), sections 4.3 to 4.5. The dataset needs attributes:
celeba:PATH and tfds:celeb_a have them.
"""

import math
from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import attribute_vectors, common_flags, image_files
from dfcvae_tf.command_line import import_tensorflow, progress_printer, run_program
from dfcvae_tf.data import chosen_images
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file
from dfcvae_tf.names import QUOTING
from dfcvae_tf.run_dir import resolve

# What one picture can show.
MAX_STRENGTHS = 11
# Far beyond any picture, and far from what overflows.
MAX_STRENGTH = 10_000
# Those drawn where none are given, by method.
_STRENGTHS = {"vectors": ["-1", "0", "1", "2"], "prior": ["0", "1"]}
# Flags that not every command has.
_COMMANDS_OF = {
    "exclude": ("vectors", "predict"),
    "control": ("vectors",),
    "vectors_dir": ("edit", "relate"),
    "output_dir": ("vectors", "predict", "relate"),
    "images": ("edit",),
    "strengths": ("edit",),
    "output": ("edit",),
    "method": ("edit",),
    "seed": ("predict", "relate"),
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of all commands."""
    common_flags.define_run_dir(values)
    flags.DEFINE_string(
        "attributes",
        "",
        "vectors, predict: those to use (default: all); edit: what to add, names joined by "
        "+ or -, such as Smiling,Eyeglasses+Young,-Male; relate: those on the map "
        "(default: the six that explain most of the latents' variance); "
        f"""{QUOTING}: '"Blond-Gray",Smiling'""",
        flag_values=values,
    )
    flags.DEFINE_string(
        "exclude",
        "",
        f"vectors, predict: attributes to leave out; {QUOTING}",
        flag_values=values,
    )
    flags.DEFINE_string(
        "control",
        None,
        "vectors: an attribute to balance, such as Male: differences are taken among "
        "images with it and among images without, and averaged",
        flag_values=values,
    )
    flags.DEFINE_list(
        "images",
        [],
        "edit: test indices and image files, such as 0,17,me.jpg",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "method",
        "vectors",
        list(_STRENGTHS),
        "edit: vectors = the vectors of attributes are added; prior = the run's prior, "
        "which must know labels, draws what it makes an image of under another label, "
        "attributes or a class (default: vectors)",
        flag_values=values,
    )
    flags.DEFINE_list(
        "strengths",
        None,
        "edit: how many times the vectors are added (default: -1,0,1,2); with "
        "--method=prior 1 = as asked for, 0 = as it is, -1 = the opposite (default: 0,1)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output", None, "edit: what to write, NAME.png", flag_values=values
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "vectors, predict, relate: folder of the results (default: RUN_DIR/attributes)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "vectors_dir",
        None,
        "edit, relate: folder of the vectors (default: RUN_DIR/attributes)",
        flag_values=values,
    )
    common_flags.define_seed(values, "classifiers (predict) and map (relate)")
    common_flags.define_data(values, common_flags.OWN_DATASET)


def vectors(values: flags.FlagValues) -> None:
    """Computes and stores the vectors of attributes."""
    given = _given(values, "vectors")
    model, data, study = _load(given)
    folder = _folder(given, "output_dir")
    text = study.make_vectors(
        model,
        data,
        folder,
        given["attributes"],
        given["exclude"],
        given["control"],
        progress_printer(),
    )
    print(f"\n{text}\n\nvectors: {folder}")


def edit(values: flags.FlagValues) -> None:
    """Draws images with attributes added to their latents."""
    given = _given(values, "edit")
    common_flags.require(given, "images", "attributes", "output")
    if given["strengths"] is None:
        given["strengths"] = _STRENGTHS[given["method"]]
    common_flags.require(given, "strengths")
    strengths = _parse_strengths(given["strengths"])
    images = [chosen_images.parse(text) for text in given["images"]]
    if Path(given["output"]).suffix.lower() != ".png":
        raise UserError(f"--output={given['output']} must end in .png")
    image_files.check_output(given["output"])
    if given["method"] == "prior":
        if given["vectors_dir"] is not None:
            raise UserError("--vectors_dir is of --method=vectors")
        model, data, study = _load(given)
        png = study.draw_edits_by_prior(
            model, data, images, given["attributes"], strengths
        )
    else:
        folder = _folder(given, "vectors_dir")
        names = attribute_vectors.stored_names(folder, resolve(given["run_dir"]))
        edits = attribute_vectors.parse_edits(given["attributes"], names)
        attribute_vectors.check_rows(len(images), len(edits))
        model, data, study = _load(given)
        png = study.draw_edits(model, data, folder, images, edits, strengths)
    with atomic_file(given["output"]) as file:
        file.write(png)
    print(f"wrote {given['output']}")


def predict(values: flags.FlagValues) -> None:
    """Scores classifiers of attributes on latents."""
    given = _given(values, "predict")
    model, data, study = _load(given)
    folder = _folder(given, "output_dir")
    text = study.predict_attributes(
        model,
        data,
        folder,
        given["attributes"],
        given["exclude"],
        given["seed"],
        progress_printer(),
    )
    print(f"\n{text}\n\nprediction.png and prediction.json: {folder}")


def relate(values: flags.FlagValues) -> None:
    """Draws how attributes and images lie to each other."""
    given = _given(values, "relate")
    model, data, study = _load(given)
    folder = _folder(given, "output_dir")
    text = study.relate_attributes(
        model,
        data,
        _folder(given, "vectors_dir"),
        folder,
        given["attributes"],
        given["seed"],
        progress_printer(),
    )
    print(
        f"\n{text}\n\ncorrelation.png, tsne.png: {folder}\n"
        f"latents with thumbnails: tensorboard --logdir={folder / 'projector'}"
    )


def _given(values: flags.FlagValues, command: str) -> dict[str, Any]:
    """Returns the flags; one of another command only is an error."""
    common_flags.refuse_other_commands(values, command, _COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "run_dir")
    resolve(given["run_dir"])
    return given


def _load(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Returns the run, where its images are, and the module that does the work."""
    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference
    from dfcvae_tf.data.run_images import evaluation_data
    from dfcvae_tf.evaluation.attributes import study

    model = load_for_inference(given["run_dir"], trust_code=given["trust_code"])
    data = evaluation_data(
        model.config, given["dataset"], given["data_dir"], given["offline"]
    )
    return model, data, study


def _folder(given: dict[str, Any], flag: str) -> Path:
    return Path(given[flag] or resolve(given["run_dir"]).attributes)


def _parse_strengths(texts: list[str]) -> list[float]:
    try:
        strengths = [float(text) for text in texts]
    except ValueError:
        strengths = [math.nan]
    fine = all(abs(strength) <= MAX_STRENGTH for strength in strengths)
    if not fine or len(strengths) > MAX_STRENGTHS:
        raise UserError(
            f"--strengths={','.join(texts)} must be up to {MAX_STRENGTHS} numbers, none "
            f"beyond {MAX_STRENGTH:,}, such as -1,0,1,2"
        )
    return strengths


COMMANDS = {"vectors": vectors, "edit": edit, "predict": predict, "relate": relate}


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, COMMANDS)


if __name__ == "__main__":
    run()

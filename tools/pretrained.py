"""Measures the pretrained MNIST runs, and puts a trained run among them.

  python -m tools.pretrained check
  python -m tools.pretrained bundle --run_dir=runs/dfc --name=mnist_dfc_vae

Reconstructions are decoded from z_mean. Sharpness is the mean Laplacian variance of the
reconstructions, relative to that of the originals; "blurred" is the same after a small
Gaussian blur, which noise and ringing do not survive. The judge is a classifier that had
no part in training. Uses the bundled test split, so it needs no network.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from absl import flags

from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.errors import UserError

RUNS = ("pretrained:mnist_vae", "pretrained:mnist_dfc_vae")


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "runs",
        list(RUNS),
        "check: run directories or pretrained:NAME",
        flag_values=values,
    )
    flags.DEFINE_string(
        "picture",
        None,
        "check: PNG file of a digit of each class, each run's reconstructions of them "
        "and each run's prior samples",
        flag_values=values,
    )
    flags.DEFINE_string("run_dir", None, "bundle: the finished run", flag_values=values)
    flags.DEFINE_string("name", None, "bundle: its name", flag_values=values)


def check(values: flags.FlagValues) -> None:
    """Prints the measurements of each run."""
    import_tensorflow()
    from dfcvae_tf import images as images_lib
    from dfcvae_tf.run_dir import atomic_file

    rows: list[np.ndarray] = []
    for run in values["runs"].value or []:
        metrics, digits, samples = measure(run)
        print(run)
        print(_table(metrics))
        rows = [digits[:10], *rows[1:], digits[10:], samples[:20]]
    if values["picture"].value:
        # Reconstructions first, then samples: sorting by length keeps their order.
        grid = images_lib.make_grid(np.concatenate(sorted(rows, key=len)), columns=10)
        grid = grid.repeat(2, axis=0).repeat(2, axis=1)
        with atomic_file(values["picture"].value) as file:
            file.write(images_lib.encode_png(grid))


def bundle(values: flags.FlagValues) -> None:
    """Copies settings and inference weights of a run, and writes its card."""
    given: dict[str, Any] = values.flag_values_dict()
    for name in ("run_dir", "name"):
        if not given[name]:
            raise UserError(f"--{name} is missing")
    import_tensorflow()
    from dfcvae_tf import run_dir as run_dir_lib

    if not given["name"].isidentifier():
        raise UserError(f"--name={given['name']} must be a plain name, like mnist_vae")
    run = run_dir_lib.resolve(given["run_dir"])
    metrics, *_ = measure(given["run_dir"])
    target = run_dir_lib.RunDir(run_dir_lib.PRETRAINED_DIR / given["name"])
    provenance = run_dir_lib.read_json(run.config)["provenance"]
    settings = run_dir_lib.read_json(run.config)["settings"]
    for source, copy in (
        (run.config, target.config),
        (run.weights, target.weights),
        (run.layer_energies, target.layer_energies),
    ):
        if source.is_file():
            with run_dir_lib.atomic_file(copy) as file:
                file.write(source.read_bytes())
    versions = ", ".join(f"{k} {v}" for k, v in provenance["versions"].items())
    card = f"""# pretrained:{given["name"]}

- Network: `{settings["model"]["network"]}`, {settings["model"]["latent_dim"]} latents
- Data: {provenance["dataset"]}, all training images
- Length: {settings["training"]["steps"]} steps of {settings["training"]["batch_size"]}
  images, {settings["training"]["precision"]}, seed {settings["training"]["seed"]}
- Made with: `{provenance["command"]}`
- At revision {provenance["git_revision"]}; Python {provenance["python"]}, {versions}

On the 10,000 MNIST test images (`python -m tools.pretrained check` explains and repeats
this):

```
{_table(metrics)}
```
"""
    with run_dir_lib.atomic_file(target.path / "card.md") as file:
        file.write(card.encode())
    print(f"bundled {given['run_dir']} as pretrained:{given['name']}")


def _table(metrics: dict[str, float]) -> str:
    return "\n".join(f"  {name:<26}{value:10.4f}" for name, value in metrics.items())


def measure(run: str) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Returns measurements by name, some digits, prior samples.

    The digits are [20, 28, 28, 1]: the first test image of each class, then their
    reconstructions. Samples are [500, 28, 28, 1]. Both are float32 in [0, 1].

    Raises:
      UserError: no such run, or not one of digits.
    """
    import tensorflow as tf

    from dfcvae_tf import losses
    from dfcvae_tf.checkpoints import load_for_inference
    from dfcvae_tf.config import DataConfig
    from dfcvae_tf.data.pipeline import eval_batches
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.perceptual.classifiers import load_classifier

    model = load_for_inference(run)
    if model.config.image_shape != (28, 28, 1):
        shape = "x".join(map(str, model.config.image_shape or ()))
        raise UserError(f"{run} makes {shape} images; give runs of 28x28x1 digits")
    judge = load_classifier("mnist_judge")
    source = open_source(DataConfig(), seed=0)
    images, recon, kl, kept, labels = [], [], [], [], []
    for batch in eval_batches(source, "test", DataConfig(), (28, 28, 1), 500):
        x = batch["image"]
        z_mean, z_log_var = model.encoder(x)
        x_hat = model.decoder(z_mean)
        images.append(x.numpy())
        recon.append(x_hat.numpy())
        kl.append(losses.kl_nats(z_mean, z_log_var).numpy())
        same = tf.argmax(judge(x), -1) == tf.argmax(judge(x_hat), -1)
        kept.append(same.numpy())
        labels.append(batch["label"].numpy())
    x, x_hat = np.concatenate(images), np.concatenate(recon)
    noise = tf.random.stateless_normal([10_000, z_mean.shape[1]], [0, 0])
    samples = [model.decoder(z).numpy() for z in tf.split(noise, 20)]
    confidence = [tf.reduce_max(tf.nn.softmax(judge(s)), -1) for s in samples]
    metrics = {
        "kl_nats": float(np.concatenate(kl).mean()),
        "mse": float(np.mean((x - x_hat) ** 2)),
        "sharpness ratio": _ratio(x, x_hat, lambda image: image),
        "sharpness ratio, blurred": _ratio(x, x_hat, _blur),
        "label kept": float(np.concatenate(kept).mean()),
        "samples judged with > 0.9": float((np.concatenate(confidence) > 0.9).mean()),
    }
    _, first = np.unique(np.concatenate(labels), return_index=True)
    return metrics, np.concatenate([x[first], x_hat[first]]), samples[0]


def _ratio(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    prepare: Callable[[np.ndarray], np.ndarray],
) -> float:
    """Mean Laplacian variance of the second, relative to the first."""
    means = [
        np.mean([cv2.Laplacian(prepare(image), cv2.CV_32F).var() for image in images])
        for images in (originals, reconstructions)
    ]
    return float(means[1] / means[0])


def _blur(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigmaX=1.0)


def run() -> None:
    run_program(__doc__, define_flags, {"check": check, "bundle": bundle})


if __name__ == "__main__":
    run()

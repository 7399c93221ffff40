"""What an export's parts may be used for, as far as it is known here.

Of pictures, that is known of data sets with a name; whose pictures were in a folder, their
owner knows. A model that has seen pictures for research alone is for research alone.
"""

from typing import Any

from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.run_dir import PRETRAINED_DIR, RunDir

LICENCES = "LICENCES.md"

Licence = dict[str, Any]

_APACHE = {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
_RUNTIME: Licence = {
    "of": "LiteRT and LiteRT.js",
    **_APACHE,
    "source": "https://github.com/google-ai-edge/LiteRT",
    "non_commercial": False,
}
_BUNDLED: Licence = {
    "of": "The weights of the bundled runs",
    **_APACHE,
    "source": "dfcvae-tf",
    "non_commercial": False,
}
_MNIST: Licence = {
    "of": "The MNIST database of Yann LeCun, Corinna Cortes and Christopher Burges",
    "name": "CC BY-SA 3.0",
    "url": "https://creativecommons.org/licenses/by-sa/3.0/",
    "source": "http://yann.lecun.com/exdb/mnist/",
    "non_commercial": False,
}
_CELEBA: Licence = {
    "of": "CelebA of Ziwei Liu, Ping Luo, Xiaogang Wang and Xiaoou Tang",
    "name": "for non-commercial research",
    "url": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    "source": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    "non_commercial": True,
}


def licences(run: RunDir, dataset: str) -> dict[str, Licence | None]:
    """Returns "data", "weights" and "runtime"; None where only their owner knows.

    Args:
      run: what is exported.
      dataset: that it was trained with, as `DataConfig.dataset`.
    """
    data = None
    if dataset in MNIST:
        data = _MNIST
    elif dataset.startswith("celeba:") or dataset == "tfds:celeb_a":
        data = _CELEBA
    bundled = run.path.resolve().parent == PRETRAINED_DIR.resolve()
    return {
        "data": data,
        "weights": _BUNDLED if bundled else None,
        "runtime": _RUNTIME,
    }


def restriction(known: dict[str, Licence | None]) -> str | None:
    """Returns a sentence on what an export must not be used for; None where nothing is known."""
    data = known["data"]
    if data is None or not data["non_commercial"]:
        return None
    return (
        f"Trained on {data['of']}, which is {data['name']} ({data['url']}): so is this "
        "model."
    )


def render_licences(known: dict[str, Licence | None]) -> str:
    """Returns LICENCES.md."""
    lines = ["# Licences", ""]
    if said := restriction(known):
        lines += [f"**{said}**", ""]
    titles = {
        "data": "Pictures it was trained on",
        "weights": "Weights, in every file of this folder",
        "runtime": "Runtime, in `litert/` with its LICENSE where there is a page",
    }
    for part, title in titles.items():
        lines += [f"## {title}", ""]
        licence = known[part]
        if licence is None:
            lines += ["Not known to the exporter; their owner knows.", ""]
            continue
        terms = f"[{licence['name']}]({licence['url']})"
        lines += [f"{licence['of']}: {terms}; from {licence['source']}.", ""]
    return "\n".join(lines)

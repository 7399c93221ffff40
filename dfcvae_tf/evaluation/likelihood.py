"""How likely runs find the images, and how much of their latents they use."""

from collections.abc import Mapping

from dfcvae_tf.evaluation import figures, inference
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.evaluation.table import MeasureTable
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import latent


def measure_likelihood(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    table: MeasureTable,
    settings: Settings,
) -> Section:
    """The importance-weighted NLL of the first images, beside their negative ELBO."""
    section = Section()
    count = min(settings.importance_images, data.num_images)
    draws = settings.importance_samples
    for name, model in models.items():
        images = data.batches(count, inference.importance_batch(model, draws))
        nll = inference.importance_weighted_nll(model, images, draws, settings.seed)
        elbo = table.values[name]["negative_elbo"][:count]
        section.runs[name] = {
            "importance_weighted_nll": nll.mean(),
            "negative_elbo_of_the_same": elbo.mean(),
        }
    section.results = {"importance_samples": draws, "num_images": count}
    return section


def describe_latents(latents: Mapping[str, Latents]) -> Section:
    """How far each latent dimension of each run is from the prior, and how many vary."""
    section = Section()
    kl = {name: encoded.kl.mean(axis=0) for name, encoded in latents.items()}
    for name, encoded in latents.items():
        section.runs[name] = {
            "kl_per_dimension": kl[name],
            "active_units": latent.active_units(encoded.z_mean).count,
        }
    section.figures["kl"] = figures.kl_per_dimension(kl)
    return section

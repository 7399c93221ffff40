"""From a trained run to a folder of files for devices."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfcvae_tf import weights as weights_lib
from dfcvae_tf.checkpoints import load_for_inference, saved_steps
from dfcvae_tf.config import DataConfig
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.exporting import integer
from dfcvae_tf.exporting.accelerator import Device, find_device
from dfcvae_tf.exporting.card import CARD, render_card
from dfcvae_tf.exporting.device_form import device_decode
from dfcvae_tf.exporting.folder import MANIFEST, file_list, replaced_folder
from dfcvae_tf.exporting.gpu_check import check_on_gpu
from dfcvae_tf.exporting.joining import convert_prior, join
from dfcvae_tf.exporting.latency import measure_latency
from dfcvae_tf.exporting.licences import LICENCES, render_licences
from dfcvae_tf.exporting.manifest import (
    PRIOR,
    SAVED_MODEL,
    File,
    attribute_directions,
    build_manifest,
    describe,
)
from dfcvae_tf.exporting.metadata import add_metadata
from dfcvae_tf.exporting.parity import Gate, Parity
from dfcvae_tf.exporting.report import REPORT, render_report
from dfcvae_tf.exporting.runtime import TFLiteFunction, check_threads
from dfcvae_tf.exporting.samples import calibration_samples, check_samples
from dfcvae_tf.exporting.saved_model import load_signature, write_saved_model
from dfcvae_tf.exporting.settings import ExportSettings
from dfcvae_tf.exporting.signatures import NETWORKS, PRIOR_SIGNATURES
from dfcvae_tf.exporting.tflite import convert, forbidden_operators
from dfcvae_tf.exporting.web import write_photo_module, write_web_page
from dfcvae_tf.files import atomic_file, write_json
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.perceptual.classifiers import load_classifier
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir, resolve

Progress = Callable[[str], None]


def load_run(
    run_dir: str, checkpoint: str | None, trust_code: bool = False
) -> tuple[LoadedRun, int | None]:
    """Loads what is exported.

    Args:
      run_dir: a run directory, or `pretrained:NAME`.
      checkpoint: a step or "newest"; None for the weights of a finished run.
      trust_code: see `load_for_inference`.

    Returns:
      The run, and the step of the checkpoint, None for a finished run.

    Raises:
      UserError: no such run or checkpoint, it is damaged, or training did not finish.
    """
    run = resolve(run_dir)
    steps = saved_steps(run.checkpoints)
    if checkpoint is None:
        if steps and not run.weights.is_file():
            raise UserError(
                f"{run_dir}: training did not finish; run the same training command "
                "again to finish it, or export its newest checkpoint (step "
                f"{steps[-1]}) with --checkpoint=newest"
            )
        return load_for_inference(run_dir, trust_code=trust_code), None
    if checkpoint == "newest":
        if not steps:
            raise UserError(f"{run_dir} has no checkpoint; leave --checkpoint out")
        step = steps[-1]
    elif checkpoint.isdecimal():
        step = int(checkpoint)
    else:
        raise UserError(f"--checkpoint must be 'newest' or a step, got {checkpoint!r}")
    return load_for_inference(run_dir, step, trust_code=trust_code), step


def default_output_dir(run_dir: str) -> Path:
    """Returns RUN_DIR/export, and for `pretrained:NAME` exports/NAME."""
    if run_dir.startswith(PRETRAINED_PREFIX):
        return Path("exports") / run_dir.removeprefix(PRETRAINED_PREFIX)
    return RunDir(run_dir).export


def export_run(
    model: LoadedRun,
    output: Path,
    settings: ExportSettings,
    data: DataConfig,
    step: int | None = None,
    litert_dir: Path | None = None,
    progress: Progress = lambda text: None,
) -> dict[str, Any]:
    """Writes an export; the folder appears whole at the end, or stays as it was.

    A file that fails the gate is left out; without its decoder a variant is left out, and
    without the learned prior everything is as in a run that has N(0, I).

    Args:
      model: the run.
      output: the folder; it does not exist, is empty, or holds an earlier export.
      settings: what is exported.
      data: where real images come from.
      step: of the checkpoint that `model` was loaded from; None for a finished run.
      litert_dir: folder with LiteRT.js, for the web page; None for no page.
      progress: told in words what is done next.

    Returns:
      The manifest; its "rejected" are the files that failed.

    Raises:
      UserError: the output folder, the data, the run's attribute vectors or
        LiteRT.js are not usable, or there is no GPU or no learned prior and one is asked
        for.
      Stopped: nothing passed the gate; nothing was written.
    """
    if "generate" in settings.signatures and not model.has_learned_prior:
        raise UserError(
            f"{model.run} has no prior of its own to generate from: standard normal z go "
            "into decode; leave generate out of --signatures, or fit one with `python -m "
            "dfcvae_tf.fit_prior`"
        )
    device = find_device(settings.accelerator)
    with replaced_folder(output) as folder:
        if litert_dir is not None:
            write_web_page(folder, litert_dir)  # first: what is missing shows at once
        attributes = attribute_directions(model, step, progress)
        progress(f"reading images of {data.dataset}")
        export = _Export(model, settings, data, folder, device)
        files: list[File] = []
        if model.has_learned_prior:
            progress("prior")
            files.append(export.write_prior())
        if settings.saved_model:
            progress("SavedModel")
            export.write_saved_model()
        scratch = folder / ".scratch"
        export.write_static_models(scratch)
        for variant in settings.variants:
            for signature in export.signatures:
                progress(f"{variant} {NETWORKS[signature]}")
                files.append(export.write_file(variant, signature))
                if files[-1].failures and signature == "decode":
                    break  # without its decoder there is no variant
        shutil.rmtree(scratch)
        if not any(f.signature == "decode" and not f.failures for f in files):
            failed = [f for f in files if f.failures]
            reasons = "; ".join(f"{f.name}: {', '.join(f.failures)}" for f in failed)
            raise Stopped(f"{reasons}; nothing was written")
        progress("report and manifest")
        manifest = build_manifest(
            folder,
            export.model,
            step,
            settings,
            export.calibration,
            export.checks,
            export.saved_model_parity,
            files,
            attributes,
        )
        if "encode" in export.signatures:
            write_photo_module(folder)
        texts = {
            REPORT: render_report(manifest),
            CARD: render_card(manifest),
            LICENCES: render_licences(manifest["licences"]),
        }
        for name, text in texts.items():
            with atomic_file(folder / name) as stream:
                stream.write(text.encode())
        manifest["files"] = file_list(folder)  # now with these
        write_json(folder / MANIFEST, manifest)
    return manifest


class _Export:
    """One export while it is written."""

    def __init__(
        self,
        model: LoadedRun,
        settings: ExportSettings,
        data: DataConfig,
        folder: Path,
        device: Device | None,
    ):
        """Reads the images; writes nothing."""
        self.device = device
        self.settings = settings
        self.data = data
        self.folder = folder
        size = settings.batch_size
        self.rows: int | None = None if size == "dynamic" else size
        self.saved_model_parity: dict[str, Parity] = {}
        self._take(model)

    def _take(self, model: LoadedRun) -> None:
        """Sets what is exported, and draws what it is checked on."""
        self.model = model
        self.calibration = calibration_samples(model, self.data, self.settings.seed)
        self.checks = check_samples(model, self.data, self.settings.seed)
        judge = load_classifier("mnist_judge") if self.checks.digits else None
        self.gate = Gate(model, self.checks, judge)

    @property
    def signatures(self) -> list[str]:
        """Those that .tflite files are made of."""
        learned = self.model.has_learned_prior
        wanted = self.settings.signatures or tuple(NETWORKS)
        return [name for name in wanted if learned or name != "generate"]

    def write_prior(self) -> File:
        """Converts, checks and measures the learned prior; writes it when it passes.

        When it fails, N(0, I) takes its place.
        """
        file = self._write_file(
            "float32",
            "from_noise",
            PRIOR,
            lambda: convert_prior(self.model.prior, self.model.latent_dim, self.rows),
            lambda content: self.gate.check_prior(
                *(
                    TFLiteFunction(content, name, check_threads())
                    for name in PRIOR_SIGNATURES
                )
            ),
        )
        if file.failures:
            standard = StandardNormal()
            self._take(dataclasses.replace(self.model, prior=standard, labels=None))
        return file

    def write_saved_model(self) -> None:
        """Writes and checks the SavedModel.

        Raises:
          Stopped: it does not match; then nothing that is made from it can.
        """
        path = self.folder / SAVED_MODEL
        write_saved_model(self.model.vae, self.model.prior, path)
        checks = {
            "decode": self.gate.check_decoder,
            "encode": self.gate.check_encoder,
            "reconstruct": self.gate.check_reconstruct,
            "generate": self.gate.check_generator,
        }
        for signature, check in checks.items():
            parity = check(load_signature(path, signature), SAVED_MODEL)
            self.saved_model_parity[signature] = parity
            if parity.failures:
                raise Stopped(
                    f"signature {signature} of the SavedModel does not match the "
                    f"network: {', '.join(parity.failures)}; nothing was written"
                )

    def write_static_models(self, scratch: Path) -> None:
        """Writes the SavedModels that are converted: of one batch size, and for int8."""
        vae, prior, config = self.model.vae, self.model.prior, self.model.config
        self.sources = {"float": scratch / "float", "int8": scratch / "int8"}
        if set(self.settings.variants) != {"int8"}:
            decode = device_decode(vae, vae.to_images)
            write_saved_model(vae, prior, self.sources["float"], self.rows, decode)
        if "int8" not in self.settings.variants:
            return
        copy = build_vae(
            config.model,
            self.model.image_shape,
            "float32",
            own=self.model.own_network,
        )
        for name, network in vae.networks.items():
            weights_lib.set_arrays(copy.networks[name], weights_lib.get_arrays(network))
        latents = self.calibration.all_latents
        low, high = integer.output_range(vae, latents)
        integer.equalize_channels(copy.decoder, latents)
        decode = device_decode(
            copy, lambda outputs: integer.bounded_images(copy, outputs, low, high)
        )
        write_saved_model(copy, prior, self.sources["int8"], self.rows, decode)

    def write_file(self, variant: str, signature: str) -> File:
        """Converts, checks and measures one file; writes it when it passes."""
        check = {
            "decode": self.gate.check_decoder,
            "encode": self.gate.check_encoder,
            "generate": self.gate.check_generator,
        }[signature]
        return self._write_file(
            variant,
            signature,
            f"{NETWORKS[signature]}_{variant}.tflite",
            lambda: self._convert(variant, signature),
            lambda content: check(
                TFLiteFunction(content, signature, check_threads()), variant
            ),
        )

    def _write_file(
        self,
        variant: str,
        signature: str,
        name: str,
        convert_it: Callable[[], bytes],
        check_it: Callable[[bytes], Parity],
    ) -> File:
        try:
            content = convert_it()
        # The converter raises errors of many kinds; the other files stand.
        except Exception as error:  # noqa: BLE001
            # Without the names of folders here: the manifest is published.
            reason = (
                str(error)
                .replace(str(self.folder), "")
                .replace(str(self.folder.resolve()), "")
            )
            reason = " ".join(reason.split())[:200]
            return File(
                variant, signature, name, failures=(f"no conversion: {reason}",)
            )
        labels = () if self.model.labels is None else self.model.labels.names
        about = describe(self.model, self.settings) | {"labels": labels}
        content = add_metadata(content, about)
        if bad := forbidden_operators(content, self.rows is None):
            reason = f"holds the operators {', '.join(bad)}"
            return File(variant, signature, name, failures=(reason,))
        parity = check_it(content)
        if parity.failures:
            return File(variant, signature, name, failures=parity.failures)
        path = self.folder / name
        with atomic_file(path) as stream:
            stream.write(content)
        latency = measure_latency(path, signature)
        gpu = None
        if signature in NETWORKS:
            rows = self.rows or 1
            some = self.gate.some(signature, rows)
            gpu = check_on_gpu(self.device, content, signature, variant, rows, *some)
        return File(variant, signature, name, len(content), parity, latency, gpu)

    def _convert(self, variant: str, signature: str) -> bytes:
        if signature == "generate":
            # Both have passed, or there would be no generator.
            decoder = (
                self.folder / f"{NETWORKS['decode']}_{variant}.tflite"
            ).read_bytes()
            return join((self.folder / PRIOR).read_bytes(), decoder)
        calibration = {
            "decode": self.calibration.all_latents,
            "encode": self.calibration.images,
        }
        return convert(
            self.sources["int8" if variant == "int8" else "float"],
            signature,
            variant,
            calibration[signature],
            self.rows or 1,
        )

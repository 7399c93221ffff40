"""The gate, on files made up to be right or wrong in a known way."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.exporting.parity import Gate
from dfcvae_tf.exporting.samples import Samples

KINDS = ("encoder means", "prior", "extremes")


@pytest.fixture(name="samples", scope="module")
def _samples(model) -> Samples:
    rng = np.random.default_rng(0)
    images = rng.random((250, 8, 8, 1), np.float32)
    z_mean = model.encoder(images)[0].numpy()
    noise = rng.standard_normal((150, 3), np.float32)
    latents = {
        "encoder means": z_mean,
        "prior": noise,
        "extremes": rng.uniform(-4, 4, (150, 3)).astype(np.float32),
    }
    return Samples("made up", False, images, z_mean, latents, noise, None)


@pytest.fixture(name="gate", scope="module")
def _gate(model, samples) -> Gate:
    return Gate(model, samples, judge=None)


@pytest.fixture(name="decode")
def _decode(model):
    return lambda z: {"image": np.array(model.decoder(z))}


def changed(function, change):
    """The function with every result changed."""
    return lambda values: {k: change(v) for k, v in function(values).items()}


@pytest.mark.parametrize("name", ["saved_model", "float32", "float16", "int8"])
def test_the_network_itself_passes(gate, model, decode, name):
    parity = gate.check_decoder(decode, name)
    assert parity.failures == ()
    assert parity.max_error < 1e-6 and parity.batch_difference < 1e-6
    assert set(parity.psnr_db) == set(KINDS)
    assert min(parity.psnr_db.values()) == parity.worst_psnr_db == 120
    assert parity.sharpness_ratio == pytest.approx(1)
    assert parity.agreement is None

    def encode(images):
        z_mean, z_log_var = model.encoder(images)
        return {"z_mean": z_mean.numpy(), "z_log_var": z_log_var.numpy()}

    assert gate.check_encoder(encode, name).failures == ()

    def reconstruct(images):
        return decode(encode(images)["z_mean"])

    assert gate.check_reconstruct(reconstruct, name).failures == ()


@pytest.mark.parametrize(
    ("name", "limit"), [("saved_model", 1e-4), ("float32", 1e-4), ("float16", 5e-3)]
)
def test_the_largest_error_of_a_single_value_counts(gate, decode, samples, name, limit):
    """One pixel of one of 550 pictures."""
    victim = samples.latents["extremes"][40]

    def off_by(error):
        def bad(z):
            images = decode(z)["image"]
            images[(z == victim).all(axis=1), 3, 4, 0] += error
            return {"image": images}

        return gate.check_decoder(bad, name)

    assert off_by(0.9 * limit).failures == ()
    (failure,) = off_by(1.2 * limit).failures
    assert f"at most {limit:g} is allowed" in failure
    assert f"{1.2 * limit:.2g}" in failure


def test_values_that_are_not_finite_are_found_everywhere(gate, decode):
    for bad in (np.nan, np.inf):
        for name in ("float32", "int8"):

            def change(images, bad=bad):
                return np.where(
                    np.arange(len(images))[:, None, None, None] == 7, bad, images
                )

            parity = gate.check_decoder(changed(decode, change), name)
            assert parity.failures == ("not all values are finite",)


def test_psnr_is_that_of_noise_of_known_size(gate, decode):
    """A change of 0.01 in every pixel has a mean square of 1e-4: 40 dB."""
    sign = np.indices((8, 8)).sum(0)[..., None] // 4 % 2 * 2 - 1

    def psnr_with(size):
        return gate.check_decoder(changed(decode, lambda x: x + size * sign), "int8")

    parity = psnr_with(0.01)
    assert list(parity.psnr_db.values()) == pytest.approx([40, 40, 40], abs=0.01)
    assert not [f for f in parity.failures if "PSNR" in f]
    parity = psnr_with(10 ** (-34.5 / 20))
    assert [f for f in parity.failures if "PSNR" in f] == [
        f"PSNR 34.5 dB on {kind}, 35 dB are needed" for kind in KINDS
    ]


def test_one_kind_of_latents_cannot_hide_behind_the_others(gate, decode, samples):
    """As int8 does beyond the range it was calibrated on: it cuts off."""
    limit = np.abs(np.concatenate([samples.latents[k] for k in KINDS[:2]])).max()
    assert limit < 4
    parity = gate.check_decoder(lambda z: decode(np.clip(z, -2.5, 2.5)), "int8")
    assert parity.psnr_db["extremes"] < 35 < parity.psnr_db["encoder means"]
    assert any("on extremes" in failure for failure in parity.failures)


def test_blur_is_found_where_the_error_is_small(gate, decode):
    """Less contrast by 2 % is 4 % less Laplacian variance, at more than 35 dB."""

    def with_contrast(factor):
        return gate.check_decoder(
            changed(decode, lambda x: 0.5 + factor * (x - 0.5)), "dynamic"
        )

    parity = with_contrast(0.98)
    assert parity.sharpness_ratio == pytest.approx(0.98**2, abs=1e-4)
    assert parity.failures == ("sharpness -4.0%, 3% is allowed",)
    assert with_contrast(0.99).failures == ()


def test_a_row_must_not_depend_on_its_batch(gate, decode):
    def leaking(z):
        return {"image": decode(z)["image"] + np.float32(0.02 * (len(z) > 1))}

    parity = gate.check_decoder(leaking, "dynamic")
    assert parity.batch_difference == pytest.approx(0.02, abs=1e-5)
    assert [f for f in parity.failures if "rest of its batch" in f]


def test_an_encoder_is_judged_by_its_pictures_and_its_log_var(gate, model):
    def encode(images, shift=0.0, log_var_shift=0.0):
        z_mean, z_log_var = model.encoder(images)
        return {
            "z_mean": z_mean.numpy() + np.float32(shift),
            "z_log_var": z_log_var.numpy() + np.float32(log_var_shift),
        }

    parity = gate.check_encoder(lambda x: encode(x, log_var_shift=0.2), "int8")
    assert parity.log_var_rmse == pytest.approx(0.2, abs=1e-4)
    assert parity.failures == (
        "z_log_var is off by 0.2 (root mean square), 0.1 is allowed",
    )
    parity = gate.check_encoder(lambda x: encode(x, shift=1.0), "int8")
    assert any("PSNR" in failure for failure in parity.failures)
    parity = gate.check_encoder(lambda x: encode(x, log_var_shift=2e-4), "float32")
    assert parity.max_error == pytest.approx(2e-4, abs=1e-5)
    assert len(parity.failures) == 1


def test_the_judge_counts_labels_kept(model, samples):
    """The judge calls an image by whether its first pixel is the brighter of two."""

    def judge(images, training):
        return tf.stack([images[:, 0, 0, 0], images[:, 7, 7, 0]], axis=-1)

    gate = Gate(model, dataclasses.replace(samples, digits=True), judge)
    decode = lambda z: {"image": model.decoder(z).numpy()}
    labels = samples.images[:, 0, 0, 0] < samples.images[:, 7, 7, 0]
    pictures = model.decoder(samples.z_mean).numpy()
    expected = pictures[:, 0, 0, 0] < pictures[:, 7, 7, 0]
    parity = gate.check_decoder(decode, "int8")
    assert parity.reference_agreement == parity.agreement
    assert parity.agreement == pytest.approx((labels == expected).mean())

    def swap(images):
        images = images.copy()
        images[:, [0, 7], [0, 7]] = images[:, [7, 0], [7, 0]]
        return images

    parity = gate.check_decoder(changed(decode, swap), "int8")
    assert parity.agreement == pytest.approx((labels != expected).mean())
    assert [f for f in parity.failures if "of the labels kept instead of" in f]


def test_flat_pictures_have_a_sharpness_too(model, samples, make_vae):
    flat = make_vae()
    last = flat.decoder.get_layer("to_logits")
    last.set_weights([0 * weights for weights in last.get_weights()])
    gate = Gate(dataclasses.replace(model, vae=flat), samples, None)
    decode = lambda z: {"image": flat.decode(tf.constant(z)).numpy()}
    parity = gate.check_decoder(decode, "int8")
    assert parity.sharpness_ratio == 1 and parity.failures == ()


def test_a_generator_is_checked_on_noise(gate, decode):
    parity = gate.check_generator(decode, "float32")  # the prior is N(0, I)
    assert parity.failures == () and list(parity.psnr_db) == ["noise"]
    other = lambda noise: decode(noise[::-1])
    (failure, *_) = gate.check_generator(other, "float32").failures
    assert failure.endswith("dB on noise, 48 dB are needed")


def test_a_prior_is_checked_there_and_back(gate):
    """The samples' prior is N(0, I)."""
    to_noise = lambda z: {"noise": z}
    from_noise = lambda noise: {"z": noise}
    parity = gate.check_prior(from_noise, to_noise)
    assert parity.failures == () and parity.max_error < 1e-6
    assert set(parity.psnr_db) == {"noise", "encoder means"}
    (failure, *_) = gate.check_prior(
        changed(from_noise, np.negative), to_noise
    ).failures
    assert failure.endswith("dB on noise, 48 dB are needed")
    (failure, *_) = gate.check_prior(
        from_noise, changed(to_noise, np.negative)
    ).failures
    assert failure.endswith("dB on encoder means, 48 dB are needed")
    lost = changed(from_noise, lambda z: z * np.float32(np.nan))
    assert gate.check_prior(lost, to_noise).failures == ("not all values are finite",)


def test_a_prior_keeps_the_labels_of_kerass_pictures(model, samples):
    gate = Gate(model, samples, lambda images, training: images[:, :2, 0, 0])
    same = lambda name: lambda values: {name: values}
    assert gate.check_prior(same("z"), same("noise")).agreement == 1.0


def test_what_a_bad_prior_draws_is_no_error_of_the_gate_itself(model, samples):
    latents = samples.latents | {"prior": np.full((150, 3), np.inf, np.float32)}
    gate = Gate(model, dataclasses.replace(samples, latents=latents), None)
    infinite = lambda noise: {"z": np.full_like(noise, np.inf)}
    assert gate.check_prior(infinite, lambda z: {"noise": z}).failures


def test_a_generator_keeps_the_labels_of_kerass_pictures(model, samples, decode):
    def judge(images, training):
        return images[:, :2, 0, 0]

    gate = Gate(model, samples, judge)
    assert gate.check_generator(decode, "int8").agreement == 1.0
    swapped = changed(decode, lambda images: images[:, ::-1, ::-1])
    failures = gate.check_generator(swapped, "int8").failures
    assert any("of the labels kept instead of 100.0%" in text for text in failures)

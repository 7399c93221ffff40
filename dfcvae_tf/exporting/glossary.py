"""What the fields of a manifest mean; the report prints it, and a test holds it complete."""

# Path of a field -> its meaning. "*" is any name; what is below a field is told with it.
FIELDS = {
    "format_version": "of this file; programs read one they know",
    "name": "of the model",
    "model_version": "as whoever exported it counts; null for none",
    "latent.dim": "D, how many numbers a picture is made of",
    "latent.ranges": "per latent, the 1st and 99th percentile of `z_mean` of test images, "
    "at least -2 and 2: how far a slider should reach",
    "latent.dtype": "of latents and noise",
    "attributes": "name -> direction in the latents, D numbers; added once, it makes the "
    "average picture without the attribute the one with it",
    "image": "height, width and channels of pictures, the order of colours, their range "
    "and dtype",
    "preprocessing": "how a photo becomes the encoder's input, in this order: turned as "
    "its EXIF says, transparent parts laid on `background`, cropped (`center`: the largest "
    "part of the picture's proportions; `part`: `top`, `left`, `height`, `width` of "
    "`of_height` and `of_width`; `none`: all of it), resized (bilinear, antialiased), made "
    "grey by `grey_weights`, rounded to 8 bits, divided by 255; where `ground` is not null "
    "and the median of the border is not within 0.1 of it (dark 0, light 1): inverted where "
    "it is nearer to the other end, then stretched",
    "batch_size": "rows per call; all of them count, and one is enough",
    "prior": "what pictures are drawn from: `kind`, its file, and into which `signature` "
    "standard normal noise goes; `labels` are what can be asked for; `held_out_log_prob` is "
    "the mean log-likelihood of test images' latents, nats",
    "signatures": "arguments and results of each, with shape and dtype",
    "variants.*.name": "float32, float16, dynamic or int8: what weights and activations "
    "are inside; inputs and outputs are float32 in all of them",
    "variants.*.decoder": "file of `decode(z) -> image`",
    "variants.*.encoder": "file of `encode(image) -> z_mean, z_log_var`; `z_mean` is what "
    "to use, `exp(z_log_var)` is how uncertain it is",
    "variants.*.generator": "file of `generate(noise) -> image`; null where `decode` is it",
    "variants.*.bytes": "of the decoder",
    "variants.*.parity.*.max_error": "largest difference from the trained network; of "
    "pixels in [0, 1], of latents in their units",
    "variants.*.parity.*.batch_difference": "largest difference between a row alone and "
    "the same row in a batch",
    "variants.*.parity.*.z_log_var_rmse": "root mean square error of `z_log_var`",
    "variants.*.quality.*.psnr_db": "of the pictures against the trained network's, by "
    "where latents come from; from 40 nobody sees a difference, below 30 many do",
    "variants.*.quality.*.worst_psnr_db": "the same of the worst single picture",
    "variants.*.quality.*.sharpness_ratio": "variance of the Laplacian of all pictures over "
    "that of the trained network's; 1 is the same",
    "variants.*.quality.*.label_agreement": "share of digits that a classifier still takes "
    "for their own; of other pictures null",
    "variants.*.quality.*.keras_label_agreement": "the same of the trained network",
    "variants.*.latency.*.first_run_ms": "the first call, milliseconds",
    "variants.*.latency.*.median_ms": "of the calls after it, by threads",
    "variants.*.latency.*.p95_ms": "95 in 100 calls are no slower",
    "variants.*.latency.*.peak_memory_bytes": "what loading and running adds to the runtime",
    "variants.*.latency.*.runs": "how many calls were timed",
    "variants.*.latency.*.batch_size": "rows of each of them",
    "variants.*.gpu.*": "`whole`: a GPU takes every operator; `refused`: which it does not; "
    "`device`: where that was seen, null: told by operators alone; `max_error` there, by "
    "the GPU's arithmetic",
    "recommended": "which file to take on CPUs and on GPUs, and the rule",
    "licences": "of the pictures it was trained on, the weights, and the runtime; null: "
    "their owner knows",
    "rejected": "files that differed too much and were left out, and why",
    "files": "SHA-256 and size of every other file here",
    "saved_model": "folder of the SavedModel; null for none",
    "saved_model_parity": "how close it comes, as `variants.*.parity`",
    "trained": "settings and provenance of the training, `checkpoint_step` where it had "
    "not ended",
    "calibration": "what int8's ranges were taken from",
    "checks": "what all files were checked on: images, and latents by where they come from "
    "(`encoder means`: of test images; `prior`: drawn; `extremes`: at the edges of ranges)",
    "versions": "of what made this export",
    "runtime": "that files were run in",
    "machine": "that times are of",
}


def render_glossary() -> list[str]:
    """The lines of a section."""
    lines = ["## Fields of manifest.json", "", "| | |", "| --- | --- |"]
    return [*lines, *(f"| `{name}` | {about} |" for name, about in FIELDS.items()), ""]

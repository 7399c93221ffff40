"""What pretrained networks expect at their input, made from images in [0, 1].

The conventions are those of `keras.applications.imagenet_utils.preprocess_input`:
https://github.com/keras-team/keras/blob/master/keras/src/applications/imagenet_utils.py
Every function maps float32 [N, H, W, C] RGB in [0, 1] to float32 of the same shape.
"""

import tensorflow as tf

# Per-channel statistics of the ImageNet training images: RGB in [0, 1] as used by
# torchvision, and BGR in [0, 255] as used by the Caffe networks of Oxford and Berkeley.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def to_0_255(images: tf.Tensor) -> tf.Tensor:
    """[0, 1] -> [0, 255]."""
    return images * 255.0


def to_minus1_1(images: tf.Tensor) -> tf.Tensor:
    """[0, 1] -> [-1, 1]."""
    return images * 2.0 - 1.0


def to_caffe(images: tf.Tensor) -> tf.Tensor:
    """RGB in [0, 1] -> BGR in [0, 255] minus the mean of each channel."""
    return images[..., ::-1] * 255.0 - _CAFFE_MEAN_BGR


def to_torch(images: tf.Tensor) -> tf.Tensor:
    """RGB in [0, 1] -> RGB with mean 0 and deviation 1 per channel."""
    return (images - _TORCH_MEAN) / _TORCH_DEVIATION


def whiten(images: tf.Tensor) -> tf.Tensor:
    """Each image [0, 1] -> mean 0 and deviation 1 over its pixels and channels.

    The whitening of FaceNet (github.com/davidsandberg/facenet, `prewhiten`), equal to
    tf.image.per_image_standardization of images in [0, 255]: a deviation below
    1 / sqrt(number of values) counts as that much. Unlike there, the gradient of an image
    of one colour is finite.
    """
    centred = (images - tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)) * 255.0
    variance = tf.reduce_mean(centred**2, axis=(1, 2, 3), keepdims=True)
    least = 1.0 / images.shape[1:].num_elements()
    return centred * tf.math.rsqrt(tf.maximum(variance, least))


# The values of --perceptual_preprocessing.
PREPROCESSING = {
    "none": None,
    "0_255": to_0_255,
    "-1_1": to_minus1_1,
    "caffe": to_caffe,
    "torch": to_torch,
    "whiten": whiten,
}

NEEDS_RGB = frozenset({"caffe", "torch"})

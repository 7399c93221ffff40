"""What counts as digits, and what as MNIST."""

from collections.abc import Sequence

# Names of the classes, in label order.
DIGITS = tuple(str(digit) for digit in range(10))
# (height, width, channels), which the bundled classifiers take.
MNIST_SHAPE = (28, 28, 1)
# Names of sources that have MNIST's test split, complete and in the same order.
MNIST = ("mnist_sample", "mnist", "tfds:mnist")


def are_digits(class_names: Sequence[str]) -> bool:
    """Whether classes, in label order, are the ten digits."""
    return tuple(class_names) == DIGITS


def are_like_mnist(
    image_shape: tuple[int, int, int] | None, class_names: Sequence[str]
) -> bool:
    """Whether images are 28x28x1 and their classes, in label order, the ten digits."""
    return image_shape == MNIST_SHAPE and are_digits(class_names)

"""One decoder in several runtimes: TensorFlow, LiteRT, ONNX Runtime and PyTorch.

ONNX and PyTorch models are made of the Keras decoder's own layers and weights. Keras keeps
an image's channels last, the other two name them first; `Step`s are what all have in
common. Importing this module imports none of the runtimes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.exporting.runtime import TFLiteFunction

# z [1, D] float32 -> image [1, H, W, C] float32 in [0, 1]
Decode = Callable[[np.ndarray], np.ndarray]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Dense:
    """[1, I] -> [1, O]. kernel: [I, O]; bias: [O]."""

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """A convolution of an image, or a transposed one.

    Attributes:
      kernel: [height, width, I, O].
      bias: [O].
      strides: (down, across).
      begin, end: pixels (down, across) that a convolution adds at the edges of what it
        is given. A transposed one takes as many away from what it makes; fewer than 0
        at the end are pixels that it adds there.
      transposed: which of the two it is.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair
    begin: Pair
    end: Pair
    transposed: bool


@dataclass(frozen=True)
class Affine:
    """x -> x * scale [C] + shift [C], where x is [1, C] or an image."""

    scale: np.ndarray
    shift: np.ndarray
    of_image: bool

    def for_channels_first(self) -> list[np.ndarray]:
        """Scale and shift as they fit to x."""
        shape = (-1, 1, 1) if self.of_image else (-1,)
        return [self.scale.reshape(shape), self.shift.reshape(shape)]


@dataclass(frozen=True)
class Relu:
    """x -> x where positive, elsewhere x * slope."""

    slope: float


@dataclass(frozen=True)
class ToImage:
    """[1, H * W * C], channels fastest, -> an image of this height, width and channels."""

    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Enlarge:
    """Of each pixel so many equal ones (down, across)."""

    factors: Pair


@dataclass(frozen=True)
class RepeatBorder:
    """An image gets a border of one pixel, each equal to its neighbour."""


@dataclass(frozen=True)
class Sigmoid:
    """x -> 1 / (1 + exp(-x))."""


@dataclass(frozen=True)
class Clip:
    """x -> the nearest number in [0, 1]."""


Step = (
    Dense
    | Convolution
    | Affine
    | Relu
    | ToImage
    | Enlarge
    | RepeatBorder
    | Sigmoid
    | Clip
)


def decoder_steps(vae: Any) -> list[Step]:
    """Returns what comes between latents and images in inference mode; arrays are float32.

    Args:
      vae: a `models.vae.VAE`; its decoder's layers come one after the other.

    Raises:
      UserError: a layer, or a setting of it, is not among those translated here.
    """
    steps: list[Step] = []
    for layer in vae.decoder.layers:
        kind = type(layer).__name__
        if kind not in _LAYERS:
            raise unknown_name(f"type of layer {layer.name!r}:", kind, _LAYERS)
        for step in _LAYERS[kind](layer):
            before = steps[-1] if steps else None
            if isinstance(step, Affine) and isinstance(before, Dense | Convolution):
                # The layer before can do it, and in TFLite files does.
                steps[-1] = dataclasses.replace(
                    before,
                    kernel=before.kernel * step.scale,
                    bias=before.bias * step.scale + step.shift,
                )
            else:
                steps.append(step)
    return [*steps, Sigmoid() if vae.decoder_output == "sigmoid" else Clip()]


def _dense(layer: Any) -> Iterator[Step]:
    yield Dense(*_kernel_and_bias(layer))
    yield from _activation(layer)


def _conv(layer: Any) -> Iterator[Step]:
    _require(layer, data_format="channels_last", dilation_rate=(1, 1), groups=1)
    kernel, bias = _kernel_and_bias(layer)
    # TensorFlow's "same": output is input / stride, rounded up; what an odd number of
    # added pixels leaves over goes to the end.
    added = [0, 0]
    if layer.padding == "same":
        sizes = zip(layer.input.shape[1:3], layer.strides, kernel.shape, strict=False)
        added = [
            max((-(-size // stride) - 1) * stride + width - size, 0)
            for size, stride, width in sizes
        ]
    yield Convolution(kernel, bias, layer.strides, *_halves(added), transposed=False)
    yield from _activation(layer)


def _transposed_conv(layer: Any) -> Iterator[Step]:
    _require(
        layer, data_format="channels_last", dilation_rate=(1, 1), output_padding=None
    )
    kernel, bias = _kernel_and_bias(layer)
    # Of all pixels that the kernel reaches, (input - 1) * stride + width, "same" keeps
    # input * stride; both add empty ones where the strides are wider than the kernel.
    taken = [
        width - stride if layer.padding == "same" else min(width - stride, 0)
        for width, stride in zip(kernel.shape, layer.strides, strict=False)
    ]
    begin, end = _halves([max(0, pixels) for pixels in taken])
    end = tuple(e + min(0, pixels) for e, pixels in zip(end, taken, strict=True))
    yield Convolution(
        kernel.transpose(0, 1, 3, 2), bias, layer.strides, begin, end, transposed=True
    )
    yield from _activation(layer)


def _upsampling(layer: Any) -> Iterator[Step]:
    _require(layer, data_format="channels_last", interpolation="nearest")
    yield Enlarge(tuple(layer.size))


def _reshape(layer: Any) -> Iterator[Step]:
    if len(layer.input.shape) != 2 or len(layer.output.shape) != 4:
        raise _no_counterpart(layer, f"to shape {tuple(layer.output.shape[1:])}")
    yield ToImage(tuple(layer.output.shape[1:]))


def _batch_normalization(layer: Any) -> Iterator[Step]:
    rank = len(layer.input.shape)
    axis = (
        layer.axis[0] if isinstance(layer.axis, list) else layer.axis
    )  # Keras 2: list
    if axis % rank != rank - 1:
        raise _no_counterpart(layer, f"over axis {axis}")
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma)
    shift = -np.asarray(layer.moving_mean) * scale
    if layer.center:
        shift = shift + np.asarray(layer.beta)
    yield Affine(scale, shift, of_image=rank == 4)


def _relu(layer: Any) -> Iterator[Step]:
    _require(layer, max_value=None, threshold=0)
    yield Relu(float(layer.negative_slope))


def _leaky_relu(layer: Any) -> Iterator[Step]:
    slope = layer.negative_slope if hasattr(layer, "negative_slope") else layer.alpha
    yield Relu(float(slope))  # alpha is Keras 2's name


def _activation(layer: Any) -> Iterator[Step]:
    name = layer.activation.__name__
    if name not in ("linear", "relu"):
        raise _no_counterpart(layer, f"with activation {name}")
    if name == "relu":
        yield Relu(0.0)


_LAYERS: dict[str, Callable[[Any], Iterator[Step]]] = {
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed_conv,
    "Dense": _dense,
    "InputLayer": lambda layer: iter(()),
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "ReplicationPadding": lambda layer: iter((RepeatBorder(),)),
    "Reshape": _reshape,
    "UpSampling2D": _upsampling,
}


def _require(layer: Any, **settings: Any) -> None:
    for name, value in settings.items():
        given = getattr(layer, name)
        if given != value:
            raise _no_counterpart(layer, f"with {name}={given}")


def _no_counterpart(layer: Any, what: str) -> UserError:
    return UserError(
        f"layer {layer.name!r}: there is no translation of {type(layer).__name__} {what} "
        "to ONNX and PyTorch; add one in tools/decoder_runtimes.py"
    )


def _kernel_and_bias(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.asarray(layer.kernel)
    transposed = type(layer).__name__ == "Conv2DTranspose"
    units = kernel.shape[-2 if transposed else -1]
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(units, np.float32)
    return kernel, bias


def _halves(sizes: Sequence[int]) -> tuple[Pair, Pair]:
    """Begin and end of what is added or taken in all, down and across."""
    down, across = sizes
    begin = (down // 2, across // 2)
    return begin, (down - begin[0], across - begin[1])


def write_onnx(steps: Sequence[Step], path: Path) -> None:
    """Writes the steps as ONNX: z [1, D] -> image [1, H, W, C]."""
    import onnx
    from onnx import helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def add(operator: str, *inputs: Any, **attributes: Any) -> None:
        """Adds an operator on the last one's result; inputs are arrays, None for none."""
        names = [nodes[-1].output[0] if nodes else "z"]
        for values in inputs:
            names.append("" if values is None else f"constant{len(constants)}")
            if values is not None:
                constants.append(
                    numpy_helper.from_array(np.asarray(values, order="C"), names[-1])
                )
        output = f"value{len(nodes)}"
        nodes.append(helper.make_node(operator, names, [output], **attributes))

    # ONNX has a flat image's channels slowest; the weights before can see to that.
    for step in _with_channels_first(steps):
        match step:
            case Dense():
                add("Gemm", step.kernel, step.bias)
            case Convolution():
                settings = {
                    "strides": step.strides,
                    "pads": [*step.begin, *(max(pixels, 0) for pixels in step.end)],
                }
                if step.transposed:
                    settings["output_padding"] = [
                        max(-pixels, 0) for pixels in step.end
                    ]
                operator = "ConvTranspose" if step.transposed else "Conv"
                add(operator, _kernel_channels_first(step), step.bias, **settings)
            case Affine():
                scale, shift = step.for_channels_first()
                add("Mul", scale)
                add("Add", shift)
            case Relu(slope=0.0):
                add("Relu")
            case Relu():
                add("LeakyRelu", alpha=step.slope)
            case ToImage():
                height, width, channels = step.shape
                add("Reshape", np.array([1, channels, height, width]))
            case Enlarge():
                add(
                    "Resize",
                    None,
                    np.array([1, 1, *step.factors], np.float32),
                    mode="nearest",
                    nearest_mode="floor",
                    coordinate_transformation_mode="asymmetric",
                )
            case RepeatBorder():
                add("Pad", np.array([0, 0, 1, 1] * 2), mode="edge")
            case Sigmoid():
                add("Sigmoid")
            case Clip():
                add("Clip", np.float32(0), np.float32(1))
    add("Transpose", perm=[0, 2, 3, 1])

    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("z", float32, [1, None])],
        [
            helper.make_tensor_value_info(
                nodes[-1].output[0], float32, [1, None, None, None]
            )
        ],
        constants,
    )
    # Old enough for every ONNX Runtime of the last years.
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def torch_decode(steps: Sequence[Step], num_threads: int) -> Decode:
    """The steps in PyTorch.

    Operators one by one, with the channels last in memory: for single pictures neither
    TorchScript nor `torch.compile` is faster.
    """
    import torch
    from torch.nn import functional

    def tensor(values: np.ndarray) -> Any:
        found = torch.from_numpy(np.ascontiguousarray(values))
        last = torch.channels_last
        return found.contiguous(memory_format=last) if found.ndim == 4 else found

    def operation(step: Step) -> Callable[[Any], Any]:
        match step:
            case Dense():
                kernel, bias = tensor(step.kernel.T), tensor(step.bias)
                return lambda x: functional.linear(x, kernel, bias)
            case Convolution():
                kernel, bias = tensor(_kernel_channels_first(step)), tensor(step.bias)
                options = {"stride": step.strides, "padding": step.begin}
                # PyTorch's padding is the same at both ends; what differs comes apart.
                down, across = np.subtract(step.end, step.begin).tolist()
                if step.transposed:
                    options["output_padding"] = (max(-down, 0), max(-across, 0))
                    rows, columns = (
                        slice(-max(down, 0) or None),
                        slice(-max(across, 0) or None),
                    )
                    return lambda x: functional.conv_transpose2d(
                        x, kernel, bias, **options
                    )[:, :, rows, columns]
                edges = (0, across, 0, down)
                return lambda x: functional.conv2d(
                    functional.pad(x, edges) if any(edges) else x,
                    kernel,
                    bias,
                    **options,
                )
            case Affine():
                scale, shift = map(tensor, step.for_channels_first())
                return lambda x: x * scale + shift
            case Relu():
                slope = step.slope
                if slope:
                    return lambda x: functional.leaky_relu(x, slope)
                return functional.relu
            case ToImage():
                shape = step.shape
                return lambda x: x.view(1, *shape).permute(0, 3, 1, 2)
            case Enlarge():
                factors = step.factors
                return lambda x: functional.interpolate(x, scale_factor=factors)
            case RepeatBorder():
                return lambda x: functional.pad(x, (1, 1, 1, 1), mode="replicate")
            case Sigmoid():
                return torch.sigmoid
            case Clip():
                return lambda x: x.clamp(0, 1)

    torch.set_num_threads(num_threads)
    operations = [operation(step) for step in steps]

    @torch.inference_mode()
    def decode(z: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(z)
        for function in operations:
            x = function(x)
        return x.permute(0, 2, 3, 1).contiguous().numpy()

    return decode


def onnx_decode(path: Path, num_threads: int) -> Decode:
    """A file of `write_onnx` in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    return lambda z: session.run(None, {"z": z})[0]


def tflite_decode(path: Path, num_threads: int) -> Decode:
    """A .tflite file in LiteRT, with XNNPACK."""
    function = TFLiteFunction(path, "decode", num_threads)
    return lambda z: function.call(z)["image"]


def saved_model_decode(path: Path, num_threads: int) -> Decode:
    """A SavedModel in TensorFlow, on the CPU; TensorFlow must not have run before."""
    import tensorflow as tf

    from dfcvae_tf.exporting.saved_model import load_signature

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    function = load_signature(path, "decode")
    return lambda z: function(z)["image"]


def _kernel_channels_first(step: Convolution) -> np.ndarray:
    """[O, I, height, width]; transposed [I, O, height, width]."""
    return step.kernel.transpose((2, 3, 0, 1) if step.transposed else (3, 2, 0, 1))


def _with_channels_first(steps: Sequence[Step]) -> list[Step]:
    """Makes `ToImage` find channels slowest, by reordering the weights before it."""
    result = list(steps)
    for index, step in enumerate(steps):
        if not isinstance(step, ToImage):
            continue
        places = np.arange(np.prod(step.shape)).reshape(step.shape)
        order = places.transpose(2, 0, 1).ravel()
        for i in reversed(range(index)):
            match steps[i]:
                case Affine(scale, shift):
                    result[i] = Affine(scale[order], shift[order], of_image=False)
                case Dense(kernel, bias):
                    result[i] = Dense(kernel[:, order], bias[order])
                    break
    return result

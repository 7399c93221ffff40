"""The decoder of the article's network in PyTorch, and from there in ONNX.

The twin of the decoder in `dfcvae_tf/models/article.py`: the same layers by the same names.
Importing this module imports PyTorch.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn


class ArticleDecoder(nn.Module):
    """z [N, D] float32 -> images [N, 28, 28, 1] float32 in [0, 1]."""

    def __init__(self, arrays: Mapping[str, np.ndarray], decoder_output: str):
        """Takes over the weights.

        Args:
          arrays: those of the Keras decoder, see `weights.get_arrays`.
          decoder_output: as in `ModelConfig`.
        """
        super().__init__()
        self.hidden = nn.Linear(len(arrays["hidden/kernel"]), 14 * 14 * 64)
        self.deconv1 = nn.ConvTranspose2d(64, 32, 3, stride=2)
        self.conv1 = nn.Conv2d(32, 1, 3, padding=1)
        self.decoder_output = decoder_output
        state = {}
        for name, array in arrays.items():
            state[name.replace("/", ".").replace("kernel", "weight")] = _tensor(array)
        self.load_state_dict(state)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.hidden(z).relu()
        x = x.view(-1, 14, 14, 64).permute(0, 3, 1, 2)
        # 29x29; "same" in Keras takes the one row and column too many off the end.
        x = self.deconv1(x)[:, :, :28, :28].relu()
        x = self.conv1(x).permute(0, 2, 3, 1)
        return x.sigmoid() if self.decoder_output == "sigmoid" else x.clamp(0, 1)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Kernels [height, width, A, B] -> [B, A, height, width], [I, O] -> [O, I]."""
    return torch.from_numpy(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)


def write_onnx(decoder: ArticleDecoder, path: Path) -> None:
    """Writes one file that decodes one picture: z [1, D] -> image [1, 28, 28, 1]."""
    torch.onnx.export(
        decoder.eval(),
        (torch.zeros(1, decoder.hidden.in_features),),
        path,
        input_names=["z"],
        output_names=["image"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )

"""Transformers' own forward on padded batches: what the packed one is held to."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Qwen3VLModel

from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches, PixelFormat
from mcp_vlsearch.encoders.qwen3_vl.prompt import Prompt


class StockForward:
    """Runs prompts through a ``Qwen3VLModel`` as one right-padded batch and pools the states.

    Padding comes after the last token, where causal attention never looks at it. So the model is
    given no mask, which would keep it from the faster causal attention.
    """

    def __init__(
        self,
        model: Qwen3VLModel,
        image_token: int,
        pixels: PixelFormat,
        pooling: Literal["last", "mean"],
    ) -> None:
        self._model = model
        self._image_token = image_token
        self._pixels = pixels
        self._pooling = pooling

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Return the pooled state of every prompt, shape (len(prompts), hidden size)."""
        lengths = [len(prompt.ids) for prompt in prompts]
        # the last token of a prompt serves as its padding: any would, but the image token
        ids = np.stack([np.pad(p.ids, (0, max(lengths) - len(p.ids)), "edge") for p in prompts])
        device = self._model.device
        input_ids = torch.from_numpy(ids).to(device)
        states = self._model(
            input_ids=input_ids,
            mm_token_type_ids=(input_ids == self._image_token).int(),
            use_cache=False,
            **self._pictures([p.picture for p in prompts if p.picture is not None], device),
        ).last_hidden_state
        pooled: NDArray[np.float32] = self._pool(states, lengths).cpu().numpy()
        return pooled

    def _pictures(
        self, pictures: Sequence[Patches], device: torch.device
    ) -> dict[str, torch.Tensor]:
        if not pictures:
            return {}
        patches = torch.from_numpy(np.concatenate([p.values for p in pictures])).to(device)
        grid = torch.tensor([[1, p.rows, p.columns] for p in pictures], device=device)
        return {"pixel_values": pixel_values(patches, self._pixels), "image_grid_thw": grid}

    def _pool(self, states: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        count = torch.tensor(lengths, device=states.device)
        if self._pooling == "last":
            return states[torch.arange(len(count), device=states.device), count - 1].float()
        is_token = torch.arange(states.shape[1], device=states.device) < count[:, None]
        sums = states.float().masked_fill(~is_token[:, :, None], 0).sum(1)
        return sums / count[:, None]


def pixel_values(patches: torch.Tensor, pixels: PixelFormat) -> torch.Tensor:
    """Normalise uint8 patches (n, 3, side, side) to float32 (n, 3 · temporal · side · side)."""
    mean = torch.tensor(pixels.mean, device=patches.device).view(-1, 1, 1)
    std = torch.tensor(pixels.std, device=patches.device).view(-1, 1, 1)
    # a divisor that is a tensor: by a plain number CUDA multiplies with its rounded inverse
    scale = torch.tensor(255.0, device=patches.device)
    values = ((patches.float() / scale) - mean) / std
    return values.unsqueeze(2).expand(-1, -1, pixels.temporal, -1, -1).reshape(len(patches), -1)

"""Tokens through a Qwen3-VL's text layers, packed: transformers' weights, another way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812

from mcp_vlsearch.encoders.qwen3_vl.packing import Run, extended, rotate, rotation, rounded

if TYPE_CHECKING:
    from transformers import Qwen3VLTextModel

__all__ = ["KeysAndValues", "Packed", "TextLayers"]

KeysAndValues = list[tuple[torch.Tensor, torch.Tensor]]
"""Of every layer, each of shape (1, heads, tokens, dim)."""


@dataclass(frozen=True)
class Packed:
    """Sequences end to end: states (tokens, hidden size), positions (3, tokens) and their runs.

    ``before[i]`` is what stands before every sequence of ``runs[i]``, and ``ends`` are the
    sequences' last tokens. ``seen`` are the tokens that stand for pictures; ``deepstack`` is added
    to their states, layer by layer.
    """

    states: torch.Tensor
    positions: torch.Tensor
    runs: Sequence[Run]
    before: Sequence[KeysAndValues | None]
    ends: torch.Tensor | None = None
    seen: torch.Tensor | None = None
    deepstack: Sequence[torch.Tensor] = ()


class TextLayers:
    """Runs packed sequences through the layers and pools their states."""

    def __init__(self, text: Qwen3VLTextModel) -> None:
        self._text = text

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return what goes into the first layer for each token id."""
        states: torch.Tensor = self._text.embed_tokens(ids)
        return states

    def mean(self, packed: Packed) -> torch.Tensor:
        """Return the mean over every sequence's states, float32 (sequences, hidden size)."""
        packed = _rounded(packed)
        states = packed.states
        attention = self._attention(packed)
        for number in range(len(self._text.layers)):
            states = self._layer(number, states, packed, attention)
        states = self._text.norm(states)
        parts = [states[run.start : run.stop].unflatten(0, (-1, run.length)) for run in packed.runs]
        return torch.cat([part.float().mean(1) for part in parts])

    def last(self, packed: Packed) -> torch.Tensor:
        """Return the state of every sequence's last token, float32 (sequences, hidden size)."""
        packed = _rounded(packed)
        states = packed.states
        attention = self._attention(packed)
        *others, last = range(len(self._text.layers))
        for number in others:
            states = self._layer(number, states, packed, attention)
        # what becomes of the other tokens in the last layer, nobody asks
        states = self._layer(last, states, packed, attention, packed.ends)
        pooled: torch.Tensor = self._text.norm(states)
        return pooled[: sum(run.count for run in packed.runs)].float()

    def keys_and_values(self, states: torch.Tensor, positions: torch.Tensor) -> KeysAndValues:
        """Return what one sequence leaves for the tokens after it to look at."""
        packed = Packed(states, positions, [Run(0, 1, len(states))], [None])
        attention = self._attention(packed)
        kept = []
        for number, layer in enumerate(self._text.layers):
            key, value = attention.key_and_value(layer.self_attn, layer.input_layernorm(states))
            kept.append((packed.runs[0].by_head(key), packed.runs[0].by_head(value)))
            states = self._layer(number, states, packed, attention)
        return kept

    def _attention(self, packed: Packed) -> _Attention:
        cos, sin = self._text.rotary_emb(packed.states, packed.positions.unsqueeze(1))
        return _Attention(packed.runs, packed.before, *rotation(cos[0], sin[0]))

    def _layer(
        self,
        number: int,
        states: torch.Tensor,
        packed: Packed,
        attention: _Attention,
        only: torch.Tensor | None = None,
    ) -> torch.Tensor:
        layer = self._text.layers[number]
        mixed = attention(number, layer.self_attn, layer.input_layernorm(states), only)
        states = mixed.add_(states if only is None else states[only])
        states = states + layer.mlp(layer.post_attention_layernorm(states))
        if only is None and packed.seen is not None and number < len(packed.deepstack):
            states.index_add_(0, packed.seen, packed.deepstack[number].to(states.dtype))
        return states


class _Attention:
    """Attention within packed sequences; what is the same in every layer is computed once."""

    def __init__(
        self,
        runs: Sequence[Run],
        before: Sequence[KeysAndValues | None],
        cos: torch.Tensor,
        sin: torch.Tensor,
    ) -> None:
        self._runs = runs
        self._before = before
        self._angles = cos, sin
        self._masks = [_mask(r, b, cos.device) for r, b in zip(runs, before, strict=True)]

    def __call__(
        self, number: int, module: Any, states: torch.Tensor, only: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what the tokens find; ``only`` names the last tokens if they alone ask."""
        key, value = self.key_and_value(module, states)
        query = self._query(module, states, only)
        mixed = []
        asked = 0
        for run, before, mask in zip(self._runs, self._before, self._masks, strict=True):
            asking = run if only is None else Run(asked, run.count, 1)
            asked = asking.stop
            keys, values = run.by_head(key), run.by_head(value)
            if before is not None:
                keys, values = _join(before[number], keys, values)
            found = F.scaled_dot_product_attention(
                asking.by_head(query),
                keys,
                values,
                attn_mask=mask if only is None else None,
                is_causal=only is None and mask is None,
                scale=module.scaling,
                enable_gqa=True,
            )
            mixed.append(found.transpose(1, 2).flatten(0, 1).flatten(1))
        together = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        return module.o_proj(extended(together, len(query)))  # type: ignore[no-any-return]

    def key_and_value(self, module: Any, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys at their positions and values, each of shape (tokens, heads, dim)."""
        key = module.k_norm(module.k_proj(states).unflatten(-1, (-1, module.head_dim)))
        value = module.v_proj(states).unflatten(-1, (-1, module.head_dim))
        return rotate(key, *self._angles), value

    def _query(self, module: Any, states: torch.Tensor, only: torch.Tensor | None) -> torch.Tensor:
        cos, sin = self._angles
        if only is not None:
            states, cos, sin = states[only], cos[only], sin[only]
        query = module.q_norm(module.q_proj(states).unflatten(-1, (-1, module.head_dim)))
        return rotate(query, cos, sin)


def _rounded(packed: Packed) -> Packed:
    """Return the same with tokens after the last run, and last ones that are nobody's."""
    rows = rounded(len(packed.states), packed.states.device)
    ends = packed.ends
    if ends is not None:
        ends = extended(ends, rounded(len(ends), ends.device))
    positions = F.pad(packed.positions, (0, rows - len(packed.states)))
    states = extended(packed.states, rows)
    return replace(packed, states=states, positions=positions, ends=ends)


def _mask(run: Run, before: KeysAndValues | None, device: torch.device) -> torch.Tensor | None:
    """Return which keys each token may look at: all before the sequence, and in it up to itself."""
    if before is None:
        return None
    known = before[0][0].shape[2]
    mask = torch.ones(run.length, known + run.length, dtype=torch.bool, device=device)
    return mask.tril(known)


def _join(
    before: tuple[torch.Tensor, torch.Tensor], keys: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    parts = zip(before, (keys, values), strict=True)
    first, second = (torch.cat((b.expand(len(a), -1, -1, -1), a), 2) for b, a in parts)
    return first, second

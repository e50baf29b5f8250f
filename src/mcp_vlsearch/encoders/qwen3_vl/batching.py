"""How much goes through the model at once: a good number of tokens, or what memory allows."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mcp_vlsearch.encoders.qwen3_vl.device import is_out_of_memory
from mcp_vlsearch.encoders.qwen3_vl.prompt import Prompt

__all__ = ["Batches"]


class Batches:
    """Runs batches of up to ``tokens`` tokens and ``most`` prompts through a forward."""

    def __init__(
        self,
        forward: Callable[[Sequence[Prompt]], NDArray[np.float32]],
        tokens: int,
        most: int | None = None,
    ) -> None:
        self._forward = forward
        self._tokens = tokens
        self._most = most

    def cut(self, tokens: Sequence[int]) -> Iterator[range]:
        """Cut prompts of so many tokens each, in their order, into batches.

        What was learned while one batch ran holds for the next.
        """
        start = 0
        while start < len(tokens):
            stop = start + 1
            total = tokens[start]
            while stop < len(tokens) and stop - start != self._most:
                total += tokens[stop]
                if total > self._tokens:
                    break
                stop += 1
            yield range(start, stop)
            start = stop

    def run(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Return the states of a batch; where memory runs out it is halved, and so are later ones.

        Raises what the forward raises if a single prompt is too large.
        """
        try:
            return self._forward(prompts)
        except (MemoryError, RuntimeError) as error:
            if len(prompts) == 1 or not is_out_of_memory(error):
                raise
        # out of the handler, whose traceback holds on to the failed batch's memory
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._tokens = sum(len(prompt.ids) for prompt in prompts) // 2
        middle = len(prompts) // 2
        return np.concatenate([self.run(prompts[:middle]), self.run(prompts[middle:])])

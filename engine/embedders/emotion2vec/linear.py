"""Linear layers for inference: plain, and prepacked by oneDNN where that works."""

from __future__ import annotations

import logging
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody gives it

log = logging.getLogger(__name__)

Tensor = torch.Tensor


class PlainLinear:
    """``x @ weight.T + bias``, with an exact GELU behind it on request: torch's own, on any device
    in any data type."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._weight = weight.to(dtype, copy=True).contiguous()
        self._bias = None if bias is None else bias.to(dtype, copy=True)

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """Rows (n, in) to rows (n, out), in the layer's data type."""
        y = F.linear(x.to(self._weight.dtype), self._weight, self._bias)
        return F.gelu(y) if gelu else y


class PackedLinear:
    """As ``PlainLinear``, by oneDNN on a weight reordered once for the CPU's blocks, float32 or
    bfloat16.

    The operators are torch's own for its compiler (``torch._inductor``), not public: use only
    where ``packing_works``.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous())
        self._bias = None if bias is None else bias.to(dtype, copy=True)

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """See ``PlainLinear``."""
        attribute, algorithm = ("gelu", "none") if gelu else ("none", "")
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self._dtype), self._weight, self._bias, attribute, [], algorithm
        )
        return y


Linear = PlainLinear | PackedLinear


@cache
def packing_works(dtype: torch.dtype) -> bool:
    """Whether oneDNN's operators are there and right on this machine in this data type."""
    try:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(33, 64, generator=generator)
        weight = torch.randn(48, 64, generator=generator)
        bias = torch.randn(48, generator=generator)
        with torch.inference_mode():
            for gelu in (False, True):
                exact = F.linear(x.double(), weight.double(), bias.double())
                exact = F.gelu(exact) if gelu else exact
                got = PackedLinear(weight, bias, dtype)(x, gelu=gelu).double()
                tolerance = 1e-5 if dtype == torch.float32 else 2e-2
                if (got - exact).abs().max() > tolerance * exact.abs().max():
                    return False
    except (RuntimeError, AttributeError) as error:  # no such operator, or not for this CPU
        log.debug("oneDNN's packed linear layers are not available: %s", error)
        return False
    return True

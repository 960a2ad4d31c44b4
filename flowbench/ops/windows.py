"""Gathering runs of neighbours, and inner products with them: linear maps with their adjoints, differentiable twice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Bytes that are gathered at once.
_CHUNK_BYTES = 32 << 20


def gather_rows(values: Tensor, starts: Tensor, length: int) -> Tensor:
    """(R, length): the runs values[start : start + length], differentiable in values.

    Args:
        values: (M,).
        starts: (R,) int64.
        length: of each run.
    """
    if torch.compiler.is_exporting():
        # Overlapping views are PyTorch's own.
        return values[_members(starts, length)]
    return _GatherRows.apply(values, starts, length)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, starts: Tensor, length: int) -> Tensor:
        ctx.save_for_backward(starts)
        ctx.size = values.numel()
        return values.as_strided((values.numel() - length + 1, length), (1, 1)).index_select(0, starts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _ScatterRows.apply(grad, *ctx.saved_tensors, ctx.size), None, None


class _ScatterRows(torch.autograd.Function):
    """The adjoint of gathering: adds runs (R, length) into zeros (size,)."""

    @staticmethod
    def forward(ctx: Any, runs: Tensor, starts: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(starts)
        ctx.length = runs.shape[1]
        index = starts[:, None] + torch.arange(ctx.length, device=starts.device)
        return runs.new_zeros(size).index_add_(0, index.flatten(), runs.flatten())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _GatherRows.apply(grad.contiguous(), *ctx.saved_tensors, ctx.length), None, None


def window_products(queries: Tensor, targets: Tensor, rows: Tensor, length: int) -> Tensor:
    """Inner products of each query with its runs of targets.

    The queries are processed in chunks, so that no more than a fixed number of bytes is gathered at once, and the targets
    are gathered again for the gradient instead of being kept.

    Args:
        queries: (N, C).
        targets: (M, C).
        rows: (N, levels, runs), the first target of each run.
        length: targets per run.

    Returns (N, levels, runs, length).
    """
    return _WindowProducts.apply(queries, targets, rows, length)


class _WindowProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, targets: Tensor, rows: Tensor, length: int) -> Tensor:
        ctx.save_for_backward(queries, targets, rows)
        ctx.length = length
        products = queries.new_empty(*rows.shape, length)
        for part in _chunks(queries, rows, length):
            windows = _gather_windows(targets, rows[part], length)
            products[part] = torch.bmm(windows, queries[part].unsqueeze(2)).view(products[part].shape)
        return products

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        queries, targets, rows = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_differentiable_backward(queries, targets, rows, grad, ctx.length), None, None
        need_queries, need_targets = ctx.needs_input_grad[:2]
        grad_queries = torch.empty_like(queries) if need_queries else None
        grad_targets = torch.zeros_like(targets) if need_targets else None
        for part in _chunks(queries, rows, ctx.length):
            weights = grad[part].flatten(1)
            if grad_queries is not None:
                windows = _gather_windows(targets, rows[part], ctx.length)
                grad_queries[part] = torch.bmm(weights.unsqueeze(1), windows).squeeze(1)
            if grad_targets is not None:
                outer = weights.unsqueeze(2) * queries[part].unsqueeze(1)
                grad_targets.index_add_(0, _members(rows[part], ctx.length).flatten(), outer.flatten(0, 1))
        return grad_queries, grad_targets, None, None


def _differentiable_backward(
    queries: Tensor, targets: Tensor, rows: Tensor, grad: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """The gradients as ordinary operations, for a second derivative; not chunked."""
    members = _members(rows, length)
    windows, weights = targets[members], grad.flatten(1)
    grad_queries = torch.einsum("nk,nkc->nc", weights, windows)
    outer = (weights.unsqueeze(2) * queries.unsqueeze(1)).flatten(0, 1)
    return grad_queries, torch.zeros_like(targets).index_add(0, members.flatten(), outer)


def _chunks(queries: Tensor, rows: Tensor, length: int) -> list[slice]:
    bytes_each = rows[0].numel() * length * queries.shape[1] * queries.element_size()
    size = max(1, _CHUNK_BYTES // bytes_each)
    return [slice(start, start + size) for start in range(0, queries.shape[0], size)]


def _gather_windows(targets: Tensor, rows: Tensor, length: int) -> Tensor:
    """(n, levels * runs * length, C): a run of targets is contiguous, so it is copied as one."""
    count, channels = targets.shape
    runs = targets.as_strided((count - length + 1, length * channels), (channels, 1)).index_select(0, rows.flatten())
    return runs.view(rows.shape[0], -1, channels)


def _members(rows: Tensor, length: int) -> Tensor:
    return (rows.unsqueeze(-1) + torch.arange(length, device=rows.device)).flatten(1)

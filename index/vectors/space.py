"""Embedding spaces: centring, baselines, whitening, a learned metric, before cosines are taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.arrays import Vectors, lengths_of, normalise

Array = NDArray[np.float64]

_ROWS = 2048  # turned at once
_SMALL = 1e-6  # of a length of one: what is left of a vector that is the centre itself


class Method(StrEnum):
    """How a space comes about, the simplest first."""

    PLAIN = "plain"
    CENTRED = "centred"
    BASELINE = "baseline"
    WHITENED = "whitened"
    LEARNED = "learned"
    BASELINE_LEARNED = "baseline-learned"

    @property
    def grouped(self) -> bool:
        """Whether each clip's own baseline is subtracted, rather than the archive's mean."""
        return self in (Method.BASELINE, Method.BASELINE_LEARNED)

    @property
    def learned(self) -> bool:
        """Whether it is taught by labels."""
        return self in (Method.LEARNED, Method.BASELINE_LEARNED)


@dataclass(frozen=True, eq=False)
class Space:
    """An affine map of L2-normalised embeddings, in whose image cosines are taken.

    Attributes:
        method: how it was fitted.
        mean: float32, (dim,), subtracted first; None for the plain space.
        matrix: float32, (dim, dim), multiplied from the right; None for none.
    """

    method: Method = Method.PLAIN
    mean: Vectors | None = None
    matrix: Vectors | None = None

    def apply(self, vectors: Vectors, centres: Vectors | None = None) -> Vectors:
        """The vectors (float32, (n, dim) or (dim,)) in this space: same shape, L2-normalised.

        Args:
            centres: float32, (n, dim) or (dim,), what is subtracted in place of the mean: the
                baselines of the vectors.

        Raises:
            InvalidInputError: a vector is zero or not finite.
        """
        if self.mean is None:
            return normalise(vectors)
        rows = np.atleast_2d(vectors)
        centres = np.broadcast_to(self.mean if centres is None else centres, rows.shape)
        turned = np.empty_like(rows, np.float32)
        for begin in range(0, len(rows), _ROWS):
            some = slice(begin, begin + _ROWS)
            wide = rows[some].astype(np.float64)
            wide = self._turned(wide / lengths_of(wide)[:, None] - centres[some])
            turned[some] = normalise(wide.astype(np.float32))
        return turned.reshape(vectors.shape)

    def _turned(self, centred: Array) -> Array:
        # In float64: crowded vectors differ in their last digits, and equal ones have to stay
        # equal whatever they are multiplied together with.
        turned = centred if self.matrix is None else centred @ self._wide_matrix
        at_centre = np.linalg.norm(turned, axis=1) < _SMALL
        turned[at_centre, 0] = 1.0  # the centre has no direction; all such clips share this one
        return np.asarray(turned)

    @cached_property
    def _wide_matrix(self) -> Array:
        assert self.matrix is not None
        return self.matrix.astype(np.float64)

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of what decides its output."""
        digest = hashlib.sha256(self.method.encode())
        for part in (self.mean, self.matrix):
            digest.update(b"-" if part is None else part.astype("<f4").tobytes())
        return digest.hexdigest()


def fit_space(
    method: Method,
    vectors: Vectors,
    labels: NDArray[np.str_] | None = None,
    centres: Vectors | None = None,
) -> Space:
    """The space of a method on these embeddings.

    ``centred`` subtracts the mean, ``baseline`` that of the clip's own speaker, recording or source
    (see ``baselines``). ``whitened`` also evens out the directions: the inverse square
    root of their covariance, shrunk towards a multiple of the identity (Ledoit and Wolf, J.
    Multivariate Analysis 88, 2004). ``learned`` takes the covariance within classes instead
    (WCCN; Hatch, Kajarekar and Stolcke, Interspeech 2006) and stretches the directions in which
    the means of the classes differ; ``baseline-learned`` does so once baselines are subtracted.

    Args:
        vectors: float32, (n, dim), none zero.
        labels: class of each, for what is learned.
        centres: float32, (n, dim), the baseline of each, for what is grouped.

    Raises:
        InvalidInputError: too few vectors, all of them equal, or too few classes.
    """
    if method is Method.PLAIN:
        return Space()
    unit = normalise(vectors)
    if len(unit) < 2:
        raise UnusableError(f"a space needs two embeddings at least; there are {len(unit)}")
    if np.ptp(unit, axis=0).max() < _SMALL:
        raise UnusableError("all embeddings are equal: no space can be fitted to them")
    mean = unit.mean(axis=0, dtype=np.float64)
    matrix = None
    centred = unit.astype(np.float64) - mean
    if method.grouped:
        if centres is None:
            raise UnusableError("a space of baselines needs to know whose clips they are")
        centred = unit.astype(np.float64) - centres
    if method is Method.WHITENED:
        matrix = _inverse_root(centred)
    elif method.learned:
        if labels is None:
            raise UnusableError("a learned space needs labels")
        matrix = _learned(centred, labels)
    return Space(
        method, mean.astype(np.float32), None if matrix is None else matrix.astype(np.float32)
    )


_STRETCH = 100.0
"""How much further apart the classes are moved, in spreads within them."""


def _learned(centred: Array, labels: NDArray[np.str_]) -> Array:
    names, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    names = names[counts > 1]
    if len(names) < 2:
        raise UnusableError(
            "a learned space needs two classes of at least two clips each;"
            f" there {'is' if len(names) == 1 else 'are'} {len(names)}"
        )
    means = np.stack([centred[classes == i].mean(axis=0) for i in range(len(counts))])
    root = _inverse_root(centred - means[classes])
    between = (means[counts > 1] @ root) - (means[counts > 1] @ root).mean(axis=0)
    values, directions = np.linalg.eigh(between.T @ between)
    values = np.maximum(values, 0)
    stretched = np.sqrt(1 + _STRETCH * values / max(values.sum(), 1e-30))  # 0 where means coincide
    return np.asarray(root @ (directions * stretched))


def _inverse_root(rows: Array) -> Array:
    """The inverse square root of the shrunk covariance of centred rows, symmetric."""
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(rows, assume_centered=True)
    values, directions = np.linalg.eigh(covariance)
    floor = _FLOOR * values.mean()
    return np.asarray((directions / np.sqrt(np.maximum(values, 0) + floor)) @ directions.T)


_FLOOR = 1.0

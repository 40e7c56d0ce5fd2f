"""Trial noise of a recording: residuals of trials about the mean of their condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.variance import group_moments

Rates = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ResidualNoise:
    """Residuals of rows, each one trial of one unit, and the rows from which each row draws.

    Attributes
    ----------
    residual
        ``(row, bin)``, multiplied by sqrt(n / (n - 1)) for a condition of n trials: residuals
        about an estimated mean vary less than trials do, by (n - 1) / n.
    order, first, number
        Row i draws one of the ``number[i]`` rows ``order[first[i]:]``.
    """

    residual: Rates
    order: Codes
    first: Codes
    number: Codes

    @classmethod
    def of(cls, rates: Rates, unit: Codes, fine: Codes, coarse: Codes) -> ResidualNoise:
        """Compute the residuals of rows.

        Parameters
        ----------
        rates
            ``(row, bin)``; NaN where a bin was not observed.
        unit, fine, coarse
            ``(row,)``: unit; condition with its own mean, such as a pair of coherences; and
            condition of the task variance, such as a pair of signs, of which each unit has two
            trials or more. Trials that are alone in their fine condition draw from the other
            trials of their coarse one.

        Examples
        --------
        >>> rates = np.array([[1.0], [3.0], [10.0], [14.0]], dtype=np.float32)
        >>> condition = np.array([0, 0, 1, 1])
        >>> noise = ResidualNoise.of(rates, np.zeros(4, dtype=int), condition, condition)
        >>> (noise.residual[:, 0] ** 2 / 2).round(2).tolist()
        [1.0, 1.0, 4.0, 4.0]
        """
        of_fine, of_coarse = (unit * (codes.max() + 1) + codes for codes in (fine, coarse))
        residual, alone = _residuals(rates, of_fine)
        rows = np.arange(unit.size)
        order, first, number = _pools(of_fine, rows)
        if alone.any():
            # without a repeated condition the mean of the coarse condition has to do
            repeated = np.isin(of_coarse, of_coarse[~alone])
            residual[~repeated] = _residuals(rates, of_coarse)[0][~repeated]
            coarse_pools = _pools(of_coarse, rows[~(alone & repeated)])
            first = np.where(alone, order.size + coarse_pools[1], first)
            number = np.where(alone, coarse_pools[2], number)
            order = np.concatenate([order, coarse_pools[0]])
        return cls(residual, order, first, number)

    def draw(self, rng: np.random.Generator) -> Rates:
        """Return a residual for each row ``(row, bin)``, drawn with replacement."""
        place = self.first + (rng.random(self.first.size) * self.number).astype(np.int64)
        noise = self.residual[self.order[place]]
        # a drawn trial may lack a bin that this one has
        return np.where(np.isnan(noise), np.nan_to_num(self.residual), noise)


def _residuals(rates: Rates, group: Codes) -> tuple[Rates, npt.NDArray[np.bool_]]:
    """Compute scaled residuals about the means of groups, and which rows are alone in theirs."""
    _, group = np.unique(group, return_inverse=True)
    count, mean, _ = group_moments(rates, group, int(group.max()) + 1, squares=False)
    n = count[group]
    factor = np.sqrt(n / np.maximum(n - 1, 1))
    residual = ((rates - mean[group]) * factor).astype(np.float32)
    return residual, np.bincount(group)[group] < 2


def _pools(code: Codes, rows: Codes) -> tuple[Codes, Codes, Codes]:
    """Sort rows by code; return them, and where each code's rows begin and how many there are."""
    order = rows[np.argsort(code[rows], kind="stable")]
    first = np.searchsorted(code[order], code, side="left")
    return order, first, np.searchsorted(code[order], code, side="right") - first

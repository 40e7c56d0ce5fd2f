"""Rule composition: tasks performed with weighted sums of the rule inputs of other tasks.

A rule input is constant in time and adds a constant to the drive of a trial. One forward pass
therefore runs many rules on the same trials with the same noise.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from tqdm import tqdm

from nwbcompare.core.checks import check_known, check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, unknown_name
from nwbcompare.model.activation import ACTIVATIONS, SAFE_SOFTPLUS, Activation
from nwbcompare.model.batch import render
from nwbcompare.model.evaluation import MOST_THREADS
from nwbcompare.model.network import Network, is_correct
from nwbcompare.model.threads import one_thread_each, threads
from nwbcompare.tasks.channels import N_SENSORY
from nwbcompare.tasks.description import TrialDescription
from nwbcompare.tasks.registry import task_names
from nwbcompare.tasks.signals import input_signal
from nwbcompare.tasks.timing import TAU_MS
from nwbcompare.tasks.trials import draw_trials

Array = npt.NDArray[np.float64]
Coefficients = Mapping[str, float]

RULE_COMPOSITIONS: dict[str, str] = {
    "delayanti": "fdanti + delaygo - fdgo",
    "contextdelaydm1": "contextdelaydm2 + contextdm1 - contextdm2",
    "dmsgo": "dmcgo + dmsnogo - dmcnogo",
}
"""Published compositions: the sum of other rules that may replace the rule of each task."""
MEASURES = ("performance", "balanced_accuracy")
DUE = ("response", "fixation")
# 100 trials resolve steps of 0.01 in the share of correct ones
N_RANDOM_BATCHES, RANDOM_BATCH_SIZE = 5, 20
"""Trials of each random combination; few, since there are many combinations."""
ROWS_AT_ONCE = 256
"""Rows of trials per step, so that they stay in the cache of a core."""
_TERM = re.compile(
    r"\s*(?P<sign>[+-])?\s*(?:(?P<factor>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*?\s*)?"
    r"(?P<rule>[A-Za-z_]\w*)\s*(?=[+-]|$)"
)


def parse_rule_expression(
    expression: str, *, rules: Sequence[str] | None = None
) -> dict[str, float]:
    """Read a weighted sum of rules from text.

    Parameters
    ----------
    expression
        Such as ``"fdanti + delaygo - fdgo"`` or ``"0.5*fdgo + 0.5 fdanti"``. The factors of a
        repeated rule are added.
    rules
        The available rules; by default every registered task.

    Returns
    -------
    dict
        Factor of each rule, for ``make_trials(..., rule_weights=...)``.

    Raises
    ------
    InputError
        For an empty or malformed expression, unknown rules and factors that are not finite.

    Examples
    --------
    >>> parse_rule_expression("fdanti + 0.5*delaygo - fdgo")
    {'fdanti': 1.0, 'delaygo': 0.5, 'fdgo': -1.0}
    """
    available = task_names() if rules is None else list(rules)
    factors: dict[str, float] = {}
    at = 0
    while at < len(expression):
        term = _TERM.match(expression, at)
        # only the first term needs no sign
        if term is None or (at > 0 and term["sign"] is None):
            raise _malformed(expression, at)
        if term["rule"] not in available:
            raise unknown_name("rule", term["rule"], available)
        factor = float(f"{term['sign'] or ''}{term['factor'] or 1}")
        if not math.isfinite(factor):
            raise InputError(
                f"factor of {term['rule']!r}", "a finite number", term["factor"], "Use 1 or -1."
            )
        factors[term["rule"]] = factors.get(term["rule"], 0.0) + factor
        at = term.end()
    if not factors:
        raise _malformed(expression, 0)
    return factors


def _malformed(expression: str, at: int) -> InputError:
    rest = expression[at:].strip()
    return InputError(
        "expression",
        "rules with + or - between them, with or without factors",
        f"{expression!r}" + (f", not understood from {rest!r}" if rest else ""),
        "Write for example 'fdanti + delaygo - 0.5*fdgo'.",
    )


def composition_performance(
    network: Network,
    task: str,
    expressions: Sequence[str],
    *,
    n_batches: int = 20,
    batch_size: int = 50,
    seed: int = 0,
) -> xr.Dataset:
    """Compute performance in a task whose rule input is replaced by weighted sums of rules.

    All expressions are tested on the same random trials with the same noise.

    Parameters
    ----------
    network
        The network.
    task
        The task.
    expressions
        Sums of rules that replace its rule; see `parse_rule_expression`.
    n_batches, batch_size
        Random trials: 20 batches of 50, as published; trials of a batch have one timing.
    seed
        Seed of trials, and of input and recurrent noise.

    Returns
    -------
    xarray.Dataset
        On ``(expression,)``: ``performance``, the share of correct trials, with its
        ``standard_error`` over batches; ``balanced_accuracy``, the mean of the shares correct of
        trials that require a response and of trials that require fixation, with
        ``balanced_standard_error``. If all trials require a response, the two are equal. Counts
        are ``n_correct (expression, due, batch)`` and ``n_trials (due, batch)``.

    Raises
    ------
    InputError
        For a task or rule that the network lacks, without expressions, and for fewer than two
        batches.

    Notes
    -----
    Yang et al. 2019, Fig. 7. In the matching tasks half of the trials require no response, so that
    a network that never responds is correct in half of them; use balanced accuracy there.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8))
    >>> result = composition_performance(
    ...     network, "delayanti", ["fdanti", "fdanti + delaygo - fdgo"], n_batches=2, batch_size=4)
    >>> result["performance"].sizes["expression"]
    2
    """
    rules = _check(network, task, n_batches, batch_size, seed)
    if not len(expressions):
        raise InputError("expressions", "at least one", "none", "Pass e.g. ['fdanti'].")
    sums = [parse_rule_expression(expression, rules=rules) for expression in expressions]
    counts = _count(
        network, task, sums, n_batches=n_batches, batch_size=batch_size, entropy=(seed, 0)
    )
    return _performance(counts, list(expressions)).assign_attrs(
        analysis="composition_performance",
        name=network.name,
        task=task,
        n_batches=n_batches,
        batch_size=batch_size,
        seed=seed,
    )


def rule_composition(
    network: Network,
    task: str,
    expression: str | None = None,
    *,
    n_batches: int = 20,
    batch_size: int = 50,
    n_random: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Compare a composed rule with the right rule, wrong rules, partial sums and random sums.

    Parameters
    ----------
    network
        The network.
    task
        The task, such as "delayanti".
    expression
        The composed rule, a sum of other rules; by default the published one
        (`RULE_COMPOSITIONS`).
    n_batches, batch_size, seed
        See `composition_performance`.
    n_random
        Number of random combinations, on 100 trials each: distinct sums of two other rules minus
        a third, without the composed rule. If fewer exist, all are used.

    Returns
    -------
    xarray.Dataset
        As `composition_performance`, with ``role (expression,)``: "right", "composed",
        "partial" (one term left out), "none" (no rule) or "wrong" (one other rule). On
        ``(measure,)``, "performance" and "balanced_accuracy": ``effect``, composed minus best
        wrong rule, with ``effect_standard_error`` (jackknife over batches for a fixed choice of
        the rule); ``best_wrong``; ``share_of_random_below``, the share of random combinations
        with a lower score than the composed rule on their trials, ties counting half. Also
        ``best_wrong_rule (measure, half)``, and ``random_performance`` and
        ``random_balanced_accuracy (combination,)``.

    Raises
    ------
    InputError
        As `composition_performance`; without an expression for a task that has no published one,
        and for an expression with the rule of the task itself.
    NotApplicableError
        For a network with fewer than four rules.

    Notes
    -----
    The maximum over many wrong rules is biased. The best wrong rule is therefore chosen on one half
    of the batches and scored on the other half, and vice versa; the two scores are averaged.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8))
    >>> result = rule_composition(network, "dmsgo", n_batches=2, batch_size=4, n_random=3)
    >>> result["effect"].dims, result.attrs["expression"]
    (('measure',), 'dmcgo + dmsnogo - dmcnogo')
    """
    rules = _check(network, task, n_batches, batch_size, seed)
    check_whole("n_random", n_random, 1, "Use n_random=100.")
    composed = _composed(task, expression, rules)
    sums = _sums_by_role(task, composed, rules)
    role, factors = np.array([role for role, _ in sums]), [sum_ for _, sum_ in sums]
    counts = _count(
        network, task, factors, n_batches=n_batches, batch_size=batch_size, entropy=(seed, 0)
    )
    result = _performance(counts, [format_rule_expression(sum_) for sum_ in factors])
    return (
        result.assign_coords(role=("expression", role))
        .merge(_effect(counts, result["expression"].values, role))
        .merge(_random_sums(network, task, composed, rules, n_random, seed))
        .assign_attrs(
            analysis="rule_composition",
            name=network.name,
            task=task,
            expression=format_rule_expression(composed),
            n_batches=n_batches,
            batch_size=batch_size,
            n_random=n_random,
            random_trials=N_RANDOM_BATCHES * RANDOM_BATCH_SIZE,
            seed=seed,
        )
    )


def format_rule_expression(factors: Coefficients) -> str:
    """Return the text of a weighted sum of rules; "no rule" for an empty sum.

    Examples
    --------
    >>> format_rule_expression({"fdanti": 1, "delaygo": 0.5, "fdgo": -1})
    'fdanti + 0.5*delaygo - fdgo'
    """
    terms = [
        f"{'-' if factor < 0 else '+'} {'' if abs(factor) == 1 else f'{abs(factor):g}*'}{rule}"
        for rule, factor in factors.items()
        if factor
    ]
    text = " ".join(terms).removeprefix("+ ")
    return text.replace("- ", "-", 1) if text.startswith("- ") else text or "no rule"


def _check(
    network: Network, task: str, n_batches: int, batch_size: int, seed: int
) -> tuple[str, ...]:
    rules = network.config.rules
    check_known("task", [task], rules)
    check_whole("n_batches", n_batches, 2, "Use n_batches=20: the error is taken over batches.")
    check_whole("batch_size", batch_size, 1, "Use batch_size=50.")
    check_whole("seed", seed, 0, "Use seed=0.")
    return rules


def _composed(task: str, expression: str | None, rules: tuple[str, ...]) -> dict[str, float]:
    if expression is None and task not in RULE_COMPOSITIONS:
        raise InputError(
            "expression",
            f"a sum of rules, since only {', '.join(RULE_COMPOSITIONS)} have a published one",
            "None",
            f"Pass the sum that replaces the rule of {task!r}.",
        )
    composed = parse_rule_expression(expression or RULE_COMPOSITIONS[task], rules=rules)
    if task in composed:
        raise InputError(
            "expression", f"rules other than {task!r}", repr(expression), "Leave it out."
        )
    if len(rules) < 4:
        raise NotApplicableError(
            "network", "at least four rules", f"{len(rules)}", "Use composition_performance."
        )
    return composed


def _sums_by_role(
    task: str, composed: dict[str, float], rules: Sequence[str]
) -> list[tuple[str, dict[str, float]]]:
    """Return the sums of rules to compare, each with its role."""
    partial = [
        {rule: factor for rule, factor in composed.items() if rule != left_out}
        for left_out in reversed(composed)
        if len(composed) > 2
    ]
    return [
        ("right", {task: 1.0}),
        ("composed", composed),
        *(("partial", sum_) for sum_ in partial),
        ("none", {}),
        *(("wrong", {rule: 1.0}) for rule in rules if rule != task),
    ]


class _Counts(NamedTuple):
    """Correct trials ``(sum, due, batch)`` and all trials ``(due, batch)``."""

    correct: npt.NDArray[np.int64]
    trials: npt.NDArray[np.int64]

    def scores(self, batches: npt.NDArray[np.integer]) -> Array:
        """Compute performance and balanced accuracy over some batches ``(measure, sum)``."""
        trials = self.trials[:, batches].sum(axis=1)
        correct = self.correct[:, :, batches].sum(axis=2)
        # where every trial demands a response, both measures are equal
        occurs = trials > 0
        return np.stack(
            [correct.sum(axis=1) / trials.sum(), (correct[:, occurs] / trials[occurs]).mean(axis=1)]
        )

    @property
    def every(self) -> npt.NDArray[np.int64]:
        """Places of all batches."""
        return np.arange(self.trials.shape[1])


def _jackknife(
    estimate: Callable[[npt.NDArray[np.integer]], Array], batches: npt.NDArray[np.int64]
) -> Array:
    """Compute the jackknife standard error over batches; of a mean it is s / sqrt(n)."""
    without = np.stack([estimate(batches[batches != batch]) for batch in batches])
    error: Array = np.sqrt((batches.size - 1) * without.var(axis=0))
    return error


def _performance(counts: _Counts, expressions: list[str]) -> xr.Dataset:
    (share, balanced), every = counts.scores(counts.every), counts.every
    error, balanced_error = _jackknife(counts.scores, every)
    return xr.Dataset(
        {
            "performance": ("expression", share),
            "standard_error": ("expression", error),
            "balanced_accuracy": ("expression", balanced),
            "balanced_standard_error": ("expression", balanced_error),
            "n_correct": (("expression", "due", "batch"), counts.correct),
            "n_trials": (("due", "batch"), counts.trials),
        },
        coords={"expression": expressions, "due": list(DUE)},
    )


def _effect(
    counts: _Counts, expressions: npt.NDArray[np.str_], role: npt.NDArray[np.str_]
) -> xr.Dataset:
    """Compute composed minus best wrong rule, chosen and scored on different halves."""
    halves = counts.every[0::2], counts.every[1::2]
    wrong, composed = np.flatnonzero(role == "wrong"), int(np.flatnonzero(role == "composed")[0])
    # (half, measure): chosen on the other half than the one on which it is scored
    best = np.stack(
        [wrong[counts.scores(other)[:, wrong].argmax(axis=1)] for other in reversed(halves)]
    )

    def of_best(batches: npt.NDArray[np.integer]) -> Array:
        """Return the scores of composed and best wrong rule ``(2, measure)``, mean over halves."""
        parts = []
        for half, chosen in zip(halves, best, strict=True):
            part = half[np.isin(half, batches)]
            if part.size:
                scores = counts.scores(part)
                parts.append([scores[:, composed], scores[[0, 1], chosen]])
        mean: Array = np.mean(parts, axis=0)
        return mean

    composed_score, best_score = of_best(counts.every)
    return xr.Dataset(
        {
            "effect": ("measure", composed_score - best_score),
            "effect_standard_error": (
                "measure",
                _jackknife(lambda batches: -np.diff(of_best(batches), axis=0)[0], counts.every),
            ),
            "best_wrong": ("measure", best_score),
            "best_wrong_rule": (("measure", "half"), expressions[best.T]),
        },
        coords={"measure": list(MEASURES)},
    )


def _random_sums(
    network: Network,
    task: str,
    composed: dict[str, float],
    rules: Sequence[str],
    n_random: int,
    seed: int,
) -> xr.Dataset:
    """Test random sums of two other rules minus a third, and the composed rule on their trials."""
    others = [rule for rule in rules if rule != task]
    every: list[dict[str, float]] = [
        sum_
        for a, b in combinations(others, 2)
        for c in others
        if c not in {a, b} and (sum_ := {a: 1.0, b: 1.0, c: -1.0}) != composed
    ]
    # streams 0 and 1 are those of the trials
    rng = np.random.default_rng((seed, 2))
    places = rng.choice(len(every), size=min(n_random, len(every)), replace=False)
    sums = [every[place] for place in places]
    counts = _count(
        network,
        task,
        [composed, *sums],
        n_batches=N_RANDOM_BATCHES,
        batch_size=RANDOM_BATCH_SIZE,
        entropy=(seed, 1),
    )
    scores = counts.scores(counts.every)
    # ties count half: scores of 100 trials often are equal
    below = (scores[:, 1:] < scores[:, :1]) + 0.5 * (scores[:, 1:] == scores[:, :1])
    return xr.Dataset(
        {
            "random_performance": ("combination", scores[0, 1:]),
            "random_balanced_accuracy": ("combination", scores[1, 1:]),
            "share_of_random_below": ("measure", below.mean(axis=1)),
        },
        coords={
            "combination": [format_rule_expression(sum_) for sum_ in sums],
            "measure": list(MEASURES),
        },
    )


def _count(
    network: Network,
    task: str,
    sums: Sequence[Coefficients],
    *,
    n_batches: int,
    batch_size: int,
    entropy: tuple[int, int],
) -> _Counts:
    """Count the correct trials of each sum in the same random trials, batch by batch."""

    def run(batch: int) -> tuple[Any, Any]:
        # a stream for each batch: the number of threads changes no result
        rng = np.random.default_rng((*entropy, batch))
        places, dt_ms = np.zeros(batch_size, dtype=np.int64), network.config.dt_ms
        trials = draw_trials([task], places, rng, dt_ms=dt_ms, shared_timing=True)
        outputs = _outputs_by_rule(network, trials, sums, rng=rng)
        correct = np.stack([is_correct(output, trials.response) for output in outputs])
        due = np.stack([np.isfinite(trials.response), np.isnan(trials.response)])
        return (correct[:, None] & due).sum(axis=2), due.sum(axis=1)

    with one_thread_each(), threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        batches, desc = pool.map(run, range(n_batches)), f"{task} by {len(sums)} rules"
        counts = list(tqdm(batches, total=n_batches, desc=desc, disable=None))
    correct, trials = (np.stack(parts, axis=-1) for parts in zip(*counts, strict=True))
    return _Counts(correct, trials)


@torch.no_grad()
def _outputs_by_rule(
    network: Network,
    trials: TrialDescription,
    sums: Sequence[Coefficients],
    *,
    rng: np.random.Generator | None,
) -> npt.NDArray[np.float32]:
    """Compute the output at the last step of each trial, for every sum of rules.

    Parameters
    ----------
    network
        The network.
    trials
        The trials, at the network's time step.
    sums
        Sums of rules, as the input of the rule channels.
    rng
        Generator of input and recurrent noise, the same for all sums; None for no noise.

    Returns
    -------
    numpy.ndarray
        ``(sum, trial, output_channel)``.
    """
    config, device = network.config, network.device
    n_steps = int(trials.n_steps.max())
    inputs = render(input_signal(trials, config.rules, {}), n_steps, device)
    noise = None
    if rng is not None:
        inputs += _normal(rng, inputs.shape, device) * (
            config.sigma_x * math.sqrt(2 * TAU_MS / config.dt_ms)
        )
        noise = _normal(rng, (n_steps, trials.n_trials, config.n_units), device)
    rules = torch.zeros(len(sums), config.n_inputs, device=device)
    for row, sum_ in zip(rules, sums, strict=True):
        for rule, factor in sum_.items():
            row[N_SENSORY + config.rules.index(rule)] = factor
    run = _plain_outputs if config.cell == "leaky_gru" else _rnn_outputs
    return run(network, inputs, noise, rules, trials.n_steps - 1)


def _normal(rng: np.random.Generator, shape: Sequence[int], device: str) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32)).to(device)


def _plain_outputs(
    network: Network,
    inputs: torch.Tensor,
    noise: torch.Tensor | None,
    rules: torch.Tensor,
    last: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Run the reference implementation, rule by rule."""
    trials = np.arange(last.size)
    outputs = (network(inputs + rule, noise=noise)[1].cpu().numpy() for rule in rules)
    return np.stack([output[last, trials] for output in outputs])


def _rnn_outputs(
    network: Network,
    inputs: torch.Tensor,
    noise: torch.Tensor | None,
    rules: torch.Tensor,
    last: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Run a leaky RNN on the trials of several rules at once."""
    drive = network.drive(inputs, noise=noise)
    # constant in time, and so computed once for all steps
    offsets = network.drive(rules[None])[0] - network.bias
    # lesioned units send nothing
    weight = network._sent(network.recurrent_weight.t()).t().contiguous()
    activation = ACTIVATIONS[network.config.nonlinearity]
    alpha = network.config.dt_ms / network.config.tau_ms
    outputs = []
    for part in torch.split(offsets, max(1, ROWS_AT_ONCE // last.size)):
        rates = _last_rates(drive, part, weight, last, alpha, activation)
        # infinite rates stay infinite, so the last ones show an overflow
        if activation.overflows and not bool(torch.isfinite(rates).all()):
            rates = _last_rates(drive, part, weight, last, alpha, SAFE_SOFTPLUS)
        sent = network._sent(rates) @ network.output_weight
        outputs.append(torch.sigmoid(sent + network.output_bias).cpu().numpy())
    return np.concatenate(outputs)


def _last_rates(
    drive: torch.Tensor,
    offsets: torch.Tensor,
    weight: torch.Tensor,
    last: npt.NDArray[np.int64],
    alpha: float,
    activation: Activation,
) -> torch.Tensor:
    """Compute the rates at the last step of each trial ``(rule, trial, unit)``."""
    # rates are stored with the sign of the activation, which some compute negated
    rate = drive.new_zeros(offsets.shape[0], *drive.shape[1:])
    total, scratch, final = (torch.zeros_like(rate) for _ in range(3))
    flat_rate, flat_total = (each.view(-1, drive.shape[2]) for each in (rate, total))
    ends = {int(end): np.flatnonzero(last == end) for end in np.unique(last)}
    for place, step in enumerate(drive.unbind(0)):
        torch.add(step, offsets[:, None], out=total)
        flat_total.addmm_(flat_rate, weight, beta=activation.sign)
        rate.lerp_(activation.value(total, scratch), alpha)
        if place in ends:
            final[:, ends[place]] = rate[:, ends[place]]
    return final.mul_(activation.sign)

"""Sections of reports with other functions that compute them, and counts of their calls."""

from __future__ import annotations

from dataclasses import replace

from nwbcompare.workflows.registry import sections_of


def replace_compute(monkeypatch, report, computes):
    """Replace the functions that compute sections of a report."""
    sections = sections_of(report)
    for name, compute in computes.items():
        monkeypatch.setitem(sections, name, replace(sections[name], compute=compute))


def count_calls(monkeypatch, report, stop=None):
    """Return a growing list of the sources and sections that are computed; stop at one of them."""
    calls = []

    def counting(name, compute):
        def call(source, *arguments):
            calls.append((source.name, name))
            if calls[-1] == stop:
                raise KeyboardInterrupt
            return compute(source, *arguments)

        return call

    sections = sections_of(report)
    replace_compute(
        monkeypatch, report, {name: counting(name, one.compute) for name, one in sections.items()}
    )
    return calls

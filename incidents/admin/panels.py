"""Where apps that stand on this one put what they know: on an incident's page, on the dashboard.

Incidents never call up; an app above registers, and is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from incidents.models import Incident


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of an incident's page: a template, and what it is given besides ``incident``."""

    name: str
    title: str
    template: str
    context: Callable[[HttpRequest, Incident], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the dashboard and the list behind it."""

    name: str
    value: str
    note: str
    href: str


Figures = Callable[[HttpRequest, Iterable[str] | None], list[Figure]]

_panels: list[Panel] = []
_figures: list[Figures] = []


def add_panel(panel: Panel) -> None:
    """Shows the panel on every incident's page, for as long as its context is not None."""
    _panels.append(panel)


def add_figures(figures: Figures) -> None:
    """Shows these figures on the dashboard; they are asked of some tenants, None meaning all."""
    _figures.append(figures)


def panels_of(request: HttpRequest, incident: Incident) -> list[dict[str, Any]]:
    """The panels of other apps for this incident, each ready for its template."""
    return [
        {"name": panel.name, "title": panel.title, "template": panel.template, **context}
        for panel in _panels
        if (context := panel.context(request, incident)) is not None
    ]


def figures_of(request: HttpRequest, tenants: Iterable[str] | None) -> list[Figure]:
    """The figures of other apps."""
    return [figure for figures in _figures for figure in figures(request, tenants)]

"""Every screen, wide and narrow, light and dark: no serious finding of axe-core."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.urls import reverse
from pytest_django import Settings

from config.actors import Actor
from exports.enums import BundleType
from exports.services import exporting
from incidents.enums import RuleMode
from incidents.models import Evidence, Run, Violation
from incidents.services import rules
from lessons.models import Lesson, Proposal
from tests.browser.conftest import Watch, Watched
from tests.browser.seed import Seeded, plant
from tests.factories.people import person
from tests.factories.tenancy import issue_key

pytestmark = pytest.mark.django_db(transaction=True)

_SERIOUS = """
async (rules) => (await axe.run(document, {
    resultTypes: ["violations"],
    ...(rules ? {runOnly: {type: "rule", values: rules}} : {}),
})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`)
"""
_DARK = "(dark) => document.documentElement.classList.toggle('dark', dark)"
# What the width of the window and the colours decide; the rest is the same in all of them.
_LOOKS = ["color-contrast", "scrollable-region-focusable", "aria-hidden-focus"]


@pytest.fixture(autouse=True)
def data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.SIGNING_KEY = settings.SIGNING_KEY_FILE = ""


def findings(watched: Watched, screens: list[str]) -> list[str]:
    found = []
    page = watched.page
    for screen in screens:
        watched.open(screen)
        page.evaluate(AXE_SCRIPT)
        for width, dark, only in ((1440, False, None), (900, True, _LOOKS)):
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(_DARK, dark)
            where = f"{screen} {width} {'dark' if dark else 'light'}"
            found += [f"{where}: {one}" for one in page.evaluate(_SERIOUS, only)]
            if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
                found.append(f"{where}: wider than the window")
    return found


def pages(seeded: Seeded) -> list[str]:
    """Every screen there is."""
    by = Actor(via="test")
    bundle = exporting.export(
        incident=seeded.old, bundle_type=BundleType.EVIDENCE, by=by, reason="A look."
    ).bundle
    rule = rules.create(
        tenant=seeded.acme,
        by=by,
        name="No more",
        mode=RuleMode.SHADOW,
        error_code="EXECUTION_TIMEOUT",
    )
    key, _ = issue_key(seeded.acme)
    worst = f"/admin/incidents/incident/{seeded.worst.pk}"
    triage = [
        "/admin/",
        "/admin/incidents/incident/",
        f"{worst}/change/",
        f"/admin/incidents/incident/{seeded.violated.pk}/change/",
        f"/admin/incidents/run/{Run.objects.get(run_id='run-7').pk}/change/",
    ]
    listed = [
        *(
            f"/admin/incidents/{name}/"
            for name in (
                "run",
                "failure",
                "violation",
                "evidence",
                "policyrule",
                "prevention",
                "policyevaluation",
                "costrecord",
                "costanomaly",
            )
        ),
        *(f"/admin/lessons/{name}/" for name in ("lesson", "proposal")),
        *(f"/admin/exports/{name}/" for name in ("bundle", "signingkey")),
        *(f"/admin/tenancy/{name}/" for name in ("tenant", "apikey")),
        *(f"/admin/auth/{name}/" for name in ("user", "group")),
    ]
    other = [
        "/admin/incidents/incident/?topic=resolved&search=nothing",
        "/admin/incidents/incident/add/",
        f"{worst}/act/resolve/",
        f"{worst}/act/severity/",
        "/admin/incidents/policyrule/add/",
        f"/admin/incidents/policyrule/{rule.pk}/change/?backtest=1",
        f"/admin/incidents/violation/{Violation.objects.get().pk}/change/",
        f"/admin/incidents/evidence/{Evidence.objects.all()[0].pk}/change/",
        f"/admin/lessons/lesson/{Lesson.objects.all()[0].pk}/change/",
        f"/admin/lessons/proposal/{Proposal.objects.all()[0].pk}/change/?backtest=1",
        f"/admin/exports/bundle/{bundle.pk}/change/",
        reverse("admin:exports_bundle_export", args=[seeded.worst.pk]),
        f"/admin/tenancy/tenant/{seeded.acme.pk}/change/",
        "/admin/tenancy/apikey/add/",
        f"/admin/tenancy/apikey/{key.pk}/change/",
    ]
    return [*triage, *listed, *other]


def test_no_screen_has_a_serious_finding(watch: Watch) -> None:
    person(None)
    screens = pages(plant())
    watched = watch()
    watched.log_in("root")
    assert findings(watched, screens) == []


def test_screens_of_an_empty_house_are_good_too(watch: Watch) -> None:
    person("viewer")
    watched = watch()
    watched.log_in("viewer")
    assert findings(watched, ["/admin/", "/admin/incidents/incident/"]) == []
    assert watched.page.locator("text=Nothing is burning.").count() == 1

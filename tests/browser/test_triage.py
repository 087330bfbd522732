"""Triage as a person does it, in a browser, from the dashboard to the proof."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from incidents.enums import Status
from incidents.models import Event, Incident, PolicyRule
from tests.browser.conftest import Watch
from tests.browser.seed import plant
from tests.factories.people import incident, person
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.SIGNING_KEY = settings.SIGNING_KEY_FILE = ""


def test_from_the_dashboard_to_the_proof(watch: Watch) -> None:
    seeded = plant()
    person("administrator", seeded.acme, name="ada")
    watched = watch()
    page = watched.page
    watched.log_in("ada")

    # Find the worst.
    page.click("a.fb-tile:has-text('critical')")
    with page.expect_navigation():
        page.click("[data-open] >> nth=0")
    expect(page.locator("h2.fb-h")).to_have_text(seeded.worst.title)
    expect(page.locator(".fb-figures")).to_contain_text("230")

    # Acknowledge it by its key, and say so.
    page.keyboard.press("a")
    expect(page.locator(".fb-badges")).to_contain_text("acknowledged")
    assert page.locator("button:has-text('Acknowledge')").count() == 0
    page.fill("#id_description", "Rolling it back <b>now</b>.")
    page.click("button:has-text('Comment')")
    expect(page.locator(".fb-timeline")).to_contain_text("Rolling it back <b>now</b>.")
    expect(page.locator(".fb-event >> nth=0")).to_contain_text("ada via admin")

    # Evidence reads as words, not as JSON.
    shown = page.locator("section:has(#evidence-title)")
    expect(shown).to_contain_text("Pay the bill")
    assert "{" not in shown.inner_text()

    # What was like it, and how that ended.
    expect(page.locator("section:has(#similar-title)")).to_contain_text("rolled back")

    # Look at the step that broke a policy.
    watched.open(f"/admin/incidents/incident/{seeded.violated.pk}/change/")
    page.click("a:has-text('violated at step 3')")
    expect(page.locator("#step-3.fb-violating")).to_contain_text("step 3 said something")
    assert page.locator(".fb-violating").count() == 1

    # Resolve the worst by its key.
    watched.open(f"/admin/incidents/incident/{seeded.worst.pk}/change/")
    page.keyboard.press("r")
    page.select_option("[name=method]", "rollback")
    page.select_option("[name=type]", "real")
    page.fill("[name=summary]", "Rolled back.")
    page.click("button:has-text('Resolve')")
    expect(page.locator(".fb-resolution")).to_contain_text("ada via admin")

    # Export it and download the proof.
    page.click("section:has(#panel-exports) >> text=Export >> nth=-1")
    page.fill("[name=reason]", "For the auditors.")
    page.click("main button[type=submit], #content-main button[type=submit]")
    with page.expect_download() as download:
        page.click("a[href*='/json']")
    sealed = json.loads(Path(download.value.path()).read_text())
    assert set(sealed) == {"bundle", "seal"}

    # Approve a proposal.
    watched.open("/admin/lessons/proposal/")
    page.click("#result_list tbody th a >> nth=0")
    expect(page.locator("section:has(#backtest-title)")).to_contain_text("would have prevented")
    with page.expect_navigation():
        page.click("button:has-text('Approve')")
    page.click("button:has-text('Approve')")
    expect(page.locator(".fb-badges")).to_contain_text("approved")
    page.click("section:has(#rule-title) a")
    expect(page.locator("h2.fb-h")).to_be_visible()

    worst = Incident.objects.get(pk=seeded.worst.pk)
    assert (worst.status, worst.resolution_method) == (Status.RESOLVED, "rollback")
    acts = Event.objects.filter(incident=worst, via="admin")
    assert set(acts.values_list("actor", flat=True)) == {"ada"}
    assert PolicyRule.objects.count() == 1


def test_keys_and_bulk_acts_on_the_list(watch: Watch) -> None:
    tenant = TenantFactory.create()
    many = [incident(tenant, kind) for kind in ("one", "two", "three")]
    person("responder", tenant, name="ada")
    watched = watch(width=900)
    page = watched.page
    watched.log_in("ada")
    watched.open("/admin/incidents/incident/")

    # j and k move, x chooses, / searches.
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".fb-current a[data-open]")).to_have_text(many[2].title)
    page.keyboard.press("x")
    expect(page.locator("[data-chosen]")).to_have_text("1 chosen")
    with page.expect_navigation():
        page.keyboard.press("a")
    expect(page.locator("tr:has-text('three')")).to_contain_text("acknowledged")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "search"
    page.keyboard.type("ja")
    assert page.input_value("[name=search]") == "ja"

    # All of them at once, one of which is refused.
    page.check("[data-all]")
    page.click("button:has-text('Acknowledge')")
    expect(page.locator("[role=status]").first).to_contain_text("Acknowledged: 2. Refused: 1.")
    page.click("a:has-text('Back to the list')")
    page.check("[data-all]")
    page.click("button:has-text('Resolve')")
    page.fill("[name=summary]", "All of it.")
    page.click("button:has-text('Resolve')")
    page.click("a:has-text('Back to the list')")
    expect(page.locator(".fb-empty")).to_contain_text("Nothing is burning")

    # A filter that is kept.
    watched.open("/admin/incidents/incident/?topic=resolved&search=two")
    expect(page.locator("[data-open]")).to_have_count(1)
    page.click("summary:has-text('Save this filter')")
    page.fill(".fb-save [name=name]", "Twos")
    with page.expect_navigation():
        page.click(".fb-save button")
    watched.open("/admin/incidents/incident/")
    page.click(".fb-chip a:has-text('Twos')")
    expect(page).to_have_url(re.compile("search=two"))
    expect(page.locator("[data-open]")).to_have_count(1)


HOSTILE = (
    "<script>window.ran = true</script>",
    "<img src=x onerror='window.ran = true'>",
    "{{ 7 * 7 }} {% now 'Y' %} ${window.ran = true}",
    "' x-data='window.ran = true' x-init='window.ran = true",
    "W" * 1500,
    "\u202eevil \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
)


def test_text_of_alerts_is_shown_and_never_run(watch: Watch) -> None:
    tenant = TenantFactory.create()
    found = [
        incident(
            tenant,
            text[:200],
            trigger_value=text,
            error_code=text[:200],
            error_message=text,
            model=text[:200],
            metadata=json.dumps({text: {"deep": [text]}}).encode(),
        )
        for text in HOSTILE
    ]
    person(None)
    watched = watch(width=900)
    page = watched.page
    watched.log_in("root")

    def fits() -> Any:
        return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    watched.open("/admin/")
    assert fits()
    watched.open("/admin/incidents/incident/")
    assert fits()
    assert page.locator("[data-open]").count() == len(HOSTILE)
    for text, one in zip(HOSTILE, found, strict=True):
        watched.open(f"/admin/incidents/incident/{one.pk}/change/")
        expect(page.locator(".fb-message")).to_have_text(text)
        page.click("summary:has-text('Metadata') >> nth=0")
        assert fits(), text[:40]
    assert page.evaluate("window.ran") is None

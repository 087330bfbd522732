"""Every screen, wide and narrow, light and dark: no serious finding of axe-core."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, resolve
from pytest_django import Settings

from tests.browser import screens
from tests.browser.conftest import Watch, Watched
from tests.browser.seed import plant
from tests.factories.people import person

pytestmark = pytest.mark.django_db(transaction=True)

# Of the rules that axe runs by itself, those whose finding is never serious are left out; nothing
# is loaded or named for a report that nobody reads.
_SERIOUS = """
async ([rules, besides]) => (await axe.run({exclude: besides}, {
    resultTypes: ["violations"],
    runOnly: {type: "rule", values: rules || axe._audit.rules
        .filter((rule) => rule.enabled && !rule.tags.includes("experimental"))
        .filter((rule) => !["minor", "moderate"].includes(rule.impact))
        .map((rule) => rule.id)},
    preload: false,
    selectors: false,
})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`)
"""
_LOOK = """
(dark) => {
    document.documentElement.classList.toggle("dark", dark);
    return document.documentElement.scrollWidth <= window.innerWidth;
}
"""
# What the width of the window and the colours decide; the rest is the same in all of them.
_LOOKS = ["color-contrast", "scrollable-region-focusable", "aria-hidden-focus"]
# It is the same on every screen of a person's: looked at on the first.
_SIDE_BAR = "#nav-sidebar"


@pytest.fixture(autouse=True)
def data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.SIGNING_KEY = settings.SIGNING_KEY_FILE = ""


def examined(watched: Watched) -> Watched:
    """The same, with axe on every page that it opens from now on."""
    watched.page.add_init_script(AXE_SCRIPT)
    return watched


def look(watched: Watched, where: str, *besides: str) -> list[str]:
    """What is wrong with the screen that is open, ``besides`` some parts of it."""
    found = []
    page = watched.page
    for width, dark, only in ((1440, False, None), (900, True, _LOOKS)):
        page.set_viewport_size({"width": width, "height": 900})
        looks = f"{where} {width} {'dark' if dark else 'light'}"
        if not page.evaluate(_LOOK, dark):
            found.append(f"{looks}: wider than the window")
        found += [f"{looks}: {one}" for one in page.evaluate(_SERIOUS, [only, list(besides)])]
    return found


def findings(watched: Watched, paths: list[str]) -> list[str]:
    found = []
    for place, path in enumerate(paths):
        watched.open(path)
        found += look(watched, path, *([_SIDE_BAR] if place else []))
    return found


@pytest.mark.parametrize("group", screens.GROUPS)
def test_no_screen_has_a_serious_finding(watch: Watch, group: str) -> None:
    person(None)
    seeded = plant()
    screens.furnish(seeded)
    watched = examined(watch())
    watched.log_in("root")
    assert findings(watched, screens.GROUPS[group](seeded)) == []


def test_what_acts_on_several_ask_and_answer_is_good_too(watch: Watch) -> None:
    person(None)
    plant()
    watched = examined(watch())
    page = watched.page
    watched.open("/admin/login/")
    found = look(watched, "login")
    watched.log_in("root")
    for act in ("Resolve", "Set severity", "Assign", "Acknowledge"):
        watched.open("/admin/incidents/incident/")
        page.click("summary:has-text('More filters')")
        page.click("summary:has-text('Save this filter')")
        page.check("[data-all]")
        if act == "Resolve":
            found += look(watched, "the list with all chosen")
        with page.expect_navigation():
            page.click(f".fb-bulk button:has-text('{act}')")
        found += look(watched, act, _SIDE_BAR)
    assert page.locator("[role=status]:has-text('Acknowledged: 3.')").count() == 1
    watched.open("/admin/tenancy/apikey/add/")
    page.select_option("[name=tenant]", "acme")
    page.fill("[name=name]", "platform")
    page.check("[name=scopes] >> nth=0")
    with page.expect_navigation(url="**/apikey/"):
        page.click("[name=_save]")
    assert page.locator("text=Copy the key now").count() == 1
    found += look(watched, "a key that was made", _SIDE_BAR)
    assert found == []


def _names(patterns: list[URLPattern | URLResolver]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names |= _names(pattern.url_patterns)
        elif pattern.name:
            names.add(pattern.name)
    return names


def test_every_screen_of_the_admin_is_looked_at(client: Client) -> None:
    root = person(None)
    client.force_login(root)
    seeded = plant()
    screens.furnish(seeded)
    paths = [path for group in screens.GROUPS.values() for path in group(seeded)]
    seen = {resolve(path.split("?")[0]).url_name for path in paths} - {None}
    # What is answered by a file, another address or a refusal, or only asked by a form.
    elsewhere = {
        "autocomplete",
        "jsi18n",
        "login",
        "logout",
        "password_change_done",
        "search",
        "view_on_site",
        "exports_bundle_download",
        "incidents_incident_bulk",
        "incidents_incident_views",
        "tenancy_apikey_revoke",
    }
    # No link leads to Django's own histories: timelines and the audit log say more.
    names = {one for one in _names(admin.site.get_urls()) if not one.endswith("_history")}
    left = names - seen - elsewhere
    for model in admin.site._registry:
        meta = model._meta
        row = model._default_manager.first()
        for name, path in (("add", "add/"), ("delete", f"{row.pk if row else uuid4()}/delete/")):
            answer = client.get(f"/admin/{meta.app_label}/{meta.model_name}/{path}")
            if answer.status_code == 403:
                left.discard(f"{meta.app_label}_{meta.model_name}_{name}")
    assert left == set()


def test_screens_of_an_empty_house_are_good_too(watch: Watch) -> None:
    person("viewer")
    watched = examined(watch())
    watched.log_in("viewer")
    assert findings(watched, ["/admin/", "/admin/incidents/incident/"]) == []
    assert watched.page.locator("text=Nothing is burning.").count() == 1

"""A real browser against a live server: nothing from outside, no error unnoticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.factories.people import PASSWORD

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# Chromium's own chatter with its maker is switched off: what is left is the pages' doing.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
]


@dataclass
class Watched:
    """A page, and whatever went wrong on it."""

    page: Page
    base: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        answer = self.page.goto(f"{self.base}{path}")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    def log_in(self, name: str) -> None:
        self.open("/admin/login/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("[type=submit]")
        self.page.wait_for_url(f"{self.base}/admin/")

    def note_request(self, request: Request) -> None:
        host = urlsplit(request.url)
        if host.scheme in ("http", "https", "ws", "wss") and not request.url.startswith(self.base):
            self.troubles.append(f"request to the outside: {request.url}")

    def note_failure(self, request: Request) -> None:
        # A page that is left, or a file that is handed over, ends its request as the browser
        # says "aborted"; nothing was refused.
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"{request.url}: {request.failure}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    # Playwright's loop runs in this thread: Django would take the tests for asynchronous.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield browser
            browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


Watch = Callable[..., Watched]


@pytest.fixture
def watch(chromium: Browser, live_server: Any) -> Iterator[Watch]:
    """Opens a watched page; at the end nothing may have gone wrong on any of them."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def start(*, width: int = 1440) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        # No colour is still on its way to another when it is looked at.
        page.emulate_media(reduced_motion="reduce")
        one = Watched(page, live_server.url)
        page.set_default_timeout(10_000)
        page.on("request", one.note_request)
        page.on("requestfailed", one.note_failure)
        page.on("pageerror", lambda error: one.troubles.append(f"error on the page: {error}"))
        page.on(
            "console",
            lambda said: (
                one.troubles.append(f"console: {said.text}") if said.type == "error" else None
            ),
        )
        watched.append(one)
        return one

    yield start
    troubles = [trouble for one in watched for trouble in one.troubles]
    for context in contexts:
        context.close()
    assert troubles == []

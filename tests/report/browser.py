"""A page opened in headless Chromium: what it asked for, what it complained about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """`page` is playwright's; `requests` and `messages` grow while it is open."""

    page: Any
    requests: list[str]
    messages: list[str]


@contextmanager
def opened(path: Path, profile: Path, *, width: int = 1200, dark: bool = False) -> Iterator[Opened]:
    """`path` in a fresh browser with an empty profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            str(profile), executable_path="/usr/bin/chromium", args=list(FLAGS),
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
        )  # fmt: skip
        try:
            page = context.new_page()
            found = Opened(page, [], [])
            page.on("request", lambda request: found.requests.append(request.url))
            page.on("console", lambda message: found.messages.append(message.text))
            page.on("pageerror", lambda error: found.messages.append(str(error)))
            page.goto(path.as_uri())
            yield found
        finally:
            context.close()

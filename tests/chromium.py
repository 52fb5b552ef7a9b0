"""A real headless Chromium for tests of pages; modules that import this are skipped where it is missing.

It is driven with the package selenium, which tests/run.sh installs, and Chromium's driver (Debian and Ubuntu: chromium,
chromium-driver), which .ci/run installs on a new machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="the browser's tests need selenium: pip install -r requirements/test.txt"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no Chromium with chromedriver: apt-get install chromium chromium-driver", allow_module_level=True)

# As root in a container, without a GPU, and without a word to the network, which may be closed.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1300,900",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """:param profile: an empty folder for what the browser keeps."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def css(page: Any, selector: str) -> list[Any]:
    return page.find_elements("css selector", selector)


def texts(page: Any, selector: str) -> list[str]:
    return [node.text for node in css(page, selector)]


def point_at(page: Any, selector: str) -> None:
    webdriver.ActionChains(page).move_to_element(css(page, selector)[0]).perform()


def press(page: Any, *keys: str) -> None:
    webdriver.ActionChains(page).send_keys(*keys).perform()


def nameless(page: Any) -> list[str]:
    """The controls that have no name for those who cannot see the page."""
    return page.execute_script(
        """return [...document.querySelectorAll('button, input, select, textarea, [tabindex], [role=option]')]
        .filter((node) => !(node.textContent.trim() || node.getAttribute('aria-label')
          || node.getAttribute('aria-labelledby') || (node.labels && node.labels.length)))
        .map((node) => node.outerHTML)"""
    )


CONTRASTS = """
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((n) => (n / 255 <= 0.04045 ? n / 255 / 12.92 : ((n / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const ratio = (colour, opacity, below) => {
  const mixed = colour.slice(0, 3).map((n, i) => opacity * n + (1 - opacity) * below[i]);
  const [dark, light] = [luminance(mixed), luminance(below.slice(0, 3))].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const found = {text: [], lines: []};
for (const node of document.querySelectorAll("body *")) {
  const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const line = node.matches("path.hard");
  if (!(text || line) || !node.checkVisibility() || node.closest("script, noscript")) continue;
  let opacity = 1, below = null;
  for (let at = node; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    opacity *= Number(style.opacity);
    const colour = numbers(style.backgroundColor);
    if (!below && (colour.length === 3 || colour[3] === 1)) below = colour;
  }
  const style = getComputedStyle(node);
  const colour = numbers(line ? style.stroke : node.closest("svg") ? style.fill : style.color);
  found[line ? "lines" : "text"].push([ratio(colour, opacity, below), node.outerHTML.slice(0, 120)]);
}
return found;
"""
"""WCAG's contrast of each text and each hard link's line that can be seen."""

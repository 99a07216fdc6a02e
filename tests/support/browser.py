"""A real browser, without a window, looking at a sweep in the MLflow UI."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import (
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

COMMAND = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


@contextmanager
def ui(sweep: str, runs: Path, *options: str) -> Iterator[str]:
    """`dfcil-sweep ui`, answering; the first address that it printed. It is ended with SIGTERM, and ends by itself."""
    command = [*COMMAND, "ui", sweep, "--runs", str(runs), "--no-open", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        address = process.stdout.readline().strip()
        assert process.poll() is None and _answers(address.partition("#")[0] + "health"), "told too soon"
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=1).status == 200
    except (urllib.error.URLError, OSError, ValueError):
        return False


class Browser:
    """Chromium without a window."""

    def __init__(self, width: int = 1300, height: int = 1000) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_script_timeout(30)
        self._alone = False

    def open(self, address: str) -> None:
        """Show a page of the UI. The panel that MLflow's assistant opens over it is closed, the first time."""
        self.driver.get(address)
        if not self._alone:
            self.press("//button[@aria-label='Close']")
            self._alone = True

    def find(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def press(self, xpath: str) -> None:
        """Click the first element there is, as soon as it is there and nothing covers it."""
        self.wait(lambda page: page._pressed(xpath), xpath)

    def _pressed(self, xpath: str) -> bool:
        try:
            self.driver.find_element(By.XPATH, xpath).click()
        except (NoSuchElementException, ElementNotInteractableException, StaleElementReferenceException):
            return False
        return True

    @property
    def text(self) -> str:
        """What the page says."""
        return self.driver.execute_script("return document.body.innerText")

    def wait(self, true, what: str, seconds: float = 60) -> None:
        """Wait until `true(self)`."""
        until = time.monotonic() + seconds
        while not true(self):
            assert time.monotonic() < until, f"{what}: not shown at {self.driver.current_url}:\n{self.text[:2000]}"
            time.sleep(0.2)

    def wait_for_text(self, *texts: str) -> None:
        for text in texts:
            self.wait(lambda page, text=text: text in page.text, text)

    def pictures(self) -> list[dict]:
        """The images on the page that are loaded: source, width, and how many different colours they have."""
        return self.driver.execute_script(_PICTURES)

    def wait_for_pictures(self, of: str) -> list[dict]:
        """The images whose address has `of` in it, as soon as there are any."""
        self.wait(lambda page: any(of in shown["src"] for shown in page.pictures()), f"an image from {of}")
        return [shown for shown in self.pictures() if of in shown["src"]]

    def close(self) -> None:
        self.driver.quit()


_PICTURES = """
return [...document.querySelectorAll('img')].filter(i => i.complete && i.naturalWidth > 0).map(i => {
  const c = document.createElement('canvas'); c.width = i.naturalWidth; c.height = i.naturalHeight;
  const g = c.getContext('2d'); g.drawImage(i, 0, 0);
  const p = new Uint32Array(g.getImageData(0, 0, c.width, c.height).data.buffer);
  return {src: i.src, width: i.naturalWidth, height: i.naturalHeight, colours: new Set(p).size};
});
"""


def image_grid(page: Browser, key: str) -> list[dict]:
    """On a page of charts: `Add chart`, `Image grid`, the images of `key`; those that its preview shows."""
    page.wait_for_text("Add chart")
    page.press("//button[contains(., 'Add chart')]")
    page.press("//*[@role='menuitem'][contains(., 'Image grid')]")
    page.press("//button[starts-with(@aria-label, 'Images')]")
    page.press(f"//*[@role='option'][contains(., '{key}')]")
    page.press("//h4[text()='Run details']")  # closes the list
    # The grid starts at step 0, and the first dreams are those after task 1.
    page.find("[role='dialog'] [role='slider']")[0].send_keys(Keys.ARROW_RIGHT)
    return page.wait_for_pictures("get-artifact?path=images")


def run_address(address: str, run: str, tab: str = "") -> str:
    """The page of a run in the experiment that `ui` printed the address of."""
    experiment = re.match(r".*#/experiments/\d+", address)
    assert experiment, address
    return f"{experiment.group()}/runs/{run}{tab and '/' + tab}?workflowType=machine_learning"

"""The page in a real browser: it draws, sorts, fits a phone, prints, and asks the network for nothing."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from llm2comp.reporting.dashboard.page import render
from llm2comp.reporting.tables.table import GAP
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run, write_sweep

pytestmark = pytest.mark.slow

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
PHONE = 390  # pixels
TABLE = "#ablation_memory_tokens .scroll table"


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """A headless Chromium that keeps what the page says and asks for."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed; make setup brings it")
    from selenium.webdriver.chrome.service import Service

    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver on PATH (Debian: apt install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = selenium.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of an ablation over a number with a failed run, one over long names, and other runs."""
    root = tmp_path_factory.mktemp("page") / "lightning_logs"
    folder = memory_tokens(root, {1: 0.1, 16: 0.3, 4: 0.2})
    (folder / "num_memory_tokens=4,seed=0" / "results.json").unlink()
    (folder / "num_memory_tokens=4,seed=0" / "log.txt").write_text("RuntimeError: " + "no-memory-at-all-" * 9)
    key = "model.init_args.objective"
    names = [f"llm2comp.objectives.{name}" for name in ("Distillation", "Continuation", "Reconstruction", "Llama2Vec")]
    values = {key: names, "seed_everything": [0]}
    question = "Which objective makes the better encoder at the same number of samples?"
    folder = write_sweep(root, "objective", question, ("val/retrieval_mrr", "maximize"), values)
    for i, name in enumerate(names):
        write_run(folder / name, {key: name}, numbers(0.3 - i / 20))
    for i in range(3):
        write_run(
            root / "pretrain_compress" / f"<b>2025-11-2{i}_14-03-59", {}, numbers(0.3), until=260 - 130 * (i == 1)
        )
    path = root / "dashboard.html"
    path.write_text(render(root, path).html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(driver: Any, address: str) -> Any:
    """The page, newly opened at the size of a desk, in light colours."""
    resize(driver, 1280, 900)
    emulate(driver)
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(address)
    return driver


def resize(driver: Any, width: int, height: int, mobile: bool = False) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})


def emulate(driver: Any, media: str = "", scheme: str = "light") -> None:
    # A click while the page still scrolls would miss.
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    listed = [{"name": name, "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": listed})


def draw_all(driver: Any) -> None:
    """Have each plot come into sight, and wait until it is drawn."""
    driver.set_script_timeout(60)
    driver.execute_async_script(
        """
        const done = arguments[0];
        (async () => {
          for (const canvas of document.querySelectorAll(".canvas")) {
            canvas.scrollIntoView({behavior: "instant"});
            while (!canvas.querySelector(".scatterlayer .trace")) await new Promise((go) => setTimeout(go, 20));
          }
          scrollTo({top: 0, behavior: "instant"});
          setTimeout(done, 100);
        })();
        """
    )


def column(driver: Any, number: int) -> list[str]:
    script = (
        "return [...document.querySelector(arguments[0]).tBodies[0].rows].map(row => row.cells[arguments[1]].innerText)"
    )
    return driver.execute_script(script, TABLE, number)


def heading(driver: Any, number: int) -> Any:
    return driver.execute_script(
        "return document.querySelector(arguments[0]).tHead.rows[0].cells[arguments[1]]", TABLE, number
    )


def screenshot(driver: Any, path: Path) -> np.ndarray:
    """The whole page as pixels [H, W, 3], kept at `path`."""
    size = driver.execute_script("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(taken["data"]))
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(page: Any, address: str):
    draw_all(page)
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert asked == {address}
    assert page.get_log("browser") == []


def test_every_plot_is_drawn_with_all_its_traces(page: Any, tmp_path: Path):
    draw_all(page)
    drawn = page.execute_script(
        """
        return [...document.querySelectorAll(".canvas")].map((canvas) => ({
          traces: canvas.querySelectorAll(".scatterlayer .trace").length,
          expected: JSON.parse(canvas.querySelector("script").textContent).data.length,
          width: canvas.querySelector(".main-svg").getBoundingClientRect().width,
          room: canvas.getBoundingClientRect().width,
        }));
        """
    )
    assert len(drawn) == 2 * (1 + 4)
    assert all(plot["traces"] == plot["expected"] > 0 for plot in drawn)
    assert all(plot["width"] == pytest.approx(plot["room"], abs=1) for plot in drawn)
    assert page.execute_script("return document.querySelectorAll('.errorbars path.yerror').length") > 0
    pixels = screenshot(page, tmp_path / "desk.png")
    blue = abs(pixels.astype(int) - (0x00, 0x72, 0xB2)).max(axis=-1) < 8
    assert blue.sum() > 1000


def test_a_click_on_a_heading_sorts_and_another_turns_round(page: Any):
    assert column(page, 0) == ["1", "16", "4"]  # as the sweep has them
    button = heading(page, 0).find_element("tag name", "button")
    button.click()
    assert column(page, 0) == ["1", "4", "16"]  # as numbers
    assert heading(page, 0).get_attribute("aria-sort") == "ascending"
    button.send_keys("\ue007")  # Enter
    assert column(page, 0) == ["16", "4", "1"]
    assert heading(page, 0).get_attribute("aria-sort") == "descending"
    assert "sorted by num_memory_tokens, descending" in page.find_element("id", "sorted").get_attribute("textContent")

    heading(page, 1).find_element("tag name", "button").click()
    assert column(page, 1) == ["10.0", "20.4", "30.0"]
    assert [heading(page, i).get_attribute("aria-sort") for i in (0, 1)] == ["none", "ascending"]


def test_a_desk_shows_the_overview_and_the_results_whole(page: Any):
    script = "return arguments[0].closest('.scroll').scrollWidth - arguments[0].closest('.scroll').clientWidth"
    for selector in (TABLE, "#overview table"):
        assert page.execute_script(script, page.find_element("css selector", selector)) <= 0


def test_what_is_missing_comes_last_either_way(page: Any):
    button = heading(page, 5).find_element("tag name", "button")
    button.click()
    assert column(page, 5) == ["yes", "yes", GAP]
    button.click()
    assert column(page, 5) == ["yes", "yes", GAP]


def test_a_phone_needs_no_scrolling_sideways(page: Any, address: str, tmp_path: Path):
    resize(page, PHONE, 844, mobile=True)
    page.get(address)
    page.execute_script("document.querySelectorAll('details').forEach(details => details.open = true)")
    draw_all(page)
    assert page.execute_script("return innerWidth") == PHONE
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE
    outside = page.execute_script(
        """
        const scrolls = (element) => element.closest(".scroll, .spoken, .skip, svg");
        return [...document.body.querySelectorAll("*")]
          .filter((element) => !scrolls(element) && element.getBoundingClientRect().right > innerWidth + 1)
          .map((element) => element.outerHTML.slice(0, 80));
        """
    )
    assert outside == []
    mean = heading(page, 1)
    assert mean.text.startswith("mean")
    assert page.execute_script("return arguments[0].getBoundingClientRect().right", mean) <= PHONE
    named = page.execute_script(
        """
        return [...document.querySelectorAll(".wide .canvas")].map((canvas) => [
          [...canvas.querySelectorAll(".xtick text")].filter((text) => text.checkVisibility()).length,
          JSON.parse(canvas.querySelector("script").textContent).layout.xaxis.tickvals.length,
        ]);
        """
    )
    assert named
    assert all(shown == ticks for shown, ticks in named)
    # A finger that passes over a plot scrolls the page.
    assert page.execute_script("return document.querySelectorAll('.nsewdrag.cursor-crosshair').length") == 0
    assert screenshot(page, tmp_path / "phone.png").shape[1] == PHONE


def test_paper_has_all_of_it_drawn_and_unfolded(page: Any, tmp_path: Path):
    page.execute_script(
        """
        addEventListener("beforeprint", () => {
          window.atPrint = {
            folded: document.querySelectorAll("details:not([open])").length,
            widths: [...document.querySelectorAll(".canvas")].map(
              (canvas) => canvas.querySelector(".main-svg")?.getBoundingClientRect().width ?? 0),
          };
        });
        """
    )
    folded = page.execute_script("return document.querySelectorAll('details:not([open])').length")
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False, "preferCSSPageSize": True})
    (tmp_path / "page.pdf").write_bytes(base64.b64decode(printed["data"]))
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    at_print = page.execute_script("return window.atPrint")
    assert folded > 0
    assert at_print["folded"] == 0
    assert set(at_print["widths"]) == {680, 335}
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") == folded


def test_paper_is_light_whatever_the_screen(page: Any, address: str):
    emulate(page, "print", "dark")
    page.get(address)
    assert background(page) == "rgb(255, 255, 255)"
    assert page.execute_script("return getComputedStyle(document.querySelector('.canvas')).filter") == "none"
    assert page.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert page.execute_script("return getComputedStyle(document.querySelector('.legend')).breakInside") == "avoid"
    emulate(page, "screen", "dark")
    assert background(page) != "rgb(255, 255, 255)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: Any, address: str, scheme: str):
    emulate(page, "screen", scheme)
    page.get(address)
    page.execute_script("document.querySelectorAll('details').forEach(details => details.open = true)")
    pairs = page.execute_script(
        """
        const backgroundOf = (element) => {
          for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (!colour.endsWith(", 0)")) return colour;
          }
        };
        return [...document.querySelectorAll("h1, h2, h3, p, li, th, td, small, a, caption, summary, button, .count")]
          .filter((element) => element.textContent.trim() && !element.closest(".canvas"))
          .map((element) => [getComputedStyle(element).color, backgroundOf(element), element.textContent.slice(0, 40)]);
        """
    )
    assert len(pairs) > 100
    # WCAG 2.1, 1.4.3: text needs 4.5:1.
    assert [pair for pair in pairs if contrast(*pair[:2]) < 4.5] == []


def test_tables_plots_and_headings_speak_for_themselves(page: Any):
    count = page.execute_script("return document.querySelectorAll('table').length")
    assert count >= 10
    assert page.execute_script("return document.querySelectorAll('table > caption').length") == count
    assert page.execute_script("return document.querySelectorAll('th:not([scope])').length") == 0
    assert page.execute_script("return document.querySelectorAll('tbody tr:not(:has(th[scope=row]))').length") == 0
    assert page.execute_script("return document.querySelectorAll('.scroll:not([tabindex][aria-label])').length") == 0
    labels = page.execute_script(
        "return [...document.querySelectorAll('.canvas')].map(c => c.getAttribute('aria-label'))"
    )
    assert all(label.startswith("Plot of ") and "; " in label for label in labels)
    levels = page.execute_script("return [...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.execute_script("return document.documentElement.lang") == "en"


def test_the_overview_leads_to_the_ablations(page: Any):
    page.find_element("link text", "objective").click()
    assert (
        page.execute_script("return document.querySelector(location.hash).querySelector('h2').innerText") == "objective"
    )


def background(driver: Any) -> str:
    return driver.execute_script("return getComputedStyle(document.body).backgroundColor")


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.1 of two opaque CSS colours."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = np.array([float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))

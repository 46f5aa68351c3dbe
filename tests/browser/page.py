"""The page as a person uses it: tabs, boxes, buttons, and waiting for what must appear."""
from __future__ import annotations

import io
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from PIL import Image
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoAlertPresentException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

T = TypeVar("T")
PATIENCE = 180
"""Seconds to wait for anything: a loaded machine with two cores must not fail the suite."""

_AIM = """
const [element, done] = arguments;
window.arrived = false;
element.addEventListener("click", () => { window.arrived = true; }, { capture: true, once: true });
element.scrollIntoView({ block: "center", inline: "nearest" });
const place = () => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [x, y, width, height].join();
};
let last = place(), still = 0;
const look = () => {
    still = place() === last ? still + 1 : 0;
    last = place();
    if (still === 3) done(); else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Waits until an element has stood still in the middle of the window for three frames, and notes a click on it."""


class Page:
    """One browser that looks at the page."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver, self.url = driver, url
        driver.set_script_timeout(PATIENCE)

    def open(self, query: str = "") -> None:
        """Opens or reloads the page and waits until the form holds the last settings."""
        self.driver.get(self.url + query)
        self.until("the restored form", lambda: self.driver.find_elements(
            By.CSS_SELECTOR, "#train_lora_tab:not([inert]) #train_lora_restored b"))

    def until(self, what: str, condition: Callable[[], T]) -> T:
        """Waits until a condition gives something true and returns it."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.2, [StaleElementReferenceException])
        try:
            return wait.until(lambda _: condition())
        except TimeoutException:
            pytest_text = self.driver.find_element(By.TAG_NAME, "body").text
            raise AssertionError(f"Waited {PATIENCE} s for {what}. The page says:\n{pytest_text}") from None

    def see(self, selector: str) -> WebElement:
        """Waits for a visible element."""
        return self.until(selector, lambda: next(
            (e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None))

    def text(self, selector: str) -> str:
        """Text of an element as shown, "" while there is none."""
        texts = self.texts(selector)
        return texts[0] if texts else ""

    def texts(self, selector: str) -> list[str]:
        """Texts of all elements as shown; read again when the page draws them anew meanwhile."""
        return self.until(f"the texts of {selector}", lambda: (
            [found.text for found in self.driver.find_elements(By.CSS_SELECTOR, selector)],))[0]

    def count(self, selector: str) -> int:
        """How many elements there are, seen or not."""
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def aim(self, element: WebElement) -> None:
        """Waits until an element stands still in the middle of the window."""
        self.driver.execute_async_script(_AIM, element)

    def click(self, target: str | Callable[[], WebElement], what: str = "it") -> None:
        """Clicks a visible element once: as soon as it stands still, and again only if the click has not reached it.

        What the server answers may push the element from under the pointer, as it may for a person, who then aims anew.
        """
        find = (lambda: self.see(target)) if isinstance(target, str) else target
        self.until(f"a click on {target if isinstance(target, str) else what}", lambda: self._hit(find()))

    def _hit(self, element: WebElement) -> bool:
        """Aims at an element and clicks; returns whether the click arrived."""
        self.aim(element)
        try:
            element.click()
            return self.driver.execute_script("return window.arrived") is True
        except (ElementClickInterceptedException, ElementNotInteractableException):  # covered or gone for a moment
            return False

    def agree(self, name: str) -> None:
        """Presses a button that asks back, and says yes."""

        def agreed() -> bool:
            button = self.see(f"#{name}")
            self.aim(button)
            button.click()
            try:
                self.driver.switch_to.alert.accept()
            except NoAlertPresentException:
                return False
            return True

        self.until(f"the question of {name}", agreed)

    def tab(self, name: str) -> None:
        """Opens the tab of this element id."""
        self.click(f"#{name}-button")
        self.see(f"#{name}")

    def unfold(self, group: str) -> None:
        """Opens a fold by its element id."""
        self.see(f"#{group} > .label-wrap")
        if not self.count(f"#{group} > .label-wrap.open"):
            self.click(f"#{group} > .label-wrap")
        self.see(f"#{group} > .label-wrap.open")

    def disclose(self, selector: str) -> None:
        """Opens a `details` by its `summary`."""
        opened = "return document.querySelector(arguments[0])?.parentElement.open"
        self.see(selector)
        if not self.driver.execute_script(opened, selector):
            self.click(selector)
        self.until(f"{selector} to be open", lambda: self.driver.execute_script(opened, selector))

    def uncover(self, name: str) -> None:
        """Opens the folds in which a control stands, the outermost first."""
        self.driver.execute_script("""
            const closed = [];
            for (let node = document.getElementById(arguments[0]); node; node = node.parentElement)
                closed.unshift(...node.querySelectorAll(":scope > .label-wrap:not(.open)"));
            closed.forEach((fold) => fold.click());""", name)

    def box(self, name: str) -> WebElement:
        """The box to type into, by the control's element id."""
        self.uncover(name)
        return self.see(f"#{name} :is(textarea, input:not([type=range]):not([type=checkbox]))")

    def put(self, name: str, text: str) -> WebElement:
        """Types a text into a control in place of what is there."""
        box = self.box(name)
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(text if text else Keys.DELETE)
        self.until(f"{text!r} in {name}", lambda: self.value(name) == text)
        return box

    def value(self, name: str) -> str:
        """What a control's box holds, seen or not."""
        found = self.driver.find_elements(
            By.CSS_SELECTOR, f"#{name} :is(textarea, input:not([type=range]):not([type=checkbox]))")
        return (found[0].get_attribute("value") or "") if found else ""

    def press(self, name: str) -> None:
        """Presses a button by its element id."""
        self.click(f"#{name}")

    def ctrl_enter(self, box: WebElement) -> None:
        """Presses Ctrl+Enter in a box."""
        box.send_keys(Keys.CONTROL, Keys.ENTER)

    def keys(self, *keys: str) -> None:
        """Presses keys, wherever the keyboard is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self, attribute: str) -> str:
        """An attribute of the element with the keyboard, "" where it has none."""
        return self.driver.execute_script("return document.activeElement.getAttribute(arguments[0]) || ''", attribute)

    @property
    def run(self) -> dict[str, Any]:
        """The state that the run view is drawn from."""
        state: dict[str, Any] = self.driver.execute_script("return window.trainLora.run.state")
        return state

    def draw(self, prompt: str, keys: bool = False) -> Image.Image:
        """Generates with a prompt and returns the picture shown, once its infotext is there."""
        box = self.put("txt2img_prompt", prompt)
        self.driver.execute_script("arguments[0].value = ''", self.box("txt2img_infotext"))
        if keys:
            self.ctrl_enter(box)
        else:
            self.press("txt2img_generate")
        self.until(f"the picture of {prompt!r}", lambda: self.value("txt2img_infotext").startswith(prompt))
        source = self.see("#txt2img_gallery img").get_attribute("src") or ""
        with urllib.request.urlopen(source) as answer:
            return Image.open(io.BytesIO(answer.read())).convert("RGB")

    def complaints(self) -> list[str]:
        """Errors in the browser's console."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def foreign(self) -> list[str]:
        """Addresses of other servers that the page has asked for anything."""
        names: list[str] = self.driver.execute_script(
            "return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [name for name in names if not name.startswith((self.url, "data:", "blob:"))]

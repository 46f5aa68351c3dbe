"""The page of a real WebUI as a person uses it: its tabs, its txt2img, and our tab in it."""
from __future__ import annotations

import io
import time
from pathlib import Path

from PIL import Image
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.page import Page
from tests.hosts.real.server import Server

TXT2IMG = {"txt2img_steps": "4", "txt2img_width": "64", "txt2img_height": "64", "txt2img_cfg_scale": "5",
           "txt2img_seed": "7"}
_READY = """const app = window.gradioApp ? gradioApp() : document;
return Boolean(app.querySelector('#txt2img_generate') && app.querySelector('#train_lora_generate'));"""


class HostPage(Page):
    """One browser that looks at a WebUI's page."""

    def __init__(self, driver: WebDriver, server: Server) -> None:
        super().__init__(driver, server.url + "/")
        self.server = server

    def open(self, query: str = "") -> None:
        """Opens or reloads the page and waits until txt2img and our form are there."""
        self.driver.get(self.url + query)
        self.until("the page", lambda: self.driver.execute_script(_READY))
        self.until("the restored form", lambda: self.driver.find_elements(
            By.CSS_SELECTOR, "#train_lora_tab:not([inert]) #train_lora_restored b"))

    def tab(self, name: str) -> None:
        """Opens the tab of this element id; gradio 3 and 4 mark its button in their own ways."""
        self.click(lambda: self.until(f"the tab {name}", lambda: self._tab_button(name)), name)
        self.see(f"#{name}")

    def _tab_button(self, name: str) -> WebElement | None:
        found = self.driver.find_elements(By.CSS_SELECTOR, f"#{name}-button")
        if found:
            return found[0]
        titles = {"tab_txt2img": "txt2img", "tab_train_lora": "Train LoRA", "tab_settings": "Settings",
                  "tab_lora_workbench": "LoRA Workbench"}
        buttons = self.driver.find_elements(By.CSS_SELECTOR, "#tabs > .tab-nav > button")
        return next((button for button in buttons if button.text.strip() == titles[name]), None)

    def set_txt2img(self) -> None:
        """Fills the txt2img tab with small, repeatable settings."""
        self.tab("tab_txt2img")
        for name, value in TXT2IMG.items():
            self.put(name, value)

    def generate(self, prompt: str) -> Image.Image:
        """Presses Generate and returns the picture the host has saved."""
        before = set(self._saved())
        self.put("txt2img_prompt", prompt)
        self.press("txt2img_generate")
        self.until(f"the picture of {prompt!r}", lambda: set(self._saved()) - before)
        self.until("the end of the generation", lambda: not self._visible("#txt2img_interrupt"))
        time.sleep(0.5)
        [file] = set(self._saved()) - before
        self.see("#txt2img_gallery img")
        with Image.open(io.BytesIO(file.read_bytes())) as picture:
            colours = picture.convert("RGB")  # Forge and reForge hide the infotext in the last bit of an alpha channel
            colours.info = dict(picture.info)
            return colours

    def _visible(self, selector: str) -> bool:
        return any(element.is_displayed() for element in self.driver.find_elements(By.CSS_SELECTOR, selector))

    def _saved(self) -> list[Path]:
        files = (self.server.home / "outputs" / "txt2img-images").rglob("*.png")
        return [file for file in files if file.stat().st_size > 0]

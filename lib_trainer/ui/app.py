"""What the page is given: a host and its jobs. `bootstrap` makes one; tests and CI make their own."""
from __future__ import annotations

from typing import Protocol

from lib_trainer.host import Host
from lib_trainer.jobs import Jobs
from lib_trainer.txt2img_host import Txt2ImgHost


class App(Protocol):
    """A host that can be trained on and the one place where trainings start."""

    @property
    def host(self) -> Host: ...

    @property
    def jobs(self) -> Jobs: ...


class EmbeddedApp(App, Protocol):
    """An app whose page is ours altogether, txt2img included."""

    @property
    def host(self) -> Txt2ImgHost: ...

"""Double of the WebUIs' job: what runs now and how far it is."""
from __future__ import annotations

import time
from datetime import datetime
from typing import Any


class State:
    skipped = False
    interrupted = False
    stopping_generation = False
    job = ""
    job_no = 0
    job_count = 0
    processing_has_refined_job_count = False
    job_timestamp = "0"
    sampling_step = 0
    sampling_steps = 0
    current_latent: Any = None
    current_image: Any = None
    current_image_sampling_step = 0
    id_live_preview = 0
    textinfo: str | None = None
    time_start: float | None = None
    server_command: str | None = None

    def begin(self, job: str = "(unknown)") -> None:
        self.job, self.job_no, self.job_count = job, 0, -1
        self.processing_has_refined_job_count = False
        self.job_timestamp = datetime.now().strftime("%Y%m%d%H%M%S")
        self.time_start = time.time()
        self.sampling_step = self.current_image_sampling_step = self.id_live_preview = 0
        self.current_latent = self.current_image = self.textinfo = None
        self.skipped = self.interrupted = self.stopping_generation = False

    def end(self) -> None:
        self.job, self.job_count = "", 0

    def nextjob(self) -> None:
        self.job_no += 1
        self.sampling_step = self.current_image_sampling_step = 0

    def skip(self) -> None:
        self.skipped = True

    def interrupt(self) -> None:
        self.interrupted = True

    def request_restart(self) -> None:
        self.interrupt()
        self.server_command = "restart"

    def stop_generating(self) -> None:
        self.stopping_generation = True

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image
        self.id_live_preview += 1

    def set_current_image(self) -> None:
        if self.current_latent is not None:
            self.do_set_current_image()

    def do_set_current_image(self) -> None:
        self.current_image_sampling_step = self.sampling_step

    def dict(self) -> dict[str, Any]:
        names = ("skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp", "job_no",
                 "sampling_step", "sampling_steps")
        return {name: getattr(self, name) for name in names}

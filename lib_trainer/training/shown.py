"""What the host's own job display says of a run: how far it is and one line of text, made from the run's events."""
from __future__ import annotations

from lib_trainer.host import JobDisplay
from lib_trainer.training.events import (
    Cached,
    Continued,
    Event,
    Finished,
    Paused,
    PhaseStarted,
    Previewed,
    Saved,
    Started,
    Stepped,
    Worked,
)

_DOING = {"pictures": "Looking at the pictures", "latents": "Caching latents", "captions": "Caching captions"}


class Shown:
    """Passes events on to a display; knows how far the run is when an event does not say."""

    def __init__(self, display: JobDisplay) -> None:
        self._display = display
        self._total = 0
        self._part = ""

    def show(self, event: Event) -> None:
        """Shows an event; those that change nothing to be seen are passed over."""
        if isinstance(event, PhaseStarted):
            self._part = f"{event.place} of {event.of}: {event.title}. "
            self._display.show(0, 0, self._part)
        elif isinstance(event, Started):
            self._total = event.total_steps
            self._display.show(0, self._total, f"{self._part}Training {event.name} on {event.model}")
        elif isinstance(event, Worked):
            self._display.show(event.done, event.total, f"{self._part}{event.what}: {event.done}/{event.total}")
        elif isinstance(event, Cached):
            self._display.show(event.done, event.total, f"{_DOING[event.what]}: {event.done}/{event.total}")
        elif isinstance(event, Stepped):
            self._display.show(event.step, event.total, self._part + event.text)
        elif isinstance(event, Previewed):
            self._display.show(event.step, self._total, f"Previews of step {event.step}")
        elif isinstance(event, Saved):
            self._display.show(event.step, self._total, f"Saved {event.name}")
        elif isinstance(event, Paused):
            self._display.show(event.step, self._total, event.reason)
        elif isinstance(event, (Continued, Finished)):
            self._display.show(event.step, self._total, "Training goes on" if isinstance(event, Continued) else "Done")

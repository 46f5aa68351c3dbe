"""Words of the setting `resume`; standard library only, for callers that must not load torch."""
from __future__ import annotations

AUTO = "auto"
"""The newest run of the name in the settings, or a new one."""

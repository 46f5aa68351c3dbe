"""The Train LoRA tab in AUTOMATIC1111, Forge and reForge: the host's callbacks, handed on to the package.

The host has this extension's folder on `sys.path` only while it loads this file, so the package is imported here; what
the package imports later it finds through itself.
"""
from __future__ import annotations

from modules import script_callbacks

from lib_trainer import bootstrap

script_callbacks.on_ui_tabs(bootstrap.webui_tabs)
script_callbacks.on_ui_settings(bootstrap.webui_settings)
script_callbacks.on_app_started(bootstrap.webui_routes)

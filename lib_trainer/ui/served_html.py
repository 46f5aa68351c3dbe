"""Makes gradio's page stand alone: our scripts and styles go in, addresses of other servers go out.

gradio 4.40 names Google's font servers and a script on a public CDN in its HTML; offline they delay the page, online
they tell others that it was opened. It has no setting for them, so the HTML is changed while it is served.
"""
from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

_FOREIGN = re.compile(
    r"<link\b[^>]*\bhref=\"https?://[^>]*>|<script\b[^>]*\bsrc=\"https?://[^>]*>\s*</script>", re.DOTALL
)


class ServedHtml:
    """ASGI middleware over the page at "/"; every other answer passes untouched, streams included."""

    def __init__(self, app: AsgiApp, scripts: Sequence[Path], styles: Sequence[Path]) -> None:
        """Wraps `app`; the files are read at every request, so an edited one acts after a reload of the page."""
        self._app, self._scripts, self._styles = app, scripts, styles

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in ("", "/"):
            await self._app(scope, receive, send)
            return
        head: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            if message["type"] != "http.response.body":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(head, b"".join(parts), send)

        await self._app(scope, receive, collect)

    async def _finish(self, head: Message, body: bytes, send: Send) -> None:
        headers = [(name, value) for name, value in head["headers"] if name.lower() != b"content-length"]
        if any(name.lower() == b"content-type" and b"html" in value for name, value in headers):
            body = self._changed(body.decode("utf8")).encode("utf8")
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**head, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _changed(self, html: str) -> str:
        ours = "".join(f"<style>{path.read_text(encoding='utf8')}</style>" for path in self._styles)
        ours += "".join(f"<script>{path.read_text(encoding='utf8')}</script>" for path in self._scripts)
        return _FOREIGN.sub("", html).replace("</head>", ours + "</head>", 1)

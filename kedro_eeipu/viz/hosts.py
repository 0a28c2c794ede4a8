"""Which names the server answers to.

A page on the internet can let its own name lead to this machine (DNS rebinding), and would then
read what is served here from its visitor's browser. The browser still says by which name it asks.
Starlette's own middleware for this cannot read IPv6 addresses.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

__all__ = ["OnlyOurHosts"]


class OnlyOurHosts:
    """Refuses requests that name another host than this machine.

    Addresses are answered: no name leads to them that could be somebody else's.

    Args:
        app: The ASGI application.
        host: The name or address that it is served on.
    """

    def __init__(self, app: Any, host: str) -> None:
        self._app = app
        self._names = {host.lower(), "localhost", socket.gethostname().lower()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_ours(scope["headers"]):
            await self._app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        refusal = PlainTextResponse("Invalid host header", status_code=400)
        await refusal(scope, receive, send)

    def _is_ours(self, headers: Any) -> bool:
        hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
        if len(hosts) != 1:
            return False
        name = _without_port(hosts[0]).lower().rstrip(".")
        return name in self._names or _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

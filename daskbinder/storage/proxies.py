"""The proxies that the environment names, for requests of aiohttp: to sites and to buckets.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` mean what they mean to curl; no host
is spared, loopback neither, unless ``NO_PROXY`` names it. aiohttp's own ``trust_env`` would also
send each host what ~/.netrc holds for it: nobody who names a proxy asked for that, and requests
that already have a token fail of it. Who wants it says so, by a storage option.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

from aiohttp import ClientHandlerType, ClientHttpProxyError, ClientRequest, ClientResponse
from yarl import URL

from daskbinder.errors import InputError

_SCHEMES = ("http", "https")
_WANTS_USER, _FORBIDDEN = 407, 403
_OWN = {"proxy", "trust_env", "middlewares"}
"""Arguments of a session by which a user says which proxies there are."""


def heeding_proxies(session: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the arguments of a session that it heeds the environment, unless they say what to."""
    if not isinstance(session, Mapping):
        raise TypeError("arguments of a session are names and values")
    return dict(session) if _OWN & session.keys() else {"middlewares": (_send,), **session}


def proxy_of(url: URL) -> tuple[URL, dict[str, str]] | None:
    """Find the proxy for a URL, and the headers that it takes; None if there is none.

    Raises
    ------
    InputError
        When the environment names one that cannot be used.
    """
    host = url.host or ""
    if proxy_bypass(host) or proxy_bypass(f"{host}:{url.port}"):
        return None
    named = getproxies()
    text = named.get(url.scheme) or named.get("all")
    if not text:
        return None
    try:
        proxy = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in _SCHEMES or not proxy.host:  # not shown: a password may be in it
        raise InputError(
            f"{_variable(url)} names no proxy that can be used; write http://HOST:PORT or "
            "http://USER:PASSWORD@HOST:PORT, with signs of a password as %2F for /"
        )
    if proxy.user is None:
        return proxy, {}
    known = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return proxy.with_user(None), {"Proxy-Authorization": f"Basic {known}"}


async def _send(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Send a request, also each that a redirect leads to, through the proxy for its URL."""
    found = None if request.proxy else proxy_of(request.url)
    if found is None:
        return await send(request)
    proxy, headers = found
    if request.url.scheme == "http":  # the proxy reads the request itself
        request.update_proxy(proxy, None, None)
        request.headers.update(headers)
    else:
        request.update_proxy(proxy, None, headers)
    try:
        answer = await send(request)
    except ClientHttpProxyError as error:  # to a tunnel
        _raise_refusal(error.status, request.url, proxy)
        raise
    if answer.status == _WANTS_USER:  # any other status may be the host's
        answer.close()
        _raise_refusal(answer.status, request.url, proxy)
    return answer


def _raise_refusal(status: int, url: URL, proxy: URL) -> None:
    """Tell what a user can do about the answer of a proxy that lets nothing through."""
    if status == _WANTS_USER:
        raise InputError(
            f"the proxy {proxy.origin()} wants a user and a password; "
            f"give it the right ones in {_variable(url)}, as http://USER:PASSWORD@HOST:PORT"
        )
    if status == _FORBIDDEN:
        raise InputError(
            f"the proxy {proxy.origin()} lets nobody through to {url.origin()}; "
            "ask who runs it, or name the host in NO_PROXY"
        )


def _variable(url: URL) -> str:
    """Name of the variable that decides."""
    return f"{url.scheme.upper()}_PROXY" if getproxies().get(url.scheme) else "ALL_PROXY"

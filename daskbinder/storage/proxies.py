"""Proxies from environment variables, for aiohttp requests to sites and buckets.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` mean what they mean to curl: no host
is exempt, not even loopback, unless ``NO_PROXY`` names it. aiohttp's own ``trust_env`` is not used:
it also sends each host its password from ~/.netrc, which breaks requests with a token. A storage
option can still turn it on.
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
"""Session arguments with which a user chooses proxies."""


def heeding_proxies(session: Mapping[str, Any]) -> dict[str, Any]:
    """Make session arguments use the environment's proxies, unless they choose others."""
    if not isinstance(session, Mapping):
        raise TypeError("arguments of a session are names and values")
    return dict(session) if _OWN & session.keys() else {"middlewares": (_send,), **session}


def proxy_of(url: URL) -> tuple[URL, dict[str, str]] | None:
    """Proxy for a URL and the headers to send it; None if there is none.

    Raises `InputError` when the environment names one that cannot be used.
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
            "http://USER:PASSWORD@HOST:PORT, with special characters of a password as %2F for /"
        )
    if proxy.user is None:
        return proxy, {}
    known = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return proxy.with_user(None), {"Proxy-Authorization": f"Basic {known}"}


async def _send(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Send a request, original or redirected, through the proxy for its URL."""
    chosen = None if request.proxy else proxy_of(request.url)
    if chosen is None:
        return await send(request)
    proxy, headers = chosen
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
    """Raise an error that says what to do when a proxy refuses a request."""
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
    """Environment variable that names the proxy for a URL."""
    return f"{url.scheme.upper()}_PROXY" if getproxies().get(url.scheme) else "ALL_PROXY"

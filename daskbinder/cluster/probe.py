"""What answers at the address of a scheduler: asked by a plain socket, in seconds.

Dask's own client takes half a minute to say that nobody does, waits for ever for a server that
says nothing, and runs out of memory at a web server. Nothing here starts or computes anything.
"""

import ipaddress
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from distributed.security import Security

from daskbinder.errors import InputError

_PATIENCE = 5.0
"""Seconds for each answer of a server; a busy scheduler may take some."""

_LARGEST_GREETING = 1 << 20


def ask(address: str, security: Security | None = None) -> bool:
    """Make sure that a Dask scheduler answers at an address.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or ``HOST:PORT``; other kinds are not looked at.
    security : distributed.Security, optional
        Certificates; by default those of Dask's configuration.

    Returns
    -------
    bool
        Whether others could listen or join: plain TCP to another machine.

    Raises
    ------
    InputError
        When something else answers there, or nothing, with what to do about it.
    """
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in ("tcp", "tls"):
        return False
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{address} is no address ({error}); write tcp://HOST:PORT") from error
    if not host or not port:
        raise InputError(f"{address} lacks a host or a port; write tcp://HOST:8786")
    secure = _context(address, parts.scheme == "tls", security)
    with _connect(address, host, port) as plain:
        loopback = _is_loopback(plain.getpeername()[0])
        if secure is not None:
            _greet_securely(address, plain, secure)
        greeted = secure is not None or _is_greeting(_hear(plain))
    if not greeted:
        raise InputError(_who_else(address, host, port))
    return secure is None and not loopback


def is_open(address: str) -> bool:
    """Whether a scheduler of ours, at this address, can be reached by others without encryption."""
    parts = urlsplit(address)
    try:
        return parts.scheme == "tcp" and not _is_loopback(parts.hostname or "")
    except ValueError:  # a name
        return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _context(address: str, tls: bool, security: Security | None) -> ssl.SSLContext | None:
    if not tls:
        if security is not None and security.require_encryption:
            raise InputError(
                f"{address} is not encrypted, but certificates were given; write tls://HOST:PORT"
            )
        return None
    try:
        context = (security or Security()).get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        raise InputError(f"the certificates cannot be used: {error}") from error
    if context is None:
        raise InputError(
            f"{address} needs certificates; give --tls-ca, --tls-cert and --tls-key, "
            "or set distributed.comm.tls in Dask's configuration"
        )
    return context


def _connect(address: str, host: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=_PATIENCE)
    except socket.gaierror as error:
        raise InputError(f"there is no host {host}; check the address {address}") from error
    except ConnectionRefusedError as error:
        raise InputError(f"nobody listens at {address}; is the scheduler running?") from error
    except OSError as error:
        raise InputError(
            f"{address} cannot be reached ({error.strerror or error}); "
            "check the address, the network and the firewall"
        ) from error


def _hear(connected: socket.socket) -> bytes:
    """Hear what a server says first, nothing if it says nothing."""
    with suppress(TimeoutError, ConnectionError):
        return connected.recv(16)
    return b""


def _is_greeting(said: bytes) -> bool:
    """Whether these are the first bytes of a Dask server, which tells the size of what follows."""
    return len(said) >= 8 and 0 < int.from_bytes(said[:8], "little") <= _LARGEST_GREETING


def _who_else(address: str, host: str, port: int) -> str:
    """Say what listens there in place of a scheduler."""
    with _connect(address, host, port) as again, suppress(ConnectionError):
        again.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = _hear(again)
        if said.startswith(b"HTTP/"):
            return (
                f"{address} is a web server, perhaps the dashboard; "
                "give the port of the scheduler, 8786 by default"
            )
        if said.startswith(b"\x15\x03"):
            return f"{address} expects TLS; write tls:// and give the certificates"
    return (
        f"{address} accepts connections but does not answer as a Dask scheduler; "
        "check the port, and write tls:// if it is encrypted"
    )


def _greet_securely(address: str, plain: socket.socket, context: ssl.SSLContext) -> None:
    try:
        with context.wrap_socket(plain, server_hostname=None) as secure:
            said = secure.recv(16)
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"the certificate of {address} is not of the authority given ({error.verify_message}); "
            "check --tls-ca"
        ) from error
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in reason and "version" not in reason:
            raise InputError(
                f"{address} does not accept our certificate ({reason}); "
                "check --tls-cert and --tls-key"
            ) from error
        raise InputError(
            f"{address} does not speak TLS ({reason}); write tcp:// if it is not encrypted"
        ) from error
    except OSError as error:
        raise InputError(f"{address} does not answer over TLS ({error}); is it Dask's?") from error
    if not _is_greeting(said):
        raise InputError(f"{address} does not answer as a Dask scheduler; check the port")

"""A first probe of a scheduler's address: whether it is reachable, is Dask and uses TLS.

Dask's own client takes half a minute to report that nothing is listening, waits forever for a
silent server, and runs out of memory on a web server's answer.
"""

import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from distributed.security import Security

from daskbinder.errors import InputError

_MAX_GREETING = 1 << 20


def check_scheduler(
    address: str, security: Security | None = None, *, timeout: float = 5.0
) -> None:
    """Check that a Dask scheduler answers at an address.

    Certificates are by default those of Dask's configuration. `timeout` is in seconds per answer;
    a busy scheduler may need a while. Protocols other than tcp and tls are not checked.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls"):
        return
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InputError(f"{address} lacks a host or a port; write tcp://HOST:8786")
    context = _tls_context(address, security)
    try:
        plain = socket.create_connection((host, port), timeout=timeout)
    except OSError as error:
        raise InputError(
            f"cannot connect to {address} ({error.strerror or error}); "
            "check the address, the firewall, and that the scheduler is running"
        ) from error
    with plain:
        greeting = _receive(plain) if context is None else _receive_tls(address, plain, context)
    # a Dask server first sends the size of what follows
    if len(greeting) < 8 or not 0 < int.from_bytes(greeting[:8], "little") <= _MAX_GREETING:
        raise InputError(
            f"{address} does not answer as a Dask scheduler; check the port, which is 8786 by "
            "default and not that of the dashboard, and write tls:// if it is encrypted"
        )


def is_exposed(address: str) -> bool:
    """Whether a scheduler is unencrypted and reachable from other machines."""
    parts = urlsplit(address)
    if parts.scheme != "tcp":
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return True
    return not all(ip_address(sockaddr[0]).is_loopback for *_, sockaddr in found)


def _tls_context(address: str, security: Security | None) -> ssl.SSLContext | None:
    if address.startswith("tcp:"):
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


def _receive(connection: socket.socket) -> bytes:
    with suppress(TimeoutError, ConnectionError):
        return connection.recv(16)
    return b""


def _receive_tls(address: str, plain: socket.socket, context: ssl.SSLContext) -> bytes:
    try:
        with context.wrap_socket(plain, server_hostname=None) as secure:
            return secure.recv(16)
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"the certificate of {address} is not signed by the given authority "
            f"({error.verify_message}); check --tls-ca"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or str(error)
        raise InputError(
            f"no TLS connection to {address} ({reason.replace('_', ' ').lower()}); "
            "check --tls-cert and --tls-key, and write tcp:// if it is not encrypted"
        ) from error

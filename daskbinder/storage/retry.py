"""Retry requests that may yet succeed, and explain those that fail."""

import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from daskbinder.errors import InputError, JobError
from daskbinder.redaction import address_of, scrub, secrets_of
from daskbinder.storage.backend import LISTED, Changed, Storage

T = TypeVar("T")

log = logging.getLogger(__name__)

ATTEMPTS = 6
"""Attempts at a request that may yet succeed."""

FIRST_WAIT = 0.5
"""Seconds before the second attempt; each further wait is twice as long."""

_MISUSE = (TypeError, ValueError, AttributeError, LookupError, RuntimeError, AssertionError)
"""What a file system raises when given unknown options."""

_ADVICE = (
    "give an account (--storage-option token=google_default for a bucket), "
    "or check its name and its permissions"
)


class Damaged(Exception):
    """Bytes do not match the listing; a retry may fetch the right ones."""


class Explainer:
    """Explains file system errors in one sentence, without the secrets of its location."""

    def __init__(self, secret_url: str, options: Mapping[str, Any]) -> None:
        self.secret_url, self.options = secret_url, options
        self.address = address_of(secret_url)
        self.secrets = secrets_of(secret_url, options)

    def scrub(self, text: str) -> str:
        """Remove the secrets of this location, and of any URL, from a third-party message."""
        return scrub(text.replace(self.secret_url, self.address), self.secrets)

    def summary(self, error: BaseException) -> str:
        """Type and message of an error, scrubbed."""
        return self.scrub(f"{type(error).__name__}: {error}".rstrip(": "))

    def safe(self, error: BaseException) -> BaseException:
        """Copy an error without secrets, for tracebacks; the error itself if there are none."""
        if not self.secrets and self.address == self.secret_url:
            return error
        if not isinstance(error, OSError):
            return RuntimeError(self.summary(error))
        kind = type(error) if type(error).__module__ == "builtins" else OSError
        if error.errno is None:
            return kind(self.scrub(str(error)))
        names = (error.filename, None, error.filename2)
        scrubbed = (name if name is None else self.scrub(str(name)) for name in names)
        return kind(error.errno, self.scrub(error.strerror or ""), *scrubbed)

    def where(self, name: str) -> str:
        """Address of a file, or of the location itself."""
        return f"{self.address}/{name}" if name else self.address

    def refusal(self, name: str = "") -> InputError:
        """Make the permission-denied error for a file, or for the location."""
        return InputError(f"{self.where(name)} cannot be accessed: permission denied; {_ADVICE}")

    def misuse(self, error: Exception, where: str) -> InputError | None:
        """Make an error that names the storage options that may be at fault, if any."""
        given = [key for key, value in self.options.items() if value != "anon"]
        if not given or not isinstance(error, _MISUSE):
            return None
        words = set(re.findall(r"\w+", str(error)))
        named = [key for key in given if words & {key, *_keys(self.options[key])}]
        return InputError(
            f"cannot use {where} with the storage option {', '.join(named or given)} as it is "
            f"given ({self.summary(error)}); see what its file system takes"
        )


def _keys(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def with_retries(
    request: Callable[[], T], storage: Storage, explain: Explainer, name: str, verb: str
) -> T:
    """Make a request, retrying while it may yet succeed.

    `name` is the file it is about, empty for the location itself; `verb` says what happens to it:
    ``"read"``, ``"written"`` or ``"removed"``.

    Raises
    ------
    InputError, JobError
        In one sentence, when it fails for good.
    OSError
        As the system raised it but without secrets, when a retry cannot help.
    """
    where = explain.where(name)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return request()
        except (InputError, JobError):
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise explain.safe(error) from None
        except Changed as error:
            raise JobError(f"{where} {error}; run again") from error
        except Exception as error:
            safe, summary = explain.safe(error), explain.summary(error)
            if storage.is_refusal(error):
                raise explain.refusal(name) from safe
            if isinstance(error, Damaged) and storage.is_local:
                raise JobError(f"{where} {LISTED}; run again") from error
            if not (isinstance(error, Damaged) or storage.is_transient(error)):
                if isinstance(error, OSError | MemoryError):
                    raise safe from None
                failed = JobError(f"{where} could not be {verb} ({summary})")
                raise (explain.misuse(error, where) or failed) from safe
            if attempt == ATTEMPTS:
                raise JobError(
                    f"{where} could not be {verb} in {attempt} attempts ({summary}); "
                    "run again later"
                ) from safe
        wait = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        log.warning(
            "%s: attempt %d of %d failed (%s), again in %.1f s",
            *(where, attempt, ATTEMPTS, summary, wait),
        )
        time.sleep(wait)
    raise AssertionError

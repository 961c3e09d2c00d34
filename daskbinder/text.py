"""Text of strangers as people can look at it; data keep it as it is."""

EMPTY = "(empty)"

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Signs that count as printable and show nothing."""


def visible(text: str) -> str:
    r"""Write whatever steers a terminal or cannot be seen as an escape of Python.

    Controls, those that turn the direction of writing, half surrogate pairs, separators of lines
    and spaces other than the usual one; all other text stays.

    Examples
    --------
    >>> visible("a\x1b[2J\u202eb")
    'a\\x1b[2J\\u202eb'
    """
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(map(_sign, text))


def readable(text: str, longest: int) -> str:
    """Write a name on one line, no longer than this; of one without a sign say so.

    Examples
    --------
    >>> readable("jupyter/nbviewer", 44), readable("", 44), readable("x" * 100, 5)
    ('jupyter/nbviewer', '(empty)', 'xxxx…')
    """
    shown = visible(text.strip(" ")[: longest + 1]) or EMPTY
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _sign(sign: str) -> str:
    if sign.isprintable() and sign not in _BLANK:
        return sign
    return sign.encode("unicode_escape").decode()

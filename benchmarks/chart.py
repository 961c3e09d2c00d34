"""A line chart as SVG text: nothing to install, nothing to fetch, the same bytes every time."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 36, 46
COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#8d6a4f", "#00798c", "#555555")


def line_chart(
    title: str,
    unit: str,
    labels: Sequence[str],
    lines: Mapping[str, Sequence[float | None]],
) -> str:
    """Draw lines over labelled points, from zero.

    Parameters
    ----------
    title, unit : str
        What is shown, and in what.
    labels : sequence of str
        Of the points, in order.
    lines : mapping of str to sequence
        A value for each label; None leaves a gap.

    Returns
    -------
    str
        One SVG document.
    """
    highest = max((y for line in lines.values() for y in line if y is not None), default=1.0) or 1.0
    step = _nice(highest / 4)
    top = step * -(-highest // step)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(i: int) -> float:
        return round(LEFT + wide * (i / (len(labels) - 1) if len(labels) > 1 else 0.5), 1)

    def y(value: float) -> float:
        return round(TOP + high * (1 - value / top), 1)

    parts = [_text(LEFT, 18, f"{title} ({unit})", size=13)]
    for i in range(round(top / step) + 1):
        at = y(i * step)
        parts.append(f'<path d="M{LEFT} {at}H{LEFT + wide}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, at + 4, f"{i * step:g}", anchor="end"))
    every = max(1, -(-len(labels) // 8))
    for i, label in enumerate(labels):
        if i % every == 0 or i == len(labels) - 1:
            parts.append(_text(x(i), HEIGHT - BOTTOM + 18, label, anchor="middle"))
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(x(i), y(value)) for i, value in enumerate(line) if value is not None]
        path = " ".join(f"{px},{py}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>' for px, py in points]
        at = TOP + 16 * number
        parts.append(f'<path d="M{LEFT + wide + 14} {at}h14" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(LEFT + wide + 34, at + 4, name))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif"><title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="#333" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _nice(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(power * by for by in (1, 2, 5, 10) if power * by >= step)

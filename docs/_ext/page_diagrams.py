"""Diagrams of the documentation as SVG in a page, in its colours: data flow, the loop, the rooms.

What a regime trains on is asked of the regime, and the rooms are read from ``pyproject.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from collapse.regimes import NAMED, Regime

PROJECT = Path(__file__).parents[2]
#: Number of iterations in a picture of a regime, and n.
ITERATIONS, SAMPLES = 5, 100
#: Colours of real data, and of the synthetic data of models 1, 2, ..., in light and dark pages.
REAL = "#1b7f5c"
SYNTHETIC = ("#f2b134", "#ec8b32", "#d9622b", "#b23a2e", "#7d2230")
#: Regimes that are shown beside the named ones.
SHOWN = {
    **NAMED,
    "window": Regime(keep_real=True, memory=2),
    "fresh": Regime(keep_real=False, memory=1, generate="0.5n", fresh_real="0.5n"),
}


def _svg(width: int, height: int, parts: Iterable[str], label: str) -> str:
    """Return a picture that is as wide as it may be, with its text in the colour of the page."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(label)}" fill="currentColor" font-family="inherit" font-size="13">'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _box(
    x: float, y: float, width: float, height: float, fill: str = "none", opacity: float = 1
) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" '
        f'fill-opacity="{opacity:g}" stroke="currentColor" stroke-opacity="0.55"/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str = "middle", size: int = 13, **style: str
) -> str:
    given = "".join(f' {key}="{value}"' for key, value in style.items())
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}{given}>{escape(text)}</text>"


def _arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    path = "L".join(f"{x:g} {y:g}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<path d="M{path}" fill="none" stroke="currentColor" stroke-width="1.3"{dash} '
        'marker-end="url(#head)"/>'
    )


def regime(name: str) -> str:
    """Return what each iteration of a regime trains on: a column a model, its training set below.

    The height of a part is the number of its samples. A pool of which a part is drawn is paler.
    """
    value, unit, wide, gap = SHOWN[name], 24, 64, 30
    sizes = value.pool_sizes(ITERATIONS, SAMPLES)
    base = 62 + unit * max(sizes) / SAMPLES
    parts = []
    for t, pool_size in enumerate(sizes, start=1):
        x = 12 + (t - 1) * (wide + gap)
        size, y = value.training_size(t, SAMPLES, pool_size), base
        opacity = 1 if size == pool_size else 0.4
        for source in value.pool(t, SAMPLES):
            height = unit * source.size / SAMPLES
            real = source.kind != "synthetic"
            fill = REAL if real else SYNTHETIC[source.iteration - 1]
            y -= height
            parts.append(_box(x, y, wide, height, fill, opacity))
            if height >= 11:
                written = {"real": "real", "fresh": "fresh real"}.get(
                    source.kind, f"model {source.iteration}"
                )
                dark = "#fff" if real or source.iteration > 2 else "#222"
                ink = dark if opacity == 1 else "currentColor"
                parts.append(_text(x + wide / 2, y + height / 2 + 4, written, size=11, fill=ink))
        parts.append(_text(x + wide / 2, base + 16, f"t = {t}"))
        told = f"{size / SAMPLES:g} n"
        if size != pool_size:
            told += f" of {pool_size / SAMPLES:g} n"
        parts.append(_text(x + wide / 2, base + 32, told, size=11, opacity="0.75"))
        parts.append(_box(x + 8, 8, wide - 16, 24))
        parts.append(_text(x + wide / 2, 24, f"model {t}", size=11))
        parts.append(_arrow((x + wide / 2, y - 3), (x + wide / 2, 35)))
        if t < ITERATIONS and value.generated(t + 1, SAMPLES):
            middle = x + wide + gap / 2
            top = base - unit * sizes[t] / SAMPLES
            end = (x + wide + gap - 2, top + 10)
            parts.append(_arrow((x + wide - 6, 20), (middle, 20), (middle, end[1]), end))
    width = 12 * 2 + ITERATIONS * wide + (ITERATIONS - 1) * gap
    return _svg(width, int(base + 40), parts, f"Training sets under {name}")


def loop() -> str:
    """Return the loop of a chain: what happens between two models."""
    steps = ["model t", "candidates", "shard t", "pool", "training set", "model t + 1"]
    arrows = ["generate", "select", "join", "draw, weigh", "train"]
    wide, gap, top = 84, 62, 46
    parts = []
    for index, step in enumerate(steps):
        x = 8 + index * (wide + gap)
        fill = "none" if "model" in step else SYNTHETIC[0] + "55"
        parts += [_box(x, top, wide, 34, fill), _text(x + wide / 2, top + 21, step, size=12)]
        if index < len(arrows):
            start = x + wide
            parts.append(_arrow((start + 2, top + 17), (start + gap - 3, top + 17)))
            parts.append(_text(start + gap / 2, top + 9, arrows[index], size=10))
    pool, end = 8 + 3 * (wide + gap) + wide / 2, 8 + 5 * (wide + gap) + wide / 2
    parts += [
        _box(pool - wide / 2, top + 74, wide, 34, REAL + "55"),
        _text(pool, top + 95, "real data", size=12),
        _arrow((pool, top + 72), (pool, top + 37)),
        _box(end - wide / 2, top + 74, wide, 34, REAL + "55"),
        _text(end, top + 95, "real test data", size=12),
        _arrow((end, top + 72), (end, top + 37), dashed=True),
        _text(end - 8, top + 60, "evaluate", "end", size=10),
        _arrow((end, top - 2), (end, 14), (50, 14), (50, top - 3), dashed=True),
        _text((50 + end) / 2, 10, "t becomes t + 1", size=10),
    ]
    return _svg(int(end + wide / 2 + 10), top + 116, parts, "The loop between two models")


def rooms() -> str:
    """Return the rooms of the package: each may import those below it, and none beside it."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    wide, high = 520, 36
    parts = []
    for row, layer in enumerate(layers):
        names = [name.strip() for name in layer.split("|")]
        each = (wide - 10 * (len(names) - 1)) / len(names)
        y = 6 + row * (high + 14)
        for column, name in enumerate(names):
            x = 20 + column * (each + 10)
            parts += [
                _box(x, y, each, high, SYNTHETIC[0] + "33"),
                _text(x + each / 2, y + 23, name, size=14),
            ]
        if row + 1 < len(layers):
            parts.append(_arrow((20 + wide / 2, y + high + 1), (20 + wide / 2, y + high + 12)))
    return _svg(wide + 40, 6 + len(layers) * (high + 14), parts, "The rooms of the package")


DIAGRAMS: dict[str, Callable[..., str]] = {"regime": regime, "loop": loop, "rooms": rooms}

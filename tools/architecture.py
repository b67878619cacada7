"""Draw the rooms of ganlib and the imports between them, from the files: docs/architecture.svg.

    python tools/architecture.py            write the drawing
    python tools/architecture.py --check    only say whether it is out of date (exit status 1)

Rooms stand on floors; a file imports its own room and rooms on lower floors. An arrow is as wide as
the number of imports that it stands for.
"""

import ast
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "ganlib"
PLACES = {  # floor, counted from the top, and the left edge of the box
    "front door": (0, 395),
    "games": (1, 60),
    "run": (2, 395),
    "keep": (3, 60),
    "lab": (3, 760),
    "show": (4, 230),
    "judge": (5, 510),
    "game": (6, 160),
    "data": (6, 700),
    "lessons": (7, 20),
    "nets": (7, 270),
    "machine": (7, 600),
}
COLOURS = {
    "front door": "#9aa5b1",
    "games": "#5b6c2a",
    "run": "#c2541b",
    "keep": "#7a5195",
    "lab": "#2f8f5b",
    "show": "#b8860b",
    "judge": "#1f6fb2",
    "game": "#a23b72",
    "data": "#3d8b8b",
}
ABOUT = {
    "front door": "the public names, the command line",
    "games": "translation, words, clips, flows",
    "run": "the loop, train, history, recipes",
    "keep": "checkpoints, export",
    "lab": "explorer, stepper, latent space",
    "show": "pictures, curves, live view",
    "judge": "metrics, evaluate, doctor",
    "game": "players, moves, objectives",
    "data": "images, batches, loading",
    "lessons": "the exercises",
    "nets": "generators, discriminators",
    "machine": "device, processes, randomness",
}
WIDTH, BOX, HEIGHT, STEP = 1000, 210, 58, 118
INK, FILL = "#1d2733", "#f2f5f9"


def room_of(file):
    parts = file.relative_to(HOUSE).parts
    return parts[0] if len(parts) > 1 else "front door"


def arrows():
    """Return how many imports lead from each room to each other one, as a Counter of (from, to)."""
    found = Counter()
    for file in sorted(HOUSE.rglob("*.py")):
        package = list(file.relative_to(HOUSE).parts[:-1])
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1] + (
                    node.module.split(".") if node.module else []
                )
                for name in node.names:
                    place = (base + [name.name])[0]
                    if (HOUSE / place).is_dir() and place != room_of(file):
                        found[room_of(file), place] += 1
    return found


def drawing():
    """Return the drawing as the text of an SVG file."""
    places = {room: (x, 16 + floor * STEP) for room, (floor, x) in PLACES.items()}
    files = Counter(
        room_of(file)
        for file in HOUSE.rglob("*.py")
        if file.name != "__init__.py" or file.parent == HOUSE
    )
    height = max(y for _, y in places.values()) + HEIGHT + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" role="img" '
        'aria-label="The rooms of ganlib, and the imports between them">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *(
            f'<defs><marker id="{room.split()[0]}" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="8" markerHeight="8" orient="auto" markerUnits="userSpaceOnUse">'
            f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker></defs>'
            for room, colour in COLOURS.items()
        ),
    ]
    edges = arrows()
    leave, arrive = (
        {},
        {},
    )  # arrows leave a box, and arrive at one, in the order of where they go and come from
    for room in places:
        leave[room] = sorted(
            (end for start, end in edges if start == room), key=lambda end: places[end]
        )
        arrive[room] = sorted(
            (start for start, end in edges if end == room), key=lambda start: places[start]
        )
    for (start, end), count in edges.items():
        x0 = places[start][0] + BOX * (leave[start].index(end) + 1) / (len(leave[start]) + 1)
        x1 = places[end][0] + BOX * (arrive[end].index(start) + 1) / (len(arrive[end]) + 1)
        y0, y1 = places[start][1] + HEIGHT, places[end][1] - 2
        bend, colour = (y1 - y0) * 0.5, COLOURS[start]
        parts.append(
            f'<path d="M{x0:.0f} {y0:.0f}'
            f'C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}" '
            f'fill="none" stroke="{colour}" stroke-opacity="0.8" '
            f'stroke-width="{min(5, 0.8 + 0.25 * count):.1f}" '
            f'marker-end="url(#{start.split()[0]})"><title>{start} to {end}: {count}</title></path>'
        )
    for room, (x, y) in places.items():
        name = room if room == "front door" else f"{room}/"
        parts += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="7" '
            f'fill="{FILL}" stroke-width="2" stroke="{COLOURS.get(room, INK)}"/>',
            f'<text x="{x + 12:.0f}" y="{y + 24:.0f}" font-size="16" font-weight="bold" '
            f'fill="{INK}">{name}</text>',
            f'<text x="{x + BOX - 12:.0f}" y="{y + 24:.0f}" font-size="12" text-anchor="end" '
            f'fill="{INK}">{files[room]} files</text>',
            f'<text x="{x + 12:.0f}" y="{y + 45:.0f}" font-size="12" '
            f'fill="{INK}">{ABOUT[room]}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    target, now = ROOT / "docs" / "architecture.svg", drawing()
    stale = not target.exists() or target.read_text() != now
    if "--check" in sys.argv[1:]:
        print(
            "docs/architecture.svg is "
            + ("out of date: python tools/architecture.py" if stale else "up to date")
        )
        sys.exit(int(stale))
    target.write_text(now)
    print(f"docs/architecture.svg: {len(now) / 1000:.0f} KB")


if __name__ == "__main__":
    main()

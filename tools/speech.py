"""Say in Chinese what an exercise printed in English, as it would have said it itself.

The saved outputs of a translated notebook are those of the English one, which ran. What exercises
print is translated by the catalogue that they use, ganlib/lessons/zh.json.
"""

import json
import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from ganlib.lessons.words import aligned  # noqa: E402

HEAD = re.compile(r" +yours +expected")


@cache
def catalogue(language):
    """Return {sentence: the other} and [(pattern, the other)], the most definite first."""
    file = ROOT / "ganlib" / "lessons" / f"{language}.json"
    sentences = json.loads(file.read_text(encoding="utf-8"))
    patterns = []
    for sentence, other in sentences.items():
        first, *parts = re.split(r"\{([a-z]+)\}", sentence)
        pattern, seen = re.escape(first), set()
        for name, after in zip(parts[::2], parts[1::2], strict=True):
            one = r"\w+" if name == "name" else ".+?"
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{one})"
            pattern += re.escape(after)
            seen.add(name)
        if seen:
            patterns.append((len(first + "".join(parts[1::2])), re.compile(pattern), other))
    return sentences, [pattern[1:] for pattern in sorted(patterns, key=lambda p: -p[0])]


def sentence(text, language):
    """Return a sentence in the other language, or as it is if the catalogue has none like it."""
    sentences, patterns = catalogue(language)
    if text in sentences:
        return sentences[text]
    for pattern, other in patterns:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            return other.format(**{name: sentence(part, language) for name, part in parts.items()})
    return text


def spoken(text, language):
    """Return what a cell printed in the other language: sentences, a line each, and tables."""
    lines, said = text.split("\n"), []
    while lines:
        if not HEAD.fullmatch(lines[0]):
            line = lines.pop(0)
            if (other := sentence(line, language)) == line:  # perhaps a remark below a verdict
                bare = line.lstrip()
                other = line[: len(line) - len(bare)] + sentence(bare, language)
            said.append(other)
            continue
        rows = [["", *lines.pop(0).split(), ""]]
        while lines and len(row := re.split(" {2,}", lines[0].strip())) in (3, 4):
            rows.append([*row, ""][:4])
            lines.pop(0)
        said.append(aligned([[sentence(part, language) for part in row] for row in rows]))
    return "\n".join(said)

"""Names in the text of a flag, where a name may hold what stands between names.

"Blond-Gray" is Blond minus Gray, or one name with a "-" in it. Which names there are
decides: the text is read with them in every way it can be, and refused where that is more
than one. A name in double quotes is always that name; a double quote in it stands twice.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from dfcvae_tf.errors import UserError, unknown_name

QUOTING = "a name that could be read as several stands in double quotes"

# (text, place) -> what may stand there before a name, and where the name then begins.
Joint = Callable[[str, int], Iterable[tuple[str, int]]]
# (what stood before it, name) of each name.
Reading = tuple[tuple[str, str], ...]


def separated_by(*separators: str) -> Joint:
    """Returns the joint that is one of some texts, with spaces around its characters."""
    patterns = {
        separator: re.compile(
            r"\s*" + "".join(rf"{re.escape(c)}\s*" for c in separator)
        )
        for separator in separators
    }

    def joint(text: str, place: int) -> Iterator[tuple[str, int]]:
        for separator, pattern in patterns.items():
            if match := pattern.match(text, place):
                yield separator, match.end()

    return joint


def read_names(
    text: str,
    kind: str,
    known: Sequence[str],
    malformed: str,
    between: Joint,
    first: Joint | None = None,
) -> Reading:
    """Reads names, each with what stands before it.

    Args:
      text: of the flag.
      kind: of what the names are, such as "attribute".
      known: all names there are.
      malformed: what to say where a name is missing.
      between: what stands between two names.
      first: what stands before the first name; nothing when None.

    Raises:
      UserError: a name is unknown or missing, or the text can be read in several ways.
    """
    text = text.strip()
    first = first or separated_by("")
    readings = _readings(text, known, first, between)
    if not readings:
        raise _unreadable(text, kind, known, malformed, first, between)
    if len(readings) > 1:
        one, other = (
            "".join(f"{joint}{quoted(name)}" for joint, name in reading)
            for reading in readings
        )
        raise UserError(
            f"{text} can be read as {one} and as {other}; write the one that is meant, "
            "with its double quotes"
        )
    return readings[0]


def read_list(text: str, kind: str, known: Sequence[str]) -> tuple[str, ...]:
    """Reads names with commas between them; none where the text is empty.

    Raises:
      UserError: as `read_names`.
    """
    if not text.strip():
        return ()
    article = "an" if kind[0] in "aeiou" else "a"
    malformed = f"{text!r} lacks {article} {kind}; give names with commas between them"
    read = read_names(text, kind, known, malformed, separated_by(","))
    return tuple(name for _, name in read)


def quoted(name: str) -> str:
    """Returns a name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def _readings(
    text: str, known: Sequence[str], first: Joint, between: Joint
) -> list[Reading]:
    """All ways to read a text; of more than two, two."""
    # Place -> the ways to read what follows a name that ends there; from the end, so that
    # each place is looked at once.
    behind: dict[int, list[Reading]] = {len(text): [()]}

    def from_joint(joint: Joint, place: int) -> list[Reading]:
        found: list[Reading] = []
        for before, start in joint(text, place):
            for name, end in _names_at(text, start, known):
                for rest in behind[end]:
                    reading = ((before, name), *rest)
                    if reading not in found:
                        found.append(reading)
        return found[:2]

    for place in range(len(text) - 1, 0, -1):
        behind[place] = from_joint(between, place)
    return from_joint(first, 0)


def _names_at(text: str, place: int, known: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The known names that stand at a place, and where each ends."""
    if match := re.compile(r'"((?:[^"]|"")*)"').match(text, place):
        name = match[1].replace('""', '"')
        if name in known:
            yield name, match.end()
    for name in known:
        if name and text.startswith(name, place):
            yield name, place + len(name)


def _unreadable(
    text: str,
    kind: str,
    known: Sequence[str],
    malformed: str,
    first: Joint,
    between: Joint,
) -> UserError:
    """Says which name is unknown or missing, the longest known names taken first."""

    def is_end(place: int) -> bool:
        return place == len(text) or any(True for _ in between(text, place))

    joint, place = first, 0
    while True:
        starts = [start for _, start in joint(text, place)]
        if not starts:
            return UserError(malformed)
        ends = [
            end
            for start in starts
            for _, end in _names_at(text, start, known)
            if is_end(end)
        ]
        if not ends or max(ends) == len(text):
            break
        joint, place = between, max(ends)
    start = max(starts)
    end = next(end for end in range(start, len(text) + 1) if is_end(end))
    if end == start:
        return UserError(malformed)
    return unknown_name(kind, text[start:end], known)


def plain_name(text: str) -> str:
    """A text without what has a meaning in flags or as a path."""
    return re.sub(r"[^\w.+-]+", "_", text)

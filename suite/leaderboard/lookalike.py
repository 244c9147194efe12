"""Names that look like another's: Unicode's confusable characters, case, and spaces that nobody sees."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from suite.experiment.methods import methods
from suite.leaderboard.schema import Measured

ASCII = {"I": "l", "1": "l", "|": "l", "0": "o", "O": "o"}
"""What Unicode's table says of ASCII alone: letters and digits of one shape."""

PAIRS = {"rn": "m", "vv": "w", "cl": "d"}
"""Letters that look like one."""


def skeletons(text: str) -> frozenset[str]:
    """What is left of a name for the eye: names that share a skeleton look alike (after Unicode TR 39, section 4).

    Compatibility forms are composed, every character becomes the ASCII one it may be taken for, whatever has no width
    is dropped, dashes are one, and so are letters that look like another or two. Case is folded before or after: a
    capital I is taken for an l, and IMP for imp.
    """
    plain = unicodedata.normalize("NFKC", text)
    seen = "".join(_seen(c) for c in plain if not c.isspace() and unicodedata.category(c) not in ("Cf", "Mn"))
    return frozenset(_paired(_shaped(one).casefold()) for one in (seen, seen.casefold()))


def _shaped(text: str) -> str:
    return "".join(ASCII.get(character, character) for character in text)


def _paired(text: str) -> str:
    for pair, letter in PAIRS.items():
        text = text.replace(pair, letter)
    return text


@cache
def _seen(character: str) -> str:
    """The ASCII characters that one may be taken for, itself if there are none."""
    from confusable_homoglyphs.confusables import confusables_data

    if character.isascii():
        return character
    if unicodedata.category(character) == "Pd":
        return "-"
    likenesses = (str(each["c"]) for each in confusables_data.get(character, ()))
    return next((likeness for likeness in likenesses if likeness.isascii() and likeness.isalnum()), character)


def lookalikes(entry: Measured, others: Iterable[Measured]) -> Iterator[str]:
    """Names of an entry that are not another's, but look like it: its id, title and author, its method's name."""
    mine = _names(entry)
    suite_methods = [{"method": name} for name in methods()]
    for what, name in mine.items():
        theirs = {names[what] for names in (*suite_methods, *map(_names, others)) if what in names}
        for other in sorted(theirs - {name}):
            if skeletons(other) & skeletons(name):
                yield f"{what} {name!a} looks like {other!a}, which is another's: choose one that does not"


def _names(entry: Measured) -> Mapping[str, str]:
    return {
        "id": entry.id,
        "title": entry.title,
        "author": entry.author,
        "method": entry.method.settings.name,
    }

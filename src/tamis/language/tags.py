"""Language tags: read as people write them, and matched to the languages that a corpus has.

Tags keep the codes of CLSE, such as `no` and `cmn-CN`; `nb` and `zh-CN` find them by distance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tamis.core.errors import InputError, MissingExtraError

_FARTHEST = 5
"""The distance of en-GB from en; that of Danish from Norwegian is 12."""
_NO_LANGUAGE = ("art", "mis", "mul", "und", "x", "zxx")
"""Valid tags that name no language; an undetermined one would be taken for English."""


@lru_cache(maxsize=1024)
def canonical(tag: str) -> str:
    """Write a language tag in its standard form; old codes become new, and a POSIX suffix is dropped.

    Args:
        tag: Such as `ru`, `pt_BR.UTF-8`, `iw`, `eng` or `cmn-CN`.

    Raises:
        InputError: If it is no tag of a known language.
        MissingExtraError: If langcodes is not installed.

    >>> canonical("pt_br.UTF-8")
    'pt-BR'
    """
    langcodes = _langcodes()
    try:
        found = str(langcodes.standardize_tag(re.sub(r"[.@][\w.@-]*\Z", "", tag, flags=re.ASCII)))
        known = langcodes.tag_is_valid(found) and found.split("-")[0] not in _NO_LANGUAGE
    except langcodes.LanguageTagError:
        known = False
    if not known:
        raise InputError(f"{tag[:40]!a} is no language tag; expected a code such as ru, pt-BR or cmn-TW")
    return found


def closest(tag: str, known: Iterable[str]) -> str | None:
    """Find the tag that stands for the same language, or for a variety that its readers read without trouble.

    It never falls back to another language. Of tags equally close the very one asked for is
    taken, else the first in the alphabet.

    Args:
        tag: The language asked for.
        known: The tags to choose from.

    Returns:
        One of the known tags, to be shown to the user where it is not the one asked for; None if none is near.

    Raises:
        InputError: If the tag asked for is no tag of a known language.
        MissingExtraError: If langcodes is not installed.

    >>> closest("nb", ["da", "no", "sv"])
    'no'
    """
    return _closest(canonical(tag), tuple(sorted(known)))


@lru_cache(maxsize=4096)
def _closest(tag: str, known: tuple[str, ...]) -> str | None:
    langcodes = _langcodes()
    near = min(((langcodes.tag_distance(tag, one), one != tag, one) for one in known), default=None)
    return near[2] if near and near[0] <= _FARTHEST else None


def _langcodes() -> Any:
    try:
        import langcodes
    except ModuleNotFoundError as error:
        raise MissingExtraError("language tags", "language") from error
    return langcodes

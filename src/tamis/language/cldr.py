"""Names of countries, cities, months and the like in any language, from Unicode's CLDR through Babel.

Only what CLDR says in the language itself is taken, and only what can stand in a sentence: no symbols, no
abbreviations, no name with a remark in brackets. Where CLDR says nothing of a city its own rule holds, by which the
city is called as in the identifier of its time zone, so `Europe/Paris` is Paris; it is followed in languages written in
Latin letters of which CLDR names cities at all, and not for identifiers that are English or lost their accents.

Source:
    Unicode Technical Standard 35, part 4, "Time Zone Format Terminology", for the exemplar city. What is left out is
    our choice.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from tamis.core.errors import MissingExtraError
from tamis.language.corpus import MID, Corpus

PREFIX = "cldr/"
"""What the key of everything begins with that CLDR may name; its mid is MID and the key."""

_LOCALES = {"cmn-CN": "zh_Hans_CN", "cmn-TW": "zh_Hant_TW", "no": "nb"}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OLD_ZONES = {"Asia/Kathmandu": "Asia/Katmandu", "Asia/Kolkata": "Asia/Calcutta", "Europe/Kyiv": "Europe/Kiev"}
"""Zones that CLDR keeps under their old identifiers."""
_NO_CITY_NAMES = frozenset({"America/Bogota", "America/Mexico_City", "America/Sao_Paulo"})
"""Zones whose identifiers are no names of the cities: English, or without their accents."""
_NOT_IN_TEXT = re.compile(r"[()（）\[\]/°]|\.$|^[A-Za-z]?$")


class Names:
    """What CLDR calls things in one language.

    Args:
        language: A code of CLSE.

    Raises:
        MissingExtraError: If Babel is not installed.

    >>> Names("fr")["cldr/territory/DE"]
    'Allemagne'
    """

    def __init__(self, language: str) -> None:
        self._root = _fresh("root")
        self._data = _fresh(_LOCALES.get(language, language))
        own_cities = {*self._data["time_zones"]} - {*self._root["time_zones"], "Etc/Unknown"}
        named = [name for zone in own_cities if (name := self._data["time_zones"][zone].get("city"))]
        self._zones_are_names = language == "en" or any("A" <= name[0] <= "z" for name in named)

    def __getitem__(self, key: str) -> str:
        """Name a thing.

        Args:
            key: `cldr/`, the kind of thing, `/` and CLDR's code for it, such as `cldr/currency/EUR`.

        Returns:
            A name in composed form (NFC), or nothing.
        """
        _, kind, code = key.split("/", 2)
        name = unicodedata.normalize("NFC", self._find(kind, code) or "").replace("\u00ad", "")
        return "" if _NOT_IN_TEXT.search(name) else name

    def _find(self, kind: str, code: str) -> str | None:
        match kind:
            case "city":
                return self._city(code)
            case "currency":
                return self._get("currency_names", code)
            case "month":
                return self._get("months", "stand-alone", "wide", int(code))
            case "unit":
                return self._get("unit_display_names", code, "long") or self._get("unit_display_names", code, "short")
            case "weekday":
                return self._get("days", "stand-alone", "wide", _WEEKDAYS.index(code))
        return self._get({"language": "languages", "script": "scripts", "territory": "territories"}[kind], code)

    def _get(self, *path: str | int) -> str | None:
        """Follow a path in the data; what the language inherits from the root, a code or a symbol, is no name."""
        found, inherited = self._data, self._root
        for step in path:
            found, inherited = found.get(step, {}), inherited.get(step, {})
        return found if isinstance(found, str) and found != inherited else None

    def _city(self, zone: str) -> str | None:
        old = _OLD_ZONES.get(zone, zone)
        name = self._data["time_zones"].get(old, {}).get("city")
        if not self._zones_are_names:
            return name if name != self._root["time_zones"].get(old, {}).get("city") else None
        return name or (None if zone in _NO_CITY_NAMES else zone.rpartition("/")[2].replace("_", " "))


def glosses(corpus: Corpus) -> dict[str, str]:
    """Give an English name of each thing that has one: that of CLDR, else one of the corpus, without tags if it can.

    Args:
        corpus: The things.

    Returns:
        English names by mid.

    Raises:
        MissingExtraError: If a thing may have a name in CLDR and Babel is not installed.
    """
    english: dict[str, str] = {}
    for one in sorted(
        corpus, key=lambda one: any(feature.kind.startswith("name_") for feature in one.signature.features)
    ):
        if one.language == "en" and one.mid:
            english.setdefault(one.mid, one.name)
    of_cldr = sorted({one.mid for one in corpus if one.mid.startswith(MID + PREFIX)})
    if of_cldr:
        names = Names("en")
        english |= {mid: name for mid in of_cldr if (name := names[mid.removeprefix(MID)])}
    return english


def _fresh(locale: str) -> Any:
    """Read the data of a locale for ourselves.

    Babel resolves aliases in dictionaries that locales share, so one locale could leave its months to the next.
    """
    try:
        from babel import localedata
    except ModuleNotFoundError as error:
        raise MissingExtraError("names from CLDR", "language") from error
    localedata._cache.clear()
    data: Any = localedata.load(locale)
    localedata._cache.clear()
    return localedata.LocaleDataDict(data)

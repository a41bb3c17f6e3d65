"""The families there are, by name."""

from typing import Any

from data.abacus.backwards import Backwards
from data.abacus.boxes import Boxes
from data.abacus.choice import Choice
from data.abacus.clock import Clock
from data.abacus.family import Family
from data.abacus.ledger import Ledger
from data.abacus.sorting import Sorting

FAMILIES: dict[str, Family[Any]] = {
    family.name: family for family in (Ledger(), Boxes(), Sorting(), Backwards(), Clock(), Choice())
}

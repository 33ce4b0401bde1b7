"""Where docs/reference/contract.md says what a case looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq_conformance.registry import Case

__all__ = ["ROLES", "contract_of"]

ROLES: Mapping[str, str] = {"Q": "queue", "R": "results", "E": "events", "S": "schedules", "X": "several"}
"""What the letter in a case's id stands for."""

_QUEUE = "3. TaskQueue operations"
_DIFFERENCES = "9. The only permitted differences"
_ACROSS = "8. Roles on different backends"
_GENERAL = "1. Four roles"

_OF_ROLE: Mapping[str, str] = {
    "Q": _QUEUE,
    "R": "5. ResultStorage",
    "E": "6. EventStorage",
    "S": "7. ScheduleStorage",
    "X": _ACROSS,
}
_OF_FAMILY: Mapping[int, Sequence[str]] = {
    1: ("2. States", "4. Invariants: I2, I3, I4, I5, I7, I8, I9, I13, I14"),
    2: ("4. Invariants: I1, I3, I5', I6, I7, I8, I10",),
    3: (_ACROSS, "4. Invariants: I3, I9", "10. Proof obligations of the suite: 3, 4, 5"),
    4: (_DIFFERENCES,),
    5: (_GENERAL, _DIFFERENCES),
    6: ("4. Invariants: I5",),
    7: (_GENERAL, "2. States"),
    8: ("4. Invariants: I11",),
    9: (_DIFFERENCES,),
    10: ("4. Invariants: I12",),
    11: ("4. Invariants: I10",),
    12: (_DIFFERENCES,),
    13: (_GENERAL, "4. Invariants: I1, I8, I10", "10. Proof obligations of the suite: 6"),
    14: ("4. Invariants: I12, I14",),
    15: (),
}


def contract_of(case: Case) -> Sequence[str]:
    """Return the sections that a case is about, each with the invariants or obligations in it."""
    sections = [_OF_ROLE[case.id[3]], *_OF_FAMILY[case.family.number]]
    return sorted(dict.fromkeys(sections), key=lambda section: int(section.partition(".")[0]))

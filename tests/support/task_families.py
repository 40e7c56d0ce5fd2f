"""The tasks by the epochs that they have in common."""

from __future__ import annotations

FAMILIES = {
    "fdgo": "go",
    "fdanti": "go",
    "reactgo": "react",
    "reactanti": "react",
    "delaygo": "delay",
    "delayanti": "delay",
    **dict.fromkeys(("dm1", "dm2", "contextdm1", "contextdm2", "multidm"), "decide"),
    **dict.fromkeys(
        ("delaydm1", "delaydm2", "contextdelaydm1", "contextdelaydm2", "multidelaydm"), "compare"
    ),
    "dmsgo": "match",
    "dmsnogo": "match",
    "dmcgo": "category",
    "dmcnogo": "category",
}

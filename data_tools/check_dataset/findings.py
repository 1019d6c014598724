"""What the checker says: one typed record for each fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One fault of a data set.

    Attributes:
        severity: error: training would fail, or the mAP would be wrong; warning: worth a look.
        code: short name of the kind of fault, stable from version to version.
        where: file (with line) or setting.
        message: what is wrong, with an example.
        remedy: what was expected, or how to correct it.
    """

    severity: Severity
    code: str
    where: str
    message: str
    remedy: str


@dataclass
class Report:
    """Everything that was found and counted.

    Attributes:
        findings: in the order in which they were found.
        facts: what was measured: (split of the set, what, value).
        classes: examples (rows) of every action: columns id, name, train, val, evaluated.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: list[tuple[str, str, str]] = field(default_factory=list)
    classes: pd.DataFrame = field(default_factory=pd.DataFrame)

    def error(self, code: str, where: str, message: str, remedy: str) -> None:
        """Note a fault that breaks training or falsifies the mAP."""
        self.findings.append(Finding("error", code, where, message, remedy))

    def warn(self, code: str, where: str, message: str, remedy: str) -> None:
        """Note something that is worth a look."""
        self.findings.append(Finding("warning", code, where, message, remedy))

    @property
    def failed(self) -> bool:
        """Whether there is any error."""
        return any(finding.severity == "error" for finding in self.findings)

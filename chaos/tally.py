"""What was done to whom, and what came of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.audit import Finding

COLUMNS = ("injected", "survived", "lost", "doubled", "wrong")


@dataclass
class Tally:
    by_fault: dict[str, Counter[str]] = field(default_factory=dict)
    by_subject: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def injected(self) -> int:
        return sum(counts["injected"] for counts in self.by_fault.values())

    @property
    def harm(self) -> int:
        return self.injected - sum(counts["survived"] for counts in self.by_fault.values())

    def count(self, fault: str, subject: str, found: Iterable[Finding]) -> None:
        harm = Counter(finding.harm for finding in found)
        told = Counter(injected=1, survived=int(not harm)) + harm
        for table, name in ((self.by_fault, fault), (self.by_subject, subject)):
            table.setdefault(name, Counter()).update(told)

    def add(self, other: "Tally") -> None:
        for ours, theirs in ((self.by_fault, other.by_fault), (self.by_subject, other.by_subject)):
            for name, counts in theirs.items():
                ours.setdefault(name, Counter()).update(counts)


def table(title: str, rows: dict[str, Counter[str]]) -> str:
    lines = [f"| {title} | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    lines += [f"| {name} | {' | '.join(str(counts[column]) for column in COLUMNS)} |" for name, counts in rows.items()]
    return "\n".join(lines)

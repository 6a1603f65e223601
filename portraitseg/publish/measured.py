"""What was found out about one artifact, as its card keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from portraitseg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure of a set of pictures, and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Pictures of one kind."""

    pictures: int
    miou: Estimate


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of the net alone, in milliseconds, see `benchmark.Row`."""

    runtime: str
    """The library, with its version."""
    device: str
    threads: int
    runs: int
    p50_ms: float
    p90_ms: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a delegate takes of a .tflite file, see `export.delegates`."""

    taken: int
    ops: int
    """Of the file."""
    parts: int | None
    """Of the graph that the delegate runs; None where that is not known."""
    summary: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One artifact. IoUs and boundary F in percent."""

    data: str
    """Name of the set of pictures."""
    pictures: int
    miou: Estimate
    iou: Estimate
    """Of the person."""
    mae: Estimate
    boundary_f: Estimate
    subsets: Mapping[str, Subset] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)
    """Failure cases: the pictures with the lowest IoU of the person, and that IoU."""
    latency: tuple[Latency, ...]
    """One each number of threads, all artifacts taking turns in one run."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Another project's file of the same run -> time with 2 threads as a multiple of that file's."""
    bytes: int
    """Size of the file."""
    ops: Mapping[str, int]
    """Op -> how often."""
    delegates: Mapping[str, Verdict] = field(default_factory=dict)
    """Empty for other files than .tflite."""

    def ms(self, threads: int) -> float:
        """Median latency.

        Raises:
            KeyError: it was not measured with so many threads.
        """
        return {row.threads: row.p50_ms for row in self.latency}[threads]

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def parse(raw: Mapping[str, Any], source: str) -> "Measured":
        """Read what `as_json` gave.

        Args:
            raw: the values.
            source: where they stand, for the message.

        Raises:
            InputError: something is missing, or is not what it should be.
        """
        try:
            values = {**raw, **{item.name: Estimate(**raw[item.name]) for item in fields(Measured) if item.type is Estimate}}
            subsets = raw["subsets"].items()
            values["subsets"] = {name: Subset(pictures=item["pictures"], miou=Estimate(**item["miou"])) for name, item in subsets}
            values["latency"] = tuple(Latency(**item) for item in raw["latency"])
            values["delegates"] = {name: Verdict(**item) for name, item in raw["delegates"].items()}
            return Measured(**values)
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"{source} does not tell what was measured ({error!r}); measure: portraitseg benchmark --publish FOLDER --data PICTURES"
            ) from error

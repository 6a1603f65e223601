"""What it costs to leave layers of an int8 file float: both files measured side by side."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from portraitseg import benchmark, parts
from portraitseg.card import Card, card_path
from portraitseg.export.parity import Parity

RUNS = benchmark.Settings(threads=1, warmups=10, runs=60)


def table(card: Card, files: Mapping[str, tuple[Path, Parity]]) -> str:
    """IoU, size, latency and XNNPACK partitions.

    Args:
        card: of all the files.
        files: by what is said of each; its parity with the checkpoint.
    """
    paths = [path for path, _ in files.values()]
    for path in paths:
        replace(card, sha256=parts.sha256(path)).save(card_path(path))
    rows = benchmark.measure(paths, RUNS)
    lines = [f"{'':<24}  IoU drop      KB  ms (1 thread)  XNNPACK partitions"]
    for (name, (path, parity)), row in zip(files.items(), rows, strict=True):
        size, pieces = path.stat().st_size / 1024, "-" if row.partitions is None else row.partitions
        lines.append(f"{name:<24}  {parity.iou_drop:>8.2f}  {size:>6,.0f}  {row.p50_ms:>13.2f}  {pieces:>18}")
    return "\n".join(lines)

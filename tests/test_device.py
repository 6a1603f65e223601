"""The processor's name, from what kernels write of it."""

from pathlib import Path

import pytest

from portraitseg.device import device_name, has_dot_products


@pytest.mark.parametrize(
    ("cpuinfo", "name", "dot_products"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", "AMD EPYC, VNNI", True),
        ("model name\t: 12th Gen Intel(R) Core(TM)\nflags\t\t: fpu avx2 avx_vnni\n", "12th Gen Intel(R) Core(TM), VNNI", True),
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx2\n", "AMD EPYC, AVX2", False),
        ("Features\t: fp asimd asimddp\nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5, dot products", True),
        ("Features\t: fp asimd\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4", False),
        (None, "a processor", None),
    ],
)
def test_name(cpuinfo: str | None, name: str, dot_products: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path, **_: object) -> str:
        if cpuinfo is None:
            raise FileNotFoundError(path)
        return cpuinfo

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", read)
        patch.setattr("platform.processor", lambda: "a processor")
        found = device_name(), has_dot_products()
    assert found == (name, dot_products)

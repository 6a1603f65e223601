"""What a figure was measured on."""

import platform
from pathlib import Path

DOT_PRODUCTS = {"avx512_vnni": "VNNI", "avx_vnni": "VNNI", "i8mm": "I8MM", "asimddp": "dot products"}
"""Instructions that multiply bytes and sum the products, by the kernel's names: with them int8 runs faster than float."""
OTHERS = {"avx512f": "AVX-512", "avx2": "AVX2"}


def device_name() -> str:
    """The processor's name and the best of the instructions above that it has, as "AMD EPYC, VNNI".

    From /proc/cpuinfo on Linux, where boards with ARM name themselves "Model"; elsewhere the name alone.
    """
    found = _cpuinfo()
    name = found.get("model name") or found.get("Model") or platform.processor() or platform.machine()
    flags = _flags(found)
    best = next((term for flag, term in {**DOT_PRODUCTS, **OTHERS}.items() if flag in flags), None)
    return f"{name}, {best}" if best else name


def has_dot_products() -> bool | None:
    """Whether the processor has one of DOT_PRODUCTS; None where the system does not tell (other than Linux)."""
    flags = _flags(_cpuinfo())
    return bool(flags & DOT_PRODUCTS.keys()) if flags else None


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _flags(cpuinfo: dict[str, str]) -> set[str]:
    return set(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())  # x86, ARM

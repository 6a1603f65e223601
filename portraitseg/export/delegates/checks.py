"""What rules ask of an op: each function makes a check, which says what is wrong, or nothing."""

from collections.abc import Callable, Collection, Mapping

from portraitseg.export.delegates.graph import Op

Check = Callable[[Op], str]
RELUS = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
ACTIVATIONS = {**RELUS, 4: "TANH", 5: "SIGN_BIT"}
"""Numbers in the schema's enumeration ActivationFunctionType; 0: none."""


def version_above(most: int | Mapping[str, int]) -> Check:
    """A version above the newest one known: of every op, or by op (those not in the table may have any)."""

    def check(op: Op) -> str:
        limit = most if isinstance(most, int) else most.get(op.name)
        return f"version {op.version}, at most {limit} is known" if limit is not None and op.version > limit else ""

    return check


def running_types_but(allowed: Collection[str]) -> Check:
    """A tensor that is computed while running of another type than these."""

    def check(op: Op) -> str:
        found = {tensor.dtype for tensor in (*op.running, *op.outputs)} - set(allowed)
        return f"works on {', '.join(sorted(found))}; allowed: {', '.join(allowed)}" if found else ""

    return check


def input_types_but(*allowed: Collection[str]) -> Check:
    """Another number of inputs, or one of another type, than these in turn; one that is left out counts for any type."""

    def check(op: Op) -> str:
        if len(op.inputs) != len(allowed):
            return f"has {len(op.inputs)} inputs, allowed are {len(allowed)}"
        for tensor, types in zip(op.inputs, allowed, strict=True):
            if tensor and tensor.dtype not in types:
                return f"takes {tensor.dtype}, allowed: {', '.join(types)}"
        return ""

    return check


def not_constant(*numbers: int) -> Check:
    """An input, by number, that is computed while running where a constant is needed."""

    def check(op: Op) -> str:
        for number in numbers:
            tensor = op.inputs[number] if number < len(op.inputs) else None
            if tensor and not tensor.constant:
                return f"its input {number} ({tensor.name}) is computed while running, and has to be a constant"
        return ""

    return check


def inputs_but(*, running: int, constants: int | None = None, outputs: int = 1) -> Check:
    """Other numbers of inputs and outputs; None: any number of constants."""

    def check(op: Op) -> str:
        fixed = sum(tensor is not None and tensor.constant for tensor in op.inputs)
        if len(op.running) != running or (constants is not None and fixed != constants) or len(op.outputs) != outputs:
            wanted = f"{running} computed inputs" + ("" if constants is None else f", {constants} constant ones") + f", {outputs} outputs"
            return f"has {len(op.running)} computed inputs, {fixed} constant ones, {len(op.outputs)} outputs; allowed: {wanted}"
        return ""

    return check


def fused(op: Op) -> str:
    """An activation fused into the op."""
    kind = op.option("fusedActivationFunction")
    return f"{ACTIVATIONS.get(kind, kind)} is fused into it" if kind else ""


def fused_but_relu(op: Op) -> str:
    """A fused activation that is no ReLU."""
    kind = op.option("fusedActivationFunction")
    return f"{ACTIVATIONS.get(kind, kind)} is fused into it; allowed are {', '.join(RELUS.values())}" if kind and kind not in RELUS else ""


def both_flags(op: Op) -> str:
    """A resize with two ways at once of saying where pixels lie."""
    return "has both align_corners and half_pixel_centers" if op.option("alignCorners") and op.option("halfPixelCenters") else ""


def rank_above(most: int) -> Check:
    """A tensor of more dimensions."""

    def check(op: Op) -> str:
        ranks = [len(tensor.shape) for tensor in op.tensors]
        return f"has a tensor of {max(ranks)} dimensions, at most {most} are allowed" if ranks and max(ranks) > most else ""

    return check


def first(*checks: Check) -> Check:
    """The first of several things that is wrong."""
    return lambda op: next((wrong for check in checks if (wrong := check(op))), "")

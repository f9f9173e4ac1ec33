"""Call of machine code by its address, from compiled code: how a layer's own update is reached."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORD = ir.IntType(64)


@intrinsic  # type: ignore[untyped-decorator]
def call_update(
    context: Any, code: Any, n: Any, x: Any, parameters: Any, states: Any, flags: Any, active: Any,
    sent: Any,
) -> Any:  # fmt: skip
    """Call the update at address `code`: see `snnstack.dynamics.print_llvm`.

    `n` int64; all else addresses, as unsigned 64-bit numbers. Returns what the update returns.
    """
    signature = types.int64(types.int64, types.int64, *[types.uint64] * 6)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(WORD, [WORD] * 7)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return signature, generate

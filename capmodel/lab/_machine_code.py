"""What compiled loops need of the C library and of shared memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from capmodel.simulation.compiled import compiled

# linux/time.h, poll.h, asm-generic/errno.h, linux/socket.h
CLOCK_MONOTONIC = 1
EINTR, EAGAIN, ENOBUFS = 4, 11, 105
MSG_DONTWAIT = 0x40

_int, _address, _long = types.int32, types.uintp, types.int64
_clock_gettime: Any = types.ExternalFunction("clock_gettime", _int(_int, _address))
_errno_location: Any = types.ExternalFunction("__errno_location", _address())
c_poll: Any = types.ExternalFunction("poll", _int(_address, _long, _int))
c_send: Any = types.ExternalFunction("send", _long(_int, _address, _long, _int))
c_sendmmsg: Any = types.ExternalFunction("sendmmsg", _int(_int, _address, types.uint32, _int))
c_recv: Any = types.ExternalFunction("recv", _long(_int, _address, _long, _int))
c_nanosleep: Any = types.ExternalFunction("nanosleep", _int(_address, _address))
c_sched_yield: Any = types.ExternalFunction("sched_yield", _int())


def _loads(bits: int, name: str) -> Any:
    """A load that the compiler keeps where it stands: other processes write there."""

    def load(typingctx: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.load_atomic(pointer, "acquire", bits // 8)

        return getattr(types, f"uint{bits}")(types.uintp), generate

    load.__name__ = load.__qualname__ = name
    return intrinsic(load)


def _stores(bits: int, name: str) -> Any:
    """A store after everything before it, which other processes may then overwrite."""

    def store(typingctx: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = ir.IntType(bits)
            pointer = builder.inttoptr(arguments[0], kind.as_pointer())
            builder.store_atomic(arguments[1], pointer, "release", bits // 8)
            return context.get_dummy_value()

        return types.void(types.uintp, getattr(types, f"uint{bits}")), generate

    store.__name__ = store.__qualname__ = name
    return intrinsic(store)


load8, load16, load32, load64 = (_loads(bits, f"load{bits}") for bits in (8, 16, 32, 64))
store32, store64 = (_stores(bits, f"store{bits}") for bits in (32, 64))


def _call_deflate(typingctx: Any, function: Any, stream: Any, flush: Any) -> Any:
    """Call zlib's deflate() by its address: not every process has a zlib to link with."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, number = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(number, [word, number])
        target = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(target, arguments[1:])

    return types.int32(types.uintp, types.uintp, types.int32), generate


call_deflate: Any = intrinsic(_call_deflate)


@compiled
def clock(place: int) -> int:
    """Monotonic time [ns]; `place` is the address of two words to work in."""
    _clock_gettime(CLOCK_MONOTONIC, place)
    return int(load64(place)) * 1_000_000_000 + int(load64(place + 8))


@compiled
def last_error() -> int:
    """Number of the last error of the C library in this thread."""
    return int(load32(_errno_location()))

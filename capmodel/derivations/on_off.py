"""One on-off source and a finite buffer of fluid: spectral solution, loss, and its inverse."""

from __future__ import annotations

import sympy as sp

from capmodel.derivations.notation import positive

PEAK = positive("peak_rate")
DRAIN = positive("service_rate")
ALPHA = positive("leave_on")
BETA = positive("leave_off")
CAPACITY = positive("capacity")
LOSS = positive("loss")
ON_TIME = positive("on_time")
OFF_TIME = positive("off_time")

_X = sp.Symbol("x", nonnegative=True)
_ON = BETA / (ALPHA + BETA)
_OFF = ALPHA / (ALPHA + BETA)


def generator() -> sp.Matrix:
    """Matrix M of ``F' = M F``, F = (P(on, content <= x), P(off, content <= x)).

    While on the content rises at h - c, while off it falls at c:
    ``(h - c) F_on' = beta F_off - alpha F_on`` and ``-c F_off' = alpha F_on - beta F_off``.
    """
    rise = PEAK - DRAIN
    return sp.Matrix([[-ALPHA / rise, BETA / rise], [-ALPHA / DRAIN, BETA / DRAIN]])


def eigenvalue() -> sp.Expr:
    """The eigenvalue other than 0, ``z = beta/c - alpha/(h - c)`` (the trace: 0 is the other)."""
    matrix = generator()
    if sp.simplify(matrix.det()) != 0:
        raise AssertionError("one eigenvalue must be 0: the stationary states of the source")
    return matrix.trace()


def full_while_on() -> sp.Expr:
    """P(on, content = K) for z not 0.

    F = u v_0 + v v_z e^(zx) with the eigenvectors of 0 and z. Two boundary conditions: while on the
    content is never 0, F_on(0) = 0; while off never K, F_off(K) = P(off). What F_on(K) lacks to
    P(on) is the probability of being on before a full buffer.
    """
    z = eigenvalue()
    matrix = generator()
    null = sp.Matrix([BETA, ALPHA])
    other = sp.Matrix([DRAIN, PEAK - DRAIN])
    for vector, value in ((null, 0), (other, z)):
        if any(sp.simplify(entry) != 0 for entry in matrix * vector - value * vector):
            raise AssertionError("not an eigenvector")
    grown = sp.Symbol("E", positive=True)  # e^(zK)
    u, v = sp.symbols("u v")
    at_zero = sp.Eq(u * null[0] + v * other[0], 0)
    at_top = sp.Eq(u * null[1] + v * other[1] * grown, _OFF)
    (constants,) = sp.solve((at_zero, at_top), (u, v), dict=True)
    below = u * null[0] + v * other[0] * grown
    return sp.factor(_ON - below.subs(constants)).subs(grown, sp.exp(z * CAPACITY))


def _loss_off_balance() -> sp.Expr:
    return (PEAK - DRAIN) * full_while_on() / (PEAK * _ON)


def mean_backlog_on_off_fluid() -> sp.Expr:
    """Mean content: the integral of ``1 - F_on - F_off``, from 0 to K; its limit at balance.

    ``F_on + F_off = u (alpha + beta) + v h e^(zx)`` with the constants of `full_while_on`.
    """
    z, grown = sp.Symbol("z"), sp.Symbol("E")
    u, v = sp.symbols("u v")
    rise = PEAK - DRAIN
    (constants,) = sp.solve(
        (sp.Eq(u * BETA + v * DRAIN, 0), sp.Eq(u * ALPHA + v * rise * grown, _OFF)), (u, v),
        dict=True,
    )  # fmt: skip
    below = u * (ALPHA + BETA) * CAPACITY + v * PEAK * (grown - 1) / z
    mean = CAPACITY - below.subs(constants)
    off_balance = mean.subs({grown: sp.exp(z * CAPACITY)}).subs(z, eigenvalue())
    # near balance both terms grow without bound, and their difference is a series in z
    tied = {ALPHA: rise * (BETA / DRAIN - z)}
    line = mean.subs(grown, 1 + z * CAPACITY + z**2 * CAPACITY**2 / 2).subs(tied)
    balanced = sp.cancel(sp.together(line)).subs(z, 0)
    return sp.Piecewise(
        (0, PEAK <= DRAIN),
        (balanced, sp.Eq(BETA * rise, ALPHA * DRAIN)),
        (off_balance, True),
    )


def mean_backlog_on_off_deterministic() -> sp.Expr:
    """One period: a rise, a level at the top, a fall, a level at the bottom; over its length."""
    rise = PEAK - DRAIN
    t = sp.Dummy("t", nonnegative=True)
    refills = rise * ON_TIME > DRAIN * OFF_TIME
    low = sp.Piecewise((sp.Max(CAPACITY - DRAIN * OFF_TIME, 0), refills), (0, True))
    top = sp.Min(low + rise * ON_TIME, CAPACITY)
    up, down = (top - low) / rise, sp.Min((top - low) / DRAIN, OFF_TIME)
    a, b, length = sp.symbols("a b T")
    ramp = sp.integrate(a + (b - a) * t / length, (t, 0, length))
    rising = ramp.subs({a: low, b: top, length: up}, simultaneous=True)
    falling = ramp.subs({a: top, b: low, length: down}, simultaneous=True)
    area = rising + top * (ON_TIME - up) + falling + low * (OFF_TIME - down)
    return sp.Piecewise((0, PEAK <= DRAIN), (area / (ON_TIME + OFF_TIME), True))


def loss_on_off_fluid() -> sp.Expr:
    """Share lost: fluid at h - c is lost while on and full, of the fluid ``h P(on)`` offered.

    Where the source offers exactly c on average z is 0; there e^(zK) - 1 is replaced by zK, which
    is the limit.
    """
    z = sp.Symbol("z")
    tied = {ALPHA: (PEAK - DRAIN) * (BETA / DRAIN - z)}
    grown = sp.exp(eigenvalue() * CAPACITY)
    line = _loss_off_balance().subs(grown, 1 + z * CAPACITY).subs(tied)
    balanced = sp.factor(sp.cancel(sp.together(line)).subs(z, 0))
    return sp.Piecewise(
        (0, PEAK <= DRAIN),
        (balanced, sp.Eq(BETA * (PEAK - DRAIN), ALPHA * DRAIN)),
        (_loss_off_balance(), True),
    )


def buffer_for_loss_on_off() -> sp.Expr:
    """The loss solved for the buffer: linear fractional in e^(zK), so K is a logarithm over z."""
    grown = sp.Symbol("E", positive=True)
    z = eigenvalue()
    law = _loss_off_balance().subs(sp.exp(z * CAPACITY), grown)
    (solution,) = sp.solve(sp.Eq(sp.together(law), LOSS), grown)
    needed = sp.log(sp.factor(solution)) / z
    return sp.Piecewise(
        (0, sp.Or(PEAK <= DRAIN, LOSS * PEAK >= PEAK - DRAIN)),
        (sp.Max(needed, 0), _ON * PEAK < DRAIN),
        (sp.oo, True),
    )


def loss_on_off_deterministic() -> sp.Expr:
    """Bursts and gaps of fixed length: the content repeats from one burst to the next.

    A burst adds ``(h - c) T_on``, a gap takes ``c T_off``. If the gap takes more, every burst
    starts at an empty buffer and overflows by ``(h - c) T_on - K``. If it takes less the content
    rises until every burst ends full; then the room at its start is what the gap before could
    drain, at most K. Both are covered by the smaller of K and ``c T_off``.
    """
    surplus = sp.Max(PEAK - DRAIN, 0) * ON_TIME
    emptied = DRAIN * OFF_TIME
    stable = sp.Max(surplus - CAPACITY, 0)
    full = surplus - sp.Min(CAPACITY, emptied)
    return sp.Piecewise((stable, surplus <= emptied), (full, True)) / (PEAK * ON_TIME)

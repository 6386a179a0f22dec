# %% [markdown]
# # A first prediction
#
# You know what your link carries, which capture mechanism you want to use, and on what kind of
# machine. This lesson predicts how many packets you will lose, where you will lose them, and why.

# %%
import numpy as np

from capmodel import predict

prediction = predict(rate="1.27Mpps", size="64B", backend="pf_packet", machine="braun_amd")
print(prediction)

# %% [markdown]
# ## Every packet is accounted for
#
# A packet that was offered was either captured, or dropped at the card's receive ring, or dropped
# at the buffer between kernel and application. There is nothing else that can become of it.

# %%
dropped = prediction.drops["ring"] + prediction.drops["buffer"]
assert np.isclose(prediction.carried_rate + dropped, prediction.offered_rate)
assert np.isclose(prediction.loss, dropped / prediction.offered_rate)
assert np.isclose(prediction.captured + prediction.loss, 1.0)

# %% [markdown]
# The same holds for time. A core does one thing at any moment, and the shares add up to all of it.

# %%
for core, times in prediction.core_time.items():
    print(f"{core:<9}", ", ".join(f"{name} {100 * share:.1f} %" for name, share in times.items()))
    assert np.isclose(sum(times.values()), 1.0)

# %% [markdown]
# ## Units
#
# Write a rate in packets or in bits per second. Bits are counted on the wire, where every frame
# takes 20 bytes more than its own length: preamble, start delimiter and the gap to the next frame.

# %%
full = predict(rate="1Gbit/s", size=64)
assert np.isclose(full.offered_rate, 1e9 / ((64 + 20) * 8))
assert predict(rate=1.27e6).carried_rate == predict(rate="1.27Mpps").carried_rate
print(f"1 Gbit/s of 64-byte frames: {full.offered_rate:,.0f} packets per second")

# %% [markdown]
# Numbers without a unit are packets per second, bytes and seconds. A buffer must have its unit,
# because the tools disagree about it: tcpdump counts KiB, others count bytes or packets.

# %%
try:
    predict(rate="1.27Mpps", buffer="4096")
except ValueError as error:
    print(error)
else:
    raise AssertionError("a buffer without a unit must be refused")

# %% [markdown]
# ## Why, and what would help
#
# `explain` says in plain sentences which part is the limit, who pays for waking the application,
# and which single change would capture more.

# %%
for paragraph in prediction.explain().split("\n\n"):
    print(paragraph, end="\n\n")
assert prediction.bottleneck in ("unsaturated", "kernel", "consumer", "buffer", "card")

# %% [markdown]
# ## Where the numbers come from
#
# No cost in the library stands without a source. A cost that somebody assumed says so.

# %%
for line in prediction.references()[:4]:
    print("-", line)
for name, constant in prediction.constants.items():
    assert constant.source, name
    assert constant.origin in ("published", "calibrated", "assumed"), name
counts = {}
for constant in prediction.constants.values():
    counts[constant.origin] = counts.get(constant.origin, 0) + 1
print(f"{len(prediction.constants)} costs went into this prediction:", counts)

# %% [markdown]
# ## How sure
#
# The costs of a machine are known with an uncertainty. Where the machine was calibrated, the
# library keeps a sample of the machines that are plausible, predicts for each of them, and reports
# the interval that holds 90 % of the answers. You can look at the answers themselves.

# %%
low, high = prediction.interval("captured", level=0.9)
answers = prediction.samples("captured")
inside = np.mean((answers >= low) & (answers <= high))
print(
    f"captured {100 * prediction.captured:.1f} %, 90 % between {100 * low:.1f} and {100 * high:.1f}"
)
print(f"{len(answers)} plausible machines, {100 * inside:.0f} % of them inside")
assert low <= high
assert inside >= 0.89

# %% [markdown]
# The interval is about the machine. The solver has an error of its own, which it states.

# %%
print(prediction.solver, "-", prediction.accuracy)
assert prediction.accuracy

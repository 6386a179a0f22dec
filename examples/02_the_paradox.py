# %% [markdown]
# # Why a busier application can lose less
#
# Braun and others (IMC 2010) saw something odd: on Linux, an application that did more work per
# packet captured more packets. This lesson shows where that comes from, how much it is worth, where
# it ends, and how to have the gain without the work.

# %%
import numpy as np

from capmodel import predict, sweep
from capmodel.formulary import kappa_effective, optimal_consumer_cost
from capmodel.plot import plot_paradox, plot_sweep

RATE = 1.27e6  # packets per second, 64-byte frames: what one generator of the paper could send

# %% [markdown]
# ## The effect
#
# The application's own work per packet goes along the axis. `pf_packet` and `pf_ring` are Linux,
# `bpf` is FreeBSD.

# %%
axes = plot_paradox(rate=RATE)

# %% [markdown]
# ## The reason
#
# An application that is faster than the kernel empties the buffer again and again and goes to
# sleep. For the next packet the kernel has to wake it, and that costs the kernel more time than a
# whole packet does. An application with more to do sleeps less often, so the kernel wakes it less
# often and has the time for packets.

# %%
light = predict(RATE, work=0.0)
kernel_cost = float(light.path.kernel.cost)
read_cost = float(
    light.path.consumer.cost
)  # what reading costs before the application does a thing
work = np.linspace(0.0, 0.9 * (kernel_cost - read_cost), 10)
rising = sweep(RATE, work=work)
axes = plot_sweep(rising, "work", "wakeup_rate")

assert np.all(np.diff(rising["captured"]) >= 0.0)
assert rising["captured"][-1] > rising["captured"][0]
assert np.all(np.diff(rising["wakeup_rate"]) <= 0.0)

# %% [markdown]
# ## The law
#
# Two balances of time decide everything. With $X$ packets and $\nu$ wakeups per second, the kernel
# spends $c_k$ per packet and $w$ per wakeup, and the application spends $c_a$ per packet and is
# away for $S$ per sleep:
#
# $$X c_k + \nu w = 1, \qquad X c_a + \nu S = 1$$
#
# Take $\nu$ out of both and one law is left, with $\kappa = w / (S - w)$:
#
# $$X = \frac{1}{c_k + \kappa\,(c_k - c_a)^+}$$
#
# Both $w$ and $S$ can be read off a running system: the time that the kernel spends on wakeups, the
# time that the application does not work, and the number of wakeups. We take them from the lightest
# application alone, and let the law say what all others will capture.

# %%
wakeup_cost = light.core_time["kernel"]["wakeups"] / light.wakeup_rate
off_time = (1.0 - light.carried_rate * read_cost) / light.wakeup_rate
kappa = float(kappa_effective(wakeup_cost, off_time))
print(
    f"waking costs {1e6 * wakeup_cost:.1f} us, the application is away for {1e6 * off_time:.1f} us"
)
print(f"kappa = {kappa:.2f}: a second of idle application costs the kernel {kappa:.2f} seconds")


def law(consumer_cost):
    slack = np.maximum(kernel_cost - consumer_cost, 0.0)
    carried = 1.0 / (np.maximum(kernel_cost, consumer_cost) + kappa * slack)
    return np.minimum(carried, RATE)


all_work = np.linspace(0.0, 3.0 * kernel_cost, 60)
grid = sweep(RATE, work=all_work)
expected = law(read_cost + all_work)
error = np.abs(grid["carried_rate"] / expected - 1.0)
print(f"largest difference between law and prediction: {100 * error.max():.2f} %")
assert error.max() < 0.01

# %% [markdown]
# ## Where it ends
#
# Once the application is as slow as the kernel it never sleeps, and there is nothing left to gain.
# Past that point it is the bottleneck itself and captures $1/c_a$.

# %%
best = float(optimal_consumer_cost(RATE, kernel_cost, wakeup_cost, off_time))
peak = predict(RATE, work=max(best - read_cost, 0.0))
print(f"best: {1e9 * best:.0f} ns per packet in all; captured {100 * peak.captured:.1f} %")
assert peak.captured >= grid["captured"].max() - 0.005
assert np.isclose(peak.captured, min(1.0, 1.0 / (RATE * kernel_cost)), rtol=0.01)

slow = predict(RATE, work=3.0 * kernel_cost)
assert slow.bottleneck == "consumer"
assert np.isclose(slow.carried_rate, 1.0 / float(slow.path.consumer.cost), rtol=0.01)

# %% [markdown]
# ## Why FreeBSD is flat
#
# BPF hands over whole buffers. The kernel wakes the reader once per buffer at most, so a packet's
# share of a wakeup is the cost of a wakeup divided by the packets in a buffer. That is all a busier
# reader could save.

# %%
bsd = predict(RATE, backend="bpf", work=0.0)
bsd_kernel, bsd_reader = float(bsd.path.kernel.cost), float(bsd.path.consumer.cost)
most = float(bsd.path.wakeup.cost / bsd.path.buffer.block) / bsd_kernel
bsd_work = np.linspace(0.0, 0.8 * max(bsd_kernel - bsd_reader, 0.0) / 1.2, 10)
flat = sweep(RATE, backend="bpf", work=bsd_work)["captured"]
gain = rising["captured"][-1] - rising["captured"][0]
print(f"FreeBSD varies by {100 * np.ptp(flat):.2f} points, Linux gains {100 * gain:.1f}")
assert np.ptp(flat) <= most + 1e-3
assert np.ptp(flat) < gain

# %% [markdown]
# ## The gain without the work
#
# Instead of slowing the application down, let the kernel wait until $N$ packets have come (or some
# milliseconds have passed) before it wakes anybody. The application is then away for
# $S + (N-1)\,c_k$, and $\kappa$ falls accordingly. That is the paper's own remedy, and today's
# blocks of TPACKET_V3 do much the same.

# %%
thresholds = [1, 4, 16, 64, 256]
batched = sweep(RATE, backend="pf_packet_modified", work=0.0, threshold=thresholds)
for count, captured, wakeups in zip(
    thresholds, batched["captured"], batched["wakeup_rate"], strict=True
):
    longer = float(kappa_effective(wakeup_cost, off_time + (count - 1) * kernel_cost))
    by_law = min(1.0, 1.0 / (RATE * (kernel_cost + longer * (kernel_cost - read_cost))))
    print(f"N = {count:>3}: captured {100 * captured:5.1f} %, {wakeups:9,.0f} wakeups/s")
    assert np.isclose(captured, by_law, rtol=0.01)
assert np.all(np.diff(batched["captured"]) >= 0.0)
assert np.isclose(batched["captured"][-1], min(1.0, 1.0 / (RATE * kernel_cost)), rtol=0.02)

# %% [markdown]
# The timeout is there for quiet links only. As long as $N$ packets come sooner than that, its value
# does not matter.

# %%
timeouts = sweep(
    RATE, backend="pf_packet_modified", work=0.0, threshold=64, timeout=["1ms", "10ms", "100ms"]
)
assert 64 * kernel_cost < 1e-3
assert np.ptp(timeouts["captured"]) < 1e-9

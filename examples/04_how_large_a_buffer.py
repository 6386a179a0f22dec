# %% [markdown]
# # How large a buffer
#
# "Make the buffer larger" is the first advice for lost packets, and often a useless one. This
# lesson tells four cases apart: steady overload, a short run, bursts, and a buffer too large.

# %%
import math

import numpy as np

from capmodel import Bursts, predict, required_buffer, sweep
from capmodel.formulary import buffer_for_loss_on_off, loss_on_off_fluid
from capmodel.plot import plot_sweep

RATE = 1e6
# An application that needs twice as long per packet as packets are apart.
work = 2.0 / RATE
slow = predict(RATE, work=work)
consumer_cost = float(slow.path.consumer.cost)
assert slow.bottleneck == "consumer"

# %% [markdown]
# ## Steady overload: no size is enough
#
# If packets come faster than the application works, the buffer fills and stays full. After that its
# size does not matter: what is captured is what the application can do.

# %%
sizes = ["1024 slots", "2048 slots", "4096 slots", "8192 slots"]
steady = sweep(RATE, work=work, buffer=sizes)
assert np.allclose(steady["captured"], 1.0 / (RATE * consumer_cost), atol=1e-3)
gain = steady["captured"][-1] - steady["captured"][0]
print(f"eight times the buffer captures {100 * gain:.3f} points more")
assert gain <= 8192 / (RATE * 100) + 1e-9  # one buffer of packets in a run of 100 s

# %% [markdown]
# ## A short run: the buffer counts once
#
# A run that starts with an empty buffer fills it once, and the content counts as captured when the
# run is over. Of $n$ packets a buffer of $K$ saves $K/n$. That is why a test of a million packets
# recommends large buffers, and a test of a hundred seconds does not.

# %%
for seconds in (0.05, 1.0, 100.0):
    count = RATE * seconds
    run = predict(RATE, work=work, buffer="8192 slots", duration=seconds)
    fluid = min(1.0, 1.0 / (RATE * consumer_cost) + 8192 / count)
    print(f"{count:>12,.0f} packets: captured {100 * run.captured:.1f} %")
    assert np.isclose(run.captured, fluid, atol=0.01)

# %% [markdown]
# ## Bursts: the buffer must hold the burst
#
# Here size matters. The application is fast enough on average, but not while a burst lasts. Bursts
# and gaps have random lengths here. For a loss that you can live with, the size follows.

# %%
kernel_cost = float(slow.path.kernel.cost)
busy = 2.0 * kernel_cost  # the application's own work
on, off = 1e-3, 4e-3
peak = 0.7 / kernel_cost  # the kernel keeps up with a burst, the application does not
mean = peak * on / (on + off)
bursts = Bursts(on, off)


def with_buffer(slots):
    return predict(mean, arrivals=bursts, buffer=f"{slots} slots", work=busy, duration="24h")


drain = 1.0 / float(with_buffer(1024).path.consumer.cost)
assert mean < drain < peak
target = 1e-3
needed = math.ceil(float(buffer_for_loss_on_off(peak, drain, 1.0 / on, 1.0 / off, target)))
print(f"bursts of {peak:,.0f}/s, mean {mean:,.0f}/s; the application does {drain:,.0f}/s")
print(f"for a loss of {100 * target} % the buffer needs {needed} packets")

# %% [markdown]
# Predict with that buffer, with half of it, and with twice as much.

# %%
enough, half, double = with_buffer(needed), with_buffer(needed // 2), with_buffer(2 * needed)
for text, tried in (("half", half), ("as computed", enough), ("double", double)):
    print(f"{text:>12}: {100 * tried.loss:.4f} % lost")
assert np.isclose(enough.loss, target, rtol=0.1)
assert np.isclose(half.loss, loss_on_off_fluid(peak, drain, 1 / on, 1 / off, needed // 2), rtol=0.1)
assert double.loss < target < half.loss

slots = [f"{needed * share // 8} slots" for share in range(1, 13)]
curve = sweep(mean, arrivals=bursts, buffer=slots, work=busy, duration="24h")
axes = plot_sweep(curve, "buffer", "loss")
assert np.all(np.diff(curve["loss"]) < 0.0)

# %% [markdown]
# The formula knows bursts of exponential length. For any arrivals, and any backend, the model
# itself is searched; on the command line that is `capmodel buffer --loss 1e-3 ...`.

# %%
found = required_buffer(mean, target, arrivals=bursts, work=busy)
print(f"searched: {found.slots} slots, {found.memory:,.0f} bytes, {100 * found.loss:.4f} % lost")
assert np.isclose(found.slots, needed, rtol=0.05)

random = required_buffer(mean, target, arrivals="poisson", work=busy)
print(f"packets that come at random, without bursts, need {random.slots} slots")
assert random.slots < found.slots / 10

hopeless = required_buffer(RATE, target, work=work)
print(hopeless.reason)
assert not hopeless.enough

# %% [markdown]
# ## Too large hurts
#
# A ring is written and read in a circle, and every slot is touched again only after all the others.
# Once it outgrows the caches, every packet waits for memory. Under steady overload that is a pure
# loss.

# %%
usual = predict(RATE, work=work)
huge = predict(RATE, work=work, buffer="256MiB")
assert float(huge.path.consumer.cost) > consumer_cost
# in a run of 100 s the huge buffer may still win by what it holds at the end; a day shows its price
day = predict(RATE, work=work, duration="24h")
endless = predict(RATE, work=work, buffer="256MiB", duration="24h")
print(f"100 s: {100 * usual.captured:.2f} % with 2 MiB, {100 * huge.captured:.2f} % with 256 MiB")
print(f"a day: {100 * day.captured:.2f} % with 2 MiB, {100 * endless.captured:.2f} % with 256 MiB")
assert endless.captured < day.captured
assert np.isclose(endless.carried_rate, 1.0 / float(huge.path.consumer.cost), rtol=1e-3)

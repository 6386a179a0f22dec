"""What Linux shows of a running capture: readers of its counters, and two snapshots compared.

Readers are pure functions from text or bytes to frozen records; nothing here sends a packet or
changes a setting.
"""

"""What capture programs do with a packet, one TOML each."""

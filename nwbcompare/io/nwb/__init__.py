"""NWB: written, validated and read."""

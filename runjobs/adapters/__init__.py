"""The world, one module per part of it; no adapter knows another."""

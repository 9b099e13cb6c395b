"""Decisions without the world: values in, values out; no clock, process, file or terminal."""

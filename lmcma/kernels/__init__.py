"""Compiled functions: arrays in, arrays out, grouped by what they compute."""

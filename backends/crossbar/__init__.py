"""Resistive crossbars: memory devices as data, exact circuits of arrays, SPICE netlists."""

"""Dynamics as data: a neuron model is one file, an operation one row, all else a lowering.

`ops` holds the operations, `expr` what a step is written in, `model` what a neuron is, `trace`
the step of one layer. `run_numpy` runs it as the definition; `print_llvm` writes it for
`machine_code`. Models stand in `neurons`.
"""

"""Placeholder: the previous content was overwritten by mistake at 00:30 and is to be written again.

(3,399 bytes, of 00:29, next to limits.py, numerics.py, program.py, store.py. The file that took
its name is now ranges.py; no copy of the previous content was kept.)
"""

raise ImportError("backends/loihi/registers.py was overwritten by mistake: write it again")

"""Files from other people, read by C libraries only in a process with limits.

`ForeignFile(path, kind).read(function, ...)` is `function(path, ...)` in that process; what comes
back is plain data, never a pickle. See docs/security.md.
"""

from snnstack.foreign.client import prepare
from snnstack.foreign.reader import ForeignFile
from snnstack.foreign.trust import trusted, trusting, vouching

__all__ = ["ForeignFile", "prepare", "trusted", "trusting", "vouching"]

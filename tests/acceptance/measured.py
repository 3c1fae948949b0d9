"""Run a command and write down its peak memory: `measured.py FILE PROGRAM …`.

A small process of its own: the peak that the kernel tells of a child includes its parent's.
"""

import resource
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    target, *command = sys.argv[1:]
    code = subprocess.run(command, check=False).returncode
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(target).write_text(str(peak * 1024), encoding="ascii")
    sys.exit(code)

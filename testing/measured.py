"""Runs a command line; writes its seconds, processor seconds and peak memory (of its largest process, MB) to a file."""

import json
import resource
import subprocess
import sys
import time

began = time.monotonic()
code = subprocess.call(["sh", "-c", sys.argv[2]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w", encoding="utf8") as out:
    json.dump({
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / (1 if sys.platform == "darwin" else 1024) / (2**20 if sys.platform == "darwin" else 1)),
    }, out)
sys.exit(code)

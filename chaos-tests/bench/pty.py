"""Echoes of a bare pseudo-terminal: a byte is written to its master, and the kernel's line discipline sends it back. Prints the
seconds of each."""

import os
import sys
import time

master, slave = os.openpty()
for _ in range(int(sys.argv[1])):
    begun = time.perf_counter()
    os.write(master, b"x")
    os.read(master, 1)
    print(time.perf_counter() - begun)

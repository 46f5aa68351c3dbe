"""For all tests: torch works on one thread, here and in the programs that tests start.

The models are tiny, so a second thread gains nothing; and where cores are shared, threads that wait for each other have
made one test take 174 s instead of 3 s. Whoever wants more sets OMP_NUM_THREADS.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

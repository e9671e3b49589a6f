"""Job queues on Redis, each as its documentation recommends, with delayed jobs that do nothing but note when they ran.

A `NAME_jobs.py` runs in a virtual environment of its own and imports nothing of this project but `jobs.py`.
"""

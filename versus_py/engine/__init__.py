"""What happens to incidents, when, and by whom: the lifecycle, the worker, and what watches over them.

It knows targets by what they are for, none by its name.
"""

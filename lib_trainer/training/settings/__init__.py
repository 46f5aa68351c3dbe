"""The settings of a training run, a file per fold of the form.

The classes here are never made by themselves, they only give `TrainConfig` its fields: so they are declared without the
methods that a dataclass writes and compiles while a program starts.
"""

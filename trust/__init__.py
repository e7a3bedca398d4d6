"""How far the checks can be trusted: commands that print it. ``python -m trust --help``"""

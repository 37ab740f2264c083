"""Hundreds of thousands of events through one stack: does anything grow that should not?"""
